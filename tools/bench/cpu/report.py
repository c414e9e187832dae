"""What is told of the rounds: a line while they run, a table in Markdown, and everything as JSON."""

import datetime
import json
import os
import platform
import shlex
import statistics
import sys

FEWEST = 3  # rounds that count


def middle(values):
    """Median, smallest and largest."""
    values = list(values)
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def per_call(times, by):
    return times[by] / times["calls"]


def summarise(result, options):
    """Adds what follows from the rounds."""
    rounds = result["rounds"]
    counted = [one for one in rounds if one["others"] <= options.noise]
    result["clean"] = len(counted)
    result["busy"] = len(counted) < FEWEST
    if result["busy"]:
        counted = rounds
    result["seconds"] = {side: middle(per_call(one["sides"][side], "seconds") for one in counted)
                         for side in rounds[0]["sides"]}
    result["ratios"] = {
        side: {by: middle(per_call(one["sides"][side], by) / per_call(one["sides"]["Carousel"], by) for one in counted)
               for by in ("seconds", "processor")}
        for side in rounds[0]["sides"] if side != "Carousel"}
    if result["flops"]:
        flops = result["flops"] * (3 if result["case"]["what"] == "train" else 1) * 1e-9
        threads = result["threads"]
        reached = [(flops / per_call(one["sides"]["Carousel"], "seconds"), one["ceiling"]["gflops"],
                    flops / (per_call(one["sides"]["Carousel"], "processor") / threads),
                    one["ceiling"]["gflops_of_processor"]) for one in counted]
        result["gflops"] = middle(clock for clock, *_ in reached)
        result["share"] = {"seconds": middle(clock / most for clock, most, *_ in reached),
                           "processor": middle(processor / most for *_, processor, most in reached)}
    result["ceiling"] = {by: middle(one["ceiling"][by] for one in counted)
                         for by in ("gflops", "gflops_of_processor")}
    return result


def counted_threads(threads):
    return f"{threads} thread{'' if threads == 1 else 's'}"


def title(result):
    return f"{result['case']['what']} {result['case']['name']}, {counted_threads(result['threads'])}"


def spread(values):
    return f"{values['median']:.2f} ({values['least']:.2f} to {values['most']:.2f})"


def tell(result):
    for side, ratios in result["ratios"].items():
        print(f"{title(result)}: {side} takes {spread(ratios['seconds'])} times as long, "
              f"{spread(ratios['processor'])} of processor time; {result['clean']} of {len(result['rounds'])} rounds "
              f"quiet", flush=True)
    for side, why in result["refused"].items():
        print(f"{title(result)}: {side} REFUSED: {why}", flush=True)
    if not result["ratios"]:
        print(f"{title(result)}: {result['seconds']['Carousel']['median'] * 1e3:.3f} ms",
              flush=True)


# ---- the table ----


def rows_of(result):
    """Cells of a row for each side that was measured beside Carousel, or of one without."""
    case, seconds = result["case"], result["seconds"]
    rows = 1 if case["what"] == "sentence" else case["B"]
    quiet = f"{result['clean']}/{len(result['rounds'])}{' **busy**' if result['busy'] else ''}"
    reached = ["", ""]
    if result["flops"]:
        share = result["share"]
        reached = [f"{result['gflops']['median']:.0f}",
                   f"{share['seconds']['median']:.2f}, {share['processor']['median']:.2f}"]
    ours = seconds["Carousel"]["median"]
    for side in list(result["ratios"]) or [None]:
        peer = ["", "", "", ""]
        if side:
            ratios = result["ratios"][side]
            peer = [f"{rows / seconds[side]['median']:.0f}", spread(ratios["seconds"]), spread(ratios["processor"]),
                    f"{case['peers'][side] or ''}"]
        yield [case["name"], str(rows), str(result["threads"]), side or "", f"{rows / ours:.0f}", *peer, *reached,
               quiet]


HEADINGS = {"train": "Training steps, rows a second", "predict": "Predictions, rows a second",
            "sentence": "A sentence from text to label, sentences a second"}
COLUMNS = ["network", "rows", "threads", "peer", "Carousel", "peer's", "ratio by the clock", "by processor time",
           "wanted", "GFLOP/s", "share of ceiling", "quiet rounds"]


def write_table(results, stream):
    for what, heading in HEADINGS.items():
        chosen = [result for result in results if result["case"]["what"] == what]
        if chosen:
            print(f"\n## {heading}\n\n| " + " | ".join(COLUMNS) + " |", file=stream)
            print("|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|", file=stream)
        for result in chosen:
            for cells in rows_of(result):
                print("| " + " | ".join(cells) + " |", file=stream)


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def circumstances(results, about, options):
    settings = " ".join(f"{name}={value}" for name, value in sorted(os.environ.items())
                        if name.startswith(("OMP_", "GOMP_", "OPENBLAS_")))
    lines = [
        f"{datetime.date.today()}, {processor()}, {len(os.sched_getaffinity(0))} processors, "
        f"Linux {platform.release()}, Python {platform.python_version()}",
        f"command: `{shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])}`; environment: {settings}",
        f"{options.rounds} rounds of {options.milliseconds:g} ms for each side, {options.pause:g} s apart; a round is "
        f"quiet where other programs took up to {options.noise:g} of a processor; where fewer than {FEWEST} were, all "
        "count and the row is marked busy; ratio: the peer's time over Carousel's, median of the rounds (smallest to "
        "largest)",
        f"T={options.length}, V={options.vocabulary}; one loss, RMSprop, random ids; ragged: lengths log-normal with "
        "median 0.35 T, padding skipped, PyTorch's rows sorted before the clock and packed within",
        "GFLOP/s: matrix products alone, 2 for a multiply-add; share: of the ceiling of the same round, by the clock "
        "and by processor time",
    ]
    for threads, sides in about.items():
        for side, told in sides.items():
            words = ", ".join(f"{name} {value}" for name, value in told.items())
            lines.append(f"{counted_threads(threads)}, {side}: {words}")
        most = [result["ceiling"] for result in results if result["threads"] == threads]
        clock, given = (statistics.median(one[by]["median"] for one in most)
                        for by in ("gflops", "gflops_of_processor"))
        lines.append(f"{counted_threads(threads)}, ceiling: {clock:.0f} GFLOP/s by the clock, {given:.0f} by processor "
                     "time (medians of the cases)")
    return lines


def write(results, about, options):
    stream = open(options.out, "w", encoding="utf-8") if options.out else sys.stdout
    print("# On the CPU beside others\n", file=stream)
    for line in circumstances(results, about, options):
        print(f"- {line}", file=stream)
    for result in results:
        for side, why in result["refused"].items():
            print(f"- **refused: {title(result)}, {side}: {why}**", file=stream)
    write_table(results, stream)
    print("\nThe fastest way of each side, with the largest relative error of its logits, and the median one of what\n"
          "the first training steps change of a tensor:\n", file=stream)
    for result in results:
        for side, told in result["ways"].items():
            errors = f"; {told['error']:.1e}, {told['drift']:.1e}" if "error" in told else ""
            print(f"- {title(result)}, {side}: {told['way']}{errors}", file=stream)
    if options.out:
        stream.close()
        with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as file:
            json.dump({"circumstances": circumstances(results, about, options), "results": results}, file, indent=1)
            file.write("\n")
