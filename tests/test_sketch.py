"""The count sketch of wide states: its laws, what a report says of it, and encoding within memory."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infodil import load_encoder, recoverability
from infodil.checks import UserError
from infodil.cli.main import main
from infodil.encoders import CountSketch, EncoderInParts, TraceEncoder, self_test
from infodil.sources import iid

TYPES = 6
OPTIONS = {"lags": [0, 1], "probes": "gaussian", "progress": False}
lengths = st.integers(1, 70)
seeds = st.integers(0, 2**32)


def vectors(rows, numbers, seed=0):
    return torch.randn(rows, numbers, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(numbers=lengths, size=lengths, seed=seeds)
def test_a_sketch_is_linear_and_adds_each_number_to_one_sum(numbers, size, seed):
    sketch = CountSketch.of(numbers, size, seed)
    x, y = vectors(3, numbers, 1), vectors(3, numbers, 2)
    assert torch.allclose(sketch.apply(2.0 * x - 3.0 * y), 2.0 * sketch.apply(x) - 3.0 * sketch.apply(y))
    matrix = sketch.apply(torch.eye(numbers))
    assert torch.allclose(sketch.apply(x), x @ matrix.double())
    assert torch.equal(matrix.abs().sum(1), torch.ones(numbers)) and set(matrix.unique().tolist()) <= {-1.0, 0.0, 1.0}
    in_sum = matrix.abs().sum(0)
    assert in_sum.max() - in_sum.min() <= (numbers > size)
    if numbers <= size:
        assert torch.equal(sketch.apply(x), x)


@settings(max_examples=20, deadline=None)
@given(numbers=st.integers(10, 70), size=st.integers(1, 9), seed=seeds, cuts=st.lists(st.integers(0, 12), max_size=3))
def test_a_sketch_is_the_same_in_any_parts_and_types(numbers, size, seed, cuts):
    sketch, again = CountSketch.of(numbers, size, seed), CountSketch.of(numbers, size, seed)
    x = vectors(12, numbers).bfloat16()
    whole = sketch.apply(x)
    assert whole.dtype == torch.float32 and torch.equal(whole, again.apply(x.float()))
    assert torch.allclose(whole.double(), again.apply(x.double()), atol=1e-5)
    assert torch.equal(whole, torch.cat([again.apply(part) for part in x.tensor_split(sorted(cuts))]))
    assert torch.equal(whole.view(3, 4, size), again.apply(x.view(3, 4, numbers)))


@pytest.mark.statistical
def test_inner_products_are_kept_on_average():
    numbers, size, draws = 40, 8, 1500
    x, y = vectors(1, numbers, 1), vectors(1, numbers, 2)
    products = torch.cat(
        [(s.apply(x) * s.apply(y)).sum(1) for s in (CountSketch.of(numbers, size, d) for d in range(draws))]
    )
    # The variance is at most (|x|^2 |y|^2 + <x, y>^2) / size.
    error = ((x.square().sum() * y.square().sum() + (x * y).sum().square()) / size / draws).sqrt()
    assert abs(products.mean() - (x * y).sum()) < 4.5 * error
    assert products.std() > 0.1 * error * draws**0.5  # other seeds are other sketches


class Wide(TraceEncoder):
    """A trace of many numbers, which counts the documents of each call and may run out of memory."""

    def __init__(self, dim=90, most=10**6, leaks=False):
        super().__init__(TYPES, (0.3,), dim=dim)
        self.most, self.leaks, self.calls = most, leaks, []

    def encode(self, tokens):
        self.calls.append(tuple(tokens.shape))
        if tokens.numel() > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
        states = super().encode(tokens)["ema"]
        if self.leaks:
            states[..., 7] = 1e-6 * tokens.float().roll(-1, 1)
        return {"ema": states}


@pytest.fixture(scope="module")
def tokens():
    return iid(vocabulary=TYPES, documents=90, tokens=24, seed=0).tokens


@pytest.fixture(scope="module")
def sketched(tokens):
    return recoverability(Wide(), tokens, sketch_dims=32, seed=3, **OPTIONS)


@pytest.mark.statistical
def test_a_report_says_of_each_site_how_it_was_sketched(sketched, tokens, tmp_path):
    assert {(row["dim"], row["sketch_dims"]) for row in sketched.rows} == {(90, 32)}
    assert (sketched.summary[0]["dim"], sketched.summary[0]["sketch_dims"]) == (90, 32)
    assert list(sketched.to_frame()["sketch_dims"].unique()) == [32]
    assert sketched.model["sketches"] == {"ema": {"dim": 90, "sketch_dims": 32, "seed": 3}}
    assert "Of the 90 numbers of ema, a count sketch of 32 was read (seed 3)" in " ".join(str(sketched).split())
    assert json.loads(sketched.save(tmp_path / "a.json").read_text())["rows"][0]["sketch_dims"] == 32
    page = sketched.to_html(tmp_path / "a.html").read_text()
    assert "a count sketch of 32 was read" in page and "32 of 90" in page
    for whole in (None, 90):
        report = recoverability(Wide(), tokens, sketch_dims=whole, **OPTIONS)
        assert report.rows[0]["sketch_dims"] is None and report.rows[0]["dim"] == 90
        assert report.model["sketches"] is None and "sketch of" not in str(report)


def test_a_sketch_reads_no_more_than_the_state_holds(sketched, tokens):
    whole = recoverability(Wide(), tokens, sketch_dims=None, seed=3, **OPTIONS)
    for less, more in zip(sketched.rows, whole.rows, strict=True):
        assert less["low_bits"] <= more["high_bits"]
        assert less["value_bits"] > more["value_bits"] - 0.3  # six types in 32 sums: hardly a collision that matters


FORMS = {
    "tensor": lambda states, folder: states,
    "ragged list": lambda states, folder: list(states.numpy()),
    "memory map": lambda states, folder: mapped(states, folder),
}


def mapped(states, folder):
    np.save(folder / "states.npy", states.numpy())
    return np.load(folder / "states.npy", mmap_mode="r")


@pytest.mark.parametrize("form", FORMS)
def test_recorded_states_are_sketched_as_the_model_is(form, sketched, tokens, tmp_path):
    states = FORMS[form](Wide().encode(tokens)["ema"], tmp_path)
    report = recoverability({"ema": states}, tokens, sketch_dims=32, seed=3, **OPTIONS)
    assert report.rows[0]["sketch_dims"] == 32
    for row, expected in zip(report.rows, sketched.rows, strict=True):
        assert row["value_bits"] == pytest.approx(expected["value_bits"], abs=1e-4)


@pytest.mark.statistical
def test_random_weights_meet_the_same_sketch(tokens):
    report = recoverability("gru", tokens, sketch_dims=8, dim=20, **OPTIONS)
    row = report.rows[0]
    # The model has random weights itself, so the control is another model of its kind.
    assert row["sketch_dims"] == 8 and row["random_weights_bits"] == pytest.approx(row["value_bits"], abs=0.4)
    encoder = EncoderInParts(load_encoder("gru", vocabulary=TYPES, dim=20), 8, seed=5)
    other = encoder.randomised(1)
    for each in (encoder, other):
        each.encode(tokens[:2])
    assert torch.equal(encoder.sketches[20].places, other.sketches[20].places)
    assert encoder.fingerprint() != EncoderInParts(encoder.encoder, 8, seed=6).fingerprint()
    assert encoder.fingerprint() != EncoderInParts(encoder.encoder, 9, seed=5).fingerprint()


@pytest.mark.statistical
def test_a_cache_is_bound_to_the_sketch(tokens, tmp_path):
    options = OPTIONS | {"controls": False, "cache_dir": tmp_path, "lags": [0]}
    encoder = load_encoder("gru", vocabulary=TYPES, dim=20)
    encoder.costly = True
    reports = [recoverability(encoder, tokens, sketch_dims=size, **options) for size in (8, 12, None, 8)]
    assert [report.rows[0]["sketch_dims"] for report in reports] == [8, 12, None, 8]
    assert len(list(tmp_path.iterdir())) == 3
    assert reports[0] == reports[3]


def test_a_leak_into_one_small_number_of_many_is_found(tokens):
    with pytest.raises(UserError, match=r"change by .* with a later token"):
        recoverability(Wide(leaks=True), tokens, sketch_dims=4, **OPTIONS)


@pytest.mark.statistical
@pytest.mark.parametrize("sketch_dims", [None, 32])
def test_where_memory_runs_out_fewer_are_encoded_and_nothing_else_changes(sketch_dims, tokens):
    expected = recoverability(Wide(), tokens, sketch_dims=sketch_dims, **OPTIONS)
    model = Wide(most=100)
    report = recoverability(model, tokens, sketch_dims=sketch_dims, batch_size=16, **OPTIONS)
    assert report.rows == expected.rows
    said = [sentence for sentence in report.warnings if sentence not in expected.warnings]
    assert len(said) == 1 and said[0].startswith("Memory ran out at `batch_size` 16, so no more than ")
    fits = [size for size in model.calls if np.prod(size) <= 100]
    assert len(model.calls) - len(fits) < 20 and max(map(np.prod, fits)) > 50


def test_one_document_that_does_not_fit_is_told_in_one_sentence(tokens):
    with pytest.raises(
        UserError, match=r"`corpus` has a document of 24 tokens whose states do not fit into memory: pass"
    ):
        recoverability(Wide(most=20), tokens, **OPTIONS)


def test_other_errors_of_a_model_are_not_taken_for_a_lack_of_memory(tokens):
    class Broken(Wide):
        def encode(self, tokens):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        EncoderInParts(Broken()).encode(tokens)


def test_wide_states_are_encoded_a_part_at_a_time(tokens, monkeypatch):
    monkeypatch.setattr("infodil.encoders.in_parts.PART_BYTES", 4 * 90 * 50)
    model = Wide()
    encoder = EncoderInParts(model, 32)
    expected = CountSketch.of(90, 32).apply(Wide().encode(tokens)["ema"])
    encoder.encode(tokens[:1])
    assert torch.equal(encoder.encode(tokens)["ema"], expected)
    assert max(map(np.prod, model.calls)) <= 50
    assert self_test(encoder, 24) == {"ema": 32}


@pytest.mark.parametrize("value", [0, -4, 2.5, "many", True])
@pytest.mark.statistical  # the checks of shapes and types would come first
def test_a_wrong_length_of_a_sketch_is_told(value, tokens):
    with pytest.raises(UserError, match=r"`sketch_dims` must be a whole number of at least 1"):
        recoverability("ema", tokens, sketch_dims=value, **OPTIONS)


@pytest.mark.statistical
def test_the_sketch_can_be_set_from_a_shell(tokens, tmp_path, capsys):
    for name, ids in {"tokens": tokens.numpy(), "a": Wide().encode(tokens)["ema"].numpy()}.items():
        np.save(tmp_path / f"{name}.npy", ids)
    command = ["recoverability", "--states", str(tmp_path), "--lags", "0", "--probes", "gaussian", "--quiet", "--json"]
    found = {}
    for typed in ("32", "none"):
        assert main([*command, "--out", "-", "--sketch-dims", typed]) == 0
        found[typed] = json.loads(capsys.readouterr().out)["rows"][0]["sketch_dims"]
    assert found == {"32": 32, "none": None}
    assert main([*command, "--out", "-", "--sketch-dims", "few"]) == 2
    assert "`--sketch-dims` must be a whole number of at least 1, got 'few'" in capsys.readouterr().err
