#!/usr/bin/env python3
"""Tables in Markdown from the lines of JSON that bench_cudnn writes.

    bench_cudnn | report.py [--out FILE.md]        FILE.json keeps the lines

The exit status is 1 where a side was refused or nothing was measured, 2 where the lines do not hold what they must: a
number that is none passes nowhere.
"""

import argparse
import collections
import datetime
import json
import math
import os
import sys

PARTS = ("forward", "backward", "whole")


class Wrong(Exception):
    """The lines are not what bench_cudnn writes."""


def number(value, what):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Wrong(f"{what} is no number: {value}")
    return value


def check_side(side, case):
    for kind in ("us", "ratio"):
        for part, values in side[kind].items():
            if len(values) != 3 or not number(values[1], part) <= number(values[0], part) <= number(values[2], part):
                raise Wrong(f"{case}, {side['side']}: {kind} of {part} is no median between two others: {values}")
    needed = PARTS + (("backward_data", "backward_weights") if side["side"].startswith("cuDNN") else ())
    if not all(part in side["us"] for part in needed) or not side["us"]["whole"][1] > 0:
        raise Wrong(f"{case}, {side['side']}: no time")
    for part, share in side.get("share", {}).items():
        number(share, f"{case}: the share of {part}")


def check_case(one):
    for errors in one["errors"].values():
        for tensor, error in errors.items():
            if not number(error, tensor) <= one["tolerance"]:
                raise Wrong(f"{one['case']}: {tensor} was let pass with an error of {error}")
    for side in one["sides"]:
        if side["side"] in one["refused"]:
            raise Wrong(f"{one['case']}: {side['side']} was refused and timed all the same")
        check_side(side, one["case"])


def read(stream):
    """The device, the cases, and what was not done (titles by reason)."""
    device, cases, not_done = None, [], {}
    try:
        for line in filter(str.strip, stream):
            told = json.loads(line)
            if "device" in told:
                device = told
            elif "not_done" in told:
                not_done.setdefault(told["why"], []).extend(told["not_done"])
            else:
                check_case(told)
                cases.append(told)
    except (ValueError, KeyError, TypeError) as error:
        raise Wrong(f"a line does not hold what it must: {error!r}") from error
    if device is None:
        raise Wrong("the device is not told; bench_cudnn did not run")
    return device, cases, not_done


# ---- tables ----


def wanted(case):
    """The ratio to cuDNN's best way that is wanted of an LSTM in single precision, both sides as graphs."""
    words = set(case.split())
    if not {"lstm", "T=128", "layers=1", "directions=1", "full", "float32"} <= words:
        return ""
    return "3" if words & {"H=32", "H=64"} else "2" if "H=128" in words else ""


def spread(values):
    return f"{values[0]:.2f} ({values[1]:.2f} to {values[2]:.2f})"


def best_of(one, mode):
    """Carousel, and the fastest way of the others, or None."""
    sides = [side for side in one["sides"] if side["mode"] == mode]
    ours = next((side for side in sides if side["side"] == "Carousel"), None)
    others = [side for side in sides if side["side"].startswith("cuDNN")]
    return ours, min(others, key=lambda side: side["us"]["whole"][0], default=None)


def row_of(one, mode):
    ours, best = best_of(one, mode)
    cells = [one["case"]]
    if ours:
        shares = ours.get("share", {})
        cells += [f"{ours['us']['whole'][0]:.1f}", f"{ours['us_per_time_step']:.3f}",
                  ", ".join(f"{shares[part]:.2f}" if part in shares else "-" for part in PARTS)]
    else:
        cells += ["", "", ""]
    if not best:
        return cells + [""] * 6
    parts = [f"{best['us'][part][0]:.1f}" for part in ("forward", "backward_data", "backward_weights", "whole")]
    ratios = [spread(best["ratio"][part]) if part in best["ratio"] else "" for part in PARTS]
    return cells + [best["side"].removeprefix("cuDNN "), ", ".join(parts), *ratios,
                    wanted(one["case"]) if mode == "graph" else ""]


COLUMNS = ["case", "Carousel, us", "a time step", "share of the floor", "cuDNN's fastest way",
           "cuDNN: forward, data, weights, whole, us", "ratio forward", "ratio backward", "ratio whole", "wanted"]


def write_main(cases, mode, stream):
    heading = "Captured in CUDA graphs" if mode == "graph" else "Queued plainly"
    print(f"\n## {heading}\n\n| " + " | ".join(COLUMNS) + " |", file=stream)
    print("|---|---:|---:|---:|---|---:|---:|---:|---:|---:|", file=stream)
    for one in cases:
        print("| " + " | ".join(row_of(one, mode)) + " |", file=stream)


def write_ways(cases, stream):
    names = list(dict.fromkeys(side["side"] for one in cases for side in one["sides"]))
    print("\n## Every way: the whole, microseconds, as a graph and queued plainly\n\n| case | "
          + " | ".join(names) + " |\n|---|" + "---:|" * len(names), file=stream)
    for one in cases:
        times = {(side["side"], side["mode"]): f"{side['us']['whole'][0]:.1f}" for side in one["sides"]}
        cells = [f"{times.get((name, 'graph'), '-')}, {times.get((name, 'plain'), '-')}" for name in names]
        print(f"| {one['case']} | " + " | ".join(cells) + " |", file=stream)


def write_left_out(cases, stream):
    reasons = collections.Counter((way, why) for one in cases for way, why in one["left_out"].items())
    if reasons:
        print("\nLeft out:\n", file=stream)
    for (way, why), count in sorted(reasons.items()):
        print(f"- {way}, in {count} of {len(cases)} cases: {why}", file=stream)


def write(device, cases, not_done, stream):
    errors = [error for one in cases for side in one["errors"].values() for error in side.values()]
    print("# Recurrent layers on a GPU\n", file=stream)
    print(f"- {datetime.date.today()}, {device['device']}, {device['multiprocessors']} multiprocessors at "
          f"{device['megahertz']:.0f} MHz, " + (f"cuDNN {device['cudnn']}" if device["cudnn"] else "no cuDNN"),
          file=stream)
    print(f"- {device['rounds']} rounds in turn, each of calls that last {device['milliseconds']:g} ms at least; "
          "medians; ratio: cuDNN's time over Carousel's in the same round, median (smallest to largest); a time step: "
          "of the whole, by T and layers", file=stream)
    print("- forward and whole are timed, the parts of the backward are differences; share of the floor: forward, "
          "backward, whole; floor.hpp counts it", file=stream)
    if errors:
        print(f"- every side that was timed agrees with its reference, the worst tensor by {max(errors):.1e}",
              file=stream)
    for one in cases:
        for side, why in one["refused"].items():
            print(f"- **refused: {one['case']}, {side}: {why}**", file=stream)
    for why, titles in not_done.items():
        print(f"- not done, since {why}: {len(titles)} cases: {', '.join(titles[:8])}"
              + (", ..." if len(titles) > 8 else ""), file=stream)
    for mode in ("graph", "plain"):
        write_main(cases, mode, stream)
    write_ways(cases, stream)
    write_left_out(cases, stream)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", metavar="FILE.md", help="(default: standard output)")
    options = parser.parse_args()
    lines = sys.stdin.readlines()
    try:
        device, cases, not_done = read(lines)
    except Wrong as why:
        print(f"report.py: {why}", file=sys.stderr)
        return 2
    if options.out:
        with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as file:
            file.writelines(lines)
    with open(options.out, "w", encoding="utf-8") if options.out else sys.stdout as stream:
        write(device, cases, not_done, stream)
    return 1 if not cases or any(one["refused"] for one in cases) else 0


if __name__ == "__main__":
    sys.exit(main())
