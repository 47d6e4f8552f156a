"""The import law: a file imports only from lower floors; neighbours on a floor do not know each other."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import infodil

ROOT = Path(infodil.__file__).parent

FLOORS = [
    {"checks", "plots", "fingerprint", "progress", "scratch"},
    {"estimate", "statistics", "encoder", "processes"},
    {"corpus", "entropy", "precision", "traces", "channel"},
    {"accumulation"},
    {"lm", "probes", "report", "sources"},
    {"encoders"},
    {"ladder", "bounds"},
    {"mi"},
    {"depth", "measure", "processing", "roles"},
    {"testing", "demonstration"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}


def unit(path: Path) -> str:
    """The module of the face that a file belongs to: `encoders/hooks.py` is `encoders`."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} must spell its import in full"
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("infodil.")}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_lower_floors(path):
    here = unit(path)
    assert here in FLOOR, f"{here} has no floor: add it to FLOORS"
    upward = sorted(name for name in imported(path) - {here} if FLOOR[name] >= FLOOR[here])
    assert not upward, f"{path.name} may not import {upward}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_is_entered_by_its_face(path):
    """A file names another room, or a folder of it, never a file inside."""
    inside = re.findall(r"^\s*(?:from|import) infodil((?:\.\w+)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    others = [name[1:].split(".") for name in inside if name[1:].split(".")[0] != unit(path)]
    entered = [".".join(parts) for parts in others if len(parts) > 1 and not ROOT.joinpath(*parts).is_dir()]
    assert not entered, f"{path.name} must enter by the face, not by {entered}"


def test_only_encoders_know_transformers():
    spelled = ("import transformers", "from transformers")
    knows = {unit(path) for path in ROOT.rglob("*.py") if any(words in path.read_text() for words in spelled)}
    assert knows == {"encoders"}


@pytest.mark.parametrize("module", ["infodil", "infodil.plots", "infodil.cli", "infodil.checks"])
def test_the_face_does_not_wait_for_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", infodil.__all__)
def test_every_public_name_is_there(name):
    assert getattr(infodil, name) is not None


@pytest.mark.parametrize("folder", ["analyses", "paper_figures"])
def test_studies_and_figures_meet_in_a_csv(folder):
    for path in sorted((ROOT.parent / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if folder == "paper_figures":
            assert imported(path) <= {"plots"}, f"{path.name} may import infodil.plots only"
            assert "import torch" not in text
        else:
            assert "paper_figures." not in text.replace("paper_figures/", "")
    for path in ROOT.rglob("*.py"):
        assert "import analyses" not in path.read_text(encoding="utf-8")


def test_every_result_has_its_provenance():
    data = ROOT.parent / "paper_figures" / "data"
    for table in data.glob("*.csv"):
        origin = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
        assert {"config", "commit", "versions", "device", "date"} <= set(origin)
