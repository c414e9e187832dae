#!/usr/bin/env python3
"""Measures Carousel's LSTM beside PyTorch's, in one run, in alternated rounds.

    lstm.py --program BUILD/bench_lstm [--backend cuda] [--quick] [--markdown]

BUILD is configured with -DCRS_BENCHMARKS=ON. Cases: a layer of H units and inputs for every H, B and T given, on full
rows, on ragged ones (lengths: case_lengths in bench.h) and with a recurrent mask; and a training step of a two-layer
classifier. Before a case is timed, both sides compute it on the same numbers; where results or gradients differ, it is
refused and the exit status is 1. Exit status 2: it could not be run.

A round is a measurement of either side, the first one changing from round to round; a measurement is the median of some
repetitions of so many queued calls as last a few milliseconds, waited for once. What is told is the median of the
rounds' ratios, with the smallest and the largest. `backward` is what forward and backward take longer than forward.
"""

import argparse
import datetime
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

# A user's choice of OpenBLAS kernels would be measured instead of Carousel. Threads that wait, on either side, sleep.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

try:
    import torch

    import peers
except ImportError as reason:
    torch, missing = None, reason

TOLERANCE = {"float32": 1e-4, "tf32": 2e-2}
PARTS = {"layer": ("forward", "backward", "both"), "step": ("step",)}


class CannotRun(Exception):
    pass


class Program:
    """bench_lstm, which is asked for one case at a time."""

    def __init__(self, options):
        arguments = [options.program, "--backend", options.backend, "--lstm", options.lstm,
                     "--precision", options.precision, "--threads", str(options.threads)]
        try:
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise CannotRun(f"{options.program}: {error.strerror}") from error
        self.backend = self.read()["backend"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise CannotRun(f"bench_lstm ended with exit status {self.process.wait()}")
        return json.loads(line)

    def ask(self, case, **settings):
        words = [f"{name}={value}" for name, value in {**case, **settings}.items() if name != "what"]
        try:
            print(case["what"], *words, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has said why
        return self.read()

    def measure(self, case, options):
        told = self.ask(case, repetitions=options.repetitions, milliseconds=options.milliseconds)
        return {part: told[f"{part}_us"] for part in PARTS[case["what"]]}

    def numbers(self, case):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "numbers")
            self.ask(case, numbers=path)
            return peers.read_numbers(path)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- cases ----


def list_cases(options):
    units = options.step_units
    step = {"what": "step", "T": options.steps, "B": options.step_rows, "E": units, "H": units, "layers": 2,
            "V": options.vocabulary, "C": 2}
    layers = [{"what": "layer", "T": options.steps, "B": B, "I": H, "H": H}
              for H, B in itertools.product(options.units, options.rows)]
    for kind in ({}, {"ragged": 1}):
        yield from ({**case, **kind} for case in [step, *layers])
    yield from ({**layer, "recurrent": 0.25} for layer in layers)


def title(case):
    words = [f"{letter}={case[letter]}" for letter in "TBHV" if letter in case]
    kind = f"step of {case['layers']} layers" if case["what"] == "step" else "layer"
    rows = "ragged" if case.get("ragged") else "masked" if case.get("recurrent") else "full"
    return f"{kind} {' '.join(words)} {rows}"


class Unmasked:
    """The same layer without its mask: what a mask is measured against, since nn.LSTM has none."""

    how, error, notes = "Carousel without mask", None, ()

    def __init__(self, program, case, options):
        self.program, self.options = program, options
        self.case = {name: value for name, value in case.items() if name != "recurrent"}

    def measure(self, *_):
        return self.program.measure(self.case, self.options)


def find_peer(program, case, options):
    """A peer that was seen to compute the same, or None where none is wanted."""
    tolerance = TOLERANCE[options.precision]
    if options.alone:
        return Unmasked(program, case, options) if case.get("recurrent") else None
    device, numbers = torch.device(options.device), program.numbers(case)
    if case.get("recurrent"):
        peer = Unmasked(program, case, options)
        peer.error = peers.check_masked(case, numbers, device, tolerance)
        return peer
    kind = peers.Layer if case["what"] == "layer" else peers.Step
    return kind(case, numbers, device, tolerance, not options.eager)


def run_case(program, case, options):
    peer = find_peer(program, case, options)
    rounds = []
    for number in range(options.rounds):
        sides = [lambda: program.measure(case, options)]
        if peer:
            sides.append(lambda: peer.measure(options.repetitions, options.milliseconds))
        first = number % len(sides)
        times = {side: sides[side]() for side in sorted(range(len(sides)), key=lambda side: side != first)}
        rounds.append([times[side] for side in range(len(sides))])
    result = {"case": case, "title": title(case), "how": "", "error": None, "notes": (), "parts": {}}
    if peer:
        result |= {"how": peer.how, "error": peer.error, "notes": peer.notes}
    for part in PARTS[case["what"]]:
        told = {"us": statistics.median(ours[part] for ours, *_ in rounds)}
        if peer:
            ratios = [theirs[part] / ours[part] for ours, theirs in rounds]
            told |= {"peer_us": statistics.median(theirs[part] for _, theirs in rounds),
                     "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
        result["parts"][part] = told
    return result


# ---- the report ----


def tell(result, stream):
    if "refused" in result:
        print(f"{result['title']}: REFUSED: {result['refused']}", file=stream, flush=True)
        return
    words = []
    for part, told in result["parts"].items():
        ratio = f", ratio {told['ratio']:.2f} ({told['least']:.2f} to {told['most']:.2f})" if "ratio" in told else ""
        peer = f" against {told['peer_us']:.1f}" if "peer_us" in told else ""
        words.append(f"{part} {told['us']:.1f} us{peer}{ratio}")
    how = f" [{result['how']}]" if result["how"] else ""
    print(f"{result['title']}{how}: {'; '.join(words)}", file=stream, flush=True)


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def circumstances(program, options):
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(("OMP_", "GOMP_"))]
    lines = [
        f"{datetime.date.today()}, {processor()}, {len(os.sched_getaffinity(0))} processors, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}",
        f"Carousel: {program.backend}",
        "no peer" if options.alone else f"peer: {peers.describe(torch.device(options.device))}",
        f"{options.precision} products on both sides; {options.rounds} rounds of {options.repetitions} repetitions of "
        f"at least {options.milliseconds:g} ms; {' '.join(settings)}; OPENBLAS_CORETYPE unset; "
        f"load at the start {os.getloadavg()[0]:.1f}",
        "in the clock: of a step, Carousel's upload of the batch and PyTorch's packing of ragged rows; PyTorch's "
        "inputs lie on the device, those of a ragged layer sorted and packed before",
    ]
    if not options.alone and options.device.split(":")[0] != options.backend.split(":")[0]:
        lines.append("**The two sides ran on devices of different kinds: the times and ratios below say nothing.**")
    return lines


def print_table(results, part):
    print(f"\n{part}, microseconds a call and the ratio peer/Carousel (median of the rounds, smallest to largest):\n")
    print("| case | peer | Carousel | a time step | peer's | ratio | rounds |\n|---|---|---:|---:|---:|---:|---|")
    for result in results:
        told = result["parts"].get(part)
        if not told:
            continue
        cells = [result["title"], result["how"], f"{told['us']:.1f}", f"{told['us'] / result['case']['T']:.3f}"]
        if "ratio" in told:
            cells += [f"{told['peer_us']:.1f}", f"{told['ratio']:.2f}", f"{told['least']:.2f} to {told['most']:.2f}"]
        else:
            cells += ["", "", ""]
        print("| " + " | ".join(cells) + " |")


def print_report(heading, results, left_out):
    for line in heading:
        print(f"- {line}")
    refused = [result for result in results if "refused" in result]
    measured = [result for result in results if "refused" not in result]
    errors = [result["error"] for result in measured if result["error"] is not None]
    if errors:
        print(f"- results and gradients agree in {len(errors)} cases, the worst by {max(errors):.1e} in relative L2")
    for note in sorted({note for result in measured for note in result["notes"]}):
        print(f"- {note}")
    for result in refused:
        print(f"- **refused: {result['title']}: {result['refused']}**")
    if left_out:
        print(f"- left out, since time was up: {', '.join(map(title, left_out))}")
    for part in dict.fromkeys(part for result in measured for part in result["parts"]):
        print_table(measured, part)


def run(options):
    program = Program(options)
    heading = circumstances(program, options)
    progress = sys.stderr if options.markdown else sys.stdout
    for line in heading:
        print(line, file=progress, flush=True)
    results, cases, begin = [], list(list_cases(options)), time.monotonic()
    while cases and time.monotonic() - begin < options.seconds:
        case = cases.pop(0)
        try:
            results.append(run_case(program, case, options))
        except RuntimeError as reason:  # peers.Refused, and whatever PyTorch finds wrong
            results.append({"case": case, "title": title(case), "refused": str(reason).splitlines()[0]})
        tell(results[-1], progress)
    program.close()
    if options.markdown:
        print_report(heading, results, cases)
    elif cases:
        print(f"left out, since time was up: {', '.join(map(title, cases))}")
    return 1 if any("refused" in result for result in results) or not results else 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True, metavar="FILE", help="bench_lstm of a build")
    parser.add_argument("--backend", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--device", help="PyTorch's device (default: as the backend)")
    parser.add_argument("--lstm", default="auto", metavar="VARIANT", help="to force (default: %(default)s)")
    parser.add_argument("--precision", choices=TOLERANCE, default="float32", help="of both (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of the CPU, on both sides (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, fewer rounds")
    parser.add_argument("--eager", action="store_true", help="no CUDA graphs on PyTorch's side")
    parser.add_argument("--alone", action="store_true", help="without PyTorch: nothing is compared")
    parser.add_argument("--markdown", action="store_true", help="print a report; progress goes to standard error")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no case after these (default: %(default)g)")
    sizes = [("units", [32, 64, 128], [16, 32]), ("rows", [1, 32, 128], [1, 16])]
    numbers = [("steps", 128, 32), ("step-rows", 128, 16), ("step-units", 32, 32), ("vocabulary", 8192, 8192),
               ("rounds", 5, 3), ("repetitions", 5, 3), ("milliseconds", 5, 2)]
    for name, full, quick in sizes:
        parser.add_argument(f"--{name}", type=int, nargs="+", help=f"(default: {full}, quick: {quick})")
    for name, full, quick in numbers:
        parser.add_argument(f"--{name}", type=float if name == "milliseconds" else int,
                            help=f"(default: {full}, quick: {quick})")
    options = parser.parse_args()
    for name, full, quick in sizes + numbers:
        attribute = name.replace("-", "_")
        if getattr(options, attribute) is None:
            setattr(options, attribute, quick if options.quick else full)
    options.device = options.device or options.backend
    return options


def main():
    options = parse_options()
    if not options.alone and torch is None:
        print(f"lstm.py: {missing}; install torch and numpy, or measure --alone", file=sys.stderr)
        return 2
    try:
        if not options.alone:
            peers.set_up(options.device, options.precision, options.threads)
        return run(options)
    except (CannotRun, RuntimeError, AssertionError, OSError) as error:  # AssertionError: a PyTorch without CUDA
        print(f"lstm.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
