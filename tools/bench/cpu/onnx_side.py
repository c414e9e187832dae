"""onnxruntime's side: the network as PyTorch exports it, which only predicts."""

import io
import os
import tempfile
import warnings

import numpy
import onnxruntime
import torch

import checking
from torch_side import Network

THREADS = 1


def open_session(network, ids):
    """The network for ids of just this shape."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "network.onnx")
        torch.onnx.export(network.eval(), (ids,), path, input_names=["ids"], output_names=["logits"], dynamo=False)
        with open(path, "rb") as file:
            model = io.BytesIO(file.read()).getvalue()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Way:
    name = "as exported"

    def __init__(self, case, numbers):
        network = Network(case["line"], case["V"], "conv" in case["line"], True)
        network.load(numbers)
        ids = numbers["ids"].reshape(case["batches"], case["T"], case["B"]).astype("int64")
        if network.batch_first:
            ids = ids.transpose(0, 2, 1)
        self.batches, self.next, self.numbers = [numpy.ascontiguousarray(one) for one in ids], 0, numbers
        self.session = open_session(network, torch.from_numpy(self.batches[0]))

    def predict(self):
        ids = self.batches[self.next]
        self.next = (self.next + 1) % len(self.batches)
        return self.session.run(["logits"], {"ids": ids})[0]

    def check(self, _):
        error = checking.compare("the logits", self.predict(), self.numbers["logits"])
        self.next = 0
        return error, 0.0


def ways(case, numbers):
    if case["ragged"]:
        raise ValueError("ragged rows are not compared with onnxruntime")
    yield Way(case, numbers)


def describe():
    return {"onnxruntime": onnxruntime.__version__}


def set_up(threads):
    global THREADS
    THREADS = threads
    torch.set_num_threads(1)
