#!/usr/bin/env python3
"""Shows that a model goes from Keras to Carousel and back without changing what it says.

    check_keras.py [--carousel COMMAND] [--only NAME] [--tolerance 1e-5]

Makes small Keras models with random weights, converts them with keras_to_carousel.py, and compares the probabilities
that `carousel predict` gives for some texts with those of Keras for the same texts, whose ids are made here, from
Keras' description; then converts back and compares again. Exit status 1 where something differs, 2 where the comparison
could not be made.

Needs keras 3 with any backend, and h5py.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    import keras
    import numpy
    from keras import layers as L
except ImportError as missing:
    print(f"check_keras.py: {missing}; pip install keras h5py torch", file=sys.stderr)
    sys.exit(2)

HERE = pathlib.Path(__file__).resolve().parent
WORDS = "the film was good bad not very slow long warm funny and i it a never again plot cast end".split()
LENGTH, TEXTS = 9, 40


class Failed(Exception):
    pass


def models():
    """name -> (layers, vocabulary's kind, padding): every layer once, every kind of file and vocabulary."""
    words = len(WORDS)
    return {
        "lstm": (
            [L.Embedding(words + 2, 6), L.LSTM(5, return_sequences=True), L.LSTM(4), L.Dense(1, "sigmoid")],
            "tokenizer_oov",
            "pre",
        ),
        "bilstm": (
            [
                L.Embedding(words + 1, 6, mask_zero=True),
                L.Dropout(0.3),
                L.Bidirectional(L.LSTM(5, return_sequences=True, dropout=0.2), merge_mode="concat"),
                L.Bidirectional(L.SimpleRNN(4, activation="relu"), merge_mode="sum"),
                L.Dense(3, "softmax"),
            ],
            "tokenizer",
            "post",
        ),
        "dense": (
            [
                L.Embedding(words + 7, 6, trainable=False),
                L.LSTM(5, go_backwards=True, use_bias=False),
                L.Dense(4, "relu"),
                L.Dense(2, "softmax"),
            ],
            "text",
            "post",
        ),
        "gru": (
            [
                L.Embedding(words + 2, 6),
                L.GRU(5, return_sequences=True),
                L.GRU(4, reset_after=False),
                L.Dense(2, "softmax"),
            ],
            "text",
            "pre",
        ),
        "bigru": (
            [
                L.Embedding(words + 2, 6, mask_zero=True),
                L.Bidirectional(L.GRU(5, return_sequences=True), merge_mode="ave"),
                L.GlobalAveragePooling1D(),
                L.Dense(3, "softmax"),
            ],
            "text",
            "pre",
        ),
        "cnn": (
            [
                L.Embedding(words + 2, 6),
                L.SpatialDropout1D(0.2),
                L.Conv1D(5, 3, activation="relu"),
                L.BatchNormalization(),
                L.MaxPooling1D(2),
                L.Conv1D(4, 2, padding="causal", activation="tanh"),
                L.LayerNormalization(),
                L.GlobalMaxPooling1D(),
                L.Dense(1, "sigmoid"),
            ],
            "tokenizer_oov",
            "post",
        ),
        "conv2d": (
            [
                L.Embedding(words + 2, 6),
                L.Reshape((LENGTH, 6, 1)),
                L.Conv2D(3, (3, 2), activation="relu"),
                L.AveragePooling2D((2, 2)),
                L.Flatten(),
                L.Dense(3, "softmax"),
            ],
            "text",
            "post",
        ),
        "conv_same": (
            [
                L.Embedding(words + 2, 6),
                L.Conv1D(5, 4, strides=2, padding="same"),
                L.AveragePooling1D(3, strides=1, padding="same"),
                L.Flatten(),
                L.Dense(3, "softmax"),
            ],
            "text",
            "post",
        ),
    }


def random_weights(model, random):
    for weight in model.weights:
        value = random.normal(size=weight.shape) * 0.5
        weight.assign(1 + abs(value) if weight.name in ("gamma", "moving_variance") else value)


# ---- the texts ----


def vocabulary_of(kind, folder):
    """(file, id of each word, id of other words or None: dropped)."""
    path = folder / "vocabulary"
    if kind == "text":
        path.write_text("".join(f"{word}\n" for word in ["", "[UNK]", *WORDS]))
        return path, {word: number for number, word in enumerate(WORDS, start=2)}, 1
    oov = "<oov>" if kind == "tokenizer_oov" else None
    index = {word: number for number, word in enumerate(([oov] if oov else []) + WORDS, start=1)}
    config = {
        "num_words": None,
        "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": oov,
        "word_index": json.dumps(index),
    }
    path.write_text(json.dumps({"class_name": "Tokenizer", "config": config}))
    return path, index, 1 if oov else None


def texts_of(random):
    """Of 1 to 14 words, so that some are cut, now and then an unknown one and a capital."""
    known = [*WORDS, "unheard"]
    texts = []
    for _ in range(TEXTS):
        text = " ".join(known[random.integers(len(known))] for _ in range(random.integers(1, LENGTH + 6)))
        texts.append(WORDS[random.integers(len(WORDS))].title() + ", " + text + "!")
    return texts


def ids_of(texts, index, unknown, pad):
    rows = numpy.zeros((len(texts), LENGTH), dtype="int32")
    for row, text in zip(rows, texts):
        words = text.lower().replace(",", " ").replace("!", " ").split()
        ids = [index.get(word, unknown) for word in words]
        ids = [number for number in ids if number is not None][-LENGTH:]
        if pad == "pre":
            row[LENGTH - len(ids) :] = ids
        else:
            row[: len(ids)] = ids
    return rows


# ---- the comparison ----


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, arguments))}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def convert(*arguments):
    return run(sys.executable, HERE / "keras_to_carousel.py", *arguments)


def by_keras(model, ids):
    p = numpy.asarray(keras.ops.convert_to_numpy(model(ids, training=False)), dtype="float64")
    return numpy.hstack([1 - p, p]) if p.shape[1] == 1 else p


def by_carousel(command, model, texts, classes):
    found = json.loads(run(command, "predict", model, texts, "--format", "lines", "--json", "--top", classes))
    rows = [{entry["label"]: entry["probability"] for entry in row["labels"]} for row in found["predictions"]]
    return numpy.array([[row[str(c)] for c in range(classes)] for row in rows])


def difference(got, want):
    if got.shape != want.shape or not (numpy.isfinite(got).all() and numpy.isfinite(want).all()):
        return float("inf")
    return float(abs(got - want).max())


def check(name, layers, kind, pad, folder, command):
    """Largest differences: Keras to Carousel by .keras and by .h5, and Keras' model from Carousel's file."""
    random = numpy.random.default_rng(7)
    model = keras.Sequential([keras.Input((LENGTH,), dtype="int32"), *layers])
    random_weights(model, random)
    functional = keras.Model(model.inputs, model.outputs)
    path, index, unknown = vocabulary_of(kind, folder)
    texts = texts_of(random)
    (folder / "texts").write_text("".join(text + "\n" for text in texts))
    want = by_keras(model, ids_of(texts, index, unknown, pad))
    if want.std(axis=0).max() < 1e-3:
        raise Failed(f"{name} says the same of every text")
    off = []
    for saved, file in ((model, "model.keras"), (functional, "model.h5")):
        saved.save(folder / file)
        carousel = folder / (file + ".safetensors")
        convert(folder / file, "-o", carousel, "--vocabulary", path, "--pad", pad)
        off.append(difference(by_carousel(command, carousel, folder / "texts", want.shape[1]), want))
    convert("--to-keras", carousel, "-o", folder / "back.keras", "--vocabulary", folder / "words")
    back = keras.saving.load_model(folder / "back.keras")
    own = {word: number for number, word in enumerate((folder / "words").read_text().split("\n")) if word}
    off.append(difference(by_keras(back, ids_of(texts, own, None if unknown is None else 1, pad)), want))
    return off


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--carousel", default="carousel", metavar="COMMAND", help="the command (default: %(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this model; may be given several times")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="absolute (default: %(default)s)")
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    failed = 0
    for name, (layers, kind, pad) in models().items():
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                off = check(name, layers, kind, pad, pathlib.Path(folder), options.carousel)
            except (Failed, OSError) as error:
                print(f"{name}: {error}")
                failed += 1
                continue
        same = all(value <= options.tolerance for value in off)
        failed += not same
        print(f"{name}: .keras {off[0]:.2g}, .h5 {off[1]:.2g}, and back {off[2]:.2g}: {'ok' if same else 'DIFFERS'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
