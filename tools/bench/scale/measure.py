"""A program run once: its time by the clock and of the processor, its peak of resident memory, and what it answered."""

import json
import os
import subprocess
import tempfile
import time


class CannotRun(Exception):
    pass


def run(command, answers=True):
    """The peak is that of the largest process; what this interpreter held when it forked is its least, some 15 MiB.
    Pages of mapped files count as long as they are resident, though the system may drop them. Standard output, unless
    it is asked for as the JSON of an answer, goes to nowhere: writing it to a disk would be measured too."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=messages,
                                       stdout=output if answers else subprocess.DEVNULL)
        except OSError as error:
            raise CannotRun(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        told = messages.read().decode(errors="replace").strip()
        if process.returncode != 0:
            raise CannotRun(f"{' '.join(command)}: exit status {process.returncode}: {told[-500:]}")
        output.seek(0)
        answer = json.load(output) if answers else None
    return {"clock": seconds, "processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024,
            "answer": answer, "messages": told}


def least(runs, *names):
    """The smallest of each figure: what other programs add to a run is never less than nothing."""
    best = {name: min(one[name] for one in runs) for name in names or ("clock", "processor", "peak")}
    return best | {"runs": len(runs)}
