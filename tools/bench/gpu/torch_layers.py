"""PyTorch's recurrent layers, which on a GPU are cuDNN's: rows packed and padded, called as they are and as CUDA graphs.
Inputs lie on the device, and rows are packed before the clock runs. The second bias of LSTM and RNN stays zero."""

import functools

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

WARM_UP = 3
NAMES = {"W": "weight_ih", "R": "weight_hh", "b": "bias_ih", "b_hh": "bias_hh"}

device = torch.device("cpu")


def set_up(name):
    global device
    if name == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU")
    device = torch.device(name)
    torch.manual_seed(1)


def describe():
    words = {"torch": torch.__version__, "device": device.type}
    if device.type == "cuda":
        words |= {"gpu": torch.cuda.get_device_name(), "CUDA": torch.version.cuda,
                  "cuDNN": torch.backends.cudnn.version()}
    return words


def build(shape, numbers):
    """The module, and of every layer's direction the parameters that are trained, by Carousel's names."""
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[shape.cell]
    module = kind(shape.H, shape.H, num_layers=shape.layers, bidirectional=shape.directions == 2)
    trained = []
    with torch.no_grad():
        for weights, (layer, direction, _) in zip(numbers.weights, shape.stacked(), strict=True):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            getattr(module, "bias_hh" + suffix).zero_()
            for name, value in weights.items():
                getattr(module, NAMES[name] + suffix).copy_(torch.from_numpy(value))
            trained.append({name: NAMES[name] + suffix for name in weights})
    module.to(device)
    return module, [{name: getattr(module, own) for name, own in names.items()} for names in trained]


class Way:
    def __init__(self, shape, numbers, packed):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = shape.tf32
        self.shape, self.packed, self.len = shape, packed, torch.from_numpy(numbers.len.astype("int64"))
        self.live = torch.arange(shape.T)[:, None, None] < self.len[:, None]
        self.module, self.trained = build(shape, numbers)
        x, dy = torch.from_numpy(numbers.x), torch.from_numpy(numbers.dy)
        if packed:
            rows = pack_padded_sequence(x, self.len)
            self.sizes, x, dy = rows.batch_sizes, rows.data, pack_padded_sequence(dy, self.len).data
        self.x, self.dy = x.to(device).requires_grad_(), dy.to(device)
        self.leaves = [self.x] + [parameter for names in self.trained for parameter in names.values()]
        self.forward, self.whole = self.queue_forward, self.queue_whole
        for _ in range(WARM_UP):
            self.queue_whole()
        self.wait()

    def queue_forward(self):
        y = self.module(PackedSequence(self.x, self.sizes) if self.packed else self.x)[0]
        return y.data if self.packed else y

    def queue_whole(self):
        y = self.queue_forward()
        return y, *torch.autograd.grad(y, self.leaves, self.dy)

    def wait(self):
        if device.type == "cuda":
            torch.cuda.synchronize()

    def padded(self, values):
        values = values.detach()
        if self.packed:
            values = pad_packed_sequence(PackedSequence(values, self.sizes), total_length=self.shape.T)[0]
        return torch.where(self.live, values.cpu(), torch.zeros(())).numpy()

    def in_shape(self, y, dx, *gradients):
        gradients = iter(gradients)
        return {"y": self.padded(y), "dx": self.padded(dx),
                "gradients": [{name: next(gradients).cpu().numpy() for name in names} for names in self.trained]}

    def results(self):
        return self.in_shape(*self.queue_whole())


class Graph(Way):
    """The same calls, captured once and replayed."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        _, self.forward = self.capture(self.queue_forward)
        self.captured, self.whole = self.capture(self.queue_whole)

    def capture(self, function):
        """What the replayed calls write, and the replay."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            function()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = function()
        return outputs, graph.replay

    def results(self):
        self.whole()
        self.wait()
        return self.in_shape(*self.captured)


def ways(shape, numbers):
    """Name and constructor. Padded rows of two directions would be read from the padding on, which is another result."""
    layouts = [("padded", False)] if not shape.ragged else [("packed", True)]
    if shape.ragged and shape.directions == 1:
        layouts.append(("padded", False))
    for name, packed in layouts:
        yield f"{name}, eager", functools.partial(Way, shape, numbers, packed)
        if device.type == "cuda":
            yield f"{name}, graph", functools.partial(Graph, shape, numbers, packed)
