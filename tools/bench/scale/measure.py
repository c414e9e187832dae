"""A program run once: its time by the clock and of the processor, its peak of resident memory, and what it answered."""

import json
import os
import subprocess
import tempfile
import time


class CannotRun(Exception):
    pass


def run(command):
    """The peak is that of the largest process; what this interpreter held when it forked is its least, some 15 MiB.
    Pages of mapped files count as long as they are resident, though the system may drop them."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        begin = time.perf_counter()
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=messages)
        except OSError as error:
            raise CannotRun(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            messages.seek(0)
            told = messages.read().decode(errors="replace").strip()
            raise CannotRun(f"{' '.join(command)}: exit status {process.returncode}: {told[-500:]}")
        output.seek(0)
        first = output.read(1)
        answer = json.loads(first + output.read()) if first == b"{" else None
    return {"clock": seconds, "processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024,
            "answer": answer}


def least(runs, *names):
    """The smallest of each figure: what other programs add to a run is never less than nothing."""
    best = {name: min(one[name] for one in runs) for name in names or ("clock", "processor", "peak")}
    return best | {"runs": len(runs)}
