"""A plot shows the frame's own numbers: the artists are asked, no image is compared."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from synthetic_report import CEILING, LAGS, synthetic_report

from infodil.checks import UserError
from infodil.plots import (
    COLOURS,
    lag_ticks,
    multi_curves,
    recoverability_curves,
    role_bars,
    role_confusion,
    role_sentence,
    save_figure,
)
from infodil.report import compare


def chosen(report):
    frame = report.to_frame()
    return frame[frame["chosen"]]


def line(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def band(ax, label):
    return next(band for band in ax.collections if band.get_label() == f"_{label} interval")


@pytest.fixture
def report():
    return synthetic_report()


@pytest.mark.parametrize("quantity", ["value_bits", "beyond_context_bits"])
def test_a_curve_is_its_column_and_a_band_its_interval(report, quantity):
    frame = chosen(report)
    ax = recoverability_curves(frame, quantity=quantity)
    for site in report.sites:
        part = frame[frame["site"] == site]
        assert line(ax, site).get_xdata().tolist() == LAGS
        assert line(ax, site).get_ydata().tolist() == part[quantity].tolist()
        stem = quantity.removesuffix("bits") if quantity != "value_bits" else ""
        heights = band(ax, site).get_paths()[0].vertices[:, 1]
        assert heights.min() == part[f"{stem}low_bits"].min()
        assert heights.max() == part[f"{stem}high_bits"].max()


def test_the_ceiling_is_drawn_with_its_interval_and_zero_has_a_line(report):
    ax = recoverability_curves(chosen(report))
    assert line(ax, "_ceiling").get_ydata().tolist() == [CEILING] * len(LAGS)
    heights = band(ax, "ceiling").get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (CEILING - 0.1, CEILING + 0.1)
    assert set(line(ax, "_zero").get_ydata()) == {0}
    assert [text.get_text() for text in ax.texts] == ["ceiling: entropy of a token"]


def test_the_ceiling_is_not_one_for_bits_beyond_context(report):
    assert not [
        line
        for line in recoverability_curves(chosen(report), quantity="beyond_context_bits").lines
        if line.get_label() == "_ceiling"
    ]


def test_axes_have_names_with_units(report):
    ax = recoverability_curves(chosen(report))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lag (tokens back)", "bits recovered per token")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "1", "2", "4", "8", "16", "32", "64", "128"]
    assert ax.get_xscale() == "symlog"
    assert recoverability_curves(chosen(synthetic_report(lags=range(9)))).get_xscale() == "linear"


def test_ten_sites_differ_by_more_than_colour():
    ax = recoverability_curves(chosen(synthetic_report([f"layer.{place}" for place in range(10)])))
    drawn = [line(ax, f"layer.{place}") for place in range(10)]
    assert len({to_rgb(curve.get_color()) for curve in drawn}) == 10 == len(COLOURS)
    assert len({curve.get_marker() for curve in drawn}) == 10
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"layer.{place}" for place in range(10)]


def test_the_legend_stands_beside_the_data(report):
    ax = recoverability_curves(chosen(report))
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1 + 1


def test_given_axes_are_drawn_into(report):
    ax = Figure().subplots()
    assert recoverability_curves(chosen(report), ax=ax) is ax
    assert report.plot(ax=ax) is ax


def test_a_value_that_is_missing_leaves_a_gap(report):
    frame = chosen(report).copy()
    frame.loc[frame["lag"] == 4, ["value_bits", "low_bits", "high_bits", "ceiling_bits"]] = None
    assert np.isnan(line(recoverability_curves(frame), "layer.0").get_ydata()[LAGS.index(4)])


def test_a_site_is_spelled_as_it_is():
    ax = recoverability_curves(chosen(synthetic_report(["_hidden", "a$b$", "x" * 90])))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[0].endswith("_hidden") and names[1] == r"a\$b\$" and len(names[2]) == 40
    ax.figure.draw_without_rendering()


def test_the_plot_of_a_report_takes_a_probe(report):
    frame = report.to_frame()
    gaussian = frame[(frame["site"] == "layer.0") & (frame["probe"] == "gaussian")]
    assert line(report.plot(probe="gaussian"), "layer.0").get_ydata().tolist() == gaussian["value_bits"].tolist()
    assert report.plot(quantity="beyond_context").get_ylabel() == "bits beyond context per token"
    with pytest.raises(UserError, match=r"`probe` must be one of .*, got 'mlp'"):
        report.plot(probe="mlp")
    with pytest.raises(UserError, match=r"`quantity` must be one of 'value' or 'beyond_context', got 'bits'"):
        report.plot(quantity="bits")


@pytest.mark.parametrize("reports", [1, 2, 4, 5])
def test_many_reports_have_a_panel_each_on_the_same_axes(reports):
    frames = [chosen(synthetic_report(seed=seed)).assign(report=f"run {seed}") for seed in range(reports)]
    figure = multi_curves(pd.concat(frames)).figure
    figure.draw_without_rendering()
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"run {seed}" for seed in range(reports)]
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert (
        line(figure.axes[-1], "layer.1").get_ydata().tolist()
        == frames[-1].query("site == 'layer.1'")["value_bits"].tolist()
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["embedding", "layer.0", "layer.1"]


def test_a_plot_shows_itself_in_a_notebook_and_names_its_figure(report):
    for drawn in (report.plot(), compare({"a": report, "b": report}).plot()):
        assert drawn._repr_png_().startswith(b"\x89PNG")
        assert drawn.figure.axes


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_is_written_whole_and_with_the_same_bytes(tmp_path, report, ending):
    first = save_figure(recoverability_curves(chosen(report)).figure, tmp_path / "new" / f"a.{ending}")
    second = save_figure(recoverability_curves(chosen(report)).figure, tmp_path / f"b.{ending}")
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path, report):
    with pytest.raises(ValueError, match="Format 'xyz' is not supported"):
        save_figure(recoverability_curves(chosen(report)).figure, tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_the_settings_of_matplotlib_are_left_alone():
    code = """
import sys, matplotlib as mpl
sys.path.insert(0, "tests")
before = dict(dict.items(mpl.rcParams))  # asking for the backend would choose one
from synthetic_report import synthetic_report
synthetic_report().plot()
sys.exit(dict(dict.items(mpl.rcParams)) != before or "matplotlib.pyplot" in sys.modules or "torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("lags", [range(1), range(5), range(23), range(64), range(1, 1000), [0, 512, 4096]], ids=str)
def test_lag_ticks_are_few_and_within_reach(lags):
    ticks = lag_ticks(lags)
    assert 1 <= len(ticks) <= 10 and ticks == sorted(set(ticks))
    assert min(lags) <= ticks[0] and ticks[-1] <= max(lags)


def test_role_bars_are_their_column():
    rows = [
        {"condition": condition, "group": group, "accuracy": value, "low": value - 0.1, "high": value + 0.05}
        for condition, group, value in (("one", "all", 0.9), ("one", "agent", 0.8), ("two", "all", 0.7))
    ]
    ax = role_bars(pd.DataFrame(rows))
    heights = [bar.get_height() for bar in ax.patches]
    assert heights[:3] == [0.9, 0.8, 0.7]
    assert np.isnan(heights[3])  # the second condition has no such group
    assert [text.get_text() for text in ax.get_xticklabels()] == ["all", "agent"]


def test_a_confusion_shows_shares_and_a_sentence_its_words():
    frame = pd.DataFrame(
        {"role": ["a", "a", "b", "b"], "predicted": ["a", "b", "a", "b"], "share": [0.9, 0.1, 0.002, 0.998]}
    )
    ax = role_confusion(frame, Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["90", "10", "100"]
    words = pd.DataFrame({"word": ["$x", "runs"], "role": ["a", "b"], "predicted": ["b", "b"]})
    drawn = role_sentence(words, Figure().subplots()).texts
    assert [text.get_text() for text in drawn] == [r"\$x", "b", "a", "runs", "b", "b"]
    assert [text.get_fontweight() for text in drawn[1::3]] == ["bold", "normal"]  # the first is wrong
