"""Provenance of the paper's tables: engines, cells, records, the committed status, and a small run of every study."""

import ast
import gc
import hashlib
import importlib
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from analyses.cells import Study, options_parser
from analyses.engine import ROOT, Engine
from analyses.executed import Executed, changed_modules, code_executed, deciding
from analyses.provenance import read_table, table_files
from analyses.results import is_due
from analyses.results import main as run_results
from analyses.sources import Source, parsed
from analyses.status import documents, mark_stale, read_status, status_of
from analyses.studies import STUDIES
from infodil.checks import UserError

# A small repository: a package whose face loads one name late, a module that nothing imports, and a script.

FILES = {
    "infodil/__init__.py": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from infodil.late import measure\n"
    ),
    "infodil/late.py": "from infodil.deep import FACTOR\n\n\ndef measure(x):\n    return FACTOR * x\n",
    "infodil/deep.py": "FACTOR = 2  # of everything\n",
    "infodil/unused.py": "",
    "analyses/__init__.py": "",
    "analyses/doubles.py": "import infodil\n\n\ndef double(x):\n    return infodil.measure(x)\n",
}
SCRIPT = "analyses/doubles.py"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def commit(root: Path) -> str:
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "change", "--allow-empty"], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "repository"
    write(root, FILES | {".gitignore": "/out/\n"})
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    commit(root)
    return root


@dataclass(frozen=True)
class Config:
    factor: int = 2


calls = []
late = {"__name__": "infodil.late"}
exec("def measure(x):\n    return 2 * x\n", late)  # executed as if it were the small repository's module


def double(cell, config):
    calls.append(cell)
    return [{"x": cell, "y": config.factor * late["measure"](cell)}]


def study(root, *words):
    options = options_parser("").parse_args(["--out", str(root / "out"), *words])
    return Study(SCRIPT, options, root)


def run(root, *words, config=Config(), name="doubles", inputs=None):
    calls.clear()
    with study(root, *words) as one:
        finished = one.run(double, [1, 2], config, inputs=inputs)
        one.write(name, finished.rows, config, finished)
    return list(calls)


@pytest.fixture(autouse=True)
def _another_repository(monkeypatch):
    """The modules loaded here belong to this repository and not to the small one."""
    check = Engine.check_loaded
    monkeypatch.setattr(Engine, "check_loaded", lambda self, known, root: root != ROOT or check(self, known, root))


# Engines


def test_an_engine_has_what_a_script_imports_and_no_more(root):
    engine = Engine.of(SCRIPT, root)
    assert engine.files == (
        "analyses/__init__.py",
        "analyses/doubles.py",
        "infodil/__init__.py",
        "infodil/deep.py",
        "infodil/late.py",
    )


def test_comments_change_the_source_of_an_engine_and_code_changes_both(root):
    before = Engine.of(SCRIPT, root)
    write(
        root, {"infodil/deep.py": '"""A factor."""\n\nFACTOR = 2\n"""Of everything."""\n', "infodil/unused.py": "x = 1"}
    )
    described = Engine.of(SCRIPT, root)
    assert described.source != before.source and described.code == before.code
    write(root, {"infodil/deep.py": "FACTOR = 3\n"})
    assert Engine.of(SCRIPT, root).code != before.code


@pytest.mark.statistical
def test_what_a_run_loads_is_in_its_engine():
    """In an interpreter of its own, where nothing else was loaded; this study loads the most."""
    code = """
import analyses.demo_states as script
from analyses.engine import Engine
Engine.of(script.__file__).check_loaded()
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def executed_of(work, root):
    with Executed() as executed:
        work()
    return executed, code_executed(executed, Engine.of(SCRIPT, root), root)


def test_executed_modules_are_those_called_and_the_homes_of_their_constants(root):
    """In threads that start meanwhile too; the script is always one of them."""
    _, alone = executed_of(lambda: None, root)
    assert set(alone) == {"analyses/doubles.py", "infodil/__init__.py"}
    _, called = executed_of(lambda: late["measure"](1), root)
    assert set(called) == {"analyses/doubles.py", "infodil/__init__.py", "infodil/deep.py", "infodil/late.py"}

    def in_a_thread():
        thread = threading.Thread(target=late["measure"], args=(1,))
        thread.start()
        thread.join()

    assert executed_of(in_a_thread, root)[1] == called
    outer, _ = executed_of(lambda: executed_of(lambda: late["measure"](1), root), root)
    assert "infodil.late" not in outer.functions and sys.gettrace() is None


@dataclass(frozen=True)
class Made:
    value: int = 0


def test_functions_that_a_dataclass_generates_are_noticed():
    with Executed() as executed:
        Made()
    assert "Made.__init__" in executed.functions[__name__]


def test_what_is_called_while_a_module_is_loaded_decides_it(root):
    """A function that makes a constant, a decorator, a base class; one that is only named does not."""
    made = {
        "infodil/tools.py": "def make():\n    return 1\n",
        "infodil/forms.py": "class Form:\n    pass\n",
        "infodil/kinds.py": "def kind(x):\n    return x\n",
        "infodil/named.py": "def named():\n    return 1\n",
        "infodil/user.py": (
            "from infodil.forms import Form\nfrom infodil.kinds import kind\nfrom infodil.named import named\n"
            "from infodil.tools import make\n\nONE = make()\nTABLE = {1: named}\n\n\n@kind\nclass A(Form):\n    pass\n"
        ),
    }
    write(root, made)
    decides = deciding({"infodil/user.py": frozenset()}, root)
    assert set(decides) == set(made) - {"infodil/named.py"}
    assert decides["infodil/tools.py"] == {"*"} and "Form.__init__" in decides["infodil/forms.py"]


def test_of_a_module_the_functions_that_were_called_decide_and_all_that_is_no_function(root):
    """Another function, a new one, comments and docstrings do not; constants, fields and imports do."""
    text = "from infodil.deep import FACTOR\n\nA = 1\n\n\nclass K:\n    x = 1\n\n    def f(self):\n        return 1\n"
    text += "\n    def g(self):\n        return 2\n\n\ndef measure(x):\n    return FACTOR * x\n"
    write(root, {"infodil/late.py": text})
    _, code = executed_of(lambda: late["measure"](1), root)

    def changed(old, new):
        write(root, {"infodil/late.py": text.replace(old, new)})
        return changed_modules({"files": code}, SCRIPT, root)

    assert not changed("return 2", "return 3")
    assert not changed("A = 1", "A = 1  # one")
    assert not changed("class K", "def new(x=1):\n    return x\n\n\nclass K")
    for old, new in [("FACTOR *", "3 *"), ("A = 1", "A = 2"), ("x = 1", "x = 2"), ("import F", "import B as F")]:
        assert changed(old, new) == ("infodil/late.py",)


def test_under_a_debugger_the_engine_is_what_is_imported(root):
    sys.settrace(lambda *_: None)
    try:
        run(root)
    finally:
        sys.settrace(None)
    record = json.loads((root / "paper_figures" / "data" / "doubles.json").read_text())
    assert record["engine"]["code"] == Engine.of(SCRIPT, root).code
    assert status_of(root)["doubles"].verdict == "current"
    write(root, {"infodil/deep.py": "FACTOR = 7\n"})
    assert status_of(root)["doubles"].changed == (SCRIPT,)


# Cells


def test_a_cell_runs_anew_once_a_module_that_it_executed_has_other_code(root):
    """Only that cell; the table is of both codes, and current again."""

    def one_of_two(cell, config):
        calls.append(cell)
        return [{"x": late["measure"](cell) if cell == 2 else cell}]

    def run_both():
        calls.clear()
        with study(root) as one:
            finished = one.run(one_of_two, [1, 2], Config())
            one.write("doubles", finished.rows, Config(), finished)
        return list(calls)

    assert run_both() == [1, 2]
    write(root, {"infodil/unused.py": "x = 1\n", "infodil/deep.py": "FACTOR = 9\n"})
    commit(root)
    assert status_of(root)["doubles"].changed == ("infodil/deep.py",)
    assert run_both() == [2]
    assert status_of(root)["doubles"].verdict == "current"


def test_a_cell_runs_once_for_a_code_a_configuration_and_inputs(root):
    assert run(root) == [1, 2]
    assert run(root) == []
    assert run(root, config=Config(factor=3)) == [1, 2]
    table = root / "paper_figures" / "data" / "other.csv"
    write(root, {"paper_figures/data/other.csv": "a\n1\n"})
    assert run(root, inputs={"paper_figures/data/other.csv": table}) == [1, 2]
    assert run(root, inputs={"paper_figures/data/other.csv": table}) == []
    table.write_text("a\n2\n")
    assert run(root, inputs={"paper_figures/data/other.csv": table}) == [1, 2]
    write(root, {"infodil/deep.py": "FACTOR = 2  # of all\n"})
    commit(root)
    assert run(root) == []
    write(root, {"infodil/deep.py": "FACTOR = 4\n"})
    commit(root)
    assert run(root) == [1, 2]


def test_the_commit_is_that_at_which_a_cell_ran(root):
    first = commit(root)
    run(root)
    write(root, {"README.md": "words\n"})
    commit(root)
    run(root)
    record = json.loads((root / "paper_figures" / "data" / "doubles.json").read_text())
    assert record["commit"] == first and record["commits"] == [first]
    assert record["dirty"] is False and record["script"] == SCRIPT and record["config"] == {"factor": 2}


def test_uncommitted_code_is_refused(root):
    write(root, {"infodil/deep.py": "FACTOR = 5\n"})
    with pytest.raises(UserError, match="commit them"):
        study(root)
    run(root, "--smoke")
    assert (root / "out" / "tables" / "doubles.csv").exists()
    assert not (root / "paper_figures").exists()


def test_code_that_changes_while_it_runs_is_refused(root):
    def edit(cell, config):
        write(root, {"infodil/deep.py": "FACTOR = 6\n"})
        return [{"x": cell}]

    with study(root) as one, pytest.raises(RuntimeError, match="changed while it ran"):
        one.run(edit, [1], Config())


# Status


def test_a_table_is_stale_once_its_code_its_text_or_its_inputs_change(root):
    run(root)
    source = {"paper_figures/data/doubles.csv": root / "paper_figures" / "data" / "doubles.csv"}
    run(root, name="sums", inputs=source)
    assert {name: status.verdict for name, status in status_of(root).items()} == dict.fromkeys(
        ["doubles", "sums"], "current"
    )
    write(root, {"infodil/deep.py": "FACTOR = 2  # of all\n"})
    assert status_of(root)["sums"].verdict == "current"
    write(root, {"infodil/__init__.py": FILES["infodil/__init__.py"] + "OTHER = 1\n"})
    assert status_of(root)["sums"].changed == ("infodil/__init__.py",)
    write(root, {"infodil/__init__.py": FILES["infodil/__init__.py"], "infodil/unused.py": "x = 1\n"})
    assert status_of(root)["sums"].verdict == "current"
    write(root, {"infodil/deep.py": "FACTOR = 7\n"})
    assert "its code has changed" in status_of(root)["doubles"].verdict
    assert status_of(root)["doubles"].changed == ("infodil/deep.py",)
    write(root, {"infodil/deep.py": FILES["infodil/deep.py"]})
    with source["paper_figures/data/doubles.csv"].open("a") as file:
        file.write("9,9\n")
    assert status_of(root)["doubles"].verdict == "stale: it was edited after it was made"
    assert status_of(root)["sums"].verdict == "stale: doubles has changed"


def test_what_is_not_known_is_stale(root):
    write(root, {"paper_figures/data/old.csv": "a\n1\n", "paper_figures/data/old.json": '{"dirty": false}'})
    assert status_of(root)["old"].reasons == ("the code that made it was not recorded",)


@pytest.mark.statistical
def test_the_committed_status_is_that_of_the_tables():
    verdicts = {name: status.verdict for name, status in status_of().items()}
    way_out = "run `make results-status WRITE=1`, then `make figures`, and commit both"
    assert read_status() == verdicts, way_out
    for page in documents():
        text = page.read_text(encoding="utf-8")
        assert mark_stale(text, verdicts) == text, f"{page.name}: {way_out}"


def plain_shape(node):
    """A syntax tree as lists, the slow way."""
    if isinstance(node, list):
        return [plain_shape(element) for element in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = [each for each in node.body if not isinstance(getattr(each, "value", None), ast.Constant)
                          or not isinstance(each, ast.Expr) or not isinstance(each.value.value, str)]  # fmt: skip
    return [type(node).__name__, *([name, plain_shape(value)] for name, value in fields.items())]


def without(statements, names, place=""):
    """Statements without the functions of these names."""
    kept = []
    for node in statements:
        if isinstance(node, ast.ClassDef):
            node.body = without(node.body, names, f"{place}{node.name}.") or [ast.Pass()]
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or f"{place}{node.name}" not in names:
            kept.append(node)
    return kept


def names_of_functions(statements, place=""):
    for node in statements:
        if isinstance(node, ast.ClassDef):
            yield from names_of_functions(node.body, f"{place}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{place}{node.name}"


NESTED = b"""
class A(B, metaclass=M):
    'words'
    class C:
        'words alone'
        def f(self): pass
    @property
    def g(self): 'words'
async def h(): ...
"""


@pytest.mark.parametrize("file", [None, "", "analyses/sources.py", "infodil/traces.py", "infodil/cli/__init__.py"])
def test_the_hash_of_some_functions_is_that_of_a_tree_without_the_others(file):
    """Of all, of none, and of every second one."""
    source = NESTED if file is None else (ROOT / file).read_bytes() if file else b""
    names = sorted(set(names_of_functions(ast.parse(source).body)))
    for kept in (names, [], names[::2]):
        tree = ast.parse(source)
        tree.body = without(tree.body, set(names) - set(kept))
        assert Source.of(source).hash(kept) == hashlib.sha256(json.dumps(plain_shape(tree)).encode()).hexdigest()
    whole = hashlib.sha256(json.dumps(plain_shape(ast.parse(source))).encode()).hexdigest()
    assert Source.of(source).hash() == whole


def test_commands_of_stale_tables_have_a_dagger():
    text = "`python -m analyses.calibration_states --tables calibration_vectors` † and `analyses.demo_states`, `other`"
    verdicts = {"calibration_vectors": "current", "calibration_states": "stale", "demo_states": "stale"}
    assert mark_stale(text, verdicts) == (
        "`python -m analyses.calibration_states --tables calibration_vectors` and `analyses.demo_states` †, `other`"
    )


def test_every_table_has_its_study_and_every_script_its_place():
    tables = {path.stem for path in (ROOT / "paper_figures" / "data").glob("*.csv")}
    assert tables <= {name for study in STUDIES for name in study.tables}
    scripts = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "analyses").rglob("*.py")
        if "def main(arguments=None):" in path.read_text(encoding="utf-8")
    }
    assert scripts == {study.script for study in STUDIES}


def test_the_commands_are_listed(capsys):
    run_results(["--list"])
    assert "python -m analyses.processing_chain --data FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize("has_gpu", [True, False])
def test_a_study_of_a_gpu_is_left_out_where_there_is_none(has_gpu, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    monkeypatch.setattr("analyses.results.status_of", dict)  # no table at all: every study is due
    due = {study.module for study in STUDIES if is_due(study)}
    assert ("benchmarks.gpu" in due) is has_gpu and "sandwich" in due


# Every study, small

SLOW = {
    "benchmarks.import_time", "continuous_benchmark", "demo_states", "ema_language_model", "grammatical_roles",
    "roles_induction", "roles_transfer_steps", "treebank_roles",
}  # fmt: skip
NEEDS = {
    "depth_survival": ("model-stories260k", "tinystories-sample"),
    "processing_chain": ("model-stories260k", "tinystories-sample"),
    "recoverability_on_real_text": ("model-stories260k", "model-lstm-char", "wikitext-2"),
    "superposition_real_text": ("model-stories260k", "wikitext-2"),
    "treebank_roles": ("ud-english-ewt", "english-roles"),
    "reference_encoders": ("wikitext-2",),
    "roles_induction": ("ud-english-ewt", "english-roles"),
    "trained_states": ("model-rwkv5-730k", "model-lstm-char", "c4-sample", "tinyshakespeare"),
    "whole_past": ("model-gru-tinystories", "tinystories-sample"),
}
"""Folders of data; the study of language models reads the built-in sample without any."""


def written_at():
    """When each table and figure of the paper was written."""
    kinds = {".csv", ".json", ".pdf", ".png"}
    files = [path for path in (ROOT / "paper_figures").rglob("*") if path.suffix in kinds]
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.mark.statistical
@pytest.mark.parametrize(
    "command",
    [pytest.param(study, marks=[pytest.mark.slow] * (study.module in SLOW)) for study in STUDIES],
    ids=lambda study: study.module,
)
def test_every_study_runs_small_and_leaves_the_paper_alone(command, tmp_path, shared):
    folders = [shared(name) for name in NEEDS.get(command.module, ())]
    data = ["--data", str(folders[0].parent)] if folders else []
    before = written_at()
    script = importlib.import_module(f"analyses.{command.module}")
    assert script.main([*command.arguments, "--smoke", "--out", str(tmp_path), *data]) is None
    for name in command.tables:
        assert read_table(tmp_path / "tables" / f"{name}.csv")
        record = json.loads((tmp_path / "tables" / f"{name}.json").read_text(encoding="utf-8"))
        assert {"config", "commit", "engine", "versions", "device", "date", "inputs", "sha256"} <= set(record)
    assert written_at() == before


@pytest.mark.statistical
def test_a_table_made_from_tables_names_them_and_cells_run_in_several_processes(tmp_path):
    script = importlib.import_module("analyses.roles_table")
    script.main(["--smoke", "--out", str(tmp_path), "--n-jobs", "2"])
    assert len(read_table(tmp_path / "tables" / "roles_table.csv")) > 100
    inputs = json.loads((tmp_path / "tables" / "roles_table.json").read_text())["inputs"]
    assert set(inputs) >= set(table_files("roles_headline", "roles_ceilings"))


class Slow:
    """A circle whose end lets other threads run, in the middle of whatever was being made."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(1e-4)


def test_threads_build_syntax_trees_one_at_a_time():
    """Two at once end in a `SystemError` in CPython 3.11: with `ast.parse` for `parsed` this fails."""
    source, threshold = Path(__file__).read_text(), gc.get_threshold()

    def tree(_):
        Slow()
        return len(parsed(source).body)

    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert len(set(threads.map(tree, range(40)))) == 1
    finally:
        gc.set_threshold(*threshold)
