"""States that were recorded are measured like those of the model that gave them."""

import numpy as np
import pytest
import torch

from infodil import load_encoder, load_report, recoverability
from infodil.checks import UserError
from infodil.cli.main import main
from infodil.encoders import RecordedStates, read_recorded, self_test
from infodil.sources import markov

TYPES = 6
OPTIONS = {"lags": [0, 1, 3], "probes": ["gaussian", "linear"], "progress": False}
NUMBERS = ("value_bits", "low_bits", "high_bits", "shuffled_bits", "ceiling_bits", "beyond_context_bits", "upper_bits")


@pytest.fixture(scope="module")
def tokens():
    return markov(vocabulary=TYPES, documents=90, tokens=30, concentration=0.5, seed=3).tokens


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("gru", vocabulary=TYPES, dim=6)


@pytest.fixture(scope="module")
def states(encoder, tokens):
    return encoder.encode(tokens)["gru"]


def same_numbers(first, second, rel=1e-4):
    for row, expected in zip(first.rows, second.rows, strict=True):
        for name in NUMBERS:
            assert row[name] == pytest.approx(expected[name], rel=rel, abs=1e-3), (name, row["lag"], row["probe"])


FORMS = {
    "tensor": lambda states, folder: states,
    "array": lambda states, folder: states.numpy(),
    "list of tensors": lambda states, folder: list(states),
    "list of arrays": lambda states, folder: [state.numpy() for state in states],
    "memory map": lambda states, folder: mapped(states, folder),
    "big-endian": lambda states, folder: states.numpy().astype(">f4"),
    "a view": lambda states, folder: states.flip(2).numpy()[..., ::-1],
    "padded": lambda states, folder: torch.cat([states, torch.full_like(states[:, :5], torch.nan)], 1),
    "further axes": lambda states, folder: states.unflatten(2, (2, 3)),
}


def mapped(states, folder):
    np.save(folder / "states.npy", states.numpy())
    return np.load(folder / "states.npy", mmap_mode="r")


@pytest.mark.statistical
@pytest.mark.parametrize("form", FORMS)
def test_recorded_states_are_measured_like_the_model(form, encoder, states, tokens, tmp_path):
    report = recoverability({"gru": FORMS[form](states, tmp_path)}, tokens, controls=True, **OPTIONS)
    expected = recoverability(encoder, tokens, controls=True, **OPTIONS)
    same_numbers(report, expected)
    assert report.sites == ("gru",) and report.model["name"] == "recorded states"
    assert all(row["random_weights_bits"] is None for row in report.rows)
    report.save(tmp_path / "report.json")
    assert load_report(tmp_path / "report.json") == report


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_states_of_any_type(dtype, states, tokens):
    report = recoverability({"a": states.to(dtype)}, tokens, controls=False, **OPTIONS)
    if dtype == torch.float8_e4m3fn:
        expected = recoverability({"a": states.to(dtype).float()}, tokens, controls=False, **OPTIONS)
        assert [row["value_bits"] for row in report.rows] == [row["value_bits"] for row in expected.rows]
    else:
        expected = recoverability({"a": states}, tokens, controls=False, **OPTIONS)
        for row, other in zip(report.rows, expected.rows, strict=True):
            assert row["value_bits"] == pytest.approx(other["value_bits"], abs=0.1)


@pytest.mark.statistical
@pytest.mark.parametrize("options", [{}, {"max_length": 7}, {"max_length": 16, "pack": True}], ids=str)
def test_documents_of_many_lengths_and_few_documents(options, encoder, tokens):
    from infodil import load_corpus

    lengths = np.random.default_rng(0).integers(0, 31, len(tokens))
    ragged = [row[:length].numpy() for row, length in zip(tokens, lengths, strict=True)]
    few = [tokens[:45].flatten().numpy(), tokens[45:].flatten().numpy()]
    for ids in (ragged, few):
        recorded = [position_states(document) for document in ids]
        corpus = load_corpus(ids, vocabulary=TYPES, **options)
        report = recoverability({"a": recorded}, corpus, lags=[0], probes="gaussian", controls=False, progress=False)
        # Each state is the one-hot vector of its own token: a misplaced one would lose bits.
        row = report.rows[0]
        assert row["value_bits"] == pytest.approx(row["ceiling_bits"], abs=0.02)


def position_states(document):
    return np.eye(TYPES, dtype=np.float32)[document].reshape(len(document), TYPES)


@pytest.mark.statistical
def test_several_sites_and_a_choice_of_them(states, tokens):
    both = {"one": states, "two": states[..., :2]}
    assert recoverability(both, tokens, **OPTIONS).sites == ("one", "two")
    assert recoverability(both, tokens, sites="t*", **OPTIONS).sites == ("two",)
    with pytest.raises(UserError, match=r"`sites` has 'tree', which the model does not have"):
        recoverability(both, tokens, sites="tree", **OPTIONS)


def test_an_encoder_of_recorded_states_reads_positions(states):
    encoder = RecordedStates({"a": states}, [30] * 90, TYPES)
    assert encoder.reads_positions and encoder.kind_of_site("a") == "recorded" and encoder.randomised(0) is None
    found = encoder.encode(torch.tensor([[0, 1, 2], [29, 30, 31]]))["a"]
    assert torch.equal(found, torch.stack([states[0, :3], torch.stack([states[0, 29], *states[1, :2]])]))
    assert self_test(encoder) == {"a": 6}


class Untouched(np.ndarray):
    """An array that says how much of it is read at once."""

    largest = 0

    def __getitem__(self, index):
        found = super().__getitem__(index)
        if isinstance(index, slice):
            Untouched.largest = max(Untouched.largest, found.size)
        return found


@pytest.mark.statistical
def test_no_more_than_a_document_is_read_at_once(states, tokens):
    recoverability({"a": states.numpy().view(Untouched)}, tokens, **OPTIONS)
    assert 0 < Untouched.largest <= states[0].numel()


@pytest.mark.statistical
@pytest.mark.parametrize("form", ["npy", "safetensors", "ragged"])
def test_a_folder_is_measured_from_python_and_from_a_shell(form, states, tokens, tmp_path, capsys):
    folder = tmp_path / "states"
    folder.mkdir()
    arrays = {"tokens": tokens.numpy(), "layer.1": states.numpy(), "layer.2": states.numpy()[..., :3]}
    if form == "ragged":
        lengths = np.full(len(tokens), 30)
        arrays = {name: values.reshape(-1, *values.shape[2:]) for name, values in arrays.items()} | {"lengths": lengths}
    if form == "safetensors":
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / "a.safetensors")
    else:
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)
    report = recoverability(*read_recorded(folder), **OPTIONS)
    assert report.sites == ("layer.1", "layer.2")
    same_numbers(report, recoverability({"layer.1": states, "layer.2": states[..., :3]}, tokens, **OPTIONS))
    command = ["recoverability", "--states", str(folder), "--lags", "0-1", "--probes", "gaussian", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "layer.2" in capsys.readouterr().out
    assert load_report(tmp_path / "out" / "report.json").sites == ("layer.1", "layer.2")


def wrong(states, tokens):
    return [
        ({}, tokens, "`model` must not be empty"),
        (
            {"a": states[:5]},
            tokens,
            "`model` has states of 5 documents at 'a', and the corpus has 90: pass the token ids",
        ),
        ({"a": states[:, :29]}, tokens, r"`model` has states of shape \(29, 6\) for document 0 at 'a', which has 30"),
        ({"a": [*states, states[0]]}, tokens, "`model` has states of 91 documents at 'a'"),
        (
            {"a": [*states[:89], states[0, :, :2]]},
            tokens,
            r"`model` has states of the shapes \[\(2,\), \(6,\)\] at 'a'",
        ),
        ({"a": states[..., :0]}, tokens, r"`model` has states of the shapes \[\(0,\)\] at 'a': pass one length of 1"),
        ({"a": states[0]}, tokens, r"`model` has states of shape \(30, 6\) at 'a': pass \[documents, tokens, dim\]"),
        ({"a": "states.npy"}, tokens, "`model` has str at 'a': pass an array"),
        ({"a": np.array([["x"] * 30] * 90)[..., None]}, tokens, "`model` has <U1 numbers at 'a': pass floating-point"),
        ({"a": states / 0.0}, tokens, "`model` gave states that are not finite at 'a'"),
        ({"a": states}, ["a text", "another"], "`corpus` 'text' is text, and recorded states stand beside token ids"),
    ]


@pytest.mark.parametrize("case", range(11))
def test_a_mistake_is_told_in_one_sentence(case, states, tokens):
    model, corpus, message = wrong(states, tokens)[case]
    with pytest.raises(UserError, match=message) as caught:
        recoverability(model, corpus, **OPTIONS)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("case", ["nowhere", "empty", "no states", "no tokens", "damaged", "lengths"])
def test_a_folder_that_cannot_be_read_is_told(case, tmp_path, capsys):
    if case == "no states":
        np.save(tmp_path / "tokens.npy", np.zeros((3, 4), dtype=int))
    elif case in ("no tokens", "damaged", "lengths"):
        np.save(tmp_path / "a.npy", np.zeros((3, 4, 2)))
    if case == "damaged":
        (tmp_path / "a.npy").write_bytes(b"\x93NUMPY and no more")
    if case == "lengths":
        np.save(tmp_path / "tokens.npy", np.zeros(12, dtype=int))
        np.save(tmp_path / "lengths.npy", np.array([4, 4]))
    folder = tmp_path / "nowhere" if case == "nowhere" else tmp_path
    with pytest.raises(UserError, match=r"`states` .*: \w+ .*\.") as caught:
        read_recorded(folder)
    assert "\n" not in str(caught.value)
    assert main(["recoverability", "--states", str(folder), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_states_and_a_model_exclude_each_other(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["recoverability", "--states", str(tmp_path), "--model", "ema"])
    assert ended.value.code == 2
    assert "argument --model: not allowed with argument --states" in capsys.readouterr().err
