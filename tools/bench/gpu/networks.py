#!/usr/bin/env python3
"""Measures whole training steps on a GPU beside PyTorch's: the four networks of data/experiments/amazon.ini, same
weights and batches, in one run.

    networks.py --program BUILD/bench_network [--only WORD...] [--tf32] [--out FILE.md]

The sides and their checks are tools/bench/cpu's (compare.py): logits, loss, gradients, and what the first training steps
make of the weights; a side that differs is refused, and the exit status is 1. Exit status 2: it could not be run. PyTorch
is tried in every way, each step called as it is and as a CUDA graph, and the fastest is measured. A step of Carousel's
has the upload of its batch in it, PyTorch's batches lie on the device.
"""

import argparse
import contextlib
import datetime
import importlib.util
import json
import math
import os
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "cpu"))

from sides import CannotRun, Ours, Theirs  # noqa: E402

CNN = ("embedding 64 | conv 64 3 relu | batchnorm | maxpool 3 | conv 64 5 relu | batchnorm | maxpool 5 | "
       "conv 64 5 relu | max | dense 100 relu | dense 1")
LSTM = "embedding 32 | lstm 32 seq | lstm 32 | dense 1"

# name, model line, rows. The published CNN+LSTM has a dropout behind its embedding, which no two sides draw alike: it is
# left out on both.
NETWORKS = [
    ("LSTM", LSTM, 128),
    ("LSTM, ragged", LSTM, 128),
    ("CNN+LSTM", "embedding 64 | conv 32 3 relu | lstm 32 seq | lstm 32 | dense 1", 128),
    ("RNN", "embedding 64 | rnn 128 seq | rnn 128 | dense 32 relu | dense 100 relu | dense 1", 128),
    ("CNN", CNN, 64),
]


def list_cases(options):
    for name, line, rows in NETWORKS:
        if not options.only or any(word.lower() in name.lower() for word in options.only):
            yield {"name": name, "what": "train", "line": line, "B": options.rows or rows, "T": options.length,
                   "V": options.vocabulary, "batches": 4, "ragged": int("ragged" in name), "steps": 4}


def middle(values):
    values = list(values)
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise CannotRun(f"a time is no time: {values}")
    return [statistics.median(values), min(values), max(values)]


def seconds(told):
    return told["seconds"] / told["calls"]


def run_case(case, ours, theirs, options):
    with tempfile.TemporaryDirectory() as folder:
        files = {name: os.path.join(folder, name) for name in ("numbers", "trained")}
        told = ours.prepare(case | files)
        answers = {side.name: side.prepare(case | files, told) for side in theirs}
    refused = {side: answer["refused"] for side, answer in answers.items() if "refused" in answer}
    sides = [ours, *(side for side in theirs if side.name not in refused)]
    for side in sides:
        side.measure(case, options.milliseconds)
    rounds = []
    for number in range(options.rounds):
        begin = number % len(sides)
        rounds.append({side.name: seconds(side.measure(case, options.milliseconds))
                       for side in sides[begin:] + sides[:begin]})
    return {"case": case, "refused": refused, "ways": {side: one for side, one in answers.items() if side not in refused},
            "seconds": {side.name: middle(one[side.name] for one in rounds) for side in sides},
            "ratios": {side.name: middle(one[side.name] / one["Carousel"] for one in rounds) for side in sides[1:]},
            "rounds": rounds}


# ---- the report ----


def spread(values):
    return f"{values[0]:.2f} ({values[1]:.2f} to {values[2]:.2f})"


def write(results, about, missing, options, stream):
    print("# Training steps on a GPU\n", file=stream)
    print(f"- {datetime.date.today()}; {options.rounds} rounds of {options.milliseconds:g} ms in turn; T={options.length}, "
          f"V={options.vocabulary}, RMSprop; microseconds a step; ratio: the peer's time over Carousel's of the same "
          "round, median (smallest to largest); TF32 " + ("on" if options.tf32 else "off"), file=stream)
    for side, told in about.items():
        print(f"- {side}: " + ", ".join(f"{name} {value}" for name, value in told.items()), file=stream)
    if options.device != "cuda":
        print("- **The sides ran on devices of different kinds: the times and ratios below say nothing.**", file=stream)
    for side, why in missing.items():
        print(f"- left out: {side}: {why}", file=stream)
    for result in results:
        for side, why in result["refused"].items():
            print(f"- **refused: {result['case']['name']}, {side}: {why}**", file=stream)
    print("\n| network | rows | Carousel, us | peer | its fastest way | peer's, us | ratio |\n"
          "|---|---:|---:|---|---|---:|---:|", file=stream)
    for result in results:
        ours = result["seconds"]["Carousel"][0] * 1e6
        for side, ratio in result["ratios"].items():
            print(f"| {result['case']['name']} | {result['case']['B']} | {ours:.1f} | {side} | "
                  f"{result['ways'][side]['way']} | {result['seconds'][side][0] * 1e6:.1f} | {spread(ratio)} |",
                  file=stream)


def open_peers(options, arguments):
    if importlib.util.find_spec("torch") is None:
        return [], {"torch": f"{sys.executable} has no torch"}
    try:
        return [Theirs("torch", options.threads, *arguments)], {}
    except CannotRun as why:
        return [], {"torch": str(why)}


def run(options):
    precision = ["--tf32"] if options.tf32 else []
    ours = Ours(options.program, options.threads, "auto", "--backend", options.backend, *precision)
    theirs, missing = open_peers(options, ["--gpu", *precision] if options.device == "cuda" else [])
    for side, why in missing.items():
        print(f"left out: {side}: {why}", file=sys.stderr)
    if not theirs:
        raise CannotRun("there is no peer to measure beside")
    results = []
    for case in list_cases(options):
        results.append(run_case(case, ours, theirs, options))
        for side, ratio in results[-1]["ratios"].items():
            print(f"{case['name']}: {side} takes {spread(ratio)} times as long", file=sys.stderr, flush=True)
    about = {side.name: side.about for side in (ours, *theirs)}
    for side in (ours, *theirs):
        side.close()
    if not results:
        raise CannotRun("no network of that name")
    with contextlib.ExitStack() as files:
        stream = files.enter_context(open(options.out, "w", encoding="utf-8")) if options.out else sys.stdout
        write(results, about, missing, options, stream)
    if options.out:
        with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as file:
            json.dump({"sides": about, "results": results}, file, indent=1)
            file.write("\n")
    return 1 if any(result["refused"] for result in results) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True, metavar="FILE", help="bench_network of a build")
    parser.add_argument("--backend", default="cuda", help="Carousel's (default: %(default)s)")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="PyTorch's (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="networks whose name has one of these")
    parser.add_argument("--tf32", action="store_true", help="on both sides")
    parser.add_argument("--out", metavar="FILE.md", help="the table; FILE.json has every round")
    parser.add_argument("--rounds", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument("--milliseconds", type=float, default=200, help="of a side in a round (default: %(default)g)")
    parser.add_argument("--length", type=int, default=128, help="time steps (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="(default: 128, of the CNN 64)")
    parser.add_argument("--vocabulary", type=int, default=8192, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: %(default)s)")
    options = parser.parse_args()
    try:
        return run(options)
    except (CannotRun, OSError) as error:
        print(f"networks.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
