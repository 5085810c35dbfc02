"""A case of `cargo xtask bench --against torch`, in PyTorch: `python main.py TASK`, where TASK is JSON.

The task has the case (`kind` and its sizes), the number of threads, the device, whether to compile, and how long a turn is. What
is printed last is one line of JSON, as crates/flamingo-bench/src/measure.rs reads it. With FLAMINGO_PROFILE=FILE in the
environment, PyTorch's profiler writes there where the time of two more repetitions went, by operation. The programs beside this one are written
as somebody would who wants speed: fused attention, inference mode, keys and values kept, no work that is thrown away.
"""

import json
import os
import resource
import statistics
import sys
import time

task = json.loads(sys.argv[1])


def memory(key):
    """Of this process, in MB."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(key))


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


import torch  # noqa: E402

torch.set_num_threads(task["threads"])

import operations  # noqa: E402
import work  # noqa: E402

KINDS = operations.KINDS | work.KINDS


def await_turn(came_to):
    """Whether there is another; they are given by crates/flamingo-bench/src/turns.rs, which is told how long the last took."""
    print("ready", came_to, flush=True)
    match sys.stdin.readline().strip():
        case "turn":
            return True
        case "end":
            return False
    sys.exit("whoever gives the turns is gone")


def profile(once, path):
    """An operation's own time is that of the calling thread, while all threads may work."""
    once()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        once()
        once()
    with open(path, "w") as file:
        file.write(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=60, max_name_column_width=60))


def main():
    case = task["case"]
    torch.manual_seed(0)
    make = KINDS[case["kind"]]
    start_mb = memory("VmRSS")
    # `call` does `of` of the case; gradients are recorded only where the case has them.
    with torch.inference_mode(not getattr(make, "gradients", False)):
        call, of = make(case, task)
        synchronise = torch.cuda.synchronize if task["device"].startswith("cuda") else (lambda: None)

        def once():
            start = time.perf_counter()
            call()
            synchronise()
            return (time.perf_counter() - start) * 1e3 / of

        cold = once()
        before, turns = faults(), []
        came_to = cold
        while await_turn(came_to):
            begin, turn = time.perf_counter(), [once()]
            while len(turn) < task["most"] and time.perf_counter() - begin < task["seconds"]:
                turn.append(once())
            turns.append(turn)
            came_to = statistics.median(turn)
        new_faults = faults() - before
        if path := os.environ.get("FLAMINGO_PROFILE"):
            profile(once, path)
    print(
        json.dumps(
            {
                "cold_ms": cold,
                "turns_ms": turns,
                "start_mb": start_mb,
                "peak_mb": memory("VmHWM"),
                "faults": new_faults / sum(map(len, turns)) / of,
                "version": f"torch {torch.__version__}, {torch.get_num_threads()} threads",
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
