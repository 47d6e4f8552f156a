"""The number type: what it prints, its table, its file, and two of them together."""

import numpy as np
import pytest

from infodil import bounds
from infodil.checks import UserError
from infodil.entropy import entropy_bounds
from infodil.estimate import Bounds, Estimate
from infodil.mi import discrete_bounds

BITS = Estimate(1.5, 1.4, 1.6, 0.9, "lower bound", 4000, "gaussian", ("One.", "Two."))


def test_a_saved_estimate_is_the_same_when_loaded(tmp_path):
    assert Estimate.load(BITS.save(tmp_path / "bits.json")) == BITS
    not_a_number = Estimate(float("inf"), float("-inf"), float("inf"))
    assert Estimate.load(not_a_number.save(tmp_path / "wide.json")) == not_a_number


@pytest.mark.parametrize("content", ["", "[1]", '{"value": 1}', '{"warnings": [], "value_bits": 1}'])
def test_a_file_that_holds_no_estimate_is_refused(tmp_path, content):
    (tmp_path / "other.json").write_text(content)
    for name in ("other.json", "missing.json"):
        with pytest.raises(UserError, match=r"`path` .* holds no estimate"):
            Estimate.load(tmp_path / name)


def test_a_table_has_a_column_for_each_attribute():
    frame = BITS.to_frame()
    assert frame.loc[0, "value_bits"] == 1.5 and frame.loc[0, "warnings"] == "One. Two."
    assert len(Bounds(BITS, BITS).to_frame()) == 2


def test_two_bounds_are_a_pair_with_names():
    labels = np.arange(200) % 4
    for pair in (discrete_bounds(labels, labels), entropy_bounds(labels, alphabet=4)):
        lower, upper = pair
        assert (pair.lower, pair.upper) == (lower, upper) == (pair[0], pair[1])
        assert lower.kind == "lower bound" and upper.kind == "upper bound"


def test_draws_go_by_their_former_name_too():
    pair = np.array([[-1.0], [1.0]])
    assert bounds.genie(pair, 0.2, 0.3, samples=50) == bounds.genie(pair, 0.2, 0.3, draws=50)
