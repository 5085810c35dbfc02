"""Do ratios of several runs agree? `python runs.py RUN.json ...`, of what `cargo xtask bench --against torch --json` wrote with two rounds
or more.

Prints a Markdown table: medians over the runs of our time and the peer's, the ratios of the rounds that began with ours and of
those that began with the peer (geometric means over the runs), the ratios of the runs, and how far apart these are (largest less
smallest, over the median). Then whether runs differ by more than chance: the variance between runs over that which is left
when runs and who began are taken out, of the ratios' logarithms (F of an analysis of variance without repetition; 1 if a run is
nothing but a few more rounds).
"""

import json
import math
import statistics
import sys


def milliseconds(time):
    return f"{time:.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}" if time >= 1 else f"{time:.3g}"


def read(path):
    with open(path) as file:
        rows = {f"{row['suite']}/{row['case']}": row for row in json.load(file) if row["ratio"] is not None}
    for case, row in rows.items():
        if len(row["ratio_rounds"]) < 2:
            sys.exit(f"{path}: {case} has one round, so nothing is known of who began: measure with --rounds 2 or more")
    return rows


def by_who_began(row):
    """The mean logarithm of the rounds that ours began, and of those that the peer did: they take turns."""
    logs = [math.log(ratio) for ratio in row["ratio_rounds"]]
    return [statistics.mean(logs[place::2]) for place in (0, 1)]


runs = [read(path) for path in sys.argv[1:]]
cases = [case for case in runs[0] if all(case in run for run in runs)]
between, left, close = 0.0, 0.0, 0
print("| case | ours, ms | PyTorch, ms | ours first | PyTorch first | ratios of the runs | median | apart, % |")
print("|---|---:|---:|---:|---:|---|---:|---:|")
for case in cases:
    rows = [run[case] for run in runs]
    ratios = [row["ratio"] for row in rows]
    median = statistics.median(ratios)
    apart = (max(ratios) - min(ratios)) / median * 100
    close += apart < 10
    logs = [by_who_began(row) for row in rows]
    places = [statistics.mean(place) for place in zip(*logs)]
    centre = statistics.mean(places)
    for run in logs:
        mean = statistics.mean(run)
        between += len(run) * (mean - centre) ** 2
        left += sum((log - mean - place + centre) ** 2 for log, place in zip(run, places))
    times = [milliseconds(statistics.median(row[side] for row in rows)) for side in ("ours_ms", "peer_ms")]
    began = [f"{math.exp(place):.2f}" for place in places]
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"| `{case}` | {' | '.join(times + began)} | {told} | **{median:.2f}** | {apart:.1f} |")
print(f"\n{close} of {len(cases)} are less than 10 % apart", file=sys.stderr)
if len(runs) > 1:
    freedom = (len(runs) - 1) * len(cases)
    print(f"F {between / left:.2f} with {freedom} and {freedom} degrees of freedom", file=sys.stderr)
    print(f"one round differs from another by {math.sqrt(left / freedom) * 100:.1f} %, a run from another by "
          f"{math.sqrt(between / freedom / 2) * 100:.1f} %", file=sys.stderr)
