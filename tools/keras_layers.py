"""What each Keras layer is in Carousel: its words in the model line, and its weights, which are also taken back. Knows
no files and no vocabularies (keras_to_carousel.py does), and does without Keras itself.

Weights are numpy arrays, Keras' as layer.get_weights() gives them, Carousel's by the names and in the layouts of a
model file, which are PyTorch's. A layer's number ("layers.3.") is put in front by the caller.
"""

import numpy


class NoCounterpart(Exception):
    """Something that the other side has not. The text is one line."""


# ---- weights ----

# Where Keras keeps each of Carousel's gates. Keras: i f c o and z r h; Carousel: i f g o and r z n.
GATES = {"SimpleRNN": (0,), "LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}
BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def reorder(rows, gates):
    """Rows [G*H, ...] with the gates in another order. Both orders of three swap two, so each undoes itself."""
    parts = numpy.split(rows, len(gates))
    return numpy.concatenate([parts[gate] for gate in gates])


def recurrent_tensors(cell, arrays, suffix=""):
    """kernel [I, G*H], recurrent kernel [H, G*H], bias [G*H], or [2, G*H] where a GRU resets after the product."""
    gates = GATES[cell]
    kernel, recurrent, bias = arrays
    tensors = {"weight_ih_l0": kernel.T, "weight_hh_l0": recurrent.T, "bias_ih_l0": bias}
    if bias.ndim == 2:
        tensors["bias_ih_l0"], tensors["bias_hh_l0"] = bias
    return {name + suffix: reorder(rows, gates) for name, rows in tensors.items()}


def recurrent_arrays(cell, tensors, suffix="", two_biases=False):
    """Undoes recurrent_tensors. A second bias that Keras does not keep apart is added to the first."""
    gates = GATES[cell]
    kernel, recurrent, bias, second = (
        reorder(tensors[name + suffix], gates) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    )
    return [kernel.T, recurrent.T, numpy.stack([bias, second]) if two_biases else bias + second]


def cell_of(kind, config):
    """Class of the recurrent layer, inside of a Bidirectional too."""
    return config["layer"]["class_name"] if kind == "Bidirectional" else kind


def tensors_of(kind, config, arrays):
    """All weights of a Keras layer of class `kind`, by Carousel's names."""
    cell = cell_of(kind, config)
    if kind == "Bidirectional":
        half = len(arrays) // 2
        return recurrent_tensors(cell, arrays[:half]) | recurrent_tensors(cell, arrays[half:], "_reverse")
    if cell in GATES:
        return recurrent_tensors(cell, arrays)
    if kind in ("Conv1D", "Conv2D"):  # [K..., I, O] to [O, I, K...]
        return {"weight": numpy.moveaxis(arrays[0], (-1, -2), (0, 1)), "bias": arrays[1]}
    if kind == "Dense":
        return {"weight": arrays[0].T, "bias": arrays[1]}
    return dict(zip(BATCH_NORM, arrays))  # Embedding, LayerNormalization and BatchNormalization


def arrays_of(layer, tensors):
    """Undoes tensors_of, for a layer object of Keras."""
    kind, config = type(layer).__name__, layer.get_config()
    cell = cell_of(kind, config)
    if cell in GATES:
        inner = config["layer"]["config"] if kind == "Bidirectional" else config
        suffixes = ("", "_reverse") if kind == "Bidirectional" else ("",)
        return [
            array
            for suffix in suffixes
            for array in recurrent_arrays(cell, tensors, suffix, inner.get("reset_after", False))
        ]
    if kind in ("Conv1D", "Conv2D"):
        return [numpy.moveaxis(tensors["weight"], (0, 1), (-1, -2)), tensors["bias"]]
    if kind == "Dense":
        return [tensors["weight"].T, tensors["bias"]]
    return [tensors[name] for name in BATCH_NORM if name in tensors]


def with_all(kind, config, arrays):
    """The weights that a layer was told to do without are those that change nothing: zeros, and ones for a scale."""
    if kind in ("BatchNormalization", "LayerNormalization"):
        arrays = list(arrays)
        size = len(arrays[0]) if arrays else None
        if size is None:
            raise NoCounterpart(f"{kind} {config['name']!r} has neither scale nor center, so its size is not known")
        if not config.get("scale", True):
            arrays.insert(0, numpy.ones(size))
        if not config.get("center", True):
            arrays.insert(1, numpy.zeros(size))
        return arrays
    if kind == "Bidirectional":
        half = len(arrays) // 2
        inner = config["layer"]
        return [
            array
            for part in (arrays[:half], arrays[half:])
            for array in with_all(inner["class_name"], inner["config"], part)
        ]
    if config.get("use_bias", True):
        return arrays
    width = arrays[0].shape[-1]
    two = kind == "GRU" and config.get("reset_after", False)
    return [*arrays, numpy.zeros((2, width) if two else width)]


# ---- from Keras: the words ----

ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid")


def decimal(value):
    """Keras keeps some settings as float32: the shortest decimal of that."""
    return numpy.format_float_positional(numpy.float32(value), trim="-")


def sizes(values):
    return "x".join(str(v) for v in values)


def need(config, name, wanted, words):
    if config.get(name, wanted) != wanted:
        raise NoCounterpart(f"{words} {config['name']!r} with {name}={config[name]!r}: Carousel has only {wanted!r}")


# As in core/layer.h.
MOST_UNITS, MOST_OUTPUTS = 65536, 1 << 20


def units_of(kind, config, name):
    most = MOST_OUTPUTS if kind == "Dense" else MOST_UNITS
    if config[name] > most:
        raise NoCounterpart(f"{kind} {config['name']!r} with {name}={config[name]}: Carousel has up to {most}")
    return str(config[name])


def activation_of(kind, config):
    activation = config["activation"]
    if activation not in ACTIVATIONS:
        raise NoCounterpart(
            f"{kind} {config['name']!r} with activation={activation!r}: Carousel has {', '.join(ACTIVATIONS)}"
        )
    return [] if activation == "linear" else [activation]


def bound_axes(kind):
    """Over which axes of Keras' kernel Carousel's bound takes the norm: all weights of one unit, or one embedding."""
    return {"Embedding": [1], "Conv1D": [0, 1], "Conv2D": [0, 1, 2]}.get(kind, [0])


def bound_of(kind, config, prefix):
    bound = config.get(f"{prefix}_constraint")
    if not bound or bound["class_name"] != "MaxNorm":
        return None
    axis = bound["config"].get("axis", 0)
    axes = sorted(a % (len(bound_axes(kind)) + 1) for a in ([axis] if isinstance(axis, int) else axis))
    return decimal(bound["config"]["max_value"]) if axes == bound_axes(kind) else None


def penalty_of(config, prefix):
    penalty = config.get(f"{prefix}_regularizer")
    if not penalty:
        return []
    return [f"{name}={decimal(penalty['config'][name])}" for name in ("l1", "l2") if penalty["config"].get(name)]


def constraints_of(kind, config):
    """Penalties and bound of the layer's matrices: of a recurrent layer's two those that both have."""
    matrices = {"Embedding": ["embeddings"]}.get(kind, ["kernel", "recurrent"] if kind in GATES else ["kernel"])
    penalties = [penalty_of(config, prefix) for prefix in matrices]
    bounds = [bound_of(kind, config, prefix) for prefix in matrices]
    words = [word for word in penalties[0] if all(word in other for other in penalties)]
    return words + ([f"max_norm={bounds[0]}"] if bounds[0] and len(set(bounds)) == 1 else [])


def notes_of(kind, config):
    """What acts in training only and gets lost, as sentences."""
    words = constraints_of(kind, config) if kind in WORDS else []
    for name, value in config.items():
        prefix, _, use = name.rpartition("_")
        kept = use == "regularizer" and penalty_of(config, prefix) and set(penalty_of(config, prefix)) <= set(words)
        kept = kept or use == "constraint" and f"max_norm={bound_of(kind, config, prefix)}" in words
        if use in ("regularizer", "constraint") and value and not kept:
            yield f"{kind} {config['name']!r}: {name} is left out, it acts in training only"
    if config.get("trainable") is False and kind != "Embedding":
        yield f"{kind} {config['name']!r}: trainable=False is left out, Carousel can only freeze an embedding"
    if kind == "Bidirectional":
        yield from notes_of(config["layer"]["class_name"], config["layer"]["config"])


def recurrent_words(kind, config, both=False):
    need(config, "stateful", False, kind)
    need(config, "return_state", False, kind)
    need(config, "time_major", False, kind)
    need(config, "recurrent_activation", "sigmoid", kind)
    backwards = config.get("go_backwards", False)
    if backwards and config["return_sequences"]:
        raise NoCounterpart(f"{kind} {config['name']!r} gives its steps in reverse: Carousel keeps them in place")
    activation = config["activation"]
    if activation not in (("tanh", "relu") if kind == "SimpleRNN" else ("tanh",)):
        raise NoCounterpart(f"{kind} {config['name']!r} with activation={activation!r} is not in Carousel")
    words = [("bi" if both else "") + {"SimpleRNN": "rnn"}.get(kind, kind.lower()), units_of(kind, config, "units")]
    words += ["before"] if kind == "GRU" and not config.get("reset_after", False) else []
    words += ["relu"] if activation == "relu" else []
    words += ["seq"] if config["return_sequences"] else []
    words += [f"{name}={decimal(config[name])}" for name in ("dropout", "recurrent_dropout") if config[name]]
    return words + (["reverse"] if backwards else []) + constraints_of(kind, config)


def bidirectional_words(kind, config):
    inner, back, merge = config["layer"], config.get("backward_layer"), config["merge_mode"]
    if inner["class_name"] not in GATES:
        raise NoCounterpart(f"Bidirectional of {inner['class_name']} is not in Carousel")
    merges = {"concat": [], "sum": ["sum"], "ave": ["mean"]}
    if merge not in merges:
        raise NoCounterpart(f"Bidirectional {config['name']!r} with merge_mode={merge!r} is not in Carousel")
    forth = inner["config"]
    words = recurrent_words(inner["class_name"], forth, both=True)
    if back:
        turned = back["config"] | {"go_backwards": forth.get("go_backwards", False)}
        if back["class_name"] != inner["class_name"] or words != recurrent_words(back["class_name"], turned, both=True):
            raise NoCounterpart(f"Bidirectional {config['name']!r} with two different directions is not in Carousel")
    return words + merges[merge]


def window_words(kind, config):
    """Options of convolutions and poolings that say where their windows lie."""
    need(config, "data_format", "channels_last", kind)
    size = config.get("pool_size", config.get("kernel_size"))
    size = [size] if isinstance(size, int) else list(size)
    unit = list(size) if "pool_size" in config else [1] * len(size)
    stride = config.get("strides") or unit
    stride = [stride] if isinstance(stride, int) else list(stride)
    words = [sizes(size)] + ([] if config["padding"] == "valid" else [config["padding"]])
    words += [] if stride == unit else [f"stride={sizes(stride)}"]
    dilation = list(
        config.get("dilation_rate", [1])
        if not isinstance(config.get("dilation_rate"), int)
        else [config["dilation_rate"]]
    )
    if len(size) == 2 and dilation != [1, 1] and "kernel_size" in config:
        raise NoCounterpart(f"{kind} {config['name']!r} with dilation_rate={dilation} is not in Carousel")
    return words + ([f"dilation={dilation[0]}"] if dilation[0] != 1 else [])


def convolution_words(kind, config):
    need(config, "groups", 1, kind)
    name = "conv" if kind == "Conv1D" else "conv2d"
    return [
        name,
        units_of(kind, config, "filters"),
        *window_words(kind, config),
        *activation_of(kind, config),
        *constraints_of(kind, config),
    ]


def pooling_words(kind, config):
    name = ("max" if kind.startswith("Max") else "avg") + "pool" + ("2d" if kind.endswith("2D") else "")
    return [name, *window_words(kind, config)]


def norm_words(kind, config):
    axis = config.get("axis", -1)
    if isinstance(axis, list):
        axis = axis[0] if len(axis) == 1 else axis
    rank = len((config.get("build_config") or {}).get("input_shape") or ())
    if axis != -1 and axis != rank - 1:
        raise NoCounterpart(f"{kind} {config['name']!r} over axis {axis} is not in Carousel, only over the last")
    need(config, "rms_scaling", False, kind)
    batch = kind == "BatchNormalization"
    words = ["batchnorm" if batch else "layernorm"]
    words += [f"momentum={decimal(config['momentum'])}"] if batch and config["momentum"] != 0.99 else []
    return words + ([f"epsilon={decimal(config['epsilon'])}"] if config["epsilon"] != 0.001 else [])


def global_words(kind, config):
    need(config, "data_format", "channels_last", kind)
    need(config, "keepdims", False, kind)
    return ["max" if "Max" in kind else "mean"]


def embedding_words(kind, config):
    return [
        "embedding",
        units_of(kind, config, "output_dim"),
        *([] if config.get("trainable", True) else ["frozen"]),
        *constraints_of(kind, config),
    ]


def dense_words(kind, config):
    return ["dense", units_of(kind, config, "units"), *activation_of(kind, config), *constraints_of(kind, config)]


def flatten_words(kind, config):
    need(config, "data_format", "channels_last", kind)
    return ["flatten"]


WORDS = {
    "Embedding": embedding_words,
    "SimpleRNN": recurrent_words,
    "LSTM": recurrent_words,
    "GRU": recurrent_words,
    "Bidirectional": bidirectional_words,
    "Conv1D": convolution_words,
    "Conv2D": convolution_words,
    "MaxPooling1D": pooling_words,
    "MaxPooling2D": pooling_words,
    "AveragePooling1D": pooling_words,
    "AveragePooling2D": pooling_words,
    "GlobalMaxPooling1D": global_words,
    "GlobalAveragePooling1D": global_words,
    "BatchNormalization": norm_words,
    "LayerNormalization": norm_words,
    "Dropout": lambda kind, config: ["dropout", decimal(config["rate"])],
    "SpatialDropout1D": lambda kind, config: ["spatial_dropout", decimal(config["rate"])],
    "Flatten": flatten_words,
    "Dense": dense_words,
}
# Those that see an embedding's mask in Keras as in Carousel.
MASKED = {
    "SimpleRNN",
    "LSTM",
    "GRU",
    "Bidirectional",
    "Dropout",
    "SpatialDropout1D",
    "Dense",
    "BatchNormalization",
    "LayerNormalization",
    "GlobalAveragePooling1D",
}


def words_of(kind, config):
    """The layer's part of a model line."""
    if kind not in WORDS:
        raise NoCounterpart(f"the layer {kind} {config.get('name', '')!r} is not in Carousel")
    return " ".join(WORDS[kind](kind, config))
