"""The size of a state, counted from its tensors, and what it holds for its size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import infodil
from infodil.encoders import Encoder
from infodil.measure.size import effective_rank
from infodil.sources import iid

TYPES = 8


class OneHot(Encoder):
    """The newest token, one of eight numbers, in a given type; copies of it add numbers and no rank."""

    vocabulary, sites, costly = TYPES, ("state",), False

    def __init__(self, dtype=torch.float32, copies=1):
        self.dtype, self.copies = dtype, copies

    def encode(self, tokens):
        return {"state": torch.nn.functional.one_hot(tokens, TYPES).to(self.dtype).repeat(1, 1, self.copies)}


def summary(encoder, **options):
    source = iid(TYPES, documents=60, tokens=40, seed=0)
    report = infodil.recoverability(
        encoder, source, lags=[0, 1], probes="gaussian", controls=False, progress=False, **options
    )
    return report, report.summary[0]


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 32), (torch.bfloat16, 16), (torch.float64, 64)])
def test_numbers_and_stored_bits_are_those_of_the_tensors(dtype, bits):
    report, row = summary(OneHot(dtype))
    assert row["dim"] == TYPES and row["stored_bits"] == TYPES * bits
    assert row["bits_per_number"] == pytest.approx(row["whole_past_bits"] / TYPES)
    assert row["bits_per_stored_bit"] == pytest.approx(row["whole_past_bits"] / (TYPES * bits))
    first = report.to_frame().iloc[0]
    assert first["bits_per_number"] == pytest.approx(first["value_bits"] / TYPES)
    # Eight one-hot numbers sum to one: seven directions, nearly alike.
    assert 6.9 < row["effective_rank"] <= 7.0 + 1e-6 and row["effective_rank_of"] == "state"


@pytest.mark.statistical
def test_copies_add_numbers_and_no_rank():
    _, once = summary(OneHot())
    _, twice = summary(OneHot(copies=2))
    assert twice["dim"] == 2 * once["dim"]
    assert twice["effective_rank"] == pytest.approx(once["effective_rank"], rel=1e-3)
    assert twice["bits_per_number"] == pytest.approx(once["bits_per_number"] / 2, rel=0.02)


def test_the_rank_of_a_sketched_state_is_that_of_its_sketch(tmp_path):
    report, row = summary(OneHot(copies=4), sketch_dims=16)
    assert row["stored_bits"] == 4 * TYPES * 32 and row["effective_rank_of"] == "sketch"
    assert "effective rank of its sketch" in str(report).replace("\n", " ")
    assert "of the sketch" in report.to_html(tmp_path / "page.html").read_text()


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12), st.floats(0.01, 100.0))
def test_effective_rank_is_between_one_and_the_rank_at_any_scale(values, scale):
    spectrum = torch.tensor(values, dtype=torch.float64)
    rank = effective_rank(torch.cat([spectrum, torch.zeros(3, dtype=torch.float64)]))
    assert 1.0 - 1e-9 <= rank <= len(values) + 1e-9
    assert effective_rank(scale * spectrum) == pytest.approx(rank, rel=1e-9)


def test_states_that_never_change_have_no_rank():
    assert effective_rank(torch.zeros(4)) == 0.0
