#!/usr/bin/env python3
"""Measures Carousel's recurrent layers on a GPU beside PyTorch's and JAX', the same cases as bench_cudnn, in one run.

    peers.py --program BUILD/bench_cudnn [--peers torch jax] [--only WORD...] [--out FILE.md]

Every way of a peer is compared with Carousel's results before it is timed; one that differs is refused and the exit
status is 1. Exit status 2: it could not be run. The sides are processes that wait for a line; a round measures each
once, another one first each time. What is told are medians of the rounds' ratios, with the smallest and the largest. A
peer that is not installed, or finds no GPU, is said and left out.

Clocks: Carousel's is the device's, PyTorch's and JAX' that of the host around calls which are waited for once.
"""

import argparse
import contextlib
import datetime
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "cpu"))

from sides import CannotRun, Side  # noqa: E402

MODES = {"plain": ("eager", "jit of a scan", "cuDNN's LSTM"), "graph": ("graph",)}


class Ours(Side):
    def __init__(self, options):
        super().__init__("Carousel", [options.program, "--ask"])

    def prepare(self, title, path):
        return self.ask(f"case {path} {title}")

    def measure(self, milliseconds):
        return self.ask(f"measure {milliseconds:g}")


class Peer(Side):
    def __init__(self, kind, device):
        super().__init__(kind, [sys.executable, os.path.join(HERE, "layer_peer.py"), kind, "--device", device])

    def prepare(self, title, path, tolerance, falsify):
        return self.ask(json.dumps({"ask": "case", "title": title, "numbers": path, "tolerance": tolerance,
                                    "falsify": falsify}))

    def measure(self, milliseconds):
        return self.ask(json.dumps({"ask": "measure", "milliseconds": milliseconds}))


def open_peers(options):
    """Those that can be had, and why the others cannot."""
    peers, missing = [], {}
    for kind in options.peers:
        if importlib.util.find_spec(kind) is None:
            missing[kind] = f"{sys.executable} has no {kind}"
            continue
        try:
            peers.append(Peer(kind, options.device))
        except CannotRun as why:
            missing[kind] = str(why)
    return peers, missing


# ---- a case ----


def middle(values):
    values = list(values)
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise CannotRun(f"a time is no time: {values}")
    return [statistics.median(values), min(values), max(values)]


def mode_of(way):
    return next(mode for mode, endings in MODES.items() if way.endswith(endings))


def summarise(rounds, about):
    """Times by side and way, and the ratios to Carousel in the same mode, or plainly queued where it has no graph."""
    result = {"ours": {mode: {part: middle(one["Carousel"][mode][part] for one in rounds)
                              for part in ("forward", "whole")} for mode in rounds[0]["Carousel"]}, "ways": []}
    for side in about:
        for way in rounds[0][side]:
            mode = mode_of(way) if mode_of(way) in result["ours"] else "plain"
            told = {"side": side, "way": way, "mode": mode, "error": about[side]["errors"][way]}
            for part in ("forward", "whole"):
                told[part] = middle(one[side][way][part] for one in rounds)
                told[f"{part}_ratio"] = middle(one[side][way][part] / one["Carousel"][mode][part] for one in rounds)
            result["ways"].append(told)
    return result


def run_case(title, ours, peers, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "numbers")
        told = ours.prepare(title, path)
        about = {peer.name: peer.prepare(told["title"], path, told["tolerance"], options.falsify) for peer in peers}
    sides = [ours, *peers]
    for side in sides:
        side.measure(options.milliseconds)  # what is compiled at first use
    rounds = []
    for number in range(options.rounds):
        begin = number % len(sides)
        rounds.append({side.name: side.measure(options.milliseconds) for side in sides[begin:] + sides[:begin]})
    result = {"case": told["title"], "not_captured": told["not_captured"], **summarise(rounds, about)}
    for kind in ("refused", "left_out"):
        result[kind] = {f"{side}: {way}": why for side, one in about.items() for way, why in one[kind].items()}
    # A peer of which nothing ran was not measured beside, and Carousel's own graph has to work.
    for side, one in about.items():
        if not one["errors"] and not one["refused"]:
            result["refused"][side] = "none of its ways ran"
    if told["not_captured"]:
        result["refused"]["Carousel, graph"] = str(told["not_captured"])
    return result


# ---- the report ----


def spread(values):
    return f"{values[0]:.2f} ({values[1]:.2f} to {values[2]:.2f})"


def tell(result):
    for way in result["ways"]:
        print(f"{result['case']}: {way['side']} {way['way']} takes {spread(way['whole_ratio'])} times as long, "
              f"forward {spread(way['forward_ratio'])}", file=sys.stderr, flush=True)
    for way, why in result["refused"].items():
        print(f"{result['case']}: {way} REFUSED: {why}", file=sys.stderr, flush=True)


def write(results, about, missing, not_done, options, stream):
    print("# Recurrent layers beside PyTorch's and JAX'\n", file=stream)
    print(f"- {datetime.date.today()}; {options.rounds} rounds in turn, each of calls that last "
          f"{options.milliseconds:g} ms at least; microseconds a call, forward and backward; ratio: the peer's over "
          "Carousel's of the same round, median (smallest to largest)", file=stream)
    for side, told in about.items():
        print(f"- {side}: " + ", ".join(f"{name} {value}" for name, value in told.items()), file=stream)
    if options.device != "cuda":
        print("- **The sides ran on devices of different kinds: the times and ratios below say nothing.**", file=stream)
    for side, why in missing.items():
        print(f"- left out: {side}: {why}", file=stream)
    if not_done:
        print(f"- not done, since time was up: {', '.join(not_done)}", file=stream)
    for result in results:
        for way, why in result["refused"].items():
            print(f"- **refused: {result['case']}, {way}: {why}**", file=stream)
        for way, why in result["left_out"].items():
            print(f"- left out: {result['case']}, {way}: {why}", file=stream)
        if result["not_captured"]:
            print(f"- {result['case']}: Carousel {result['not_captured']}", file=stream)
    print("\n| case | peer | Carousel queued as | Carousel, us | a time step | peer's, us | ratio forward | ratio whole |"
          "\n|---|---|---|---:|---:|---:|---:|---:|", file=stream)
    for result in results:
        sizes = dict(word.split("=") for word in result["case"].split() if "=" in word)
        steps = int(sizes["T"]) * int(sizes["layers"])
        for way in result["ways"]:
            ours = result["ours"][way["mode"]]["whole"][0]
            print(f"| {result['case']} | {way['side']}: {way['way']} | {way['mode']} | {ours:.1f} | "
                  f"{ours / steps:.3f} | {way['whole'][0]:.1f} | {spread(way['forward_ratio'])} | "
                  f"{spread(way['whole_ratio'])} |", file=stream)


def list_cases(options):
    if options.cases:
        return options.cases
    words = [word for only in options.only for word in ("--only", only)]
    extent = [f"--{options.extent}"] if options.extent != "usual" else []
    told = subprocess.run([options.program, "--list", *extent, *words], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise CannotRun(told.stderr.strip() or f"{options.program} lists no cases")
    return told.stdout.splitlines()


def run(options):
    cases, results, begin = list_cases(options), [], time.monotonic()
    ours = Ours(options)
    peers, missing = open_peers(options)
    for side, why in missing.items():
        print(f"left out: {side}: {why}", file=sys.stderr)
    if not peers:
        raise CannotRun("there is no peer to measure beside")
    while cases and time.monotonic() - begin < options.seconds:
        results.append(run_case(cases.pop(0), ours, peers, options))
        tell(results[-1])
    about = {side.name: side.about for side in (ours, *peers)}
    for side in (ours, *peers):
        side.close()
    with contextlib.ExitStack() as files:
        stream = sys.stdout
        if options.out:
            stream = files.enter_context(open(options.out, "w", encoding="utf-8"))
        write(results, about, missing, cases, options, stream)
    if options.out:
        with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as file:
            json.dump({"sides": about, "missing": missing, "not_done": cases, "results": results}, file, indent=1)
            file.write("\n")
    return 1 if not results or any(result["refused"] for result in results) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cases", nargs="*", help="titles as bench_cudnn --list gives them (default: its usual ones)")
    parser.add_argument("--program", required=True, metavar="FILE", help="bench_cudnn of a build")
    parser.add_argument("--peers", nargs="+", default=["torch", "jax"], choices=("torch", "jax"))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="of the peers (default: cuda)")
    parser.add_argument("--extent", default="usual", choices=("quick", "usual", "full"))
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="cases with all these words")
    parser.add_argument("--out", metavar="FILE.md", help="the table; FILE.json has everything")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--milliseconds", type=float, default=5, help="(default: %(default)g)")
    parser.add_argument("--seconds", type=float, default=600, help="begin no case after these (default: %(default)g)")
    parser.add_argument("--falsify", action="store_true", help="make Carousel's first dR wrong, to see it refused")
    options = parser.parse_args()
    try:
        return run(options)
    except (CannotRun, OSError) as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
