"""Figures of losses show the numbers of their frames: asked of the artists."""

import pandas as pd
import pytest

from infodil.plots import difference_intervals, ratio_curves, ratio_intervals, save_figure, term_bars

TERMS = pd.DataFrame(
    [
        {"term": "gap", "value_bits": 0.5, "low_bits": 0.4, "high_bits": 0.6},
        {"term": "underfit", "value_bits": 0.2, "low_bits": 0.1, "high_bits": 0.3},
        {"term": "held", "value_bits": -0.1, "low_bits": -0.2, "high_bits": 0.0},
        {"term": "lost", "value_bits": 0.4, "low_bits": 0.3, "high_bits": 0.5},
        {"term": "lost_at_least", "value_bits": 0.25, "low_bits": 0.2, "high_bits": 0.3},
    ]
)


def test_terms_begin_where_the_one_before_ends():
    axes = term_bars(TERMS)
    bars = [bar.patches[0] for bar in axes.containers]
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [
        (0.0, 0.5), (0.0, 0.2), (0.2, -0.1), pytest.approx((0.1, 0.4)),
    ]  # fmt: skip
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["gap", "underfit", "held, not usable", "at most lost"]
    lines = [line.get_xdata() for line in axes.lines]
    assert list(lines[3]) == pytest.approx([0.1 + 0.3, 0.1 + 0.5])
    assert list(lines[4]) == pytest.approx([0.1 + 0.25] * 2)  # what is certain, within the bar of what may be
    assert len(term_bars(TERMS.iloc[:4]).lines) == len(axes.lines) - 1


def test_seeds_are_dots_from_where_their_term_begins():
    rows = TERMS.assign(seed_values_bits=["0.4 0.6", "0.1 0.3", "-0.1 -0.1", "0.3 0.5", float("nan")])
    dots = {one.get_label(): one.get_offsets()[:, 0].tolist() for one in term_bars(rows).collections}
    assert dots["_gap seeds"] == [0.4, 0.6]
    assert dots["_held seeds"] == pytest.approx([0.1, 0.1])  # 0.2 is where it begins
    assert all(len(one.get_offsets()) == 0 for one in term_bars(TERMS).collections)


def test_differences_stand_with_their_margin():
    rows = [
        {"predictor": name, "way": way, "difference_nats": value, "low_nats": value - 0.1, "high_nats": value + 0.2,
         "margin_nats": 0.02}
        for way, values in (("end to end", (None, 0.1)), ("frozen traces", (None, -0.3)))
        for name, value in zip(("linear", "mlp"), values, strict=True)
        if value is not None
    ]  # fmt: skip
    rows.append({"predictor": "linear", "way": "end to end", "margin_nats": 0.02})
    axes = difference_intervals(pd.DataFrame(rows))
    points = {container.get_label(): container.lines[0].get_xdata()[0] for container in axes.containers}
    assert points == {"end to end": 0.1, "frozen traces": -0.3}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mlp"]
    assert axes.patches[0].get_x() == pytest.approx(-0.02)
    assert axes.patches[0].get_width() == pytest.approx(0.04)


def test_ratios_stand_on_the_line_of_their_family():
    frame = pd.DataFrame(
        {"family": ["a", "a", "b"], "text": ["t", "u", "t"], "ratio": [1.2, 1.1, 0.9], "low": 0.8, "high": 1.3}
    )
    axes = ratio_intervals(frame)
    found = {one.get_label(): one.lines[0].get_xdata().tolist() for one in axes.containers}
    assert found == {"t": [1.2, 0.9], "u": [1.1]}
    heights = {one.get_label(): one.lines[0].get_ydata().tolist() for one in axes.containers}
    assert heights == {"t": [0.125, -0.875], "u": [-0.125]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_ratios_against_tokens(tmp_path):
    frame = pd.DataFrame(
        {"size": ["s", "s", "l"], "tokens": [64, 32, 64], "ratio": [1.2, 1.1, 0.9], "low": 0.8, "high": 1.3}
    )
    axes = ratio_curves(frame)
    found = {one.get_label(): (one.lines[0].get_xdata().tolist(), one.lines[0].get_ydata().tolist())
             for one in axes.containers}  # fmt: skip
    assert found == {"s": ([32, 64], [1.1, 1.2]), "l": ([64], [0.9])}
    assert axes.lines[0].get_ydata() == [1, 1]
    assert save_figure(axes.figure, tmp_path / "a.png").stat().st_size > 0
