"""A command writes its files and nothing else, a mistake is one line and writes nothing, and help does not wait."""

import json
import random
import subprocess
import sys

import pytest

from infodil.cli import demo, main
from infodil.cli.files import read_lags, read_options
from infodil.report import load_report

FILES = {"report.json", "report.html", "recoverability.png"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a corpus of random letters, short and long documents."""
    rng = random.Random(0)
    texts = ["".join(rng.choices("abcdefgh", k=rng.randint(20, 60))) for _ in range(80)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def measure(*extra, out="out", model="shift_register", lags="0-3"):
    command = ["recoverability", "--model", model, "--corpus", "texts.jsonl", "--tokenizer", "bytes", "--out", out]
    return main([*command, "--lags", lags, "--probes", "gaussian", "--quiet", *extra])


# What is written


def test_recoverability_prints_and_writes(place, capsys):
    assert measure("--option", "window=2", "--option", "dim=8", "--sites", "shift*", "--max-length", "40") == 0
    printed = capsys.readouterr()
    assert names(place) == {"texts.jsonl", "out", *(f"out/{name}" for name in FILES)}
    assert all(f"out/{name}" in printed.out for name in FILES)
    assert "shift_register" in printed.out
    assert printed.err == ""

    report = load_report("out/report.json")
    assert (report.lags, report.probes, report.sites) == ((0, 1, 2, 3), ("gaussian",), ("shift_register",))
    assert (report.config["max_length"], report.config["options"]) == (40, {"window": 2, "dim": 8})
    assert str(report) in printed.out
    # Eight letters drawn evenly: the window of two is read whole, and what left it is gone.
    bits = [report.estimate("shift_register", lag).value_bits for lag in range(4)]
    assert min(bits[:2]) > 2.9
    assert max(bits[2:]) < 0.1


def test_compare_writes_what_two_reports_say_together(place, capsys):
    assert measure(out="one") == measure("--option", "alpha=0.5", out="two", model="ema") == 0
    capsys.readouterr()
    assert main(["compare", "one/report.json", "two/report.json", "--out", "both"]) == 0
    written = {path.name for path in (place / "both").iterdir()}
    assert written == {"comparison.html", "comparison.png", "comparison.csv"}
    printed = capsys.readouterr()
    assert "one (shift_register on texts.jsonl)" in printed.out
    assert "two (ema on texts.jsonl)" in printed.out
    table = (place / "both" / "comparison.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 4
    assert names(place) - {"texts.jsonl"} == {
        *("one", "two", "both"),
        *(f"{folder}/{name}" for folder in ("one", "two") for name in FILES),
        *(f"both/{name}" for name in written),
    }


def test_the_demo_from_a_shell(place, capsys, monkeypatch):
    small = {
        "VOCABULARY": 270, "TOKENIZER_TEXTS": 5, "CORPUS_TOKENS": 20_000, "PARAMETERS": 15_000,
        "TRAINING_TOKENS": 2_000, "LAGS": (0, 1, 4),
    }  # fmt: skip
    for name, value in small.items():
        monkeypatch.setattr(demo, name, value)
    assert main(["demo", "--out", "out", "--quiet"]) == 0
    assert names(place) == {"texts.jsonl", "out", *(f"out/{name}" for name in FILES)}
    printed = capsys.readouterr().out
    report = load_report("out/report.json")
    assert report.lags == (0, 1, 4)
    for site in ("EMA", "EMA bank", "GRU", "GRU random", "attention", "attention random"):
        assert any(found.split("/")[0] == site for found in report.sites)
        assert site in printed
    for name in ("GRU", "attention"):
        assert report.model["trained"][name]["parameters"] <= 15_000
        assert f"{name}: {report.model['trained'][name]['parameters']:,} parameters" in printed


def test_roles_prints_and_writes(place, capsys):
    small = ["--sentences", "60", "--hidden", "20", "--steps", "3", "--seeds", "2", "--units", "9", "--depth", "0"]
    assert main(["roles", "--out", "out", *small]) == 0
    printed = capsys.readouterr()
    assert names(place) == {"texts.jsonl", "out", "out/roles.csv", "out/roles.png"}
    for word in ("Hebbian", "BiGRU", "majority per word", "arguments", "recipient"):
        assert word in printed.out
    table = (place / "out" / "roles.csv").read_text().splitlines()
    assert table[0].startswith("condition,seed,text,group,naming,accuracy,tokens")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grammar", "C"], "`language` must be one of 'A' or 'B', got 'C'"),
        (["--seeds", "1"], "`seeds` must be a whole number of at least 2"),
        (["--train", "x.conllu"], "`--train` and `--test` must be given together"),
        (["--train", "x.conllu", "--test", "y.conllu"], "`path` must be a file, got 'x.conllu'"),
        (["--conditions", "BiGru"], "`conditions` must be one of"),
    ],
)
def test_a_mistake_in_roles(place, capsys, arguments, message):
    assert main(["roles", "--out", "out", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert names(place) == {"texts.jsonl"}


# Options


@pytest.mark.parametrize(
    ("text", "lags"), [("4", [4]), ("0-3,8", [0, 1, 2, 3, 8]), (" 1-2 , 5", [1, 2, 5]), ("7-7", [7])]
)
def test_lags_from_text(text, lags):
    assert read_lags(text) == lags


def test_options_from_text():
    given = ["a=0.5", "b=[1, 2]", "c=word", "d=x=y", "e=true", 'f="0.5"', "g="]
    assert read_options(given) == {"a": 0.5, "b": [1, 2], "c": "word", "d": "x=y", "e": True, "f": "0.5", "g": ""}


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lags": "0-x"}, "`--lags` must be whole numbers and ranges, got '0-x': pass such as 0-16 or 0,1,2,4."),
        ({"lags": "3-1"}, "`--lags` must be whole numbers and ranges, got '3-1'"),
        ({"lags": ""}, "`--lags` must be whole numbers and ranges, got ''"),
        ({"lags": "-1"}, "`--lags` must be whole numbers and ranges, got '-1'"),
        ({"lags": "0,1000"}, "`lags` has 1000, which is never observed: the longest"),
        ({"extra": ["--option", "alpha"]}, "`--option` must be NAME=VALUE, got 'alpha': pass such as alpha=0.5."),
        ({"extra": ["--option", "al pha=1"]}, "`--option` must be NAME=VALUE, got 'al pha=1'"),
        ({"extra": ["--option", "alpah=1"]}, "does not take these options: got an unexpected keyword argument 'alpah'"),
        ({"extra": ["--precision", "float31"]}, "`precision` must be one of"),
        ({"extra": ["--device", "nowhere"]}, "`device` 'nowhere' is not there: pass 'cpu'"),
        ({"extra": ["--dtype", "int8"]}, "`dtype` must be a floating-point torch dtype"),
        ({"extra": ["--sites", "shfit"]}, "`sites` has 'shfit', which the model does not have: there are 'shift_reg"),
        ({"extra": ["--probes", "gausian"]}, "got 'gausian': did you mean 'gaussian'?"),
        ({"extra": ["--corpus", "text.jsonl"]}, "'text.jsonl' is not there: did you mean 'texts.jsonl'?"),
        ({"extra": ["--confidence", "95"]}, "`confidence` must be at least 0.5"),
        ({"model": "shift_registers"}, "`model` 'shift_registers' is no built-in name: did you mean 'shift_register'?"),
        ({"out": "texts.jsonl"}, "`--out` 'texts.jsonl' is a file: pass a folder."),
        ({"out": "texts.jsonl/in"}, "`--out` 'texts.jsonl/in' lies under 'texts.jsonl', which is a file: pass a"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(place, capsys, arguments, message):
    assert measure(*arguments.pop("extra", []), **arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("infodil: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert names(place) == {"texts.jsonl"}


def test_a_mistake_in_what_is_compared(place, capsys):
    for paths, message in [
        (["texts.jsonl"], "must be a saved report, got 'texts.jsonl'"),
        (["nowhere.json"], "must be the file of a saved report, got 'nowhere.json', where there is no file"),
    ]:
        assert main(["compare", *paths, "--out", "both"]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("infodil: ")
        assert message in printed.err
        assert printed.err.count("\n") == 1
    assert main(["compare", "nowhere.json", "--out", "texts.jsonl"]) == 2
    assert "`--out` 'texts.jsonl' is a file" in capsys.readouterr().err
    assert names(place) == {"texts.jsonl"}


def test_a_stop_is_not_a_traceback(place, capsys, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("infodil.measure.recoverability", stop)
    assert measure() == 130
    assert capsys.readouterr().err == "infodil: stopped; nothing was left half written.\n"
    assert names(place) == {"texts.jsonl"}


def test_an_unknown_command_is_told(capsys):
    for arguments in ([], ["recoverablity"], ["recoverability"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert "usage: infodil" in capsys.readouterr().err


# The shell itself


def python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "words",
    ["['--help']", "['recoverability', '--help']", "['demo', '--help']", "['lm', 'train', '--help']", "['--version']"],
)
def test_help_does_not_wait_for_torch(tmp_path, words):
    code = f"""
import sys
import infodil.cli
try:
    infodil.cli.main({words})
except SystemExit as ended:
    assert ended.code == 0
heavy = {{'torch', 'numpy', 'pandas', 'matplotlib', 'transformers', 'datasets'}} & set(sys.modules)
assert not heavy, heavy
"""
    ended = python("-c", code, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "infodil" in ended.stdout


def test_python_m_infodil(tmp_path):
    ended = python("-m", "infodil", "--help", cwd=tmp_path)
    assert ended.returncode == 0
    for command in ("recoverability", "demo", "compare"):
        assert command in ended.stdout
    ended = python("-m", "infodil", "compare", "nowhere.json", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("infodil: `path` must be the file of a saved report")
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
