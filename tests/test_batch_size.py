"""Figures do not depend on how many documents are encoded at once."""

import numpy as np
import pytest
import torch

from infodil import recoverability
from infodil.encoders import CombinedEncoder, TraceEncoder, gru
from infodil.sources import markov

TYPES = 6


@pytest.fixture(scope="module")
def tokens():
    """Documents of many lengths."""
    chain = markov(vocabulary=TYPES, documents=120, tokens=40, concentration=0.5, seed=3).tokens
    lengths = np.random.default_rng(0).integers(5, 41, len(chain))
    return [row[:length] for row, length in zip(chain, lengths, strict=True)]


@pytest.mark.statistical
@pytest.mark.parametrize("precision", ["float32", "int8", "snr=20dB"])
def test_bits_do_not_depend_on_the_batch_size(tokens, precision):
    encoder = CombinedEncoder({"trace": TraceEncoder(TYPES, (0.3,), dim=4), "gru": gru(TYPES, 8)})
    options = {"lags": [0, 1, 3], "probes": ["gaussian", "linear"], "precision": precision, "progress": False}
    reports = [recoverability(encoder, tokens, batch_size=size, **options) for size in (16, 1, 5, 200)]
    columns = ("value_bits", "low_bits", "high_bits", "shuffled_bits", "random_weights_bits", "upper_bits")
    for other in reports[1:]:
        for row, expected in zip(other.rows, reports[0].rows, strict=True):
            for column in columns:
                if expected[column] is not None:
                    # Matrix products of other shapes round otherwise, and training carries that on.
                    assert row[column] == pytest.approx(expected[column], abs=2e-3), (column, row["site"], row["lag"])


@pytest.mark.statistical
def test_no_more_is_encoded_at_once_than_was_asked_for(tokens):
    sizes = []

    class Counting(TraceEncoder):
        def encode(self, batch):
            sizes.append(tuple(batch.shape))
            return super().encode(batch)

    recoverability(
        Counting(TYPES, (0.3,), dim=4), tokens, batch_size=2, lags=[0], probes="gaussian", controls=False,
        progress=False,
    )  # fmt: skip
    longest = max(map(len, tokens))
    measured = [shape for shape in sizes if shape[0] != 3]  # the self-test has three documents
    assert measured and max(documents * length for documents, length in measured) <= 2 * 512
    assert torch.tensor(sizes)[:, 1].max() == longest
