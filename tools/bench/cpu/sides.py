"""The sides as processes that wait for a line and answer with a line of JSON, so that they can be measured in turn
without the start of a process in the clock."""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class CannotRun(Exception):
    pass


class Side:
    def __init__(self, name, command, **environment):
        self.name = name
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            env={**os.environ, **environment})
        except OSError as error:
            raise CannotRun(f"{command[0]}: {error.strerror}") from error
        self.about = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise CannotRun(f"{self.name} ended with exit status {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has said why
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours(Side):
    def __init__(self, program, threads, variant, *arguments):
        super().__init__("Carousel", [program, "--threads", str(threads), "--lstm", variant, *arguments])

    def prepare(self, case):
        """What the others need to do the same."""
        names = ("T", "B", "V") if case["what"] == "sentence" else ("T", "B", "V", "batches", "ragged")
        words = " ".join(f"{name}={case[name]}" for name in names)
        ask = "sentences" if case["what"] == "sentence" else "network"
        told = self.ask(f"{ask} {words} numbers={case['numbers']} : {case['line']}")
        if case["what"] == "train":
            told |= self.ask(f"losses {case['steps']}")
            self.ask(f"weights {case['trained']}")
        return told

    def measure(self, case, milliseconds):
        return self.ask(f"{case['what']} {milliseconds:.0f}")

    def ceiling(self, milliseconds):
        return self.ask(f"ceiling {milliseconds:.0f}")


class Theirs(Side):
    """name: torch, onnx, keras-tensorflow, keras-jax or keras-torch."""

    def __init__(self, name, threads, *arguments):
        kind, _, backend = name.partition("-")
        environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"} if backend else {}
        command = [sys.executable, os.path.join(HERE, "peer.py"), kind, "--threads", str(threads), *arguments]
        super().__init__(name, command, **environment)

    def prepare(self, case, told):
        ask = "sentences" if case["what"] == "sentence" else "network"
        return self.ask(json.dumps({**case, "losses": [], **told, "ask": ask}))

    def measure(self, _, milliseconds):
        return self.ask(json.dumps({"ask": "measure", "milliseconds": milliseconds}))
