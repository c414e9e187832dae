"""What Carousel's LSTM is measured against: PyTorch's nn.LSTM, which on a GPU is cuDNN.

A peer is built from the numbers that bench_lstm wrote, so that both sides compute the same, which `compare` sees to
before anything is timed. It is treated kindly: inputs lie on the device, ragged rows are sorted and packed before the
clock runs, and on a GPU a call is a replayed CUDA graph wherever it can be captured.
"""

import statistics
import time

import numpy
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

WARMUP = 3


class Refused(RuntimeError):
    """The two sides do not compute the same."""


def set_up(device, precision, threads):
    """Raises where PyTorch cannot use the device."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(torch.zeros(1, device=device).device)


def describe(device):
    words = [f"PyTorch {torch.__version__}"]
    if device.type == "cuda":
        version = torch.backends.cudnn.version()
        words += [torch.cuda.get_device_name(device), f"CUDA {torch.version.cuda}", f"cuDNN {version}",
                  f"TF32 {'on' if torch.backends.cudnn.allow_tf32 else 'off'}"]
    else:
        words += ["CPU", f"{torch.get_num_threads()} threads"]
    return ", ".join(words)


def read_numbers(path):
    """The arrays that bench_lstm wrote, flat, by name."""
    numbers = {}
    with open(path, "rb") as file:
        while heading := file.readline():
            name, kind, count = heading.decode().split()
            numbers[name] = numpy.frombuffer(file.read(int(count) * 4), kind).copy()
            if numbers[name].size != int(count):
                raise Refused(f"{path} is cut off in {name}")
    return numbers


# ---- comparing ----


def compare(name, got, want, tolerance):
    """Relative L2 error, both finite."""
    got, want = got.double().flatten().cpu(), want.double().flatten().cpu()
    if got.shape != want.shape:
        raise Refused(f"{name} has {got.numel()} numbers, PyTorch's {want.numel()}")
    if not (got.isfinite().all() and want.isfinite().all()):
        raise Refused(f"{name} is not finite")
    error = ((got - want).norm() / want.norm().clamp_min(1e-30)).item()
    if not error <= tolerance:
        raise Refused(f"{name} differs by {error:.2e} in relative L2, {tolerance:g} is allowed")
    return error


# ---- calling and timing ----


class Call:
    """A function as a CUDA graph where it can be captured, else as it is. After a failure no other function of the same
    kind is tried, since a failed capture may leave PyTorch in disorder."""

    failed = {}  # why, by kind

    def __init__(self, function, device, kind, graphs):
        self.function, self.device, self.kind, self.how = function, device, kind, "eager"
        for _ in range(WARMUP):
            function()
        if device.type == "cuda" and graphs and kind not in self.failed:
            self.capture()

    def capture(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(WARMUP):
                    self.function()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.kept = self.function()
        except RuntimeError as reason:
            torch.cuda.synchronize()
            self.failed[self.kind] = str(reason).splitlines()[0]
        else:
            self.graph, self.function, self.how = graph, graph.replay, "graph"

    def microseconds(self, count):
        self.wait()
        begin = time.perf_counter()
        for _ in range(count):
            self.function()
        self.wait()
        return (time.perf_counter() - begin) * 1e6

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure(calls, repetitions, milliseconds):
    """As bench_lstm does: medians by name, and of what the second call takes longer than the first as `backward`."""
    first = next(iter(calls.values()))
    many = 1
    for call in calls.values():
        for _ in range(WARMUP):
            call.function()
    while many < 1 << 20 and first.microseconds(many) < milliseconds * 1e3:
        many *= 2
    times = {name: [] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            times[name].append(call.microseconds(many) / many)
    if "both" in times:
        times["backward"] = [both - forward for both, forward in zip(times["both"], times["forward"])]
    return {name: statistics.median(values) for name, values in times.items()}


class Peer:
    def measure(self, repetitions, milliseconds):
        return measure(self.calls, repetitions, milliseconds)

    @property
    def how(self):
        return "/".join(sorted({call.how for call in self.calls.values()}))

    @property
    def notes(self):
        kinds = {call.kind for call in self.calls.values()}
        return {f"{kind} not captured as a graph: {Call.failed[kind]}" for kind in kinds if kind in Call.failed}


# ---- one layer ----


def load_lstm(lstm, weights, layer=0):
    """weights: W, R, b. PyTorch's second bias stays zero."""
    with torch.no_grad():
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih"), weights):
            parameter = getattr(lstm, f"{name}_l{layer}")
            parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))
        getattr(lstm, f"bias_hh_l{layer}").zero_()


class Layer(Peer):
    def __init__(self, case, numbers, device, tolerance, graphs):
        T, B, I, H = (case[letter] for letter in "TBIH")
        self.lstm = torch.nn.LSTM(I, H).to(device)
        load_lstm(self.lstm, [numbers[name] for name in ("W", "R", "b")])
        order = numpy.argsort(-numbers["len"], kind="stable")

        def packed(name, width):
            rows = torch.from_numpy(numbers[name]).reshape(T, B, width)[:, order]
            return pack_padded_sequence(rows, numbers["len"][order])

        x = packed("x", I)
        self.ragged, self.shape, self.batch_sizes = bool(case.get("ragged")), (T, B), x.batch_sizes
        self.x, self.dy = self.place(x.data, device).requires_grad_(), self.place(packed("dy", H).data, device)
        weights = [getattr(self.lstm, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih")]

        def forward():
            rows = PackedSequence(self.x, self.batch_sizes) if self.ragged else self.x
            y = self.lstm(rows)[0]
            return y.data if self.ragged else y

        def both():
            y = forward()
            return y, *torch.autograd.grad(y, [self.x, *weights], self.dy)

        results = dict(zip(("y", "dx", "dW", "dR", "db"), both()))
        wanted = {"y": packed("y", H).data, "dx": packed("dx", I).data, **{n: torch.from_numpy(numbers[n])
                                                                         for n in ("dW", "dR", "db")}}
        self.error = max(compare(name, wanted[name], value.detach(), tolerance) for name, value in results.items())
        kind = "packed layer" if self.ragged else "layer"
        self.calls = {name: Call(function, device, kind, graphs)
                      for name, function in (("forward", forward), ("both", both))}

    def place(self, values, device):
        """Packed rows of full length are the rows themselves."""
        return values.to(device) if self.ragged else values.reshape(*self.shape, -1).to(device)


def check_masked(case, numbers, device, tolerance):
    """A layer with a recurrent mask, which nn.LSTM lacks, against the formulas step by step in double."""
    T, B, I, H = (case[letter] for letter in "TBIH")

    def tensor(name, *shape):
        return torch.from_numpy(numbers[name]).to(device, torch.float64).reshape(shape)

    x, W, R, b = leaves = [tensor("x", T, B, I), tensor("W", 4 * H, I), tensor("R", 4 * H, H), tensor("b", 4 * H)]
    for leaf in leaves:
        leaf.requires_grad_()
    mask, lengths = tensor("mask", B, H), torch.from_numpy(numbers["len"]).to(device)
    h, c, y = torch.zeros_like(mask), torch.zeros_like(mask), []
    for t in range(T):
        i, f, g, o = (x[t] @ W.T + (h * mask) @ R.T + b).chunk(4, dim=1)
        live = (t < lengths)[:, None]
        c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h, c = torch.where(live, o.sigmoid() * c_next.tanh(), h), torch.where(live, c_next, c)
        y.append(h)
    y = torch.stack(y)
    wanted = [y.detach(), *torch.autograd.grad(y, leaves, tensor("dy", T, B, H))]
    return max(compare(name, torch.from_numpy(numbers[name]), want, tolerance)
               for name, want in zip(("y", "dx", "dW", "dR", "db"), wanted))


# ---- a training step ----


class Step(Peer, torch.nn.Module):
    """Embedding, stacked LSTM, dense, softmax cross-entropy, Adam: what network.c trains."""

    def __init__(self, case, numbers, device, tolerance, graphs):
        super().__init__()
        T, B, H, self.layers = case["T"], case["B"], case["H"], case["layers"]
        self.table = torch.nn.Embedding(case["V"], case["E"])
        self.lstm = torch.nn.LSTM(case["E"], H, num_layers=self.layers)
        self.dense = torch.nn.Linear(H, case["C"])
        order = numpy.argsort(-numbers["len"], kind="stable")
        self.lengths = torch.from_numpy(numbers["len"][order].astype("int64"))
        self.ragged = bool(case.get("ragged"))
        self.ids = torch.from_numpy(numbers["ids"].reshape(T, B)[:, order].astype("int64")).to(device)
        self.labels = torch.from_numpy(numbers["labels"][order].astype("int64")).to(device)
        self.load(numbers)
        self.to(device)
        self.check(numbers, tolerance)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-3, eps=1e-7, fused=True,
                                          capturable=device.type == "cuda")
        self.calls = {"step": Call(self.step, device, "packed step" if self.ragged else "step", graphs)}

    def own_tensors(self):
        """Carousel's name of every tensor and PyTorch's own."""
        last = self.layers + 1
        yield "layers.0.weight", self.table.weight
        for layer in range(self.layers):
            for name in ("weight_ih", "weight_hh", "bias_ih"):
                yield f"layers.{layer + 1}.{name}_l0", getattr(self.lstm, f"{name}_l{layer}")
        yield f"layers.{last}.weight", self.dense.weight
        yield f"layers.{last}.bias", self.dense.bias

    def load(self, numbers):
        with torch.no_grad():
            for name, parameter in self.own_tensors():
                parameter.copy_(torch.from_numpy(numbers[name]).reshape(parameter.shape))
            for layer in range(self.layers):
                getattr(self.lstm, f"bias_hh_l{layer}").zero_()

    def loss(self):
        x = self.table(self.ids)
        state = self.lstm(pack_padded_sequence(x, self.lengths) if self.ragged else x)[1][0]
        return torch.nn.functional.cross_entropy(self.dense(state[-1]), self.labels)

    def check(self, numbers, tolerance):
        loss = self.loss()
        loss.backward()
        self.error = compare("loss", torch.from_numpy(numbers["loss"]), loss.detach(), tolerance)
        for name, parameter in self.own_tensors():
            error = compare(f"gradient of {name}", torch.from_numpy(numbers[f"d:{name}"]), parameter.grad, tolerance)
            self.error = max(self.error, error)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss
