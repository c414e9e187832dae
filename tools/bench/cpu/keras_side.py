"""Keras' side: the network of a model line as a Sequential, with the weights of bench_network. The backend is
KERAS_BACKEND's: tensorflow, which is Keras' usual one, or jax, or torch. A step is Keras' own train_on_batch."""

import os

import keras
import numpy

import checking
from lines import known, parts_of


def build_layer(part):
    number = part.numbers[0] if part.numbers else None
    if part.kind in ("lstm", "rnn"):
        known(part, "seq")
        kind = {"lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[part.kind]
        return kind(number, return_sequences="seq" in part.words)
    if part.kind == "dense":
        known(part, "relu")
        return keras.layers.Dense(number, activation="relu" if "relu" in part.words else None)
    raise ValueError(f"{part.kind} is unknown here")


class Way:
    def __init__(self, case, numbers, compiled):
        self.name, self.numbers, self.next = f"jit_compile={compiled}", numbers, 0
        first, *others = parts_of(case["line"])
        layers = [keras.layers.Embedding(case["V"], first.numbers[0]), *map(build_layer, others)]
        self.model, self.compiled = keras.Sequential([keras.Input((case["T"],), dtype="int32"), *layers]), compiled
        ids = numbers["ids"].reshape(case["batches"], case["T"], case["B"]).transpose(0, 2, 1)
        labels = numbers["labels"].reshape(case["batches"], case["B"], 1).astype("float32")
        self.batches = [(keras.ops.convert_to_tensor(numpy.ascontiguousarray(x)), keras.ops.convert_to_tensor(y))
                        for x, y in zip(ids, labels)]
        self.restart()

    def named_weights(self):
        """Carousel's name, the weight, and whether it is turned: kernels are [inputs, outputs] here."""
        kinds = {1: ["weight"], 2: ["weight", "bias"], 3: ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"]}
        for index, layer in enumerate(self.model.layers):
            for kind, weight in zip(kinds[len(layer.weights)], layer.weights, strict=True):
                yield f"layers.{index}.{kind}", weight, len(weight.shape) == 2 and len(layer.weights) > 1

    def load(self):
        for name, weight, turned in self.named_weights():
            shape = tuple(weight.shape)
            value = self.numbers[name]
            weight.assign(value.reshape(shape[::-1]).T if turned else value.reshape(shape))

    def restart(self):
        self.load()
        self.next = 0
        self.model.compile(optimizer=keras.optimizers.RMSprop(1e-4, rho=0.9, epsilon=1e-30),
                           loss=keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=self.compiled)

    def batch(self):
        batch = self.batches[self.next]
        self.next = (self.next + 1) % len(self.batches)
        return batch

    def train(self):
        return self.model.train_on_batch(*self.batch())

    def predict(self):
        return self.model.predict_on_batch(self.batch()[0])

    def check(self, case):
        """Errors of the logits, and of what the first training steps make of the weights, which no gradient that is
        wrong would leave alone."""
        error = checking.compare("the logits", self.predict(), self.numbers["logits"])
        self.restart()
        told = []
        for _ in case["losses"]:  # train_on_batch tells the mean of all losses since the metrics were last reset
            self.model.reset_metrics()
            told.append(float(self.train()))
        weights = {name: keras.ops.convert_to_numpy(weight).T if turned else keras.ops.convert_to_numpy(weight)
                   for name, weight, turned in self.named_weights()}
        drift = checking.compare_training(told, weights, case, self.numbers)
        self.restart()
        return error, drift


def ways(case, numbers):
    if case["ragged"]:
        raise ValueError("ragged rows are not compared with Keras")
    for compiled in (True,) if keras.backend.backend() == "jax" else (False, True):
        if compiled and keras.backend.backend() == "torch":
            continue  # torch.compile unrolls every step, and takes minutes
        yield Way(case, numbers, compiled)


def describe():
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: __import__(backend).__version__}


def set_up(threads):
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    else:  # XLA's threads on the CPU follow from the processors that the process may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
