"""The networks whose numbers are compared with Keras': every row of five published systems, and layers beside them that
no published row has. A row says the same network twice, as Keras layers and as Carousel's line; that both mean the same
is what the numbers show. `published` are the sizes of the publication, `small` those of the tests' fixtures: the same
layers, narrower, and as short as the windows allow.

Where a publication leaves a size open, the row's comment says what was taken.
"""

import dataclasses
import types

from keras import constraints, regularizers
from keras import layers as L


@dataclasses.dataclass
class Row:
    name: str
    line: str  # with the sizes' names in braces
    layers: types.FunctionType  # of the sizes
    published: dict
    small: dict
    optimizer: str
    settings: dict = dataclasses.field(default_factory=dict)  # of the optimizer, where not Keras' defaults
    classes: int = 2
    masked: str = ""  # side of the padding that Embedding(mask_zero=True) skips, or "": padding counts
    onehot: int = 0  # axes of the one-hot input beyond rows, or 0: ids

    def sizes(self, kind, **changed):
        return types.SimpleNamespace(**(getattr(self, kind) | changed))

    def line_of(self, sizes):
        return self.line.format(**vars(sizes))


def of(**sizes):
    return sizes


# 8,192 words, 128 of each review, padded behind, batches of 64 or 128.
AMAZON = of(V=8192, T=128)
amazon = {
    "lstm": Row(
        "lstm",
        "embedding {E} | lstm {H} seq | lstm {H} | dense 1",
        lambda s: [
            L.Embedding(s.V, s.E),
            L.LSTM(s.H, return_sequences=True),
            L.LSTM(s.H),
            L.Dense(1, activation="sigmoid"),
        ],
        published=AMAZON | of(E=32, H=32),
        small=of(V=20, T=12, E=4, H=3),
        optimizer="rmsprop",
    ),
    "cnn_lstm": Row(
        "cnn_lstm",
        "embedding {E} | dropout {D} | conv {F} 3 relu | lstm {H} seq | lstm {H} | dense 1",
        lambda s: [
            L.Embedding(s.V, s.E),
            L.Dropout(s.D),
            L.Conv1D(s.F, 3, activation="relu"),
            L.LSTM(s.H, return_sequences=True),
            L.LSTM(s.H),
            L.Dense(1, activation="sigmoid"),
        ],
        published=AMAZON | of(E=64, D=0.25, F=32, H=32),
        small=of(V=20, T=12, E=4, D=0, F=4, H=3),
        optimizer="rmsprop",
    ),
    "rnn": Row(
        "rnn",
        "embedding {E} | rnn {H} seq | rnn {H} | dense {M} relu | dense {N} relu | dense 1",
        lambda s: [
            L.Embedding(s.V, s.E),
            L.SimpleRNN(s.H, return_sequences=True),
            L.SimpleRNN(s.H),
            L.Dense(s.M, activation="relu"),
            L.Dense(s.N, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ],
        published=AMAZON | of(E=64, H=128, M=32, N=100),
        small=of(V=20, T=12, E=4, H=5, M=4, N=6),
        optimizer="rmsprop",
    ),
    # 89 steps are the least that the two poolings leave enough of; 95 leave a remainder at both.
    "cnn": Row(
        "cnn",
        "embedding {E} | conv {F} 3 relu | batchnorm | maxpool 3 | conv {F} 5 relu | batchnorm | maxpool 5 | "
        "conv {F} 5 relu | max | dense {M} relu | dense 1",
        lambda s: [
            L.Embedding(s.V, s.E),
            L.Conv1D(s.F, 3, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling1D(3),
            L.Conv1D(s.F, 5, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling1D(5),
            L.Conv1D(s.F, 5, activation="relu"),
            L.GlobalMaxPooling1D(),
            L.Dense(s.M, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ],
        published=AMAZON | of(E=64, F=64, M=100),
        small=of(V=20, T=95, E=4, F=4, M=5),
        optimizer="rmsprop",
    ),
}

# 158 million weights: only counted at this size.
imdb = {
    "conv2d": Row(
        "conv2d",
        "onehot | conv2d {F} 5x3 relu | maxpool2d 2x2 | flatten | dense {M} relu | dense 1",
        lambda s: [
            L.Conv2D(s.F, (5, 3), activation="relu"),
            L.MaxPooling2D((2, 2)),
            L.Flatten(),
            L.Dense(s.M, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ],
        published=of(V=1000, T=888, F=6, M=120),
        small=of(V=12, T=11, F=3, M=8),
        optimizer="rmsprop",
        onehot=3,
    )
}

# 2,000 words, 10 of each sentence. The dropout is around the recurrent layer and in it.
KOREAN = of(V=2000, T=10, E=32, H=32, D=0.2)
korean_small = of(V=20, T=10, E=4, H=4, D=0)
korean = {
    "lstm": Row(
        "lstm",
        "embedding {E} | lstm {H} | dense 1",
        lambda s: [L.Embedding(s.V, s.E), L.LSTM(s.H), L.Dense(1, activation="sigmoid")],
        published=KOREAN,
        small=korean_small,
        optimizer="adam",
    ),
    "lstm_dropout": Row(
        "lstm_dropout",
        "embedding {E} | dropout {D} | lstm {H} dropout={D} recurrent_dropout={D} | dropout {D} | dense 1",
        lambda s: [
            L.Embedding(s.V, s.E),
            L.Dropout(s.D),
            L.LSTM(s.H, dropout=s.D, recurrent_dropout=s.D),
            L.Dropout(s.D),
            L.Dense(1, activation="sigmoid"),
        ],
        published=KOREAN,
        small=korean_small,
        optimizer="adam",
    ),
    "bilstm": Row(
        "bilstm",
        "embedding {E} | bilstm {H} | dense 1",
        lambda s: [L.Embedding(s.V, s.E), L.Bidirectional(L.LSTM(s.H)), L.Dense(1, activation="sigmoid")],
        published=KOREAN,
        small=korean_small,
        optimizer="adam",
    ),
}


def emoji_row(name, cell, E, optimizer, D=None):
    """Frozen word vectors, one recurrent layer of 128 (the publication does not count its units)."""
    dropout = "" if D is None else "dropout {D} | "
    return Row(
        name,
        "embedding {E} frozen | " + ("rnn" if cell is L.SimpleRNN else "lstm") + " {H} | " + dropout + "dense 5",
        lambda s: [
            L.Embedding(s.V, s.E, trainable=False),
            cell(s.H),
            *([] if D is None else [L.Dropout(s.D)]),
            L.Dense(5, activation="softmax"),
        ],
        published=of(V=314, T=10, E=E, H=128, D=D),
        small=of(V=14, T=10, E=4, H=3, D=0),
        optimizer=optimizer,
        classes=5,
    )


emoji = {
    "rnn_sgd": emoji_row("rnn_sgd", L.SimpleRNN, 50, "sgd"),
    "lstm_sgd": emoji_row("lstm_sgd", L.LSTM, 50, "sgd"),
    "lstm_adam": emoji_row("lstm_adam", L.LSTM, 50, "adam"),
    "lstm_sgd_100d": emoji_row("lstm_sgd_100d", L.LSTM, 100, "sgd"),
    "lstm_sgd_dropout": emoji_row("lstm_sgd_dropout", L.LSTM, 50, "sgd", D=0.7),
}

# One-hot words into the numpy network; an embedding as wide as the layer into the Keras one (its width is not told).
phrases = {
    "scratch": Row(
        "scratch",
        "onehot | rnn {H} | dense 2",
        lambda s: [L.SimpleRNN(s.H), L.Dense(2, activation="softmax")],
        published=of(V=25, T=15, H=128),
        small=of(V=12, T=15, H=5),
        optimizer="sgd",
        settings=of(learning_rate=0.02),
        onehot=2,
    ),
    "keras": Row(
        "keras",
        "embedding {E} | rnn {H} | dropout {D} | dense 2",
        lambda s: [L.Embedding(s.V, s.E), L.SimpleRNN(s.H), L.Dropout(s.D), L.Dense(2, activation="softmax")],
        published=of(V=25, T=15, E=32, H=32, D=0.3),
        small=of(V=20, T=15, E=4, H=5, D=0),
        optimizer="adam",
    ),
}

TINY = of(V=11, T=9, E=4, H=3)


def layers_row(name, line, layers, masked="", **changed):
    sizes = TINY | changed
    return Row(name, line, layers, sizes, sizes, "adam", classes=3, masked=masked)


def output():
    return L.Dense(3, activation="softmax")


# Layers that no published row has, and masks. No average with uneven "same" padding: Keras' torch backend then counts the edge
# more than once, which its other backends do not.
beside = {
    row.name: row
    for row in (
        layers_row(
            "masked_lstm",
            "embedding {E} | lstm {H} seq | lstm {H} | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E, mask_zero=True),
                L.LSTM(s.H, return_sequences=True),
                L.LSTM(s.H),
                output(),
            ],
            masked="post",
        ),
        layers_row(
            "masked_bilstm",
            "embedding {E} | bilstm {H} seq | birnn {H} sum | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E, mask_zero=True),
                L.Bidirectional(L.LSTM(s.H, return_sequences=True)),
                L.Bidirectional(L.SimpleRNN(s.H), merge_mode="sum"),
                output(),
            ],
            masked="pre",
        ),
        layers_row(
            "masked_gru",
            "embedding {E} | gru {H} seq | mean | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E, mask_zero=True),
                L.GRU(s.H, return_sequences=True),
                L.GlobalAveragePooling1D(),
                output(),
            ],
            masked="post",
        ),
        layers_row(
            "gru_before",
            "embedding {E} | gru {H} before seq | gru {H} before reverse | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E),
                L.GRU(s.H, return_sequences=True, reset_after=False),
                L.GRU(s.H, reset_after=False, go_backwards=True),
                output(),
            ],
        ),
        layers_row(
            "bigru",
            "embedding {E} | bigru {H} seq mean | bigru {H} | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E),
                L.Bidirectional(L.GRU(s.H, return_sequences=True), merge_mode="ave"),
                L.Bidirectional(L.GRU(s.H)),
                output(),
            ],
        ),
        layers_row(
            "conv_same",
            "embedding {E} | conv {H} 4 same stride=2 tanh | layernorm | maxpool 3 same | flatten | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E),
                L.Conv1D(s.H, 4, padding="same", strides=2, activation="tanh"),
                L.LayerNormalization(),
                L.MaxPooling1D(3, padding="same"),
                L.Flatten(),
                output(),
            ],
        ),
        layers_row(
            "conv_causal",
            "embedding {E} | spatial_dropout 0 | conv {H} 3 causal dilation=2 sigmoid | "
            "batchnorm momentum=0.9 epsilon=0.01 | avgpool 3 stride=2 | mean | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E),
                L.SpatialDropout1D(0),
                L.Conv1D(s.H, 3, padding="causal", dilation_rate=2, activation="sigmoid"),
                L.BatchNormalization(momentum=0.9, epsilon=0.01),
                L.AveragePooling1D(3, strides=2),
                L.GlobalAveragePooling1D(),
                output(),
            ],
        ),
        layers_row(
            "conv2d_same",
            "embedding {E} | conv2d 2 3x2 same stride=2x1 tanh | batchnorm | maxpool2d 2x3 stride=1x2 same | "
            "conv2d 2 2x2 tanh | flatten | dense 3",
            lambda s: [
                L.Embedding(s.V, s.E),
                L.Reshape((s.T, s.E, 1)),
                L.Conv2D(2, (3, 2), padding="same", strides=(2, 1), activation="tanh"),
                L.BatchNormalization(),
                L.MaxPooling2D((2, 3), strides=(1, 2), padding="same"),
                L.Conv2D(2, (2, 2), activation="tanh"),
                L.Flatten(),
                output(),
            ],
            E=6,
        ),
        layers_row(
            "penalties",
            "embedding {E} l2=0.01 | conv {H} 2 l1=0.01 max_norm=0.75 | lstm {H} l2=0.02 | "
            "dense 3 l1=0.005 l2=0.01 max_norm=1.5",
            lambda s: [
                L.Embedding(s.V, s.E, embeddings_regularizer=regularizers.L2(0.01)),
                L.Conv1D(
                    s.H,
                    2,
                    kernel_regularizer=regularizers.L1(0.01),
                    kernel_constraint=constraints.MaxNorm(0.75, axis=[0, 1]),
                ),
                L.LSTM(s.H, kernel_regularizer=regularizers.L2(0.02), recurrent_regularizer=regularizers.L2(0.02)),
                L.Dense(
                    3,
                    activation="softmax",
                    kernel_regularizer=regularizers.L1L2(0.005, 0.01),
                    kernel_constraint=constraints.MaxNorm(1.5),
                ),
            ],
        ),
    )
}

GROUPS = {"amazon": amazon, "imdb": imdb, "korean": korean, "emoji": emoji, "phrases": phrases, "layers": beside}
