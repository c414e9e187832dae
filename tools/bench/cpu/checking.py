"""What bench_network wrote, and whether another side computes the same. Nothing is timed before that."""

import numpy

# Relative L2 of logits, of the first loss and of every gradient; and of the losses over the first training steps, which
# drift apart more, since a step of RMSprop is as large for a gradient that is all rounding as for any other.
TOLERANCE, LOSS_TOLERANCE = 1e-3, 1e-3


class Refused(RuntimeError):
    """The two sides do not compute the same."""


def read_numbers(path):
    """The arrays that bench_network wrote, flat, by name."""
    numbers = {}
    with open(path, "rb") as file:
        while heading := file.readline():
            name, kind, count = heading.decode().split()
            numbers[name] = numpy.frombuffer(file.read(int(count) * 4), kind).copy()
            if numbers[name].size != int(count):
                raise Refused(f"{path} is cut off in {name}")
    return numbers


def compare(name, got, want, tolerance=TOLERANCE):
    """Relative L2 error, both finite."""
    got, want = (numpy.asarray(array, dtype="float64").ravel() for array in (got, want))
    if got.shape != want.shape:
        raise Refused(f"{name}: {got.size} numbers against Carousel's {want.size}")
    if not (numpy.isfinite(got).all() and numpy.isfinite(want).all()):
        raise Refused(f"{name} is not finite")
    error = float(numpy.linalg.norm(got - want) / max(numpy.linalg.norm(want), 1e-30))
    if not error <= tolerance:
        raise Refused(f"{name} differs by {error:.2e} in relative L2, {tolerance:g} is allowed")
    return error


def compare_losses(got, want):
    return compare("the losses of the first steps", got, want, LOSS_TOLERANCE)
