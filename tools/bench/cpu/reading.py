#!/usr/bin/env python3
"""Measures how long a file in fastText's format takes to be read, beside fastText's own reading phase, in turn.

    reading.py FILE --program BUILD/bench_network [--fasttext COMMAND] [--threads 2] [--rounds 5]

fastText's phase is told by its own output: from its start to the line with the number of labels; it is then stopped. In
it a dictionary is made, by one thread whatever is asked for; the text is read again in every epoch. Carousel's is
crs_dataset_read: it makes the vocabulary too, of normalised lower-case words, and keeps every text as ids. It must have
found as many rows as there are lines. Exit status 1 where they have not, 2 where it could not be run.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from sides import CannotRun, Ours


def read_fasttext(command, path):
    """Seconds by the clock and of the processor, and the numbers it told."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [command, "supervised", "-input", path, "-output", os.path.join(folder, "model"), "-dim", "1",
                     "-bucket", "1", "-epoch", "1", "-thread", "1"]
        before, begin, told = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), ""
        try:
            process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            raise CannotRun(f"{command}: {error.strerror}") from error
        while not re.search(r"Number of labels: *(\d+)\n", told):
            piece = os.read(process.stderr.fileno(), 4096)
            if not piece:
                raise CannotRun(f"{command} ended with exit status {process.wait()}: {told.strip()}")
            told += piece.decode()
        seconds = time.perf_counter() - begin
        process.kill()
        process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor": processor, "distinct": int(re.search(r"words: *(\d+)", told)[1]),
            "labels": int(re.search(r"labels: *(\d+)", told)[1])}


def count_rows(path):
    with open(path, "rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def run(options):
    ours = Ours(options.program, options.threads, "auto")
    rows, rounds = count_rows(options.file), []
    for number in range(options.rounds):
        sides = {"ours": lambda: ours.ask(f"read {options.file}"),
                 "fasttext": lambda: read_fasttext(options.fasttext, options.file)}
        order = sorted(sides, reverse=number % 2 == 1)
        rounds.append({side: sides[side]() for side in order})
    ours.close()
    if any(one["ours"]["rows"] != rows for one in rounds):
        print(f"reading.py: Carousel read {rounds[0]['ours']['rows']} rows of {rows}", file=sys.stderr)
        return 1
    megabytes = os.path.getsize(options.file) * 1e-6
    print(f"{megabytes:.0f} MB, {rows} rows, {rounds[0]['ours']['tokens']} tokens kept; threads: Carousel "
          f"{options.threads}, fastText 1; load {os.getloadavg()[0]:.1f}")
    for by in ("seconds", "processor"):
        ratios = [one["fasttext"][by] / one["ours"][by] for one in rounds]
        ours, theirs = (statistics.median(megabytes / one[side][by] for one in rounds) for side in ("ours", "fasttext"))
        print(f"by {'the clock' if by == 'seconds' else 'processor time'}: Carousel {ours:.1f} MB/s, fastText "
              f"{theirs:.1f} MB/s; ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", help="in fastText's format")
    parser.add_argument("--program", required=True, metavar="FILE", help="bench_network of a build")
    parser.add_argument("--fasttext", default="fasttext", metavar="COMMAND", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="Carousel's (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    try:
        return run(options)
    except (CannotRun, OSError) as error:
        print(f"reading.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
