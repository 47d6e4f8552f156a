"""A bar is seen by who looks at a terminal, moves while a step takes long, and is gone at the end."""

import io
import sys
import time

import pytest

from infodil import progress
from infodil.progress import progress_bar


class Terminal(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def look(monkeypatch):
    """Puts a stream in the place of standard error; called in the test, as pytest puts back its own before it."""

    def put(stream):
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(progress, "TICK_SECONDS", 0.02)
        return stream

    return put


def test_a_bar_has_words_and_leaves_nothing_behind(look):
    terminal = look(Terminal())
    assert list(progress_bar(range(3), "measuring", shown=True)) == [0, 1, 2]
    text = terminal.getvalue()
    assert "measuring" in text and text.split("\r")[-1].strip() == ""


def test_a_bar_moves_within_a_step(look):
    terminal = look(Terminal())
    with progress_bar(words="choosing", shown=True, total=1) as bar:
        seen = len(terminal.getvalue())
        time.sleep(0.3)
        assert len(terminal.getvalue()) > seen
        bar.update(1)
    ended = len(terminal.getvalue())
    time.sleep(0.1)
    assert len(terminal.getvalue()) == ended


@pytest.mark.parametrize("shown", [True, False])
def test_nothing_is_drawn_where_nobody_looks(look, shown):
    file = look(io.StringIO())
    assert list(progress_bar(range(3), "measuring", shown=shown)) == [0, 1, 2]
    assert file.getvalue() == ""


def test_nothing_is_drawn_for_whoever_wants_none(look):
    terminal = look(Terminal())
    assert list(progress_bar(range(3), "measuring", shown=False)) == [0, 1, 2]
    assert terminal.getvalue() == ""
