"""One engine: rows of a stream and rows in memory are fitted, calibrated and selected alike; sums merge."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import infodil
from infodil.encoders import Encoder
from infodil.estimate import BITS_PER_NAT
from infodil.ladder import choose_probe, cross_fit
from infodil.measure.accumulators import Cells, EntrySums, ScoreSums
from infodil.sources import iid

TYPES, DIM = 8, 3


class Blurred(Encoder):
    """A vector of the newest token, and half of the vector of the one before it in its way."""

    vocabulary, sites, costly = TYPES, ("blurred",), False

    def __init__(self):
        self.vectors = torch.randn(TYPES, DIM, generator=torch.Generator().manual_seed(3))

    def encode(self, tokens):
        vectors = self.vectors[tokens]
        before = torch.cat([torch.zeros_like(vectors[:, :1]), vectors[:, :-1]], 1)
        return {"blurred": vectors + 0.8 * before.roll(1, 2)}


@pytest.mark.statistical
@pytest.mark.parametrize("probe", ["prior", "gaussian", "linear"])
def test_recoverability_and_lower_bound_agree_to_rounding(probe):
    encoder, documents = Blurred(), iid(TYPES, documents=100, tokens=60, distribution="zipf", seed=2).tokens
    # One batch is the whole training split, so that both train on the same rows in the same steps.
    options = {"lags": [0], "probes": probe, "batch_size": 100, "controls": False, "progress": False}
    report = infodil.recoverability(encoder, documents, **options)
    (row,) = report.rows
    with infodil.load_corpus(documents, vocabulary=TYPES).tokenize() as corpus:
        splits = [corpus.splits[name] for name in ("train", "calibration", "test")]
        tokens = np.concatenate([split.tokens for split in splits]).astype(np.int64)
        sequences = [
            split.tokens[i : i + n] for split in splits for i, n in zip(split.starts, split.lengths, strict=True)
        ]
        encoded = [encoder.encode(torch.from_numpy(each.astype(np.int64))[None])["blurred"][0] for each in sequences]
        states = torch.cat(encoded)
    edges = np.cumsum([0, *(len(split.tokens) for split in splits)])
    fold = tuple(np.arange(*ends) for ends in pairwise(edges))
    with torch.no_grad():
        predicted = cross_fit(tokens, states, [fold], choose_probe(probe), seed=0)
    assert predicted.certified_nats.mean() * BITS_PER_NAT == pytest.approx(row["value_bits"], abs=1e-6)
    assert len(predicted.rows) == row["samples"]
    if probe != "prior":
        assert row["value_bits"] > 1.0


def test_sums_of_parts_merge_to_the_sums_of_all():
    generator = np.random.default_rng(0)
    whole, halves = ScoreSums.zeros(2, 3, 2, 5), [ScoreSums.zeros(2, 3, 2, 5) for _ in range(2)]
    for number in range(6):
        cells = Cells(generator.integers(2, size=40), generator.integers(5, size=40))
        rows = {"count": np.ones(40), "prior": generator.normal(size=40)}
        scores = {"probe": generator.normal(size=40), "top1": generator.uniform(size=40)}
        for sums in (whole, halves[number % 2]):
            sums.update_rows(number % 3, cells, rows, np.arange(10))
            sums.update_probe(number % 2, number % 3, cells, scores)
    halves[0].merge(halves[1])
    chosen = np.array([[0, 1, 1], [1, 1, 0]]), np.array([False, True]), np.array([False, True])
    for merged, direct in zip(halves[0].compute(*chosen), whole.compute(*chosen), strict=True):
        for part in ("probe", "rows", "whole"):
            for term, values in getattr(direct, part).items():
                np.testing.assert_allclose(getattr(merged, part)[term], values, atol=1e-12)
    direct = EntrySums.together(whole.compute(*chosen))
    # Of a probe that reads the subsample, the rows are those of the subsample.
    assert direct.rows["count"][0].sum() == 2 * 40 + 2 * 2 * 10
