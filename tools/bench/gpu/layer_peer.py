#!/usr/bin/env python3
"""Recurrent layers of another implementation as a process of its own, which peers.py asks for one thing at a time, as it
does bench_cudnn: a request and an answer are a line of JSON each.

    layer_peer.py torch|jax --device cuda|cpu

A case is built in every way that may be the fastest, and each is compared with Carousel's results before anything is
timed. What an implementation cannot do is left out, with its own words.
"""

import argparse
import importlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "cpu"))

import checking  # noqa: E402


class Shape:
    """A case as bench_cudnn names it: 'lstm H=64 B=128 T=128 layers=1 directions=1 full float32'."""

    def __init__(self, title):
        self.cell, *words = title.split()
        sizes = dict(word.split("=") for word in words if "=" in word)
        self.H, self.B, self.T = (int(sizes[letter]) for letter in "HBT")
        self.layers, self.directions = int(sizes["layers"]), int(sizes["directions"])
        self.ragged, self.tf32 = "ragged" in words, "tf32" in words
        self.gates = {"lstm": 4, "gru": 3, "rnn": 1}[self.cell]
        self.width = self.H * self.directions

    def stacked(self):
        """Numbers of layer, direction and inputs, as they follow in the files."""
        for layer in range(self.layers):
            for direction in range(self.directions):
                yield layer, direction, self.H if layer == 0 else self.width


class Numbers:
    """What bench_cudnn wrote, in shape."""

    def __init__(self, path, shape):
        flat = checking.read_numbers(path)
        self.shape, self.len = shape, flat["len"]
        rows = shape.gates * shape.H
        self.x, self.dx = (flat[name].reshape(shape.T, shape.B, shape.H) for name in ("x", "dx"))
        self.y, self.dy = (flat[name].reshape(shape.T, shape.B, shape.width) for name in ("y", "dy"))
        self.weights, self.gradients = [], []
        for number, (_, _, inputs) in enumerate(shape.stacked()):
            for prefix, chosen in (("", self.weights), ("d", self.gradients)):
                shapes = {"W": (rows, inputs), "R": (rows, shape.H), "b": (rows,), "b_hh": (rows,)}
                chosen.append({name: flat[f"{prefix}{name}{number}"].reshape(size) for name, size in shapes.items()
                               if f"{prefix}{name}{number}" in flat})


def check(numbers, results, tolerance):
    """results: y and dx in shape, zeros at dead steps, and the gradients as the weights are. Returns the worst error."""
    error = max(checking.compare("y", results["y"], numbers.y, tolerance),
                checking.compare("dx", results["dx"], numbers.dx, tolerance))
    for got, want in zip(results["gradients"], numbers.gradients, strict=True):
        for name in want:
            error = max(error, checking.compare(f"d{name}", got[name], want[name], tolerance))
    return error


def microseconds(function, wait, milliseconds):
    """Of a call, among so many queued one behind the other as last so long."""
    count = 1
    while True:
        wait()
        begin = time.perf_counter()
        for _ in range(count):
            function()
        wait()
        passed = time.perf_counter() - begin
        if passed * 1e3 >= milliseconds or count >= 1 << 14:
            return passed * 1e6 / count
        count *= 2


class Peer:
    def __init__(self, kind, device):
        self.side = importlib.import_module(f"{kind}_layers")
        self.side.set_up(device)
        self.ways = []

    def case(self, request):
        shape = Shape(request["title"])
        numbers = Numbers(request["numbers"], shape)
        if request.get("falsify"):
            numbers.gradients[0]["R"] = numbers.gradients[0]["R"] * 1.05
        self.ways, errors, refused, left_out = [], {}, {}, {}
        for name, make in self.side.ways(shape, numbers):
            try:
                way = make()
                errors[name] = check(numbers, way.results(), request["tolerance"])
                self.ways.append((name, way))
            except checking.Refused as why:
                refused[name] = str(why)
            except Exception as why:  # whatever the implementation finds wrong; it is told
                left_out[name] = f"{type(why).__name__}: {why}".splitlines()[0]
        return {"errors": errors, "refused": refused, "left_out": left_out}

    def measure(self, request):
        return {name: {part: microseconds(getattr(way, part), way.wait, request["milliseconds"])
                       for part in ("forward", "whole")} for name, way in self.ways}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=("torch", "jax"))
    parser.add_argument("--device", choices=("cuda", "cpu"), required=True)
    options = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    peer = Peer(options.kind, options.device)
    print(json.dumps(peer.side.describe()), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(peer, request["ask"])(request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
