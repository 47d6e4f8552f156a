"""The README is short, its first example prints what it shows, and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from infodil.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
"""Figures differ in their last digit between machines; their width may, too, and with it the spaces beside them."""


def shape(text):
    """Words and lines of a printed table, without figures, spaces and rules."""
    text = NUMBER.sub("#", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip("- ")]


def test_it_is_short():
    assert len(README.split()) <= 900


@pytest.mark.statistical
def test_the_first_example_prints_what_is_shown(capsys):
    code, shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL).groups()
    assert len(code.strip().splitlines()) <= 5
    exec(code, {})
    printed, shown = shape(capsys.readouterr().out), shape(shown)
    assert shown[-1] == "..."
    assert printed[: len(shown) - 1] == shown[:-1]


@pytest.mark.parametrize(
    "path", [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md")), ids=str
)
def test_local_links_and_pictures_exist(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


def test_commands_of_the_shell_are_understood():
    text = README + (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    commands = [line for _, block in blocks for line in block.splitlines() if line.startswith("infodil ")]
    assert len(commands) > 4
    for command in commands:
        words = shlex.split(re.split(r"[|>#]", command)[0], comments=True)
        if "--print-completion" not in words:
            parser().parse_args(words[1:])
