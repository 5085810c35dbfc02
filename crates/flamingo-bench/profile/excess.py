"""Where we take longer than PyTorch: `python excess.py PERF TORCH SAMPLE [THREADS]`, of one case of `cargo xtask bench`.

    bench="target/release/flamingo-bench --measure train/smol-4x256 --threads 2 --in-turns"
    perf="perf record -e cpu-clock -F 99 --call-graph dwarf,16384"
    { yes turn | head -8; echo end; } | $perf $bench | tail -1 >sample.json
    perf script -F tid,time,ip,sym --no-inline >perf.txt
    FLAMINGO_PROFILE=torch.txt cargo xtask bench --against torch --case train/smol-4x256 --quick
    python excess.py perf.txt torch.txt sample.json

Of ours the first repetition and two more are left out, in which the heap still grows. A sample belongs to the operation that its
frames name first, and stands for the time since the one before it on its thread, up to the distance at which samples are taken.
PyTorch's profiler gives each operation's time on its calling thread by the clock, whether the other threads work or wait. So that
both are of one kind, ours is the clock's time too: a moment is shared by the operations that are busy in it, and an operation
beside a waiting thread has it alone. The sum of the differences is then the whole difference, up to what the profilers cost. What
operations take of a moment less than a share of THREADS (2) is printed besides: *alone*, with a thread waiting.

Not for `decode`, whose repetition is several tokens while its times are of one.
"""

import json
import re
import sys
from collections import Counter

RATE = 99
PRODUCTS = "matrix products, attention's too"
SOFTMAX = "softmax of loss and attention, masks"
ELEMENTWISE = "products and sums of elements, norms, rotary"
COPIES = "copies, most of them for alignment"
IDLE = "a thread waits"

# The first that is in one of a sample's frames.
OURS = [
    (r"page_fault|mm_fault|clear_page", "page faults"),
    (r"memmove|memcpy|copy_2d_tiled|copy_inner", COPIES),
    (r"memset", "zeros"),
    (r"gemm|microkernel|matmul_batched|flex::ops::(conv|attention)", PRODUCTS),
    (r"AdamW|burn_optim|squared_norm|GradientsAccumulator", "AdamW and clipping"),
    (r"loss::blocks|mix_with|mask_fill|float_ones|>::float_exp", SOFTMAX),
    (r"sigmoid_impl", "SiLU"),
    (r"gelu_impl|erff", "GELU"),
    (r"binary_op(.|\n)*ops::activation::", "GELU"),
    (r"Act::forward|ops::activation::", "SiLU"),
    (r"Gradients::register", "sums of gradients"),
    (r"backward_impl", ELEMENTWISE),
    (r"malloc|free|unlink_chunk|munmap|brk", "allocator"),
    (r"flamingo|burn_nn", ELEMENTWISE),
    (r"rayon|yield|futex|schedule|crossbeam", IDLE),
]
# The first that an operation's name matches.
PYTORCH = [
    (r"aten::(mm|addmm|bmm|baddbmm|mkldnn_convolution|_scaled_dot_product\S*)$", PRODUCTS),
    (r"aten::silu", "SiLU"),
    (r"aten::gelu", "GELU"),
    (r"aten::(copy_|cat)$|SliceBackward", COPIES),
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
    """Thread, time and frames of each, in order of time."""
    found = []
    for line in open(path):
        if head := re.match(r"\s*(\d+)\s+([\d.]+):\s*$", line):
            found.append((head[1], float(head[2]), []))
        elif line.strip():
            found[-1][2].append(line.split(maxsplit=1)[-1].strip())
    return sorted(found, key=lambda it: it[1])


def doing(frames):
    """What a thread does now: a thread that waits for a piece of its work takes up others' pieces inside of its waiting."""
    waits = (place for place, frame in enumerate(frames) if "wait_until_cold" in frame)
    return first(OURS, "\n".join(frames[: next(waits, len(frames)) + 1]))


def spans(found, begin):
    """From when, until when and with which operation a thread was busy, for each sample behind `begin`."""
    last = {}
    for thread, time, frames in found:
        since = max(last.get(thread, begin), time - 1 / RATE, begin)
        last[thread] = time
        if since < time and (name := doing(frames)) != IDLE:
            yield since, time, name


def by_the_clock(busy, begin, end, threads):
    """Seconds between `begin` and `end` by operation, and what of them an operation had while fewer than all threads were busy."""
    changes = sorted([(since, 1, name) for since, _, name in busy] + [(until, -1, name) for _, until, name in busy])
    seconds, alone, running, now = Counter(), Counter(), Counter(), begin
    for time, by, name in [*changes, (end, 0, IDLE)]:
        count = running.total()
        if count == 0:
            seconds[IDLE] += time - now
        else:
            shares = {each: (time - now) * times / count for each, times in running.items()}
            seconds.update(shares)
            if count < threads:
                alone.update(shares)
        running[name] += by
        now = time
    return seconds, alone


def ours(perf, sample, threads):
    """Seconds of a repetition by operation, those alone, of the later ones, which come last; and how many samples there were."""
    warm = [ms / 1e3 for turn in json.load(open(sample))["turns_ms"] for ms in turn][2:]
    found = samples(perf)
    end = found[-1][1]
    # A little less than all, so that nothing of an earlier one is in it.
    begin = end - 0.98 * sum(warm)
    busy = list(spans(found, begin))
    one = sum(warm) / len(warm)
    seconds, alone = by_the_clock(busy, begin, end, threads)
    scale = one / seconds.total()
    return one, *({name: scale * it for name, it in each.items()} for each in (seconds, alone)), len(busy)


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


def main(perf, torch, sample, threads=2):
    one, by, alone, count = ours(perf, sample, int(threads))
    torch_one, torch_by = pytorch(torch)
    print(f"ours {one:.3f} s, PyTorch {torch_one:.3f} s, {one - torch_one:+.3f} s; {count} samples")
    excess = {name: by.get(name, 0) - torch_by[name] for name in by | torch_by}
    print(f"{'seconds':<50} {'ours':>8} {'(alone)':>8} {'PyTorch':>8} {'more':>8}")
    for name, more in sorted(excess.items(), key=lambda it: -it[1]):
        print(f"{name:<50} {by.get(name, 0):8.3f} {alone.get(name, 0):8.3f} {torch_by[name]:8.3f} {more:+8.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
