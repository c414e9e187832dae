#!/usr/bin/env python3
"""Writes what Keras computes for the networks of systems.py, for tests/test_keras.cpp to hold Carousel to.

    record.py small FOLDER       narrow networks: the fixtures of the tests are tests/fixtures/keras
    record.py published FOLDER   the published sizes; then  CRS_KERAS_FIXTURES=FOLDER BUILD/tests/test_keras
    record.py counts FOLDER      parameters at the published sizes (parameters.txt), nothing allocated for them

For each row, in float64 and with dropout rates of 0, since masks cannot agree: first weights, a batch, the logits and
row losses of a prediction; the gradients of the first step, the losses of three steps of Keras' own train_on_batch, and
all weights after them. The format is that of tests/fixtures; tensors are flat, named as in a model file, and lie as in
Carousel's memory.

Needs keras 3 and torch:  python3 -m venv venv && venv/bin/pip install keras torch
"""

import argparse
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "torch"
ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/fixtures"), str(ROOT / "tools")]

import keras  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from keras.src.backend.common import dtypes  # noqa: E402
from fixture import Fixture  # noqa: E402
from keras_layers import tensors_of  # noqa: E402

import systems  # noqa: E402

ROWS, STEPS = 4, 3
# Without weights, and without a part in Carousel's line.
NO_PART = (keras.layers.InputLayer, keras.layers.Reshape)


def compute_in_double():
    """Keras' torch backend takes float32 wherever types meet, be they float64; its TensorFlow backend does not."""
    keras.config.set_floatx("float64")
    torch.set_default_dtype(torch.float64)
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    if keras.backend.result_type("float64", "float32") != "float64":
        raise SystemExit("this version of Keras computes in float32 whatever it is asked for")


# ---- the network ----


def network(row, sizes):
    """The Keras model. A one-hot input has a column for every word but the padding."""
    shape = (sizes.T, sizes.V - 1, 1)[: row.onehot] if row.onehot else (sizes.T,)
    return keras.Sequential([keras.Input(shape), *row.layers(sizes)])


def compile_as(row, model):
    optimizer = keras.optimizers.get({"class_name": row.optimizer, "config": dict(row.settings)})
    loss = "binary_crossentropy" if model.output_shape[-1] == 1 else "sparse_categorical_crossentropy"
    model.compile(optimizer=optimizer, loss=loss)
    return optimizer


def parts(row, model):
    """The layers that are parts of Carousel's line, with their numbers."""
    first = 1 if row.onehot else 0
    return list(enumerate((layer for layer in model.layers if not isinstance(layer, NO_PART)), start=first))


def named(row, model, array_of):
    """Flat tensors by name, from a function of a weight; those that it gives None for are left out."""
    for index, layer in parts(row, model):
        if not layer.weights:
            continue
        arrays = [array_of(weight) for weight in layer.weights]
        known = [
            array if array is not None else numpy.full(w.shape, numpy.nan) for w, array in zip(layer.weights, arrays)
        ]
        for name, tensor in tensors_of(type(layer).__name__, layer.get_config(), known).items():
            if not numpy.isnan(tensor).any():
                # A kernel is [O, I, K...] in the file and [O, K..., I] in memory.
                yield f"layers.{index}.{name}", numpy.moveaxis(tensor, 1, -1).ravel() if tensor.ndim > 1 else tensor


# ---- first weights and a batch ----


def first_weights(out, model):
    """Every weight off its usual first value, biases too: one that went astray has to show."""
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1 and weight.name != "bias":
            inputs = shape[0] if weight.name != "embeddings" else 4
            value = out.random(
                *shape, scale=(inputs * numpy.prod(shape[1:-1])) ** -0.5 if len(shape) > 2 else inputs**-0.5
            )
        else:
            value = out.random(*shape, scale=0.25)
        if weight.name in ("gamma", "moving_variance"):
            value = 1 + value.abs()
        weight.assign(value)


def batch(out, row, sizes):
    """Ids [B, T] padded with 0, behind unless the row says otherwise, the first row full; and labels."""
    draw = lambda low, high, shape: torch.randint(low, high, shape, generator=out.generator)
    ids = draw(1, sizes.V, (ROWS, sizes.T))
    lengths = draw(max(1, sizes.T // 3), sizes.T + 1, (ROWS,))
    lengths[0] = sizes.T
    live = torch.arange(sizes.T)[None, :] < lengths[:, None]
    if row.masked == "pre":
        live = live.flip(1)
    labels = torch.arange(ROWS) % row.classes
    starts = sizes.T - lengths if row.masked == "pre" else torch.zeros_like(lengths)
    return ids * live, labels[torch.randperm(ROWS, generator=out.generator)], starts, lengths


def inputs_of(row, ids, sizes):
    if not row.onehot:
        return ids
    onehot = torch.eye(sizes.V, dtype=torch.float64)[ids][..., 1:]
    return onehot[..., None] if row.onehot == 3 else onehot


# ---- what Keras makes of them ----


def logits_of(model, x):
    """What the last layer applies its activation to."""
    last = model.layers[-1]
    before = keras.Model(model.inputs, last.input)
    return before(x, training=False) @ last.kernel.value + last.bias.value


def row_losses(model, x, y):
    p = model(x, training=False)
    if p.shape[-1] == 1:
        return keras.losses.binary_crossentropy(y[:, None].double(), p)
    return keras.losses.sparse_categorical_crossentropy(y, p)


def gradients(row, model, x, y):
    kept = [numpy.array(keras.ops.convert_to_numpy(w)) for w in model.weights]
    model.compute_loss(x, y, model(x, training=True)).backward()
    found = {id(w): w.value.grad.numpy().copy() for w in model.trainable_weights}
    model.zero_grad()
    for weight, value in zip(model.weights, kept):  # the running statistics have moved
        weight.assign(value)
    return list(named(row, model, lambda weight: found.get(id(weight))))


def optimizer_scalars(row, optimizer):
    config = optimizer.get_config()
    names = {
        "learning_rate": "learning_rate",
        "momentum": "momentum",
        "rho": "rho",
        "beta_1": "beta1",
        "beta_2": "beta2",
        "epsilon": "epsilon",
    }
    return {name: float(config[key]) for key, name in names.items() if key in config} | {
        "rate_is_default": int("learning_rate" not in row.settings)
    }


def write_case(out, row, sizes):
    out.case(row.name)
    keras.backend.clear_session()
    model = network(row, sizes)
    optimizer = compile_as(row, model)
    first_weights(out, model)
    ids, y, starts, lengths = batch(out, row, sizes)
    x = inputs_of(row, ids, sizes)
    value = lambda weight: keras.ops.convert_to_numpy(weight)

    out.text("line", row.line_of(sizes))
    out.word("optimizer", row.optimizer)
    out.scalars(**optimizer_scalars(row, optimizer))
    out.scalars(T=sizes.T, B=ROWS, V=sizes.V, classes=row.classes, outputs=model.output_shape[-1])
    out.scalars(
        parameters=model.count_params(), trainable=sum(int(numpy.prod(w.shape)) for w in model.trainable_weights)
    )
    out.arrays(ids=ids.T, labels=y)
    if row.masked:
        out.arrays(start=starts, len=lengths)
    with torch.no_grad():
        out.arrays(logits=logits_of(model, x), row_loss=row_losses(model, x, y))
    for name, tensor in named(row, model, value):
        out.arrays(**{f"first.{name}": tensor})
    for name, tensor in gradients(row, model, x, y):
        out.arrays(**{f"gradient.{name}": tensor})
    losses = []
    for _ in range(STEPS):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)))
    out.arrays(losses=losses)
    for name, tensor in named(row, model, value):
        out.arrays(**{f"after.{name}": tensor})


# ---- parameters at full size ----


def write_counts(folder):
    out = Fixture("parameters", "record.py")
    for group, rows in systems.GROUPS.items():
        for row in rows.values() if group != "layers" else ():
            sizes = row.sizes("published")
            with keras.device("meta"):
                model = network(row, sizes)
            out.case(f"{group}_{row.name}")
            out.text("line", row.line_of(sizes))
            trainable = sum(int(numpy.prod(w.shape)) for w in model.trainable_weights)
            out.scalars(T=sizes.T, V=sizes.V, classes=row.classes, parameters=model.count_params(), trainable=trainable)
            print(f"{group} {row.name}: {model.count_params()} parameters, {trainable} trainable")
    out.write(folder)


# The published network of 158 million weights, made small enough to be written down.
COMPARED = {("imdb", "conv2d"): {"V": 60, "T": 60}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("small", "published", "counts"))
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    compute_in_double()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what == "counts":
        write_counts(options.folder)
        return
    total = 0
    for group, rows in systems.GROUPS.items():
        out = Fixture(group, "record.py")
        for row in rows.values():
            changed = {"D": 0} if "D" in row.published else {}
            if options.what == "published":
                changed |= COMPARED.get((group, row.name), {})
            write_case(out, row, row.sizes(options.what, **changed))
        size = out.write(options.folder)
        total += size
        print(f"{group}.txt {size} bytes")
    print(f"keras {keras.__version__}, torch {torch.__version__}: {total} bytes in all")


if __name__ == "__main__":
    main()
