"""A plot shows the frame's own numbers: the artists are asked, no image is compared."""

import itertools
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
from infodil.plots.style import mark_of
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
    with pytest.raises(UserError, match=r"`quantity` must be one of 'value', 'beyond_context', .* got 'bits'"):
        report.plot(quantity="bits")
    with pytest.raises(UserError, match=r"`size` must be one of 'column' or 'page', got 'poster'"):
        report.plot(size="poster")
    with pytest.raises(UserError, match=r"`sites` must be one of .*, got 'layer.7': did you mean"):
        report.plot(sites=["layer.7"])


def test_the_plot_of_a_report_takes_sites_lags_and_a_quantity(report):
    ax = report.plot(sites=["layer.1"], lags=range(5), quantity="top1", size="column")
    assert line(ax, "layer.1").get_xdata().tolist() == [0, 1, 2, 3, 4]
    assert ax.get_ylabel() == "top-1 accuracy" and len([each for each in ax.lines if each.get_label()[0] != "_"]) == 1
    assert ax.figure.get_figwidth() == 3.25 and report.plot().figure.get_figwidth() == 5.5


@pytest.mark.statistical
def test_more_than_ten_sites_are_a_heat_map_of_the_rows():
    report = synthetic_report([f"layer.{place}" for place in range(32)], lags=range(64))
    ax = report.plot()
    ax.figure.draw_without_rendering()  # any warning is an error
    (mesh,) = ax.collections
    frame = chosen(report)
    assert mesh.get_array().shape == (32, 64)
    assert mesh.get_array().ravel().tolist() == frame["value_bits"].tolist()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [f"layer.{place}" for place in range(32)]
    panels = compare({"a": report, "b": report}).plot()
    panels.figure.draw_without_rendering()
    assert [len(panel.collections) for panel in panels] == [1, 1]


def test_curves_that_end_apart_are_labelled_at_their_ends_and_others_by_a_legend(report):
    apart = report.plot(lags=range(5))
    assert apart.get_legend() is None
    assert [text.get_text() for text in apart.texts] == ["ceiling: entropy of a token", *report.sites]
    assert report.plot().get_legend() is not None


@pytest.mark.statistical
def test_a_site_keeps_its_colour_from_one_figure_to_another(report):
    alone = synthetic_report(["layer.1"]).plot()
    both = compare({"a": report, "b": synthetic_report(["embedding", "layer.1"])}).plot()
    colours = {line(ax, "layer.1").get_color() for ax in (alone, report.plot(), *both)}
    assert len(colours) == 1


def test_lower_bounds_below_zero_are_explained_where_they_are_drawn(report):
    frame = chosen(report).copy()
    frame["value_bits"] -= 2.0
    assert "below zero: at least nothing" in [text.get_text() for text in recoverability_curves(frame).texts]
    assert "below zero: at least nothing" not in [text.get_text() for text in report.plot().texts]


def luminance_and_colours(colour, seen):
    """CIELAB of a colour as it is seen through a matrix over linear RGB (D65)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(
        seen @ linear, 0, 1
    )
    ratio = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * ratio[1] - 16, 500 * (ratio[0] - ratio[1]), 200 * (ratio[1] - ratio[2])])


@pytest.mark.parametrize(
    "seen",
    [
        np.eye(3),
        # Machado, Oliveira and Fernandes (2009), table 1, severity 1: protanopia, deuteranopia, tritanopia.
        np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
        np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
        np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]),
        np.array([[0.2126, 0.7152, 0.0722]] * 3),
    ],
    ids=["all colours", "protanopia", "deuteranopia", "tritanopia", "grey"],
)
def test_any_two_curves_differ_for_whoever_looks(seen):
    drawn = [mark_of(place) for place in range(10)]
    for one, other in itertools.combinations(drawn, 2):
        assert one["marker"] != other["marker"]
        distance = np.linalg.norm(
            luminance_and_colours(one["color"], seen) - luminance_and_colours(other["color"], seen)
        )
        # Ten units of CIELAB are a plain difference side by side; where there are fewer, dashes must differ.
        assert distance >= 10 or one["linestyle"] != other["linestyle"], (one, other, distance)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_curve_shows_on_white_as_wcag_asks_of_graphics(colour):
    luminance = ((luminance_and_colours(colour, np.eye(3))[0] + 16) / 116) ** 3
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.statistical
def test_the_names_of_a_comparison_stand_within_its_figure():
    names = [f"model.layers.{place}.self_attention.output" for place in range(8)]
    figure = compare({"a": synthetic_report(names), "b": synthetic_report(names)}).plot().figure
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1


@pytest.mark.statistical
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


@pytest.mark.statistical
def test_a_plot_shows_itself_in_a_notebook_and_names_its_figure(report):
    for drawn in (report.plot(), compare({"a": report, "b": report}).plot()):
        assert drawn._repr_png_().startswith(b"\x89PNG")
        assert drawn.figure.axes


@pytest.mark.statistical
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


@pytest.mark.statistical
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
