"""Results have one manner: a frame, a plot that shows itself, and a file that gives them back."""

import math

import numpy as np
import pytest

from infodil.bounds import distinct_states
from infodil.checks import UserError
from infodil.estimate import Estimate
from infodil.lm import TextLoss
from infodil.processing import ChainCheck, GapDecomposition, Link, PredictorAblation, compare_losses


def estimate(value, kind="lower bound"):
    return Estimate(value, value - 0.1, value + 0.1, kind=kind, samples=100, method="gaussian", warnings=("rough",))


def text_loss(seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 20, 30)
    return TextLoss(tokens * rng.uniform(3, 4, 30), tokens, None if seed else 4 * tokens)


def chain():
    links = tuple(
        Link(f"stage {place}", f"stage {place + 1}", verdict, estimate(-0.2, "estimate"), None)
        for place, verdict in enumerate(("holds", "cannot be told", "violated by more than its uncertainty"))
    )
    bits = [estimate(value) for value in (3.0, 2.0, 2.1, 2.6)]
    known = [
        Estimate(math.inf if value == 3 else value, 0.0, math.inf, kind="upper bound") for value in (3, 2.3, 2.4, 2.9)
    ]
    return ChainCheck(tuple(f"stage {place}" for place in range(4)), tuple(bits), tuple(known), links)


def gap():
    losses = {name: text_loss(seed) for seed, name in enumerate(("model", "refitted", "stronger", "reference"))}
    return GapDecomposition(
        *(estimate(value, "estimate") for value in (0.9, 0.2, 0.3, 0.4)),
        lost_at_least=estimate(0.0), losses=losses, sites=("one", "two"), documents=30, tokens=300,
    )  # fmt: skip


def ablation():
    one, two = [text_loss(0)], [text_loss(1)]
    return PredictorAblation(
        losses={("end to end", "linear"): tuple(one), ("end to end", "mlp"): tuple(two)},
        differences={("end to end", "mlp"): compare_losses(one, [TextLoss(one[0].nats + 1, one[0].tokens)])},
        parameters={("end to end", "linear"): 10, ("end to end", "mlp"): 20},
        looks_at={"linear": "this trace", "mlp": "this trace"}, baseline="linear", seeds=(0,), tokens=1000,
    )  # fmt: skip


@pytest.mark.parametrize("make", [chain, gap, ablation])
def test_a_result_has_a_frame_a_plot_and_a_file(make, tmp_path):
    result = make()
    first = result.save(tmp_path / "first.json")
    loaded = type(result).load(first)
    assert type(loaded) is type(result) and repr(loaded) == repr(result) and str(loaded) == str(result)
    assert loaded.to_frame().equals(result.to_frame())
    assert first.read_bytes() == loaded.save(tmp_path / "second.json").read_bytes()
    assert loaded.plot()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("result", "columns"),
    [
        (
            distinct_states(np.arange(6, dtype=np.int8).reshape(3, 2)),
            {"possible_value_bits": 2 * math.log2(256), "seen": 3},
        ),
        (compare_losses([text_loss(1)], [text_loss(1)]), {"value_nats": 0.0, "verdict": "identical within 0.02 nats"}),
    ],
)
def test_a_result_of_one_row_has_a_frame_and_a_file(result, columns, tmp_path):
    frame = result.to_frame()
    assert len(frame) == 1 and frame.iloc[0][list(columns)].to_dict() == pytest.approx(columns)
    loaded = type(result).load(result.save(tmp_path / "result.json"))
    assert loaded == result and loaded.to_frame().equals(frame)


def test_a_file_of_another_result_or_a_damaged_one_is_refused(tmp_path):
    path = gap().save(tmp_path / "gap.json")
    with pytest.raises(UserError, match="which is JSON but not a ChainCheck result"):
        ChainCheck.load(path)
    path.write_text(path.read_text().replace('"sites"', '"places"'))
    with pytest.raises(UserError, match="which is damaged"):
        GapDecomposition.load(path)


def test_a_chain_is_drawn_with_its_verdicts():
    ax = chain().plot()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [f"stage {place}" for place in range(4)]
    assert {line.get_linestyle() for line in ax.lines if line.get_label() == "cannot be told"} == {":"}
    assert [line.get_marker() for line in ax.lines if line.get_label() == "_3"] == ["x"]
    assert {"holds", "cannot be told", "lower bound", "upper bound"} <= {
        t.get_text() for t in ax.get_legend().get_texts()
    }
