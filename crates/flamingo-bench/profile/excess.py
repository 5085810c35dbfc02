"""Where an update takes longer than PyTorch's: `python excess.py PERF TORCH SAMPLE`, of one case of `cargo xtask bench`.

    bench=target/release/flamingo-bench
    perf record -e cpu-clock -F 99 --call-graph dwarf,16384 $bench --measure train/smol-4x256 --threads 2 --quick >sample.json
    perf script -F tid,time,ip,sym --no-inline >perf.txt
    FLAMINGO_PROFILE=torch.txt cargo xtask bench --against torch --case train/smol-4x256 --quick
    python excess.py perf.txt torch.txt sample.json

Burn's Flex backend computes nearly everything on the thread that calls, and matrix products on the others while that one waits. So a
sample of the calling thread belongs to the operation that its frames name, and what is left of the clock's time to products.
PyTorch's profiler gives each operation's own time on its calling thread, with all threads working. The sum of the differences is
the whole difference, up to what the profilers cost.
"""

import json
import re
import sys
from collections import Counter

RATE = 99
PRODUCTS = "matrix products, convolutions, attention in PyTorch"
SOFTMAX = "softmax of loss and attention (PyTorch's attention is above)"
ELEMENTWISE = "products and sums of elements, norms, rotary positions"

# The first that is in one of a sample's frames.
OURS = [
    (r"AdamW|burn_optim|squared_norm", "AdamW and clipping"),
    (r"loss::blocks|mix_with|mask_fill|float_ones|>::float_exp", SOFTMAX),
    (r"sigmoid_impl", "SiLU"),
    (r"gelu_impl|erff", "GELU"),
    (r"binary_op(.|\n)*ops::activation::", "GELU"),
    (r"Act::forward|ops::activation::", "SiLU"),
    (r"Gradients::register", "sums of gradients"),
    (r"backward_impl", ELEMENTWISE),
    (r"memmove|memcpy", "copies"),
    (r"memset", "zeros"),
    (r"malloc|free|unlink_chunk|munmap|brk", "allocator"),
    (r"flamingo|burn_nn", ELEMENTWISE),
    (r"fault|clear_page", "copies"),
]
# The first that an operation's name matches.
PYTORCH = [
    (r"aten::(mm|addmm|bmm|baddbmm|mkldnn_convolution|_scaled_dot_product\S*)$", PRODUCTS),
    (r"aten::silu", "SiLU"),
    (r"aten::gelu", "GELU"),
    (r"aten::(copy_|cat)$|SliceBackward", "copies"),
    (r"aten::(fill_|zero_)$", "zeros"),
    (r"_fused_adamw|vector_norm|aten::mul_$|Optimizer", "AdamW and clipping"),
    (r"aten::add_$|AccumulateGrad", "sums of gradients"),
    (r"log_softmax|LogSoftmax|nll_loss", SOFTMAX),
    (r"aten::(mul|add|pow|mean|sum|div|div_|rsqrt|neg|sub|tanh)$|rms_norm|layer_norm|(Mul|Pow|Add|Mean|Tanh)Backward", ELEMENTWISE),
]
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def first(rules, text):
    return next((name for rule, name in rules if re.search(rule, text)), "rest")


def samples(path):
    """Thread, time and frames of each."""
    found = []
    for line in open(path):
        if head := re.match(r"\s*(\d+)\s+([\d.]+):\s*$", line):
            found.append((int(head[1]), float(head[2]), []))
        elif line.strip():
            found[-1][2].append(line.split(maxsplit=1)[-1].strip())
    return found


def ours(perf, sample):
    """Seconds of an update by operation, of the warm ones, which come last."""
    warm = [ms / 1e3 for ms in json.load(open(sample))["warm_ms"]]
    update = sum(warm) / len(warm)
    found = samples(perf)
    calling, end = found[0][0], max(time for _, time, _ in found)
    # A little less than all, so that none of the cold one is in it.
    window = 0.98 * sum(warm)
    busy = Counter(first(OURS, "\n".join(frames)) for tid, time, frames in found if tid == calling and time > end - window)
    seconds = {name: update * count / RATE / window for name, count in busy.items()}
    seconds[PRODUCTS] = update - sum(seconds.values())
    return update, seconds, sum(busy.values())


def pytorch(path, repetitions=2):
    seconds, text = Counter(), open(path).read()
    total = re.search(r"Self CPU time total: ([\d.]+)(us|ms|s)", text)
    total = float(total[1]) * SECONDS[total[2]] / repetitions
    for line in text.splitlines():
        columns = re.split(r"\s{2,}", line.strip())
        if len(columns) == 7 and (own := re.match(r"([\d.]+)(us|ms|s)$", columns[2])):
            seconds[first(PYTORCH, columns[0])] += float(own[1]) * SECONDS[own[2]] / repetitions
    # What the table left out.
    seconds["rest"] += total - sum(seconds.values())
    return total, seconds


def main(perf, torch, sample):
    (ours_total, ours_by, count), (torch_total, torch_by) = ours(perf, sample), pytorch(torch)
    gap = ours_total - torch_total
    print(f"ours {ours_total:.3f} s, PyTorch {torch_total:.3f} s, {gap:+.3f} s; {count} samples of the calling thread")
    excess = {name: ours_by.get(name, 0.0) - torch_by.get(name, 0.0) for name in ours_by | torch_by}
    for name, more in sorted(excess.items(), key=lambda it: -it[1]):
        print(f"{name:<60} {ours_by.get(name, 0):8.3f} {torch_by.get(name, 0):8.3f} {more:+8.3f} {100 * more / gap:+6.0f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
