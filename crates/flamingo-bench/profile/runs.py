"""Do ratios of several runs agree? `python runs.py RUN.json ...`, of what `cargo xtask bench --against torch --json` wrote.

Prints a Markdown table: medians over the runs of our time and the peer's, the ratios, how far apart they are (largest less smallest,
over the median), and the standard deviation of the rounds within a run. Then whether runs differ by more than their rounds do: the
variance between runs over that within them, of the ratios' logarithms (F of an analysis of variance; 1 if a run is nothing but
a few more rounds).
"""

import json
import math
import statistics
import sys


def milliseconds(time):
    return f"{time:.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}" if time >= 1 else f"{time:.3g}"


def read(path):
    with open(path) as file:
        return {f"{row['suite']}/{row['case']}": row for row in json.load(file) if row["ratio"] is not None}


runs = [read(path) for path in sys.argv[1:]]
cases = [case for case in runs[0] if all(case in run for run in runs)]
between, within, freedom, close = 0.0, 0.0, 0, 0
print("| case | ours, ms | PyTorch, ms | ratios of the runs | median | apart, % | rounds, % |")
print("|---|---:|---:|---|---:|---:|---:|")
for case in cases:
    rows = [run[case] for run in runs]
    ratios = [row["ratio"] for row in rows]
    median = statistics.median(ratios)
    apart = (max(ratios) - min(ratios)) / median * 100
    close += apart < 10
    rounds = [[math.log(ratio) for ratio in row["ratio_rounds"]] for row in rows]
    means = [statistics.mean(logs) for logs in rounds]
    centre = statistics.mean(log for logs in rounds for log in logs)
    between += sum(len(logs) * (mean - centre) ** 2 for logs, mean in zip(rounds, means))
    inside = sum((log - mean) ** 2 for logs, mean in zip(rounds, means) for log in logs)
    degrees = sum(len(logs) - 1 for logs in rounds)
    within, freedom = within + inside, freedom + degrees
    deviation = f"{math.sqrt(inside / degrees) * 100:.0f}" if degrees else ""
    times = [milliseconds(statistics.median(row[side] for row in rows)) for side in ("ours_ms", "peer_ms")]
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"| `{case}` | {times[0]} | {times[1]} | {told} | {median:.2f} | {apart:.1f} | {deviation} |")
print(f"\n{close} of {len(cases)} are less than 10 % apart", file=sys.stderr)
if freedom and len(runs) > 1:
    ratio = between / ((len(runs) - 1) * len(cases)) / (within / freedom)
    print(f"F {ratio:.2f}; rounds differ by {math.sqrt(within / freedom) * 100:.1f} %", file=sys.stderr)
