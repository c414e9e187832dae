#!/usr/bin/env python3
"""Measures Carousel on the CPU beside PyTorch, Keras and onnxruntime: the same network, weights and batches.

    compare.py --program BUILD/bench_network [--threads 2 1] [--only WORD...] [--out FILE.md]

run.sh builds the program, gets the others and calls this. Before a case is timed, every side computes logits, loss, all
gradients, and the losses of some training steps and what they make of the weights (Keras: without the gradients; for
predictions: logits alone); a side whose numbers differ from Carousel's is refused for that case and the exit status is
1. Exit status 2: it could not be run.

A round measures every side once, each beginning in turn, and the machine's multiply-adds besides. What is told is the
median of the rounds' ratios with the smallest and the largest, by the clock and by the processor time of the process,
which other programs disturb less. A round in which other programs took more of the processors than --noise allows does
not count, unless too few are left: then all count, and the row is marked.
"""

import argparse
import os
import sys
import tempfile
import time

import report
from sides import CannotRun, Ours, Theirs

LSTM = "embedding 32 | lstm 32 seq | lstm 32 | dense 1"
CNN = ("embedding 64 | conv 64 3 relu | batchnorm | maxpool 3 | conv 64 5 relu | batchnorm | maxpool 5 | "
       "conv 64 5 relu | max | dense 100 relu | dense 1")
KERAS = ("keras-tensorflow", "keras-jax")

# name, what, model line, rows, peers with the ratio that is wanted of Carousel (None: none is)
CASES = [
    ("LSTM 32x2", "train", LSTM, 128, {"torch": 3, **dict.fromkeys(KERAS, 8)}),
    ("LSTM 32x2, ragged", "train", LSTM, 128, {"torch": 5}),
    ("CNN+LSTM", "train", "embedding 64 | conv 32 3 relu | lstm 32 seq | lstm 32 | dense 1", 128, {"torch": 4}),
    ("RNN 128x2", "train", "embedding 64 | rnn 128 seq | rnn 128 | dense 32 relu | dense 100 relu | dense 1", 128,
     {"torch": 4}),
    ("CNN", "train", CNN, 64, {"torch": 3}),
    ("BiLSTM 64", "train", "embedding 128 | bilstm 64 | dense 1", 64, {"torch": 2}),
    ("GRU 64", "train", "embedding 64 | gru 64 | dense 1", 64, {"torch": None}),
    ("LSTM 256", "train", "embedding 256 | lstm 256 | dense 1", 64, {"torch": 1.2}),
    ("LSTM 512", "train", "embedding 512 | lstm 512 | dense 1", 64, {"torch": 1}),
    ("LSTM 32x2", "predict", LSTM, 256, {"torch": 3, "onnx": 3}),
    ("CNN", "predict", CNN, 256, {"torch": 3, "onnx": 3}),
    ("LSTM 32x2, 20 words", "sentence", LSTM, 16, {"torch": None, "onnx": None}),
]


def list_cases(options):
    for name, what, line, rows, peers in CASES:
        if options.only and not any(word.lower() in f"{what} {name}".lower() for word in options.only):
            continue
        peers = {peer: goal for peer, goal in peers.items() if peer in options.peers}
        yield {"name": name, "what": what, "line": line, "B": rows, "T": 20 if what == "sentence" else options.length,
               "V": options.vocabulary, "batches": 4, "ragged": int("ragged" in name), "steps": options.steps,
               "peers": peers}


# ---- what else the machine does ----


def busy_seconds():
    """Processor seconds that all programs together were given since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Quiet:
    """What other programs took of a processor during a round: the sides' own time, and this script's, taken off."""

    def __init__(self):
        self.begin, self.busy, self.own = time.perf_counter(), busy_seconds(), time.process_time()

    def others(self, processor):
        taken = busy_seconds() - self.busy - (time.process_time() - self.own) - processor
        return max(0.0, taken) / (time.perf_counter() - self.begin)


# ---- a case ----


def prepare(ours, theirs, case):
    """What every side said of the case; those that compute something else are refused."""
    told = ours.prepare(case)
    sides, ways, refused = [ours], {}, {}
    for side in theirs:
        answer = side.prepare(case, told)
        if "refused" in answer:
            refused[side.name] = answer["refused"]
        else:
            sides.append(side)
            ways[side.name] = answer
    return told, sides, ways, refused


def run_round(number, ours, sides, case, options):
    quiet, told = Quiet(), {}
    begin = number % len(sides)
    for side in sides[begin:] + sides[:begin]:
        time.sleep(options.pause)  # threads of the side before that still wait for work fall asleep
        told[side.name] = side.measure(case, options.milliseconds)
    most = ours.ceiling(options.milliseconds / 4)
    own = sum(times["processor"] for times in told.values()) + most["processor"]
    return {"others": quiet.others(own), "ceiling": most, "sides": told}


def run_case(case, ours, theirs, options):
    with tempfile.TemporaryDirectory() as folder:
        files = {name: os.path.join(folder, name) for name in ("numbers", "trained")}
        told, sides, ways, refused = prepare(ours, theirs, case | files)
    for side in sides:
        side.measure(case, options.milliseconds / 4)
    rounds = [run_round(number, ours, sides, case, options) for number in range(options.rounds)]
    return {"case": case, "flops": told.get("flops"), "ways": ways, "refused": refused, "rounds": rounds}


# ---- all of them ----


class Sides:
    """Processes of one number of threads, started when first needed."""

    def __init__(self, options, threads):
        self.threads, self.theirs = threads, {}
        self.ours = Ours(options.program, threads, options.lstm)

    def of(self, names):
        for name in names:
            if name not in self.theirs:
                self.theirs[name] = Theirs(name, self.threads)
        return [self.theirs[name] for name in names]

    def about(self):
        return {side.name: side.about for side in (self.ours, *self.theirs.values())}

    def close(self):
        for side in (self.ours, *self.theirs.values()):
            side.close()


def run(options):
    results, about = [], {}
    for threads in options.threads:
        sides = Sides(options, threads)
        for case in list_cases(options):
            result = run_case(case, sides.ours, sides.of(case["peers"]), options) | {"threads": threads}
            results.append(report.summarise(result, options))
            report.tell(results[-1])
        about[threads] = sides.about()
        sides.close()
    if not results:
        raise CannotRun("no case of that name")
    report.write(results, about, options)
    return 1 if any(result["refused"] for result in results) else 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True, metavar="FILE", help="bench_network of a build")
    parser.add_argument("--out", metavar="FILE.md", help="the table; FILE.json beside it has every round")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1], help="of every side (default: 2 1)")
    parser.add_argument("--lstm", default="auto", metavar="VARIANT", help="to force (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="cases whose kind and name have one of these")
    parser.add_argument("--peers", nargs="*", default=["torch", *KERAS, "onnx"],
                        help="to measure beside, also keras-torch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="(default: %(default)s)")
    parser.add_argument("--milliseconds", type=float, default=400, help="of a side in a round (default: %(default)g)")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds before each (default: %(default)g)")
    parser.add_argument("--noise", type=float, default=0.08, help="share of a processor that other programs may take "
                        "in a round that counts (default: %(default)g)")
    parser.add_argument("--length", type=int, default=128, help="time steps (default: %(default)s)")
    parser.add_argument("--vocabulary", type=int, default=8192, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="training steps whose losses are compared "
                        "(default: %(default)s)")
    return parser.parse_args()


def main():
    # A user's choice of OpenBLAS kernels would be measured instead of Carousel. Threads that wait, on any side, sleep.
    os.environ.pop("OPENBLAS_CORETYPE", None)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        return run(parse_options())
    except (CannotRun, OSError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
