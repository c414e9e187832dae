"""JAX: the layers as compiled scans, on padded rows, which is what its users write; and on a GPU its LSTM of cuDNN's.
Dead steps copy the state through. Inputs lie on the device."""

import functools
import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the other sides need memory too

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy  # noqa: E402

on_gpu = False


def set_up(name):
    global on_gpu
    jax.config.update("jax_platforms", name)
    on_gpu = name == "cuda"
    try:
        jax.devices()
    except RuntimeError as why:
        raise SystemExit(f"JAX finds no such device: {why}".splitlines()[0]) from why


def describe():
    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}


# ---- a layer as a scan ----


def step_of(cell, weights, H):
    R = weights["R"]
    if cell == "lstm":
        def step(state, z):
            h, c = state
            i, f, g, o = jnp.split(z + h @ R.T, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return jax.nn.sigmoid(o) * jnp.tanh(c), c
    elif cell == "gru":
        def step(state, z):
            (h,), product = state, state[0] @ R.T + weights["b_hh"]
            r, u = jnp.split(jax.nn.sigmoid(z[:, :2 * H] + product[:, :2 * H]), 2, axis=-1)
            n = jnp.tanh(z[:, 2 * H:] + r * product[:, 2 * H:])
            return ((1 - u) * n + u * h,)
    else:
        def step(state, z):
            return (jnp.tanh(z + state[0] @ R.T),)
    return step


def layer(cell, weights, x, live, reverse):
    """x [T,B,I], live [T,B,1]; the products W x before the scan."""
    H = weights["R"].shape[1]
    step = step_of(cell, weights, H)
    zeros = jnp.zeros((x.shape[1], H), x.dtype)

    def scanned(state, inputs):
        z, alive = inputs
        after = step(state, z)
        state = tuple(jnp.where(alive, new, old) for new, old in zip(after, state))
        return state, state[0]

    first = (zeros, zeros) if cell == "lstm" else (zeros,)
    return jax.lax.scan(scanned, first, (x @ weights["W"].T + weights["b"], live), reverse=reverse)[1]


def stack(shape, live, x, weights):
    y = x
    for number in range(shape.layers):
        directions = weights[number * shape.directions:(number + 1) * shape.directions]
        y = jnp.concatenate([layer(shape.cell, one, y, live, bool(reverse))
                             for reverse, one in enumerate(directions)], axis=-1)
    return y


# ---- cuDNN's LSTM, batch first ----


def flatten(shape, weights):
    """In the order of cuDNN: the matrices of every layer's direction, then the two biases of each."""
    parts = [one[name].ravel() for one in weights for name in ("W", "R")]
    for one in weights:
        parts += [one["b"], jnp.zeros_like(one["b"])]
    return jnp.concatenate(parts)


def cudnn_stack(shape, lengths, x, weights):
    from jax.experimental import rnn

    state = jnp.zeros((shape.layers * shape.directions, shape.B, shape.H), x.dtype)
    precision = jax.lax.Precision.DEFAULT if shape.tf32 else jax.lax.Precision.HIGHEST
    y = rnn.lstm(jnp.swapaxes(x, 0, 1), state, state, flatten(shape, weights), lengths, shape.H, shape.H, shape.layers,
                 0.0, shape.directions == 2, precision)[0]
    return jnp.swapaxes(y, 0, 1)


# ---- a way to run it ----


class Way:
    def __init__(self, shape, numbers, function, rows):
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if shape.tf32 else "highest")
        self.live = jnp.arange(shape.T)[:, None, None] < jnp.asarray(numbers.len)[None, :, None]
        rows = self.live if rows is None else rows
        x, dy, weights = jnp.asarray(numbers.x), jnp.asarray(numbers.dy), jax.tree.map(jnp.asarray, numbers.weights)

        def run(x, weights):
            return function(shape, rows, x, weights)

        def run_whole(x, weights, dy):
            y, back = jax.vjp(run, x, weights)
            return y, *back(dy)

        # Forward keeps what backward needs, as the others' does.
        forward, whole = jax.jit(lambda x, weights: jax.vjp(run, x, weights)), jax.jit(run_whole)
        self.forward, self.whole = (lambda: self.keep(forward(x, weights))), (lambda: self.keep(whole(x, weights, dy)))
        self.kept = None
        self.whole()
        self.wait()

    def keep(self, outputs):
        self.kept = outputs
        return outputs

    def wait(self):
        jax.block_until_ready(self.kept)

    def results(self):
        y, dx, gradients = self.whole()
        live = numpy.asarray(self.live)
        return {"y": numpy.where(live, y, 0), "dx": numpy.where(live, dx, 0),
                "gradients": [{name: numpy.asarray(value) for name, value in one.items()} for one in gradients]}


def ways(shape, numbers):
    """Name and constructor."""
    yield "jit of a scan", functools.partial(Way, shape, numbers, stack, None)
    if on_gpu and shape.cell == "lstm":
        yield "cuDNN's LSTM", functools.partial(Way, shape, numbers, cudnn_stack, jnp.asarray(numbers.len))
