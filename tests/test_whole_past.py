"""What a state holds of all lags together, and how much of it a better model of the context can guess."""

import numpy as np
import pytest
import torch

import infodil
from infodil.checks import UserError
from infodil.encoders import Encoder
from infodil.measure import BackwardLM
from infodil.sources import iid

TYPES, PERIOD = 8, 4


class Newest(Encoder):
    """The newest token and nothing else."""

    vocabulary, sites, costly = TYPES, ("newest",), False

    def encode(self, tokens):
        return {"newest": torch.nn.functional.one_hot(tokens, TYPES).float()}


def repeated(documents=120, tokens=40, seed=0):
    """Documents that repeat four random tokens: a token is the one four steps on, and nothing less tells it."""
    pattern = np.random.default_rng(seed).integers(TYPES, size=(documents, PERIOD))
    return np.tile(pattern, tokens // PERIOD)


def exact(following):
    """Log-probability of the token before: four tokens on it comes again."""
    log = torch.full((len(following), TYPES), -np.log(TYPES), dtype=torch.float64)
    if following.shape[1] >= PERIOD:
        log = torch.nn.functional.one_hot(following[:, PERIOD - 1], TYPES).double().clamp(min=1e-6).log()
    return log


OPTIONS = {"probes": "gaussian", "controls": False, "progress": False}


@pytest.fixture(scope="module")
def register():
    source = iid(TYPES, documents=100, tokens=60, seed=0)
    return infodil.recoverability("shift_register", source, lags=range(6), **OPTIONS)


@pytest.mark.statistical
def test_lags_of_independent_tokens_add_up_to_a_lower_bound(register):
    bits = register.total("shift_register")
    # Four tokens of three bits each; a probe that never errs pays .01 bits of smoothing a token at most.
    assert bits.kind == "lower bound" and 11.9 < bits.low_bits <= bits.value_bits <= 12.0
    rows = [row for row in register.rows if row["chosen"]]
    # The interval is that of the sum in each document: narrower than the sum of all intervals.
    assert bits.high_bits - bits.low_bits < sum(row["high_bits"] - row["low_bits"] for row in rows)
    assert "holds at least" in str(register).replace("\n", " ")


def test_the_whole_past_is_a_mean_over_states_with_every_lag_behind_them(register):
    deepest = max(register.rows, key=lambda row: row["lag"])
    assert register.summary[0]["whole_past_samples"] == deepest["samples"]


@pytest.mark.statistical
def test_guesswork_that_the_ngram_missed_is_no_memory_under_a_better_context():
    """The newest token tells the one four steps back, and the tokens between tell it no less: no memory at all."""
    report = infodil.recoverability(Newest(), repeated(), lags=range(6), context=exact, **OPTIONS)
    rows = {row["lag"]: row for row in report.rows}
    assert rows[4]["value_bits"] > 2.8 and rows[4]["beyond_ngram_context_bits"] > 2.8
    assert abs(rows[4]["beyond_own_context_bits"]) < 0.05 and rows[4]["context_model"] == "own"
    assert rows[4]["beyond_context_bits"] == rows[4]["beyond_own_context_bits"]
    assert rows[4]["own_context_bits"] > 2.8 > 0.2 > abs(rows[4]["ngram_context_bits"])
    bits = report.total("newest")
    # 24 test documents of four tokens each: the standard error of a mean surprise is about .05 at each of six lags.
    assert bits.kind == "estimate" and bits.value_bits == pytest.approx(rows[0]["ceiling_bits"], abs=0.3)
    assert "beyond the n-gram alone" in str(report).replace("\n", " ")


@pytest.mark.statistical
def test_a_backward_language_model_finds_what_the_ngram_missed():
    lm = BackwardLM(dim=48, epochs=14, window=12, batch_size=16)
    report = infodil.recoverability(Newest(), repeated(documents=200), lags=[0, 4], context=lm, **OPTIONS)
    row = next(row for row in report.rows if row["lag"] == 4)
    assert row["beyond_ngram_context_bits"] > 2.8 > 2.0 > row["beyond_lm_context_bits"]
    assert row["context_model"] == "lm" and "backward GRU of 48" in report.corpus["context_models"]["lm"]


def test_context_models_of_independent_tokens_are_the_prior():
    source = iid(TYPES, documents=60, tokens=30, seed=0)
    lm = BackwardLM(dim=4, epochs=1, window=8)
    report = infodil.recoverability(Newest(), source, lags=[0, 1], context=lm, **OPTIONS)
    for row in report.rows:
        assert row["beyond_lm_context_bits"] == row["beyond_ngram_context_bits"]
        assert row["lm_context_bits"] == row["ngram_context_bits"] == 0.0 and row["context_model"] == "ngram"


def test_a_context_longer_than_the_window_is_read_from_its_nearest_tokens():
    from infodil.measure.contexts import BackwardLanguageModel
    from infodil.probes import fit_class_map

    classes = fit_class_map(torch.full((TYPES,), 10), torch.full((TYPES,), 10))
    model = BackwardLanguageModel(BackwardLM(dim=8, window=3), classes, seed=0)
    newest = np.random.default_rng(0).integers(TYPES, size=(5, 9))
    rows = np.array([0, 3])
    far = model.evidence(model.begin(newest), rows, 7)
    near = model.evidence(model.begin(newest[:, 4:]), rows, 3)
    torch.testing.assert_close(far, near)


@pytest.mark.parametrize(
    ("context", "words"),
    [("lms", "did you mean 'lm'"), (3, "got int: pass 'lm'")],
)
@pytest.mark.statistical  # the checks of shapes and types would come first
def test_wrong_contexts_are_told(context, words):
    with pytest.raises(UserError, match=words):
        infodil.recoverability(Newest(), repeated(), lags=[0], context=context, **OPTIONS)


def test_a_function_of_another_shape_is_told():
    with pytest.raises(UserError, match=r"`context` gave .* return one log-probability a row and type"):
        infodil.recoverability(Newest(), repeated(), lags=[1], context=lambda ids: ids.float(), **OPTIONS)
