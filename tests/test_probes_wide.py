"""States of more numbers than there are training rows: the same solution, found in the span of the rows."""

import pytest
import torch
from gaussian_cases import plain_classes
from torch.utils._python_dispatch import TorchDispatchMode

from infodil.probes import PROBES, Calibration, ProbeSpec
from infodil.probes.gaussian.class_sums import ClassSums
from infodil.probes.gaussian.discriminant import Discriminant


def rows_of(number, dim, classes=5, seed=0):
    """States that carry a code of their class and of the one before, in noise; nested labels of both."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(classes, dim, generator=torch.Generator().manual_seed(9)) / dim**0.5
    labels = torch.randint(classes, (2, number), generator=generator)
    states = 3.0 * codes[labels[0]] + 2.0 * codes[labels[1]] + 0.3 * torch.randn(number, dim, generator=generator)
    labels[1, : number // 10] = -1
    return states, labels


def embedded(states, dim):
    """The states in as many numbers, of which no two vary independently beyond the old ones."""
    generator = torch.Generator().manual_seed(5)
    return states @ torch.linalg.qr(torch.randn(dim, states.shape[1], generator=generator)).Q.T


@pytest.mark.parametrize("shrinkage", [1e-3, 0.1])
def test_the_discriminant_in_the_span_is_the_discriminant(shrinkage):
    states, labels = rows_of(60, 20)
    states, others = embedded(states, 90), embedded(rows_of(50, 20, seed=1)[0], 90)
    sums = ClassSums(90, 2, 5)
    for part in (slice(0, 13), slice(13, 60)):
        sums.update(states[part], labels[:, part])
    inside, basis = sums.reduced
    assert basis.shape == (90, 60) and torch.allclose(basis.T @ basis, torch.eye(60), atol=1e-5)
    for target in range(2):
        direction, offset = Discriminant(sums.compute(target)).shrunk(shrinkage)
        found, moved = Discriminant(inside.compute(target)).shrunk(shrinkage)
        expected = others @ direction + offset
        torch.testing.assert_close(
            others @ basis @ found + moved, expected, rtol=1e-3, atol=1e-3 * float(expected.std())
        )


def test_rows_as_many_as_dims_are_not_reduced():
    states, labels = rows_of(70, 70)
    sums = ClassSums(70, 2, 5)
    sums.update(states, labels)
    assert sums.reduced == (sums, None)


def spec_of(dim, rows):
    return ProbeSpec(dim, 2, plain_classes(5), rows, torch.device("cpu"), seed=0, learning_curve=True)


def fitted(name, spec, states, labels, held_out, base=None):
    fit = PROBES[name].start_fit(spec, base)
    for _ in range(fit.passes):
        fit.update(states, labels)
        fit.end_pass(Calibration(*held_out))
    return fit


def test_every_probe_reads_in_the_span_what_it_reads_in_all_numbers(monkeypatch):
    rows, held_out, (test, test_labels) = rows_of(200, 30), rows_of(400, 30, seed=1), rows_of(400, 30, seed=2)
    (states, labels), held_out = (embedded(rows[0], 240), rows[1]), (embedded(held_out[0], 240), held_out[1])
    losses = []
    for reduced in (True, False):
        if not reduced:
            monkeypatch.setattr(ClassSums, "reduced", property(lambda sums: (sums, None)))
        fit, found = None, []
        for name in ("gaussian", "linear", "mlp"):
            fit = fitted(name, spec_of(240, 200), states, labels, held_out, fit)
            base, scores = fit.spec.classes.class_log_prior, fit.scores(fit.prepare(embedded(test, 240)), 0)
            found.append(float(torch.nn.functional.cross_entropy(base + fit.temperatures[0] * scores, test_labels[0])))
        losses.append(found)
    assert max(losses[0]) < 0.8 * torch.log(torch.tensor(5.0))
    assert losses[0] == pytest.approx(losses[1], abs=0.03)


class LargestTensor(TorchDispatchMode):
    """The most numbers of any tensor that is made."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found = function(*arguments, **(options or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, torch.Tensor) and not each.is_sparse_csr:
                self.numbers = max(self.numbers, each.numel())
        return found


def test_nothing_is_quadratic_in_numbers_beyond_the_rows():
    rows, dim = 80, 900
    states, labels = rows_of(rows, dim)
    with LargestTensor() as largest:
        gaussian = fitted("gaussian", spec_of(dim, rows), states, labels, rows_of(60, dim, seed=1))
        fitted("linear", spec_of(dim, rows), states, labels, rows_of(60, dim, seed=1), gaussian)
    assert largest.numbers <= 1.1 * rows * dim
