"""The figures of the paper: every one is drawn from the committed tables, within its edges, and says what is stale."""

import importlib
import sys
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

FOLDER = Path(__file__).resolve().parents[1] / "paper_figures"
NAMES = sorted(path.stem for path in FOLDER.glob("fig*.py"))


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in ("style", *NAMES):
        sys.modules.pop(name, None)


@pytest.mark.statistical
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_within_its_edges(name, load, tmp_path):
    paper = load(name).draw()
    paper.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.pdf", f"{name}.png"}
    canvas = FigureCanvasAgg(paper.figure)
    canvas.draw()
    drawn, (width, height) = paper.figure.get_tightbbox(canvas.get_renderer()), paper.figure.get_size_inches()
    slack = 0.01  # inches: glyphs are a little wider or narrower where fonts differ
    assert -slack < drawn.x0 and -slack < drawn.y0 and drawn.x1 < width + slack and drawn.y1 < height + slack
    assert width == 5.5
    assert {f"{name}.pdf", f"{name}.png"} <= {path.name for path in FOLDER.iterdir()}


@pytest.mark.statistical
def test_stale_tables_are_named_in_the_figure(load, tmp_path, monkeypatch):
    style, figure = load("style"), load("fig1_demo_states")

    def words(stale):
        monkeypatch.setattr(style, "stale_tables", lambda tables: stale)
        paper = figure.draw()
        paper.save(tmp_path)
        return [text.get_text() for text in paper.figure.texts]

    assert "data older than the code: demo_states" in words(["demo_states"])
    assert not any("older" in text for text in words([]))


def test_old_headers_are_read_as_new_ones(load):
    style = load("style")
    frame = style.Paper("x", 1.0).read("superposition_real_text")
    assert "selected_probe" in frame and "answered_by" not in frame
