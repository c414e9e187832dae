#!/usr/bin/env python3
"""Measures how time and memory grow with rows, length, vocabulary and classes, and the way of a large text from .bz2.

    scale.py --build BUILD [--quick] [--only rows length vocabulary classes large] [--out FILE.md]

run.sh builds the programs and calls this. Every figure is the least of --rounds runs of a process of its own. Told are
the clock, the processor time, and the peak of resident memory; growth is the exponent between neighbouring sizes, of
processor time, which other programs disturb less. What is measured is written at once, so that what fails later takes
nothing with it. Exit status 2: it could not be run.
"""

import argparse
import os
import shutil
import sys

import large
import report
import sweeps
import texts
from measure import CannotRun

PARTS = [*sweeps.SWEEPS, "large"]


def whole(text):
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", required=True, metavar="FOLDER", help="with the programs")
    parser.add_argument("--folder", metavar="FOLDER", help="in which FOLDER/scale holds the texts (default: BUILD)")
    parser.add_argument("--out", metavar="FILE.md", help="the tables; FILE.svg and FILE.json beside it")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="(default: all)")
    parser.add_argument("--threads", type=whole, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=whole, default=2, help="(default: %(default)s)")
    parser.add_argument("--most", type=whole, default=1 << 40, metavar="N",
                        help="leave out sizes above N; the large text has no more rows either")
    parser.add_argument("--rows", type=whole, metavar="N", help="of the large text (default: 3600000)")
    parser.add_argument("--quick", action="store_true", help="small sizes, only to see that it runs")
    parser.add_argument("--keep", action="store_true", help="keep the texts, for another run")
    options = parser.parse_args()
    options.rows = min(options.rows or (20_000 if options.quick else 3_600_000), options.most)
    options.folder = os.path.join(options.folder or options.build, "scale")
    options.generator = os.path.join(options.build, "generate_reviews")
    for name in ("carousel", "bench_scale", "bench_network"):
        setattr(options, name, os.path.join(options.build, name))
    return options


def check_tools(options):
    """Before an hour goes by."""
    needed = [options.generator, options.carousel, options.bench_scale]
    needed += [options.bench_network, "bash", "bzip2"] if "large" in options.only else []
    lacking = [name for name in needed if not shutil.which(name)]
    if lacking:
        raise CannotRun(f"there is no {', no '.join(lacking)}")
    if options.out and not shutil.which("gnuplot"):
        print("scale.py: there is no gnuplot: there will be tables and no picture", file=sys.stderr)


def measure(options):
    results = {"sweeps": {}}
    for part in PARTS:
        if part not in options.only:
            continue
        if part == "large":
            results["large"] = large.measure(options)
            report.write(results, options)
            continue
        for one in sweeps.measure(part, options):
            results["sweeps"].setdefault(part, []).append(one)
            report.tell(part, one)
            report.write(results, options)
    report.finish(results, options)


def measure_in_folder(options):
    check_tools(options)
    texts.open_folder(options.folder)
    try:
        measure(options)
    finally:
        if not options.keep:
            shutil.rmtree(options.folder)


def main():
    # A user's choice of OpenBLAS kernels would be measured; threads that wait sleep.
    os.environ.pop("OPENBLAS_CORETYPE", None)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        measure_in_folder(parse_options())
    except (CannotRun, OSError) as error:
        print(f"scale.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
