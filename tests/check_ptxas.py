"""Holds every kernel to its budget: no spills, no stack, and no more registers than the comment above it says.

Reads what ptxas said of each kernel, on each architecture, when the build compiled it (*.o.ptxas), and the kernels'
comments ("At most N registers."). A kernel without a stated budget or without a report fails, and so does an empty report.

Usage: check_ptxas.py BUILD_FOLDER SOURCE_FOLDER"""
import pathlib
import re
import subprocess
import sys

KERNEL = re.compile(r"__global__\s+(?:void\s+)?(?:__launch_bounds__\([^{;]*?\)\s+)?(?:void\s+)?(\w+)\(")
BUDGET = re.compile(r"At most (\d+) registers\.")
ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(sm_\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


def budgets(sources):
    """Kernel name -> (budget or None, file), from the comment that ends right above the kernel."""
    found = {}
    for source in sources:
        text = source.read_text()
        for match in KERNEL.finditer(text):
            before = text[:match.start()]
            comment = before.rfind("/*")
            between = before[before.rfind("*/"):]
            budget = BUDGET.search(before[comment:]) if comment >= 0 and ";" not in between and "}" not in between else None
            found[match.group(1)] = (int(budget.group(1)) if budget else None, source.name)
    return found


def reports(folder):
    """(mangled kernel, architecture, stack, stores, loads, registers) for every kernel compiled."""
    for path in sorted(folder.rglob("*.o.ptxas")):
        entry = frame = None
        for line in path.read_text().splitlines():
            if match := ENTRY.search(line):
                entry = match.groups()
            elif match := FRAME.search(line):
                frame = tuple(map(int, match.groups()))
            elif (match := USED.search(line)) and entry and frame:
                yield (*entry, *frame, int(match.group(1)))
                entry = frame = None


def main():
    folder, sources = pathlib.Path(sys.argv[1]), sorted(pathlib.Path(sys.argv[2]).glob("*.cu*"))
    stated, wrong, checked = budgets(sources), [], {}
    compiled = list(reports(folder))
    names = subprocess.run(["c++filt"], input="\n".join(row[0] for row in compiled), text=True, capture_output=True,
                           check=True).stdout.splitlines()
    for (_, architecture, stack, stores, loads, registers), demangled in zip(compiled, names):
        name = re.search(r"(\w+)(?:<.*>)?\(", demangled.replace("(anonymous namespace)::", "")).group(1)
        budget, file = stated.get(name, (None, "?"))
        checked[name] = max(checked.get(name, 0), registers)
        if stack or stores or loads:
            wrong.append(f"{file}: {demangled} on {architecture}: {stack} bytes of stack, {stores + loads} of spills")
        if budget is None:
            wrong.append(f"{file}: {demangled}: no budget of registers is stated above it")
        elif registers > budget:
            wrong.append(f"{file}: {demangled} on {architecture}: {registers} registers, its budget is {budget}")
    for name, (_, file) in stated.items():
        if name not in checked:
            wrong.append(f"{file}: {name}: ptxas reported nothing; was it compiled?")
    for name, registers in sorted(checked.items()):
        print(f"{name:28} {registers:4} registers of {stated.get(name, (None,))[0]}")
    print(f"{len(compiled)} compilations of {len(checked)} kernels, {len(wrong)} faults")
    print(*wrong, sep="\n")
    return 1 if wrong or not compiled else 0


if __name__ == "__main__":
    sys.exit(main())
