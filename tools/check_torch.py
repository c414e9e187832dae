#!/usr/bin/env python3
"""Shows that PyTorch computes the same from a Carousel model file as Carousel does.

    check_torch.py MODEL.safetensors TEXTS [--carousel COMMAND] [--tolerance 1e-5]

Builds the network of the file's model line from torch.nn, loads the weights by load_state_dict(strict=True) as they
stand in the file, and compares logits and probabilities of each line of TEXTS with those of `carousel predict`. Exit
status 1 where one differs by more than the tolerance, 2 where the comparison could not be made.

Needs torch and safetensors. PyTorch computes in float64 and one text at a time, without padding unless the model was
made to see it (`--mask off`), so that nothing of Carousel's batching is repeated here. The tokenizer is written from
its description too, not translated.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import unicodedata

try:
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file
    from torch import nn
except ImportError as missing:
    print(f"check_torch.py: {missing}; pip install torch safetensors", file=sys.stderr)
    sys.exit(2)


class CannotCompare(Exception):
    pass


# ---- the network ----


class Recurrent(nn.Module):
    """[T,F] to [T,H] with `seq`, else to the final state [H]. The parameters lie in the torch module mixed in."""

    def forward(self, x):
        units = self.hidden_size
        if len(x):
            outputs = super().forward(x.flip(0) if self.backwards else x)[0]
        else:
            outputs = x.new_zeros(0, units * (2 if self.bidirectional else 1))
        if self.seq:
            outputs = outputs.flip(0) if self.backwards else outputs
        elif not len(x):
            outputs = x.new_zeros(outputs.shape[1])
        elif self.bidirectional:
            outputs = torch.cat([outputs[-1, :units], outputs[0, units:]])
        else:
            outputs = outputs[-1]
        return outputs[..., :units] + outputs[..., units:] if self.sum else outputs


class Lstm(Recurrent, nn.LSTM):
    pass


class Rnn(Recurrent, nn.RNN):
    pass


class Pool(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if not len(x):
            return x.new_zeros(x.shape[1])
        return {"last": lambda: x[-1], "mean": lambda: x.mean(0), "max": lambda: x.max(0).values}[self.kind]()


class Dense(nn.Linear):
    """torch's Linear with an activation that has no name in the state_dict."""

    activations = {"none": lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}

    def __init__(self, inputs, outputs, activation):
        super().__init__(inputs, outputs)
        self.activation = self.activations[activation]

    def forward(self, x):
        return self.activation(super().forward(x))


def words_of(text):
    """A layer's kind, its number (or None) and its options; a bare word is an option without a value."""
    kind, *rest = text.split()
    number, options = None, {}
    for word in rest:
        name, _, value = word.partition("=")
        if word[0] in "0123456789.":
            number = float(word)
        else:
            options[name] = value or True
    return kind, number, options


def recurrent_layer(kind, inputs, units, options):
    both = kind.startswith("bi")
    if kind.endswith("lstm"):
        layer = Lstm(inputs, units, bidirectional=both)
    else:
        relu = "relu" in options or options.get("activation") == "relu"
        layer = Rnn(inputs, units, bidirectional=both, nonlinearity="relu" if relu else "tanh")
    layer.seq, layer.backwards = "seq" in options, "reverse" in options
    layer.sum = both and ("sum" in options or options.get("merge") == "sum")
    return layer, units * (2 if both and not layer.sum else 1)


class Network(nn.Module):
    def __init__(self, line, vocabulary, classes):
        super().__init__()
        self.layers = nn.ModuleList()
        width = None
        for part in line.split("|"):
            kind, number, options = words_of(part)
            if kind == "embedding":
                width = int(number)
                layer = nn.Embedding(vocabulary, width)
            elif kind == "dropout":
                layer = nn.Dropout(number)
            elif kind in ("rnn", "lstm", "birnn", "bilstm"):
                layer, width = recurrent_layer(kind, width, int(number), options)
            elif kind in ("last", "mean", "max"):
                layer = Pool(kind)
            elif kind == "dense":
                outputs = int(number) if number else classes
                named = [word for word in options if word in Dense.activations]
                layer = Dense(width, outputs, options.get("activation") or (named or ["none"])[0])
                width = outputs
            else:
                raise CannotCompare(f"the layer {kind!r} is unknown to this script")
            self.layers.append(layer)

    def forward(self, ids):
        x = ids
        for layer in self.layers:
            x = layer(x)
        return x


# ---- the text ----


# Unicode's White_Space. (Python's own idea of it has four control characters more.)
SPACES = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def single_tokens(text, config):
    """NFC, then lower case one code point at a time (Unicode's simple mapping), then words or characters."""
    text = unicodedata.normalize("NFC", text)
    if config["lowercase"] == "on":
        text = "".join(character.lower()[0] for character in text)
    if config["tokens"] == "chars":
        return list(SPACES.sub(" ", text))
    text = text.translate({ord(character): " " for character in config["filters"]})
    return [word for word in SPACES.split(text) if word]


def tokens_of(text, config):
    """Single tokens, and behind each the n-grams that end with it, short ones first."""
    single = single_tokens(text, config)
    space = "" if config["tokens"] == "chars" else " "
    return [
        space.join(single[end - n : end])
        for end in range(1, len(single) + 1)
        for n in range(1, min(int(config["ngrams"]), end) + 1)
    ]


def ids_of(text, config, vocabulary):
    ids = [vocabulary.get(token, 1) for token in tokens_of(text, config)]
    if config["oov"] == "drop":
        ids = [i for i in ids if i != 1]
    length = int(config["length"])
    ids = ids[-length:] if config["truncate"] == "pre" else ids[:length]
    if config["mask"] == "off":
        padding = [0] * (length - len(ids))
        ids = padding + ids if config["pad"] == "pre" else ids + padding
    return torch.tensor(ids, dtype=torch.long)


# ---- the comparison ----


def probabilities_of(logits, config):
    """As `carousel predict` shows them: one for each class, also where the network has one output."""
    loss = config["loss"]
    if loss == "mse":
        p = logits
    elif loss == "sigmoid" or (loss == "auto" and len(logits) == 1):
        p = torch.sigmoid(logits)
    else:
        p = torch.softmax(logits, 0)
    return torch.stack([1 - p[0], p[0]]) if len(p) == 1 else p


def predict(command, model, texts, labels):
    arguments = [command, "predict", model, texts, "--format", "lines", "--json", "--logits", "--top", str(labels)]
    try:
        done = subprocess.run(arguments, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise CannotCompare(f"{command}: {error.strerror}") from error
    if done.returncode:
        raise CannotCompare(f"{' '.join(arguments)}: exit status {done.returncode}")
    return json.loads(done.stdout)["predictions"]


def difference(got, want):
    """Largest absolute difference; infinite, so that it cannot pass, where shapes differ or a number is not finite."""
    got = torch.tensor([math.nan if g is None else g for g in got], dtype=torch.float64)
    if got.shape != want.shape or not (got.isfinite().all() and want.isfinite().all()):
        return math.inf
    return (got - want).abs().max().item()


def compare(options):
    with safe_open(options.model, framework="pt") as file:
        metadata = file.metadata() or {}
    if not {"carousel.model", "carousel.config", "carousel.encoder"} <= metadata.keys():
        raise CannotCompare(f"{options.model} was not written by carousel train: it lacks Carousel's metadata")
    config, encoder = json.loads(metadata["carousel.config"]), json.loads(metadata["carousel.encoder"])
    tokens, labels = encoder["tokens"], encoder["labels"]
    vocabulary = {token: i for i, token in enumerate(tokens, start=2)}
    network = Network(metadata["carousel.model"], len(tokens) + 2, len(labels)).eval()
    network.load_state_dict(load_file(options.model), strict=True)
    network.double()

    with open(options.texts, encoding="utf-8", newline="\n") as file:
        texts = file.read().split("\n")
    if texts[-1] == "":
        texts.pop()
    predictions = predict(options.carousel, options.model, options.texts, len(labels))
    if len(predictions) != len(texts) or not texts:
        raise CannotCompare(f"{len(texts)} texts, but {len(predictions)} predictions")
    worst = 0.0
    with torch.no_grad():
        for number, (text, prediction) in enumerate(zip(texts, predictions), start=1):
            logits = network(ids_of(text.rstrip("\r"), config, vocabulary))
            by_label = {entry["label"]: entry["probability"] for entry in prediction["labels"]}
            off = difference(prediction["logits"], logits)
            off = max(off, difference([by_label.get(label) for label in labels], probabilities_of(logits, config)))
            if not off <= options.tolerance:
                print(f"{options.texts}:{number}: differs by {off:.3g}: PyTorch's logits are {logits.tolist()}, "
                      f"Carousel's {prediction['logits']}")
            worst = max(worst, off)
    print(f"{len(texts)} texts, {len(labels)} classes: largest difference {worst:.3g}, tolerance {options.tolerance:g}")
    return worst <= options.tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", help="model file written by carousel train")
    parser.add_argument("texts", help="a text on each line, UTF-8")
    parser.add_argument("--carousel", default="carousel", metavar="COMMAND", help="the command (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="absolute (default: %(default)s)")
    options = parser.parse_args()
    if not 0 <= options.tolerance < math.inf:
        parser.error("--tolerance must be a number from 0")
    try:
        return 0 if compare(options) else 1
    except (CannotCompare, OSError, RuntimeError, KeyError, ValueError, SafetensorError) as error:
        print(f"check_torch.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
