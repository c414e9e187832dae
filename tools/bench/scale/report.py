"""What is told of the sizes: a line while they run, tables in Markdown, everything as JSON, and a picture by gnuplot."""

import datetime
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys

import large
from sweeps import STAGES

FASTER = 1.1  # an exponent above it is faster than linear
# What changes less than this between two sizes is no growth but the machine's noise: seconds, MiB.
LEAST = {"processor": 0.2, "peak": 8}


def growth(results, index, stage, what):
    """The exponent from the size before: 1 is linear. None for the first size, and where there is next to nothing."""
    if index == 0:
        return None
    before, after = results[index - 1], results[index]
    low, high = before["stages"][stage][what], after["stages"][stage][what]
    if not high - low >= LEAST[what]:
        return None
    return math.log(high / low) / math.log(after["size"] / before["size"])


def told_growth(exponent):
    if exponent is None:
        return ""
    return f" (**{exponent:.2f}**)" if exponent > FASTER else f" ({exponent:.2f})"


def tell(sweep, one):
    stages = "; ".join(f"{stage} {one['stages'][stage]['processor']:.2f} s, {one['stages'][stage]['peak']:.0f} MiB"
                       for stage in STAGES)
    print(f"{sweep} {one['size']}: {stages}", flush=True)


# ---- the tables ----


def seconds_of(results, index, stage):
    times = results[index]["stages"][stage]
    return f"{times['processor']:.2f}, {times['clock']:.2f}{told_growth(growth(results, index, stage, 'processor'))}"


def peak_of(results, index, stage):
    return f"{results[index]['stages'][stage]['peak']:.0f}{told_growth(growth(results, index, stage, 'peak'))}"


def write_table(sweep, results, heading, cell, stream):
    print(f"\n{heading}:\n\n| {sweep} | " + " | ".join(STAGES) + " |", file=stream)
    print("|---:|" + "---:|" * len(STAGES), file=stream)
    for index, one in enumerate(results):
        cells = [cell(results, index, stage) for stage in STAGES]
        print(f"| {one['size']:,} | " + " | ".join(cells) + " |", file=stream)


def faster(sweep, results):
    for index, one in enumerate(results):
        for stage in STAGES:
            for what, name in (("processor", "time"), ("peak", "memory")):
                exponent = growth(results, index, stage, what)
                if exponent is not None and exponent > FASTER:
                    yield f"{stage}, {name}, to {one['size']:,} {sweep}: {exponent:.2f}"


def write_sweep(sweep, results, stream):
    print(f"\n## {sweep.capitalize()}\n", file=stream)
    for one in results:
        facts = one["facts"]
        print(f"- {one['size']:,}: {facts['megabytes']:.1f} MB, {facts['rows']:,} rows, {facts['tokens']:,} tokens "
              f"kept, {facts['distinct']:,} distinct words, vocabulary of {facts['vocabulary']:,}, "
              f"{facts['classes']:,} classes", file=stream)
    write_table(sweep, results, "Seconds of the processor, by the clock (growth)", seconds_of, stream)
    write_table(sweep, results, "Peak of resident memory in MiB (growth)", peak_of, stream)
    print("\nOf an epoch, by the clock, its batches take:", file=stream)
    for one in results:
        print(f"- {one['size']:,}: {told_share(one['batches'])}", file=stream)
    found = list(faster(sweep, results))
    print("\nFaster than linear: " + ("; ".join(found) if found else "nothing") + ".", file=stream)


def told_share(batches):
    return (f"{batches['making']:.3f} s of {batches['epoch']:.2f} s, "
            f"{100 * batches['making'] / batches['epoch']:.1f} %")


def write_large(result, stream):
    print(f"\n## {result['rows']:,} rows from .bz2\n\n| | processor, s | clock, s | peak, MiB |\n|---|---:|---:|---:|",
          file=stream)
    epochs = {f"Carousel, an epoch {name}": one for name, one in result["epoch"].items()}
    for name, one in (result["decompression"] | epochs).items():
        print(f"| {name} | {one['processor']:.2f} | {one['clock']:.2f} | {one['peak']:.0f} |", file=stream)
    print(f"\nWith the smallest network, `{large.SMALL_LINE}`, the batches take {told_share(result['batches'])} of an "
          "epoch by the clock.", file=stream)
    if result["fasttext"]:
        print("\nReading beside fastText's own reading phase (`reading.py`):\n", file=stream)
        for line in result["fasttext"]:
            print(f"- {line}", file=stream)


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def write_tables(results, options, stream):
    print(f"# Time and memory against size\n\n"
          f"- {datetime.date.today()}, {processor()}, {len(os.sched_getaffinity(0))} processors, load "
          f"{os.getloadavg()[0]:.1f} at the end, Linux {platform.release()}\n"
          f"- command: `{shlex.join(['scale.py', *sys.argv[1:]])}`; {options.threads} threads, the least "
          f"of {options.rounds} runs\n"
          f"- growth: the exponent from the size before, 1 is linear; above {FASTER} it is bold; not told where less "
          f"than {LEAST['processor']} s or {LEAST['peak']} MiB were added\n"
          "- reading: a file, its vocabulary and its ids, no cache; from the cache: the second start; training: an "
          "epoch from the\n  cache, the whole command; evaluating, predicting: the whole command, on the same text",
          file=stream)
    for sweep, ones in results["sweeps"].items():
        write_sweep(sweep, ones, stream)
    if "large" in results:
        write_large(results["large"], stream)


# ---- the picture ----

COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7")


def panel(sweep, results, what, label):
    """A stage is a line; linear growth from the first point of the largest stage is dashed."""
    blocks, plots = [], []
    for number, stage in enumerate(STAGES):
        points = "\n".join(f"{one['size']} {one['stages'][stage][what]:.6g}" for one in results)
        blocks.append(f"${what}{number} << EOD\n{points}\nEOD")
        plots.append(f"${what}{number} using 1:2 title '{stage}' with linespoints linecolor '{COLOURS[number]}' "
                     "linewidth 2 pointtype 7 pointsize 0.4")
    most = max(one["stages"][stage][what] for one in results for stage in STAGES)
    plots.append(f"{most:.6g} * x / {results[-1]['size']} title 'linear' with lines linecolor '#888888' dashtype 2")
    return "\n".join(blocks) + f"\nset xlabel '{sweep}'\nset ylabel '{label}'\nplot " + ", ".join(plots) + "\n"


def draw(results, path):
    drawn = {sweep: ones for sweep, ones in results["sweeps"].items() if len(ones) > 1}
    if not drawn or not shutil.which("gnuplot"):
        return
    script = (f"set terminal svg size {420 * len(drawn)},1000 dynamic background 'white'\n"
              f"set multiplot layout 2,{len(drawn)}\nset logscale xy\nset format x '%.0s%c'\nset format y '%g'\n"
              "set grid linecolor '#dddddd'\nset border 3\nset tics nomirror out\nset key below\n")
    for what, label in (("processor", "seconds of the processor"), ("peak", "peak of resident memory, MiB")):
        script += "".join(panel(sweep, ones, what, label) for sweep, ones in drawn.items())
    made = subprocess.run(["gnuplot"], input=(script + "unset multiplot\n").encode(), capture_output=True, check=False)
    if made.returncode != 0:
        told = " ".join(made.stderr.decode(errors="replace").split())
        print(f"scale.py: no picture: gnuplot: exit status {made.returncode}: {told[-300:]}", file=sys.stderr)
        return
    with open(path, "wb") as picture:
        picture.write(made.stdout)


def write(results, options):
    """Tables and figures, of what there is by now."""
    if not options.out:
        return
    with open(options.out, "w", encoding="utf-8") as stream:
        write_tables(results, options, stream)
    with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as stream:
        json.dump(results, stream, indent=1)
        stream.write("\n")


def finish(results, options):
    if options.out:
        draw(results, os.path.splitext(options.out)[0] + ".svg")
    else:
        write_tables(results, options, sys.stdout)
