"""What bench_network wrote, and whether another side computes the same, before which nothing is timed."""

import numpy

# Relative L2 of logits, of the first loss and of every gradient (against PyTorch's in double); of the losses of the
# first training steps; and of what these change of a weight, the median over each tensor: a step of RMSprop is as large
# for a gradient that is all rounding as for any other, so that some weights always differ. A wrong rate, decay or
# epsilon makes most of them differ, and shows there, hardly in the losses.
TOLERANCE, LOSS_TOLERANCE, CHANGE_TOLERANCE = 1e-4, 1e-3, 0.05
TF32_TOLERANCE = 2e-2  # instead of the first, where a GPU rounds factors to ten bits of mantissa
SMALL = 256  # values of a tensor whose median says little: such are taken together


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


def compare(name, got, want, tolerance=None):
    """Relative L2 error, both finite."""
    tolerance = TOLERANCE if tolerance is None else tolerance
    got, want = (numpy.asarray(array, dtype="float64").ravel() for array in (got, want))
    if got.shape != want.shape:
        raise Refused(f"{name}: {got.size} numbers against Carousel's {want.size}")
    if not (numpy.isfinite(got).all() and numpy.isfinite(want).all()):
        raise Refused(f"{name} is not finite")
    error = float(numpy.linalg.norm(got - want) / max(numpy.linalg.norm(want), 1e-30))
    if not error <= tolerance:
        raise Refused(f"{name} differs by {error:.2e} in relative L2, {tolerance:g} is allowed")
    return error


def compare_changes(name, got, want):
    """Median error of the values that the training changed, relative to the change; all finite."""
    if got.shape != want.shape:
        raise Refused(f"{name}: {got.size} numbers against Carousel's {want.size}")
    changed = (got != 0) | (want != 0)
    if not (numpy.isfinite(got).all() and numpy.isfinite(want).all() and changed.any()):
        raise Refused(f"the change of {name} is not finite, or there is none")
    error = float(numpy.median(numpy.abs(got - want)[changed] / numpy.maximum(numpy.abs(want[changed]), 1e-30)))
    if not error <= CHANGE_TOLERANCE:
        raise Refused(f"the change of {name} differs by {error:.2e} in the median, {CHANGE_TOLERANCE:g} is allowed")
    return error


def compare_training(losses, weights, case, first):
    """Losses of the first steps, and weights after them, by name, as they lie in Carousel's memory."""
    compare("the losses of the first steps", losses, case["losses"], LOSS_TOLERANCE)
    trained, small = read_numbers(case["trained"]), {}
    error = 0.0
    for name in trained:
        changes = weights[name].ravel() - first[name], trained[name] - first[name]
        if trained[name].size < SMALL:
            small[name] = changes
        else:
            error = max(error, compare_changes(name, *changes))
    return max(error, compare_changes(", ".join(small), *map(numpy.concatenate, zip(*small.values()))))
