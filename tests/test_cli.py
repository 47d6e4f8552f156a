"""A command writes its files and nothing else, a mistake is one line and writes nothing, and help does not wait."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from synthetic_report import synthetic_report

from infodil import demonstration
from infodil.cli import main
from infodil.cli.arguments import read_lags, read_options
from infodil.cli.main import parser
from infodil.cli.names import encoder_names, encoder_options, precision_names, probe_summaries
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


@pytest.mark.statistical
def test_recoverability_prints_and_writes(place, capsys):
    assert measure("--set", "window=2", "--set", "dim=8", "--sites", "shift*", "--max-length", "40") == 0
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


@pytest.mark.statistical
def test_compare_writes_what_two_reports_say_together(place, capsys):
    assert measure(out="one") == measure("--option", "alpha=0.5", out="two", model="ema") == 0  # its former name
    capsys.readouterr()
    assert main(["compare", "one/report.json", "two/report.json", "--out", "both"]) == 0
    written = {path.name for path in (place / "both").iterdir()}
    assert written == {*(f"comparison.{ending}" for ending in ("html", "png", "csv", "json")), "differences.csv"}
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


@pytest.mark.statistical
def test_the_demo_from_a_shell(place, capsys, monkeypatch):
    for name, value in {"VOCABULARY": 270, "TOKENIZER_TEXTS": 5, "PARAMETERS": 15_000}.items():
        monkeypatch.setattr(demonstration, name, value)
    small = partial(demonstration.demo, corpus_tokens=8_000, training_tokens=2_000, lags=(0, 1, 4))
    monkeypatch.setattr(demonstration, "demo", small)
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


@pytest.mark.statistical
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
        (["--grammar", "C"], "`--grammar` must be one of 'A' or 'B', got 'C'"),
        (["--seeds", "1"], "`--seeds` must be a whole number of at least 2"),
        (["--train", "x.conllu"], "`--train` and `--test` must be given together"),
        (["--train", "x.conllu", "--test", "y.conllu"], "`path` must be a file, got 'x.conllu'"),
        (["--conditions", "BiGru"], "`--conditions` must be one of"),
    ],
)
def test_a_mistake_in_roles(place, capsys, arguments, message):
    assert main(["roles", "--out", "out", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert names(place) == {"texts.jsonl"}


@pytest.mark.statistical
def test_a_saved_report_becomes_a_page_and_reports_compare_by_their_folders(place, capsys):
    one, two = synthetic_report(), synthetic_report(seed=1, model={"name": "gru", "vocabulary": 4096})
    one.save("runs/one/report.json")
    two.save("runs/two.json")
    assert main(["page", "runs/one", "--out", "runs/one"]) == 0
    assert names(place / "runs" / "one") == FILES
    assert str(one) in capsys.readouterr().out
    assert main(["compare", "runs/one", "runs/two.json", "--json", "--out", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [report["name"] for report in printed["reports"]] == ["one", "two"]
    assert names(place) == {"texts.jsonl", "runs", "runs/two.json", "runs/one", *(f"runs/one/{name}" for name in FILES)}


@pytest.mark.statistical
def test_json_is_the_report_and_no_files_need_be_written(place, capsys):
    assert measure("--json", out="-") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["config"]["lags"] == [0, 1, 2, 3]
    assert printed.err == "" and names(place) == {"texts.jsonl"}


@pytest.mark.statistical
def test_the_data_processing_inequality_from_a_shell(place, capsys):
    source = np.tile(np.arange(4), 500)
    np.save("source.npy", source)
    np.save("whole.npy", np.eye(4)[source])
    np.save("half.npy", (source[:, None] // 2).astype(float))
    assert main(["dpi", "--source", "source.npy", "--stages", "whole.npy", "half.npy", "--out", "out"]) == 0
    printed = capsys.readouterr().out
    assert "holds" in printed and "out/dpi.csv" in printed
    assert (place / "out" / "dpi.csv").read_text().splitlines()[1].startswith("whole,")
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    for stages, message in [
        (["whole.npy"], "`--stages` must be two files or more"),
        (["whole.npy", "hafl.npy"], "there is no file 'hafl.npy'"),
        (["whole.npy", "object.npy"], "'object.npy' is no array of numpy"),
    ]:
        assert main(["dpi", "--source", "source.npy", "--stages", *stages, "--out", "out"]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError(), 2, "the memory is used up: pass a smaller --max-tokens"),
        (RuntimeError("CUDA out of memory. Tried\nto"), 2, "the memory is used up"),
        (KeyError("weights"), 1, "KeyError: 'weights'; this should not happen: INFODIL_DEBUG=1 shows where."),
    ],
)
def test_a_fault_is_one_sentence(place, capsys, monkeypatch, error, status, message):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("infodil.report.RecoverabilityReport.to_html", fail)
    synthetic_report().save("one/report.json")
    assert main(["page", "one"]) == status
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    monkeypatch.setenv("INFODIL_DEBUG", "1")
    with pytest.raises(type(error)):
        main(["page", "one"])


def test_a_request_to_end_is_answered_in_one_line(place):
    code = "import os, signal, sys; from infodil.cli import main; import infodil.cli.files as files; \\\n"
    code += "files.read_report = lambda path: os.kill(os.getpid(), signal.SIGTERM); sys.exit(main(['page', 'one']))"
    ended = python("-c", code.replace("\\\n", ""), cwd=place)
    assert (ended.returncode, ended.stderr) == (130, "infodil: stopped; nothing was left half written.\n")


# What a terminal does


def compare_in_a_shell(place, **environment):
    synthetic_report().save("one/report.json")
    synthetic_report(seed=1).save("two/report.json")
    command = [sys.executable, "-m", "infodil", "compare", "one", "two", "--out", "both"]
    return subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )


@pytest.mark.statistical
def test_files_are_written_although_nobody_reads_the_table(place):
    shell = compare_in_a_shell(place, PYTHONUNBUFFERED="1")
    shell.stdout.close()
    assert shell.wait(60) == 0 and shell.stderr.read() == b""
    assert len(names(place / "both")) == 5
    shell.stderr.close()


@pytest.mark.statistical
def test_a_terminal_of_few_letters_gets_question_marks(place):
    shell = compare_in_a_shell(place, PYTHONIOENCODING="ascii")
    printed, errors = shell.communicate(timeout=60)
    assert shell.returncode == 0 and errors == b""
    assert b"wrote both" in printed and len(names(place / "both")) == 5


def test_a_full_disk_is_one_sentence(place, capsys, monkeypatch):
    synthetic_report().save("one/report.json")

    def fail(*args, **options):
        raise OSError(28, "No space left on device", "page/report.html")

    monkeypatch.setattr("infodil.report.RecoverabilityReport.to_html", fail)
    assert main(["page", "one"]) == 2
    assert capsys.readouterr().err == (
        "infodil: the system refused 'page/report.html': No space left on device; free space or pass another place.\n"
    )


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
        ({"lags": "0,1000"}, "`--lags` has 1000, which is never observed: the longest"),
        ({"extra": ["--set", "alpha"]}, "`--set` must be NAME=VALUE, got 'alpha': pass such as alpha=0.5."),
        ({"extra": ["--set", "al pha=1"]}, "`--set` must be NAME=VALUE, got 'al pha=1'"),
        (
            {"extra": ["--set", "alpah=1"]},
            "`--set` 'alpah' is none that 'shift_register' has (it has window, dim).",
        ),
        ({"extra": ["--precision", "float31"]}, "`--precision` must be one of"),
        ({"extra": ["--device", "nowhere"]}, "`--device` 'nowhere' is not there: pass 'cpu'"),
        ({"extra": ["--dtype", "int8"]}, "`--dtype` must be a floating-point torch dtype"),
        ({"extra": ["--sites", "shfit"]}, "`--sites` has 'shfit', which the model does not have: there are 'shift_reg"),
        ({"extra": ["--probes", "gausian"]}, "got 'gausian': did you mean 'gaussian'?"),
        ({"extra": ["--corpus", "text.jsonl"]}, "'text.jsonl' is not there: did you mean 'texts.jsonl'?"),
        ({"extra": ["--confidence", "95"]}, "`--confidence` must be at least 0.5"),
        (
            {"model": "shift_registers"},
            "`--model` 'shift_registers' is no built-in name: did you mean 'shift_reg",
        ),
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


@pytest.mark.statistical
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
    for twice in (["one", "one"], ["one"], ["one", "./one/report.json"]):
        synthetic_report().save("one/report.json")
        assert main(["compare", *twice, "--out", "both"]) == 2
        assert "`reports` must be two or more different reports, got one" in capsys.readouterr().err
    shutil.rmtree("one")
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["recoverabilty"], "invalid choice: 'recoverabilty': did you mean 'recoverability'?"),
        (["lm", "tarin"], "invalid choice: 'tarin': did you mean 'train'?"),
        (["recoverability"], "the following arguments are required: --model, --corpus"),
        (["compare", "a", "b", "--outt", "x"], "unrecognized arguments: --outt x: did you mean '--out'"),
        (["recoverability", "--max-tokens", "abc"], "argument --max-tokens: invalid int value: 'abc'."),
    ],
)
def test_a_command_or_flag_that_there_is_not_is_answered_by_those_that_there_are(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert "usage: infodil" in printed and message in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "emma"], "`--model` 'emma' is no built-in name: did you mean 'ema'"),
        (["--corpus", "sampel"], "`--corpus` 'sampel' is not there: did you mean 'sample'?"),
        (["--probes", "gausian"], "`--probes` must be one of 'prior', 'gaussian'"),
        (["--precision", "fp16"], "got 'fp16': did you mean 'float16'?"),
        (["--precision", "int7"], "got 'int7': did you mean 'int8'?"),
        (["--dtype", "bf16"], "got 'bf16': did you mean 'bfloat16'?"),
        (["--device", "gpu"], "`--device` 'gpu' is not there: pass 'cpu'"),
        (["--confidence", "1"], "`--confidence` must be at least 0.5 and below 1, got 1.0"),
        (["--batch-size", "0"], "`--batch-size` must be a whole number of at least 1, got 0"),
        (["--max-tokens", "0"], "`--max-tokens` must be a whole number of at least 1, got 0"),
        (["--max-length", "1"], "`--max-length` must be a whole number of at least 2, got 1"),
        (["--vocabulary", "0"], "`--vocabulary` must be a whole number of at least 1, got 0"),
        (["--seed", "-1"], "`--seed` must be a whole number of at least 0, got -1"),
        (["--seed", str(2**63)], "`--seed` must be below 2**62, got 9223372036854775808: pass one such as 0."),
        (["--cache-dir", "dangling"], "`--cache-dir` 'dangling' is a link to what is not there: pass a folder."),
        (["--lags", "a-b"], "`--lags` must be whole numbers and ranges, got 'a-b'"),
        (["--set", "alpha"], "`--set` must be NAME=VALUE, got 'alpha'"),
        (["--set", "alfa=0.5"], "`--set` 'alfa' is none that 'ema' has (it has alpha, dim"),
        (["--out", "/proc/report"], "`--out` '/proc/report' cannot be written"),
        (["--out", "x" * 300], "cannot be written (File name too long)"),
        (["--out", "dangling/in"], "`--out` 'dangling/in' lies under 'dangling', which is a link to what is not there"),
    ],
    ids=lambda value: value[1][:12] if isinstance(value, list) else "",
)
def test_a_typo_is_answered_before_torch_is_imported(place, arguments, message):
    (place / "dangling").symlink_to(place / "nowhere")
    code = f"""
import sys
from infodil.cli import main
status = main(["recoverability", "--model", "ema", "--corpus", "sample", *{arguments!r}])
assert status == 2 and not {{'torch', 'numpy', 'pandas', 'matplotlib'}} & set(sys.modules)
"""
    ended = python("-c", code, cwd=place)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("infodil: ") and ended.stderr.count("\n") == 1 and message in ended.stderr
    assert names(place) == {"texts.jsonl", "dangling"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["depth", "--rules", "sum", "--precision", "fp16"], "got 'fp16': did you mean 'float16'?"),
        (["depth", "--rules", "sum", "--dim", "0"], "`--dim` must be a whole number of at least 1, got 0"),
        (["depth", "--model", "m", "--corpus", "sampel"], "did you mean 'sample'?"),
        (["depth"], "`--model` or `--rules` must be given"),
        (["lm", "score", "--model", "run", "--corpus", "sample"], "`--model` 'run' is no folder"),
        (["lm", "gap", "--model", "run", "--reference", "run"], "`--model` 'run' is no folder"),
        (["dpi", "--source", "x.npy", "--stages", "a.npy", "b.npy"], "there is no file 'x.npy': check the spelling"),
        (["page", "nowhere"], "must be the file of a saved report, got 'nowhere'"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_the_other_commands_answer_a_mistake_as_soon(place, arguments, message):
    code = f"import sys; from infodil.cli import main; print(main({arguments!r}), 'torch' in sys.modules)"
    ended = python("-c", code, cwd=place)
    assert ended.stdout == "2 False\n" and message in ended.stderr and ended.stderr.count("\n") == 1
    assert names(place) == {"texts.jsonl"}


def commands_of(parser, name="infodil"):
    """Every command with the flags that its help shows."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name, {flag: each for each in parser._actions if each.help != argparse.SUPPRESS
                     for flag in each.option_strings}  # fmt: skip
    for action in inner:
        for word, command in action.choices.items():
            yield from commands_of(command, f"{name} {word}")


@pytest.mark.parametrize(
    ("name", "flags"), commands_of(parser()), ids=lambda value: value if type(value) is str else ""
)
def test_flags_have_one_spelling_and_one_meaning(name, flags):
    assert not {"--option", "--options", "--output", "--outdir", "--n-seeds"} & set(flags)
    assert "--seeds" not in flags or "--seed" in flags
    for flag, words in {"--out": "folder", "--seed": "seed", "--seeds": "number of seeds", "--set": "such as"}.items():
        assert flag not in flags or words in flags[flag].help
    assert "--out" not in flags or flags["--out"].metavar == "FOLDER"


def test_names_read_from_the_source_are_those_of_the_registries():
    code = "from infodil.cli.names import *; print(encoder_names(), precision_names(), probe_summaries())"
    written = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    from infodil.encoders import ENCODERS
    from infodil.precision import PRECISIONS
    from infodil.probes import PROBES

    loaded = f"{encoder_names()} {precision_names()} {probe_summaries()}"
    assert loaded == written
    assert encoder_options("gru") == ["dim"] and encoder_options("ema")[0] == "alpha" and encoder_options("x") is None
    assert encoder_options("ema_bank")[0] == "alphas" and "layers" in encoder_options("attention")
    assert (encoder_names(), precision_names(), list(probe_summaries())) == (
        list(ENCODERS),
        list(PRECISIONS),
        list(PROBES),
    )


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


@pytest.mark.statistical
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
