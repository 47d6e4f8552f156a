"""How the Gaussian reader learns: its curve, where that tends, and the length of the code it learns online."""

import math

import numpy as np
import pytest
import torch
from gaussian_cases import codebook, nothing, read, true_bits
from scipy.optimize import minimize_scalar

from infodil.probes import Gaussian
from infodil.probes.gaussian.learning_curve import extrapolate


def curve_of(seed, types=50, dim=16, noise=2.0, rows=6000, **options):
    train = codebook(rows, types, dim, noise, seed)
    return read(train, codebook(4096, types, dim, noise, seed + 500), curve=True, **options)


@pytest.mark.statistical
def test_the_curve_rises_and_its_extrapolation_is_nearer_the_truth():
    _, tokens, fit = codebook(40_000, 50, 16, 2.0, 11)
    truth, _ = true_bits(fit, tokens)
    nearer = 0
    for seed in range(10):
        (learning,) = curve_of(seed).learning
        assert learning.train_rows == (375, 750, 1500, 3000, 6000)
        assert list(learning.bits) == sorted(learning.bits)
        nearer += abs(learning.extrapolated_bits - truth) < abs(learning.bits[-1] - truth)
        assert abs(learning.extrapolated_bits - truth) < 0.2
    assert nearer >= 7


def test_random_labels_are_not_compressed():
    for seed in range(10):
        reader = read(nothing(3200, 12, seed), nothing(2000, 12, seed + 100), curve=True)
        (learning,) = reader.learning
        assert learning.compression_bits <= 0.0 and learning.online_code_bits >= 3.0 - 1e-6
        assert max(learning.bits) < 0.01


def test_the_curve_does_not_change_the_reader_nor_hang_on_the_chunks():
    train, held = codebook(3000, 20, 8, 1.0, 1), codebook(2000, 20, 8, 1.0, 2)
    plain, first, second = read(train, held), *(read(train, held, curve=True, chunk=chunk) for chunk in (3000, 129))
    assert plain.learning is None
    torch.testing.assert_close(plain.linear.weight, first.linear.weight, rtol=1e-3, atol=1e-4)
    assert first.learning[0].train_rows == second.learning[0].train_rows
    np.testing.assert_allclose(first.learning[0].bits, second.learning[0].bits, atol=1e-3)
    assert first.learning[0].online_code_bits == pytest.approx(second.learning[0].online_code_bits, abs=0.05)


def slow_solution(states, labels, classes, shrinkage):
    """Direction and offset of the discriminant, by loops, in float64."""
    rows, dim = states.shape
    counts = np.bincount(labels, minlength=classes)
    centre = states.mean(0)
    means = np.stack([states[labels == c].mean(0) - centre if counts[c] else np.zeros(dim) for c in range(classes)])
    left = states - centre - means[labels]
    within = left.T @ left / (rows - np.count_nonzero(counts))
    spread, axes = np.linalg.eigh(within)
    scale = np.square(states - centre).mean()
    whiten = axes / np.sqrt((1 - shrinkage) * spread + shrinkage * scale)
    white = means @ whiten
    for axis in range(dim):
        signal = max(0.0, (counts * white[:, axis] ** 2).sum() / rows - np.count_nonzero(counts) / rows)
        white[:, axis] *= counts * signal / (1 + counts * signal)
    return whiten @ white.T, -0.5 * np.square(white).sum(1) - centre @ whiten @ white.T


def slow_loss(evidence, labels, temperature):
    logits = temperature * evidence
    return float(np.mean(np.logaddexp.reduce(logits, 1) - logits[np.arange(len(labels)), labels]))


def test_the_code_is_that_of_refitting_from_scratch():
    types, rows = 12, 1600  # uniform prior; no block has more rows than are kept of one
    states, tokens, _ = codebook(rows, types, 6, 2.0, 3)
    held, known, _ = codebook(512, types, 6, 2.0, 4)
    (learning,) = read((states, tokens), (held, known), chunk=333, curve=True).learning
    states, tokens, held, known = (part.numpy().astype(float if part.is_floating_point() else int) for part in
                                   (states, tokens, held, known))  # fmt: skip

    def weighed(evidence):
        found = minimize_scalar(lambda t: slow_loss(evidence, known, t), bounds=(0, 20), method="bounded")
        return found.fun, found.x

    def trials(end, shrinkages):
        for shrinkage in shrinkages:
            direction, offset = slow_solution(states[:end], tokens[:end], types, shrinkage)
            yield shrinkage, direction, offset, held @ direction + offset

    best = min(trials(rows, Gaussian().shrinkages), key=lambda trial: weighed(trial[3])[0])
    shrinkage, (loss, temperature) = best[0], weighed(best[3])
    bits, code = [math.log2(types) - loss / math.log(2)], 100 * math.log2(types)
    for end in (800, 400, 200, 100):
        first = Gaussian().shrinkages.index(shrinkage)
        shrinkage, direction, offset, evidence = min(
            trials(end, Gaussian().shrinkages[first : first + 2]),
            key=lambda trial, temperature=temperature: slow_loss(trial[3], known, temperature),
        )
        loss, temperature = weighed(evidence)
        bits.append(math.log2(types) - loss / math.log(2))
        block = slice(end, 2 * end)
        code += end * slow_loss(states[block] @ direction + offset, tokens[block], temperature) / math.log(2)
    np.testing.assert_allclose(learning.bits, bits[::-1], atol=2e-3)
    assert learning.online_code_bits == pytest.approx(code / rows, abs=2e-3)
    assert learning.compression_bits == pytest.approx(math.log2(types) - code / rows, abs=2e-3)
    assert learning.compression_bits > 0.1


def test_a_target_counts_its_own_rows():
    states, tokens, _ = codebook(1600, 10, 6, 1.0, 1)
    held, known, _ = codebook(1000, 10, 6, 1.0, 2)
    labels = tokens.repeat(2, 1)
    labels[1, ::2] = -1
    reader = read((states, labels), (held, known.repeat(2, 1)), curve=True)
    first, second = (learning.train_rows for learning in reader.learning)
    assert first == (100, 200, 400, 800, 1600) and second == (50, 100, 200, 400, 800)


def test_extrapolation_finds_a_law_and_refuses_what_is_none():
    rows = np.array([100, 200, 400, 800, 1600])
    for exponent in (0.7, 1.0, 1.3):
        law = 4.0 - 60.0 * rows**-exponent
        assert extrapolate(rows.tolist(), law.tolist()) == pytest.approx(4.0, abs=0.1)
    assert extrapolate(rows.tolist(), (4.0 - 60.0 / rows).tolist(), most=3.99) == 3.99
    assert extrapolate([100, 200, 400], [1.0, 2.0, 2.5]) is None
    assert extrapolate(rows.tolist(), [1.0, 1.0, 1.0, 1.0, 1.0]) is None
    assert extrapolate(rows.tolist(), [2.0, 1.8, 1.6, 1.5, 1.2]) is None
    assert extrapolate(rows.tolist(), [1.0, 0.9, 1.3, 0.8, 1.01]) is None
