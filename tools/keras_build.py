"""A Carousel model line made into a Keras model, for keras_to_carousel.py --to-keras. Imports Keras, with the backend
that KERAS_BACKEND names or the first one that is installed."""

import importlib.util
import os
import re

if "KERAS_BACKEND" not in os.environ:
    names = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
    os.environ["KERAS_BACKEND"] = next((b for b, m in names.items() if importlib.util.find_spec(m)), "tensorflow")

import keras  # noqa: E402
from keras import layers as L  # noqa: E402
from keras_layers import MASKED, NoCounterpart, arrays_of, bound_axes  # noqa: E402


class Part:
    """The words of one layer of a line: its kind, its sizes, its name=value options and its bare words."""

    def __init__(self, text):
        self.text = text.strip()
        self.kind, *rest = self.text.split()
        self.sizes, self.options, self.flags = [], {}, []
        for word in rest:
            name, equals, value = word.partition("=")
            if equals and name in ("merge", "activation", "padding"):
                self.flags.append(value)
            elif equals:
                self.options[name] = value
            elif re.fullmatch(r"[0-9.x]+", word):
                self.sizes.append([float(n) if "." in n else int(n) for n in word.split("x")])
            else:
                self.flags.append(word)

    def number(self, index=0):
        return self.sizes[index][0]

    def real(self, name, fallback=0.0):
        return float(self.options.get(name, fallback))

    def one_of(self, words, fallback):
        return next((word for word in self.flags if word in words), fallback)

    def window(self, name, fallback):
        return tuple(int(n) for n in self.options[name].split("x")) if name in self.options else fallback


def activation_of(part):
    word = part.one_of(("none", "relu", "tanh", "sigmoid"), "none")
    return "linear" if word == "none" else word


def constraints_of(part, kind):
    """Keyword arguments for the penalties and the bound of a layer's matrices."""
    l1, l2, bound = part.real("l1"), part.real("l2"), part.real("max_norm")
    arguments = {}
    for prefix in {"Embedding": ["embeddings"], "recurrent": ["kernel", "recurrent"]}.get(kind, ["kernel"]):
        if l1 or l2:
            arguments[f"{prefix}_regularizer"] = keras.regularizers.L1L2(l1, l2)
        if bound:
            arguments[f"{prefix}_constraint"] = keras.constraints.MaxNorm(bound, axis=bound_axes(kind))
    return arguments


def recurrent(part):
    both = part.kind.startswith("bi")
    cell = part.kind[2:] if both else part.kind
    arguments = constraints_of(part, "recurrent") | {
        "return_sequences": "seq" in part.flags,
        "dropout": part.real("dropout"),
        "recurrent_dropout": part.real("recurrent_dropout"),
    }
    if cell == "rnn":
        arguments["activation"] = part.one_of(("relu",), "tanh")
    if cell == "gru":
        arguments["reset_after"] = "before" not in part.flags
    if "reverse" in part.flags:
        if "seq" in part.flags:
            raise NoCounterpart(f'"{part.text}" keeps its steps in place: Keras\' go_backwards turns them round')
        arguments["go_backwards"] = True
    layer = {"rnn": L.SimpleRNN, "lstm": L.LSTM, "gru": L.GRU}[cell](part.number(), **arguments)
    merge = {"concat": "concat", "sum": "sum", "mean": "ave"}[part.one_of(("sum", "mean"), "concat")]
    return L.Bidirectional(layer, merge_mode=merge) if both else layer


def convolution(part):
    two = part.kind == "conv2d"
    return (L.Conv2D if two else L.Conv1D)(
        part.number(),
        tuple(part.sizes[1]),
        strides=part.window("stride", (1, 1) if two else (1,)),
        padding=part.one_of(("same", "causal"), "valid"),
        dilation_rate=part.window("dilation", (1, 1) if two else (1,)),
        activation=activation_of(part),
        **constraints_of(part, "Conv2D" if two else "Conv1D"),
    )


def pooling(part):
    maker = getattr(
        L,
        ("Max" if part.kind.startswith("max") else "Average")
        + "Pooling"
        + ("2D" if part.kind.endswith("2d") else "1D"),
    )
    size = tuple(part.sizes[0])
    return maker(size, strides=part.window("stride", size), padding=part.one_of(("same",), "valid"))


MAKERS = {
    **dict.fromkeys(("rnn", "lstm", "gru", "birnn", "bilstm", "bigru"), recurrent),
    **dict.fromkeys(("conv", "conv2d"), convolution),
    **dict.fromkeys(("maxpool", "avgpool", "maxpool2d", "avgpool2d"), pooling),
    "dropout": lambda part: L.Dropout(part.number()),
    "spatial_dropout": lambda part: L.SpatialDropout1D(part.number()),
    "batchnorm": lambda part: L.BatchNormalization(
        momentum=part.real("momentum", 0.99), epsilon=part.real("epsilon", 0.001)
    ),
    "layernorm": lambda part: L.LayerNormalization(epsilon=part.real("epsilon", 0.001)),
    "flatten": lambda part: L.Flatten(),
    "max": lambda part: L.GlobalMaxPooling1D(),
    "mean": lambda part: L.GlobalAveragePooling1D(),
    "dense": lambda part: L.Dense(part.number(), activation=activation_of(part), **constraints_of(part, "Dense")),
}


def last(part, loss, classes):
    """The last layer, with the activation that the loss implies."""
    units = part.number() if part.sizes else classes
    if loss == "mse":
        activation = "linear"
    else:
        activation = "sigmoid" if loss == "sigmoid" or units == 1 else "softmax"
    return L.Dense(units, activation=activation, **constraints_of(part, "Dense"))


def first(part, config, size):
    """Input, and embedding if there is one."""
    length = int(config["length"])
    if part.kind == "onehot":
        return [keras.Input((length, size - 1))]
    embedding = L.Embedding(
        size,
        part.number(),
        mask_zero=config["mask"] == "on",
        trainable="frozen" not in part.flags,
        **constraints_of(part, "Embedding"),
    )
    return [keras.Input((length,), dtype="int32"), embedding]


def build(line, config, size, classes, tensors):
    """The Keras model of a line for `size` ids, with the weights set."""
    parts = [Part(text) for text in line.split("|")]
    model = keras.Sequential(first(parts[0], config, size))
    numbered = [(0, model.layers[-1])] if model.layers else []
    masked = config["mask"] == "on"
    if masked and parts[0].kind == "onehot":
        raise NoCounterpart("one-hot rows have no mask in Keras: only a model made with --mask off has a counterpart")
    for index, part in enumerate(parts[1:], start=1):
        if part.kind not in MAKERS:
            raise NoCounterpart(f'Keras has no layer for "{part.text}"')
        layer = last(part, config["loss"], classes) if index + 1 == len(parts) else MAKERS[part.kind](part)
        if masked and len(model.output_shape) > 2 and type(layer).__name__ not in MASKED:
            raise NoCounterpart(f'"{part.text}" skips padding: Keras\' {type(layer).__name__} does not see the mask')
        if part.kind == "conv2d" and len(model.output_shape) == 3:
            model.add(L.Reshape((*model.output_shape[1:], 1)))
        model.add(layer)
        numbered.append((index, layer))
    for index, layer in numbered:
        prefix = f"layers.{index}."
        own = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if layer.weights:
            layer.set_weights(arrays_of(layer, own))
    return model
