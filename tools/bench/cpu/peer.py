#!/usr/bin/env python3
"""Another implementation as a process of its own, which compare.py asks for one thing at a time, as it does Carousel's
bench_network: a request and an answer are a line of JSON each.

    peer.py torch|keras|onnx --threads N [--gpu [--tf32]]      torch alone can be put on a GPU
"""

import argparse
import importlib
import json
import sys
import time

import checking

PROBES = 3


def measure(function, wait, seconds):
    begin, processor, calls = time.perf_counter(), time.process_time(), 0
    while True:
        function()
        calls += 1
        if time.perf_counter() - begin >= seconds:
            wait()
            passed = time.perf_counter() - begin
            return {"calls": calls, "seconds": passed, "processor": time.process_time() - processor}


def probe(function, wait):
    """Seconds of a call, the smallest of some, the first of which is not counted."""
    function()
    wait()
    return min(measure(function, wait, 0)["seconds"] for _ in range(PROBES))


class Peer:
    def __init__(self, kind, options):
        self.kind, self.side = kind, importlib.import_module(f"{kind}_side")
        self.side.set_up(options.threads)
        if options.gpu:
            self.side.use_gpu(options.tf32)
        if options.tf32:
            checking.TOLERANCE = checking.TF32_TOLERANCE
        self.wait = getattr(self.side, "wait", lambda: None)  # for what is queued on a GPU

    def network(self, request):
        """Builds the network in every way that may be fast, each checked, and keeps the fastest."""
        numbers = checking.read_numbers(request["numbers"])
        best, error, drift, probes = None, 0.0, 0.0, {}
        for way in self.side.ways(request, numbers):
            errors = way.check(request)
            error, drift = max(error, errors[0]), max(drift, errors[1])
            probes[way.name] = probe(getattr(way, request["what"]), self.wait)
            if best is None or probes[way.name] < probes[best.name]:
                best = way
        self.call = getattr(best, request["what"])
        return {"way": best.name, "error": error, "drift": drift, "probes": probes}

    def sentences(self, request):
        from sentences import Sentences

        self.call = Sentences(self.kind, request).predict
        return {"way": "from text"}

    def measure(self, request):
        return measure(self.call, self.wait, request["milliseconds"] * 1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=("torch", "keras", "onnx"))
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--tf32", action="store_true")
    options = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    peer = Peer(options.kind, options)
    print(json.dumps(peer.side.describe()), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request["ask"])(request)
        except checking.Refused as reason:
            answer = {"refused": str(reason)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
