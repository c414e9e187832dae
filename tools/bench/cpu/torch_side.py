"""PyTorch's side: the network of a model line from torch.nn, with the weights of bench_network, in the ways that may be
the fastest; the fastest is what is measured. A bias of a recurrent layer is one, as in Keras: the second stays zero."""

import itertools
import sys

import numpy
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import checking
from lines import known, parts_of

device = torch.device("cpu")

# ---- layers, on [T,B,F] or with batch_first [B,T,F] ----


class Recurrent:
    """The parameters lie in the torch module mixed in. PackedSequence in and, with `seq`, out."""

    seq = False

    def forward(self, x):
        outputs, state = super().forward(x)
        if self.seq:
            return outputs
        last = state[0] if isinstance(state, tuple) else state
        return torch.cat([last[0], last[1]], 1) if self.bidirectional else last[0]


class Lstm(Recurrent, nn.LSTM):
    pass


class Gru(Recurrent, nn.GRU):
    pass


class Rnn(Recurrent, nn.RNN):
    pass


class Conv(nn.Conv1d):
    """`plain`: along the last axis of [B,F,T]. Else as a picture of height 1 whose channels lie innermost, which is how
    [B,T,F] lies in memory already."""

    plain, relu = True, False

    def forward(self, x):
        x = x.transpose(1, 2)
        if self.plain:
            y = super().forward(x).transpose(1, 2)
        else:
            kernel = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
            y = nn.functional.conv2d(x.unsqueeze(2), kernel, self.bias).squeeze(2).transpose(1, 2)
        return torch.relu(y) if self.relu else y


class BatchNorm(nn.BatchNorm1d):
    """Of [B,T,F], as Keras sets it."""

    def __init__(self, features):
        super().__init__(features, eps=1e-3, momentum=0.01)

    def forward(self, x):
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class MaxPool(nn.MaxPool1d):
    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Max(nn.Module):
    def forward(self, x):
        return x.amax(1)


class Dense(nn.Linear):
    relu = False

    def forward(self, x):
        y = super().forward(x)
        return torch.relu(y) if self.relu else y


def build_layer(part, width, batch_first, plain):
    """A layer and the features behind it."""
    number = part.numbers[0] if part.numbers else None
    if part.cell in ("lstm", "gru", "rnn"):
        known(part, "seq")
        kind = {"lstm": Lstm, "gru": Gru, "rnn": Rnn}[part.cell]
        layer = kind(width, number, bidirectional=part.both, batch_first=batch_first)
        layer.seq = "seq" in part.words
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(part.cell == "gru" or not name.startswith("bias_hh"))
        return layer, number * (2 if part.both else 1)
    if part.kind == "conv":
        known(part, "relu")
        layer = Conv(width, number, part.numbers[1])
        layer.plain, layer.relu = plain, "relu" in part.words
        return layer, number
    if part.kind == "dense":
        known(part, "relu")
        layer = Dense(width, number)
        layer.relu = "relu" in part.words
        return layer, number
    known(part)
    return {"batchnorm": lambda: BatchNorm(width), "maxpool": lambda: MaxPool(number), "max": Max}[part.kind](), width


class Network(nn.Module):
    """ids [T,B], or with batch_first [B,T], to logits [B,C]; lengths, falling, where padding is skipped."""

    def __init__(self, line, vocabulary, batch_first, plain):
        super().__init__()
        first, *others = parts_of(line)
        width = first.numbers[0]
        self.layers = nn.ModuleList([nn.Embedding(vocabulary, width)])
        self.batch_first = batch_first
        for part in others:
            layer, width = build_layer(part, width, batch_first, plain)
            self.layers.append(layer)

    def forward(self, ids, lengths=None):
        x = self.layers[0](ids)
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=self.batch_first)
        for layer in self.layers[1:]:
            x = layer(x)
        return x

    @torch.no_grad()
    def load(self, numbers):
        for name, tensor in self.state_dict().items():
            if name in numbers:
                value = torch.from_numpy(numbers[name])
                if tensor.dim() == 3:  # a convolution's kernel lies as [O,taps,I] in Carousel's memory
                    value = value.reshape(tensor.shape[0], tensor.shape[2], tensor.shape[1]).transpose(1, 2)
                tensor.copy_(value.reshape(tensor.shape))
            elif name.split(".")[-1].startswith("bias_hh") or name.endswith("num_batches_tracked"):
                tensor.zero_()
            else:
                raise checking.Refused(f"Carousel has no {name}")

    def own(self, tensor_of):
        """A tensor of every weight that is trained, by name, as it lies in Carousel's memory."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                tensor = tensor_of(parameter).detach()
                yield name, (tensor.transpose(1, 2) if tensor.dim() == 3 else tensor).cpu().numpy()

    def own_gradients(self):
        return self.own(lambda parameter: parameter.grad)

    def own_weights(self):
        return self.own(lambda parameter: parameter)


# ---- a way to run it ----


class Way:
    def __init__(self, case, numbers, batch_first, plain, foreach):
        names = ["batch first" if batch_first else "time first"]
        names += [] if plain else ["channels last"]
        self.name = ", ".join(names + (["foreach"] if foreach else []))
        self.network, self.foreach = Network(case["line"], case["V"], batch_first, plain).to(device), foreach
        self.numbers, self.batches, self.next = numbers, list(self.cut(case, numbers, batch_first)), 0
        self.restart()

    @staticmethod
    def cut(case, numbers, batch_first):
        """Batches; rows that are packed are sorted by length before the clock runs."""
        shape = case["batches"], case["T"], case["B"]
        for ids, len_, labels in zip(numbers["ids"].reshape(shape), numbers["len"].reshape(shape[0], -1),
                                     numbers["labels"].reshape(shape[0], -1)):
            order = numpy.argsort(-len_, kind="stable") if case["ragged"] else numpy.arange(len(len_))
            ids = numpy.ascontiguousarray(ids[:, order].T if batch_first else ids[:, order]).astype("int64")
            lengths = torch.from_numpy(len_[order].astype("int64")) if case["ragged"] else None
            labels = torch.from_numpy(labels[order].astype("float32"))
            yield torch.from_numpy(ids).to(device), lengths, labels.to(device), order

    def restart(self):
        self.network.load(self.numbers)
        self.next = 0
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.RMSprop(trained, lr=1e-4, alpha=0.9, eps=1e-15, foreach=self.foreach,
                                             capturable=device.type == "cuda")

    def batch(self):
        batch = self.batches[self.next]
        self.next = (self.next + 1) % len(self.batches)
        return batch

    def loss(self):
        ids, lengths, labels, _ = self.batch()
        logits = self.network(ids, lengths)[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))

    def train(self):
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss

    def predict(self):
        self.network.eval()
        with torch.inference_mode():
            ids, lengths, _, order = self.batch()
            return self.network(ids, lengths), order

    def check(self, case):
        """Errors of the logits, and of what the first training steps make of the weights."""
        got, order = self.predict()
        error = checking.compare("the logits", got.cpu(), self.numbers["logits"].reshape(got.shape)[order])
        self.restart()
        if case["what"] == "predict":
            return error, 0.0
        told = [self.train().item() for _ in case["losses"]]
        drift = checking.compare_training(told, dict(self.network.own_weights()), case, self.numbers)
        self.restart()
        return error, drift

    def check_gradients(self):
        """Of loss and gradients. In double: in single precision a maximum of two that are nearly alike may go the other
        way here, and a gradient with it, though both sides are right."""
        self.network.double().train()
        loss = self.loss()
        loss.backward()
        error = checking.compare("the loss", loss.item(), self.numbers["loss"])
        for name, gradient in self.network.own_gradients():
            error = max(error, checking.compare(f"the gradient of {name}", gradient, self.numbers[f"d:{name}"]))
        return error


class Captured(Way):
    """Every batch's training step as a CUDA graph. What RMSprop remembers is cleared where it lies."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.name += ", graph"
        self.graphs, self.losses = [], []
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # RMSprop's memory has to be there before the capture
                super().train()
        torch.cuda.current_stream().wait_stream(side)
        self.next = 0
        for _ in self.batches:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.losses.append(super().train())
            self.graphs.append(graph)
        self.restart()

    @torch.no_grad()
    def restart(self):
        if not getattr(self, "graphs", None):
            super().restart()
            return
        self.network.load(self.numbers)
        self.next = 0
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()

    def train(self):
        self.graphs[self.next].replay()
        loss = self.losses[self.next]
        self.next = (self.next + 1) % len(self.batches)
        return loss


def capture(case, numbers, settings):
    if case["what"] != "train" or device.type != "cuda":
        return None
    try:
        return Captured(case, numbers, *settings)
    except RuntimeError as why:
        print(f"{case['name']}: PyTorch's step is not captured as a graph: {why}", file=sys.stderr)
        return None


def ways(case, numbers):
    """Every way that may be the fastest."""
    convolves = "conv" in case["line"]
    orders = [True] if convolves else [False, True]
    if case["what"] == "train":
        Way(case, numbers, orders[0], True, False).check_gradients()
    foreach = [False, True] if case["what"] == "train" else [False]
    for settings in itertools.product(orders, [True, False] if convolves else [True], foreach):
        yield Way(case, numbers, *settings)
        if captured := capture(case, numbers, settings):
            yield captured


def use_gpu(tf32):
    global device
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU")
    device = torch.device("cuda")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize()


def describe():
    if device.type == "cuda":
        return {"torch": torch.__version__, "gpu": torch.cuda.get_device_name(),
                "cuDNN": torch.backends.cudnn.version(), "TF32": torch.backends.cudnn.allow_tf32}
    return {"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
            "oneDNN": torch.backends.mkldnn.is_available(), "threads": torch.get_num_threads()}


def set_up(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
