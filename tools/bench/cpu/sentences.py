"""One sentence from text to its logit, as a program in Python does it: lower case, words, ids, network."""

import json
import struct

import numpy
import torch

import checking
from torch_side import Network

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # Carousel's and Keras' default


def read_safetensors(path):
    """Tensors and metadata of a file that Carousel wrote."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.from_numpy(numpy.frombuffer(data[begin:end], "<f4").copy()).reshape(entry["shape"])
    return tensors, metadata


class Reader:
    """A text to ids [T,1]."""

    def __init__(self, tokens):
        self.ids = {token: index for index, token in enumerate(tokens, start=2)}
        self.spaces = str.maketrans(FILTERS, " " * len(FILTERS))

    def read(self, text):
        words = text.lower().translate(self.spaces).split()
        return numpy.array([[self.ids.get(word, 1)] for word in words], dtype="int64")


class Sentences:
    """what: torch or onnx."""

    def __init__(self, what, case):
        tensors, metadata = read_safetensors(case["numbers"])
        tokens = json.loads(metadata["carousel.encoder"])["tokens"]
        self.reader, self.next = Reader(tokens), 0
        self.texts = [text for text, _ in case["sentences"]]
        self.network = Network(case["line"], len(tokens) + 2, False, True).eval()
        self.network.load_state_dict(tensors)
        self.answer = self.answer_torch
        if what == "onnx":
            import onnx_side

            self.session = onnx_side.open_session(self.network, torch.from_numpy(self.reader.read(self.texts[0])))
            self.answer = self.answer_onnx
        got = [self.predict() for _ in case["sentences"]]
        checking.compare("the logits", got, [logit for _, logit in case["sentences"]])

    def answer_torch(self, ids):
        with torch.inference_mode():
            return self.network(torch.from_numpy(ids)).item()

    def answer_onnx(self, ids):
        return self.session.run(["logits"], {"ids": ids})[0].item()

    def predict(self):
        text = self.texts[self.next]
        self.next = (self.next + 1) % len(self.texts)
        return self.answer(self.reader.read(text))
