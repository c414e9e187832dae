"""Counts the instructions of a time step in the persistent kernels, as the compiler made them; nothing is run.

Reads an object file or an archive with cuobjdump, finds the loop over the steps in every kernel whose name holds
"persistent" (the innermost one with a barrier in it, whose turns may be several steps: there is one barrier a step), and
writes a Markdown table. Code of a turn that is jumped over counts too, so that figures are upper bounds. A kernel without
such a loop is an error, and so is a file without kernels.

Usage: instructions.py [--arch sm_90] FILE"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

FUNCTION = re.compile(r"Function\s*:\s*(\S+)")
INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;")
OPERATION = re.compile(r"(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
BACK = re.compile(r"\bBRA\b.*?0x([0-9a-f]+)")
RESOURCES = re.compile(r"REG:(\d+) .*?SHARED:(\d+)")
NAME = re.compile(r"((\w+?)_persistent_\w+)<(?:\(int\))?(\d+)>")
LANES = {"rnn": 2, "gru": 4, "lstm": 4}  # threads of a unit, as cuda/*_persistent.cu have it
COLUMNS = {"multiply-add": "FFMA", "shared": ("LDS", "STS"), "shuffle": "SHFL", "special": "MUFU",
           "global": ("LDG", "STG")}

# Of one multiprocessor, compute capability 8.0 and 9.0: registers, given to warps in units of 8 a thread; warps; blocks.
REGISTERS, WARPS, BLOCKS, SCHEDULERS = 65536, 64, 32, 4


def cuobjdump(*arguments):
    return subprocess.run(["cuobjdump", *arguments], text=True, capture_output=True, check=True).stdout


def demangle(names):
    return subprocess.run(["c++filt"], input="\n".join(names), text=True, capture_output=True,
                          check=True).stdout.splitlines()


def listings(text):
    """Mangled kernel -> its instructions as (address, text)."""
    found, current = {}, None
    for line in text.splitlines():
        if match := FUNCTION.search(line):
            current = found.setdefault(match.group(1), [])
        elif current is not None and (match := INSTRUCTION.match(line)):
            current.append((int(match.group(1), 16), match.group(2)))
    return found


def resources(text):
    """Mangled kernel -> (registers of a thread, bytes of shared memory of a block)."""
    found, name = {}, None
    for line in text.splitlines():
        if match := re.search(r"Function (\S+?):", line):
            name = match.group(1)
        elif name and (match := RESOURCES.search(line)):
            found[name] = tuple(map(int, match.groups()))
            name = None
    return found


def operation(text):
    match = OPERATION.match(text)
    return match.group(1).split(".")[0] if match else text


def step_loop(code):
    """The instructions of the innermost loop that waits at barriers, and how many barriers it has; where several are
    innermost, of the one with the most, which the compiler unrolled: the other one does what is left over."""
    loops = []
    for address, text in code:
        if (match := BACK.search(text)) and int(match.group(1), 16) <= address:
            body = [operation(line) for at, line in code if int(match.group(1), 16) <= at <= address]
            if "BAR" in body:
                loops.append((int(match.group(1), 16), address, body))
    inner = [loop for loop in loops
             if not any(other is not loop and loop[0] <= other[0] and other[1] <= loop[1] for other in loops)]
    if not inner:
        return None, 0
    body = max(inner, key=lambda loop: loop[2].count("BAR"))[2]
    return body, body.count("BAR")


def row(name, units, lanes, code, registers, shared):
    body, steps = step_loop(code)
    if not body:
        sys.exit(f"{name}: no loop with a barrier in it")
    warps = units * lanes // 32
    counts = collections.Counter(body)
    blocks = min(REGISTERS // ((registers + 7) // 8 * 8 * 32 * warps), WARPS // warps, BLOCKS)
    cells = [f"`{name}`", units, units * lanes, registers, shared, blocks, round(len(body) / steps)]
    for kinds in COLUMNS.values():
        cells.append(round(sum(counts[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)) / steps))
    cells.append(round(len(body) / steps * warps / min(SCHEDULERS, warps)))
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("file", type=pathlib.Path)
    options = parser.parse_args()
    code = listings(cuobjdump("-sass", "-arch", options.arch, str(options.file)))
    used = resources(cuobjdump("-res-usage", "-arch", options.arch, str(options.file)))
    rows = []
    for mangled, name in zip(code, demangle(code)):
        if match := NAME.search(name):
            registers, shared = used[mangled]
            rows.append(row(match.group(1), int(match.group(3)), LANES[match.group(2)], code[mangled], registers, shared))
    if not rows:
        sys.exit(f"{options.file}: no persistent kernel for {options.arch}")
    heads = ["kernel", "units", "threads", "registers", "shared bytes", "blocks", "instructions", *COLUMNS, "issue cycles"]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "--:|" * (len(heads) - 1))
    for cells in sorted(rows):
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
