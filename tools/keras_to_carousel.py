#!/usr/bin/env python3
"""Turns a Keras model into a Carousel model file, and back.

    keras_to_carousel.py MODEL.keras|MODEL.h5 -o MODEL.safetensors --vocabulary FILE [--labels NAME,NAME...]
    keras_to_carousel.py --to-keras MODEL.safetensors -o MODEL.keras|MODEL.h5 [--vocabulary FILE]

The model is a line of layers, Sequential or functional: Embedding, SimpleRNN, LSTM, GRU, Bidirectional, Conv1D,
Conv2D, the poolings, BatchNormalization, LayerNormalization, Dropout, SpatialDropout1D, Flatten, Dense. What has no
counterpart is named on one line, with exit status 1.

A Keras model knows ids and not words, so that their list comes with it. --vocabulary FILE is one of
    a Keras Tokenizer's to_json(); its filters, lower case, num_words and oov_token are taken over
    a JSON object {"word": id, ...}
    a text file with a word on each line; where it opens with "" and "[UNK]", as TextVectorization's get_vocabulary(),
    these are ids 0 and 1, else the first line is id 2
or the word `ids`: then tokens are the numbers themselves, and a text is "5 17 3". The other way round, words are
written to FILE as TextVectorization has them.

Reading needs numpy and h5py; writing Keras models needs Keras 3 with any of its backends.
"""

import argparse
import json
import os
import pathlib
import struct
import sys

import numpy

import keras_files
from keras_layers import MASKED, NoCounterpart, notes_of, tensors_of, with_all, words_of

VERSION = "0.1.0"  # of Carousel whose files these are
OOV = 1  # Carousel's id of what is not in the vocabulary; 0 is padding
FIRST = 2


# ---- a vocabulary ----


class Vocabulary:
    """Words in the order of Carousel's ids, the Keras id of each, and Keras' id of unknown words or None."""

    def __init__(self, id_of, unknown=None, settings=None):
        pairs = sorted((number, word) for word, number in id_of.items())
        self.words = [word for _, word in pairs]
        self.ids = [number for number, _ in pairs]
        self.unknown = unknown
        self.settings = settings or {}

    def rows(self):
        """Keras' row for each of Carousel's ids; -1: one that Keras has not, of words that it drops."""
        return [0, -1 if self.unknown is None else self.unknown, *self.ids]


def tokenizer_vocabulary(config):
    word_index = json.loads(config["word_index"])
    unknown = config.get("oov_token") and word_index.get(config["oov_token"])
    most = config.get("num_words") or len(word_index) + 1
    id_of = {word: number for word, number in word_index.items() if number < most and number != unknown}
    settings = {"filters": config["filters"], "lowercase": "on" if config["lower"] else "off"}
    settings["tokens"] = "chars" if config["char_level"] else "words"
    if config.get("split", " ") != " ":
        raise NoCounterpart(f"a Tokenizer that splits at {config['split']!r}: Carousel splits at white space")
    return Vocabulary(id_of, unknown or None, settings)


def text_vocabulary(lines):
    first = FIRST
    if lines[:1] == [""]:
        lines, first = lines[1:], 1
    if first == 1 and lines[:1] == ["[UNK]"]:
        lines, first = lines[1:], FIRST
    return Vocabulary({word: number for number, word in enumerate(lines, start=first)}, OOV if first == FIRST else None)


def read_vocabulary(path, size):
    if path == "ids":
        return Vocabulary({str(number): number for number in range(FIRST, size)}, OOV)
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if text[:1] in "{[":
        found = json.loads(text)
        if "config" in found:
            return tokenizer_vocabulary(found["config"])
        return Vocabulary({word: number for word, number in found.items() if number > OOV}, OOV)
    lines = text.split("\n")
    return text_vocabulary(lines[:-1] if lines[-1] == "" else lines)


def place_words(vocabulary, size, notes):
    """Rows of an embedding of `size` that Carousel's ids are taken from."""
    highest = max(vocabulary.ids, default=0)
    if highest >= size:
        raise NoCounterpart(f"the vocabulary goes up to id {highest}, but the model knows {size} ids: 0 to {size - 1}")
    rows = vocabulary.rows()
    if size > len(set(rows) - {-1}):
        notes.append(f"{size - len(set(rows) - {-1})} of the model's {size} ids have no word and are left out")
    return rows


def gather(table, rows):
    return numpy.stack([table[row] if row >= 0 else numpy.zeros_like(table[0]) for row in rows])


# ---- from Keras ----


class Converted:
    """The parts of the model line with their tensors, and what was met on the way."""

    def __init__(self):
        self.parts, self.tensors = [], {}
        self.loss, self.outputs = "auto", 0
        self.masked, self.time = False, True

    def add(self, words, tensors):
        index = len(self.parts)
        self.parts.append(words)
        self.tensors |= {f"layers.{index}.{name}": value for name, value in tensors.items()}


def onehot_of(shape, vocabulary, first):
    """A model without an embedding takes one-hot rows, a column for each id but 0; returns the number of ids."""
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 1) or not shape[2]:
        raise NoCounterpart(f"the first layer is {first}, and its input {shape} is neither ids nor one-hot rows")
    size = shape[2] + 1
    if vocabulary.rows() != list(range(size)):
        raise NoCounterpart(f"one-hot rows of {shape[2]} columns need {size - FIRST} words, with ids from {FIRST} on")
    return size


def end_of(layer, loss):
    """The last layer without its activation, and Carousel's loss for it. Loss: the name that Keras was trained with."""
    kind, config = layer.kind, layer.config
    if kind != "Dense":
        raise NoCounterpart(f"the last layer is {kind}: in Carousel it is always dense")
    activation, units = config["activation"], config["units"]
    losses = {"softmax": "softmax", "sigmoid": "sigmoid"}
    if activation == "linear":
        named = (
            "mse" if "mean_squared" in str(loss) or loss == "mse" else "sigmoid" if "binary" in str(loss) else "auto"
        )
        losses["linear"] = named
    if activation not in losses or (activation == "softmax" and units < 2):
        raise NoCounterpart(f"{units} outputs with activation={activation!r} are not what a classifier of Carousel has")
    return {**config, "activation": "linear"}, losses[activation]


def convert(model, vocabulary, notes):
    out = Converted()
    layers = [layer for layer in model.layers if layer.kind != "InputLayer"]
    rows = None
    for number, layer in enumerate(layers):
        kind, config = layer.kind, layer.config
        following = layers[number + 1].kind if number + 1 < len(layers) else ""
        if kind == "Reshape" and following == "Conv2D" and config["target_shape"][-1] == 1:
            continue  # a picture of one channel is what conv2d makes of a sequence by itself
        if number == 0 and kind == "Embedding":
            rows = place_words(vocabulary, config["input_dim"], notes)
            out.masked = config["mask_zero"]
        elif number == 0:
            onehot_of(model.input_shape, vocabulary, kind)
            out.add("onehot", {})
        elif out.masked and out.time and kind not in MASKED:
            raise NoCounterpart(
                f"{kind} {config['name']!r} does not see the mask of Embedding(mask_zero=True) in Keras, "
                "and would in Carousel"
            )
        if number + 1 == len(layers):
            config, out.loss = end_of(layer, model.loss)
            out.outputs = config["units"]
        notes += notes_of(kind, config)
        tensors = tensors_of(kind, config, with_all(kind, config, layer.arrays)) if layer.arrays else {}
        if kind == "Embedding":
            tensors["weight"] = gather(tensors["weight"], rows)
        out.add(words_of(kind, config), tensors)
        inner = config["layer"]["config"] if kind == "Bidirectional" else config
        out.time = out.time and inner.get("return_sequences", True) and not kind.startswith(("Global", "Flatten"))
    return out


def add_second_biases(tensors):
    """The file has PyTorch's two biases of a recurrent layer also where one suffices."""
    for name in [name for name in tensors if "bias_ih" in name]:
        tensors.setdefault(name.replace("bias_ih", "bias_hh"), numpy.zeros_like(tensors[name]))


def metadata_of(converted, vocabulary, labels, options):
    line = " | ".join(converted.parts)
    config = {
        "tokens": "words",
        "lowercase": "on",
        **vocabulary.settings,
        "vocabulary": str(max(3, len(vocabulary.words) + FIRST)),
        "oov": "drop" if vocabulary.unknown is None else "keep",
        "length": str(options.length),
        "pad": options.pad,
        "truncate": options.truncate,
        "mask": "on" if converted.masked else "off",
        "model": line,
        "loss": converted.loss,
        **dict(setting.split("=", 1) for setting in options.set),
    }
    return {
        "format": "pt",
        "carousel.version": VERSION,
        "carousel.model": line,
        "carousel.config": json.dumps(config),
        "carousel.encoder": json.dumps({"version": 1, "tokens": vocabulary.words, "labels": labels}),
    }


def labels_of(options, outputs):
    classes = max(2, outputs)
    labels = options.labels.split(",") if options.labels else [str(number) for number in range(classes)]
    if len(labels) != classes:
        raise NoCounterpart(f"{len(labels)} labels for {classes} classes")
    return labels


def ids_of_model(model):
    """Number of ids: the embedding's rows, or the one-hot input's columns and the padding."""
    for layer in model.layers:
        if layer.kind == "Embedding":
            return layer.config["input_dim"]
    return (model.input_shape[2] or 0) + 1 if len(model.input_shape) > 2 else 0


def from_keras(options):
    model = keras_files.read_model(options.model)
    if not options.length:
        options.length = model.input_shape[1] if len(model.input_shape) > 1 else None
    if not options.length:
        raise NoCounterpart("the model's input has no fixed length: give --length")
    if not options.vocabulary:
        raise NoCounterpart("a Keras model has no words: give --vocabulary FILE, or --vocabulary ids")
    notes = []
    vocabulary = read_vocabulary(options.vocabulary, ids_of_model(model))
    converted = convert(model, vocabulary, notes)
    labels = labels_of(options, converted.outputs)
    add_second_biases(converted.tensors)
    keras_files.write_safetensors(
        options.output, converted.tensors, metadata_of(converted, vocabulary, labels, options)
    )
    for note in notes:
        print(f"keras_to_carousel.py: {note}", file=sys.stderr)
    print(f"{options.output}: {' | '.join(converted.parts)}")


# ---- to Keras ----


def to_keras(options):
    tensors, metadata = keras_files.read_safetensors(options.model)
    if "carousel.model" not in metadata:
        raise NoCounterpart(f"{options.model} is no classifier of Carousel")
    import keras_build  # Keras itself is needed from here on

    config, encoder = json.loads(metadata["carousel.config"]), json.loads(metadata["carousel.encoder"])
    size = len(encoder["tokens"]) + FIRST
    model = keras_build.build(metadata["carousel.model"], config, size, len(encoder["labels"]), tensors)
    model.save(options.output)
    if options.vocabulary:
        words = ["", "[UNK]", *encoder["tokens"]]
        keras_files.write_new(options.vocabulary, "".join(f"{word}\n" for word in words).encode(), options.force)
    print(f"{options.output}: {len(model.layers)} layers, {model.count_params()} parameters")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", 1)[0],
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="the model to read")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the model to write")
    parser.add_argument("--to-keras", action="store_true", help="from Carousel to Keras")
    parser.add_argument("--vocabulary", metavar="FILE", help="the words, see below")
    parser.add_argument("--labels", metavar="A,B,...", help="names of the classes (default: 0,1,...)")
    parser.add_argument("--length", type=int, metavar="N", help="tokens of a text (default: the model's input)")
    parser.add_argument(
        "--pad",
        choices=("pre", "post"),
        default="pre",
        help="side that texts were padded on (default: %(default)s, as pad_sequences does)",
    )
    parser.add_argument(
        "--truncate",
        choices=("pre", "post"),
        default="pre",
        help="side that long texts were cut on (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of `carousel train` that says how text is read, e.g. lowercase=off, tokens=chars",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    options = parser.parse_args()
    if not all("=" in setting for setting in options.set):
        parser.error("--set needs NAME=VALUE")
    try:
        if os.path.exists(options.output) and not options.force:
            raise NoCounterpart(f"{options.output} is there already: give --force to replace it")
        (to_keras if options.to_keras else from_keras)(options)
    except (NoCounterpart, OSError, ValueError, KeyError, ImportError, struct.error) as error:
        print(f"keras_to_carousel.py: {options.model}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
