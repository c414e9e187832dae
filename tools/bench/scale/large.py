"""The largest text as one meets it: compressed, read once, kept in a cache, trained on. What others take to decompress it
is measured in turn with Carousel's whole way from there to the cache."""

import os
import re
import shutil
import subprocess
import sys

import texts
from measure import CannotRun, least, run
from sweeps import Case

# Nearly nothing is computed, so that batches are as large a share of an epoch as they get.
SMALL_LINE = "embedding 16 | max | dense"
READING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cpu", "reading.py")


def decompressors(path, threads):
    """Those that there are."""
    known = {"bzip2 -dc": ["bzip2", "-dc", path],
             f"lbzip2 -dc -n {threads}": ["lbzip2", "-dc", "-n", str(threads), path],
             f"pbzip2 -dc -p{threads}": ["pbzip2", "-dc", f"-p{threads}", path]}
    return {name: command for name, command in known.items() if shutil.which(command[0])}


def tell(name, one):
    print(f"{name}: {one['processor']:.2f} s of the processor, {one['clock']:.2f} s, {one['peak']:.0f} MiB", flush=True)


def measure_decompression(case, options):
    """Each round runs every side once, another one first each time."""
    case.text += ".bz2"
    sides = decompressors(case.text, options.threads)
    ours = "Carousel, to the cache"

    def fill_cache():
        shutil.rmtree(case.cache, ignore_errors=True)
        return case.read(cache=case.cache)

    runs = {name: [] for name in (ours, *sides)}
    for number in range(options.rounds):
        for name in sorted(runs, reverse=number % 2 == 1):
            runs[name].append(fill_cache() if name == ours else run(sides[name], answers=False))
            tell(name, runs[name][-1])
    result = {name: least(ones) for name, ones in runs.items()}
    result["Carousel, second start"] = least([case.from_the_cache() for _ in range(options.rounds)])
    return result


def measure_fasttext(case, options):
    """The lines that reading.py tells."""
    if not shutil.which("fasttext"):
        return []
    told = subprocess.run([sys.executable, READING, case.text, "--program", options.bench_network, "--threads",
                           str(options.threads), "--rounds", str(options.rounds)], stdout=subprocess.PIPE, text=True,
                          check=False)
    if told.returncode != 0:
        raise CannotRun(f"reading.py: exit status {told.returncode}")
    return re.sub(r"; load [0-9.]+", "", told.stdout).splitlines()


def measure(options):
    case = Case("rows", options.rows, options)
    texts.compress(case.text, options.threads)
    plain = case.text
    shutil.rmtree(case.cache, ignore_errors=True)
    result = {"rows": options.rows, "decompression": measure_decompression(case, options)}
    from_the_cache = [case.train_from_the_cache(SMALL_LINE) for _ in range(options.rounds)]
    result["batches"] = case.share_of_batches(from_the_cache)
    result["epoch"] = {"from the cache": least(from_the_cache),
                       "without a cache": least([case.train(SMALL_LINE) for _ in range(options.rounds)])}
    case.text = plain
    result["fasttext"] = measure_fasttext(case, options)
    shutil.rmtree(case.cache, ignore_errors=True)
    return result
