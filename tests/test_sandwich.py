"""The upper side of a report: above the truth, the least that holds for these tokens, and said for what it is."""

import dataclasses
import math

import jaxtyping
import numpy as np
import pytest
import torch

import infodil
from infodil.bounds import StateSample, exact_posterior
from infodil.channel import channel_information, longest_window
from infodil.checks import UserError
from infodil.encoders import ShiftRegisterEncoder, TraceEncoder
from infodil.plots import recoverability_curves
from infodil.precision import Quantizer
from infodil.report.sentences import upper_sentences
from infodil.sources import iid, markov
from infodil.traces import weights

UPPER = ("upper_bits", "upper_low_bits", "upper_high_bits", "upper_by", "upper_assumes", "width_bits")


def measure(encoder, tokens, **options):
    options = {"lags": [0, 1, 2, 3], "probes": ["gaussian", "exact"], "progress": False, "controls": False, **options}
    return infodil.recoverability(encoder, tokens, **options)


def chosen(report):
    return {row["lag"]: row for row in report.rows if row["chosen"]}


@pytest.fixture(scope="module")
def small():
    source = iid(4, documents=150, tokens=60, distribution="zipf", seed=2)
    encoder = TraceEncoder(4, (0.4,), dim=3, seed=1)
    return source, encoder, measure(encoder, source, precision="snr=15dB", lags=[0, 1, 2, 3, 9])


# ------------------------------------------------------------------------------------------------------- its side


@pytest.mark.statistical
def test_lower_truth_and_upper_stand_in_order(small):
    source, encoder, report = small
    sigma = report.model["errors"]["ema"]
    weight = weights(0.4, 6)  # the rest is a fiftieth of the noise
    truth = channel_information(
        encoder.embedding, weight, sigma, lags=[0, 1, 2, 3], prior=source.probabilities.tolist(), draws=4000
    )
    for lag, known in zip((0, 1, 2, 3), truth, strict=True):
        row = chosen(report)[lag]
        assert row["low_bits"] <= known.high_bits and known.low_bits <= row["upper_high_bits"]
        assert row["upper_by"] == "posterior" and row["upper_assumes"] == "independent tokens"
        assert row["upper_low_bits"] <= row["upper_bits"] <= row["upper_high_bits"] <= row["ceiling_high_bits"]
        assert row["width_bits"] == pytest.approx(row["upper_bits"] - row["value_bits"])
        assert row["upper_bits"] <= row["genie_high_bits"]
        assert abs(row["width_bits"]) < 0.15  # the probe is all but the best, and the bound all but the truth
    assert chosen(report)[9]["upper_bits"] < 0.05  # next to nothing is left, and that is known


@pytest.mark.statistical
def test_states_near_a_start_are_told_better_and_the_bound_knows_it():
    # Sequences of six tokens (4,096 of them: hardly any comes twice): a sixth of the states hold one token alone.
    source = iid(4, documents=500, tokens=6, seed=6)
    encoder = TraceEncoder(4, (0.4,), dim=1, embedding=torch.tensor([[-1.0], [-0.4], [0.1], [1.0]]))
    report = measure(encoder, source, precision="snr=15dB", lags=[0])
    row = chosen(report)[0]
    sigma = report.model["errors"]["ema"]
    told = [
        channel_information(encoder.embedding, weights(0.4, count), sigma, lags=[0], draws=8000)[0].value_bits
        for count in range(1, 7)
    ]
    assert told[-1] < np.mean(told) - 0.05
    assert row["upper_low_bits"] - 0.02 <= np.mean(told) <= row["upper_high_bits"] + 0.02  # 0.02: that of the mean
    assert row["low_bits"] <= row["upper_high_bits"]


@pytest.mark.statistical
def test_the_sum_over_lags_is_within_the_budget(small):
    _, _, report = small
    (site,) = report.summary
    assert site["recoverable_bits"] < site["budget_bits"] <= site["budget_high_bits"]


@pytest.mark.statistical
def test_every_probe_has_the_same_upper_bound(small):
    _, _, report = small
    for lag in report.lags:
        assert len({row["upper_bits"] for row in report.rows if row["lag"] == lag}) == 1


@pytest.mark.statistical
def test_the_genie_is_no_bound_for_tokens_that_tell_of_each_other():
    # A token that nearly always repeats is read off its neighbours, whatever its own weight.
    chain = markov([[0.98, 0.02], [0.02, 0.98]], documents=120, tokens=80, seed=0)
    report = measure(TraceEncoder(2, (0.5,), dim=2, seed=0), chain, precision="snr=6dB", lags=[0, 5])
    row = chosen(report)[5]
    assert row["genie_high_bits"] < row["low_bits"]  # it would be overstepped
    assert row["upper_by"] == "entropy" and row["upper_bits"] == row["ceiling_bits"] and row["upper_assumes"] == ""
    assert any("genie_bits bounds the information of a state" in said for said in upper_sentences(report.rows))


def test_the_same_tokens_undeclared_have_the_entropy(small):
    source, encoder, _ = small
    report = measure(encoder, source.tokens, precision="snr=15dB", lags=[0, 9], probes="gaussian")
    assert {row["upper_by"] for row in report.rows} == {"entropy"}
    assert chosen(report)[9]["genie_bits"] < 0.05


def test_a_state_too_small_for_a_token_is_bounded_by_its_budget():
    source = iid(300, documents=100, tokens=50, seed=1)
    report = measure(
        TraceEncoder(300, (0.3,), dim=1, embedding=torch.randn(300, 1)), source.tokens, precision="snr=0dB", lags=[0],
        probes="gaussian",
    )  # fmt: skip
    (row,) = report.rows
    assert row["upper_by"] == "budget" and row["upper_assumes"] == ""
    assert row["upper_bits"] == pytest.approx(0.5, abs=0.05)  # log2(1 + 1) / 2
    assert row["low_bits"] <= row["upper_high_bits"]


@pytest.mark.statistical
def test_rounding_enters_as_dithered_and_the_report_says_so():
    source = iid(300, documents=100, tokens=50, seed=1)
    encoder = TraceEncoder(300, (0.3,), dim=1, embedding=torch.randn(300, 1))
    near = chosen(measure(encoder, source.tokens, precision="int8", lags=[0], probes="gaussian"))[0]
    assert near["upper_by"] == "budget" and near["upper_assumes"] == "dithered rounding"
    report = measure(encoder, source, precision="int8", lags=[20], probes="gaussian")
    far = chosen(report)[20]
    assert far["upper_by"] == "genie" and far["upper_assumes"] == "independent tokens, dithered rounding"
    assert "exact for dithered rounding" in " ".join(str(report).split())
    # A format of few numbers bounds whatever it holds, without a model.
    coarse = measure(encoder, source, precision="float8_e4m3", lags=[0], probes="gaussian")
    assert chosen(coarse)[0]["upper_bits"] <= math.log2(253)


@pytest.mark.statistical
def test_the_model_of_rounding_is_not_overstepped_where_states_are_rounded_coarsely():
    # Rounded, not dithered: the probe knows the grid. No lag may show more than the dithered genie allows.
    source = iid(2, documents=100, tokens=40, seed=4)
    report = measure(TraceEncoder(2, (0.5,), dim=1, embedding=torch.tensor([[-0.7], [1.0]])), source, precision="int8",
                     lags=range(5, 14))  # fmt: skip
    for row in chosen(report).values():
        assert row["low_bits"] <= row["upper_high_bits"]
    assert chosen(report)[13]["upper_bits"] < 0.05


def test_a_model_without_a_code_has_no_genie():
    report = measure(ShiftRegisterEncoder(4, window=2, dim=3), iid(4, documents=60, tokens=40), probes="gaussian")
    for row in report.rows:
        assert row["genie_bits"] is None and row["upper_by"] == "entropy"


@pytest.mark.parametrize("precision", ["snr=10dB", "int8"])
def test_states_that_never_change_are_bounded_by_what_there_is(precision):
    class Still:
        vocabulary, costly = 3, False

        def encode(self, tokens):
            return {"still": torch.ones(*tokens.shape, 2)}

    report = measure(Still(), iid(3, documents=60, tokens=20), precision=precision, lags=[0], probes="gaussian")
    (row,) = report.rows
    assert row["value_bits"] <= row["upper_high_bits"] <= row["ceiling_high_bits"]


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_numbers_that_are_exactly_zero_hide_nothing(precision):
    # One-hot vectors: a type that has not occurred yet leaves a zero, and any trace of it is seen.
    source = iid(5, documents=60, tokens=40, seed=1)
    encoder = TraceEncoder(5, (0.3,), dim=5, embedding=torch.eye(5, dtype=torch.float64))
    report = measure(encoder, source, precision=precision, lags=[0, 30], probes="gaussian")
    for row in report.rows:
        assert row["upper_bits"] == pytest.approx(row["ceiling_bits"], abs=1e-6)
        assert math.isfinite(report.summary[0]["budget_bits"])


def test_the_noise_of_a_format_is_that_of_its_smallest_numbers():
    states = torch.tensor([[1.5, 1.5], [1.5, 0.01]])
    tokens = {"groups": np.arange(2), "counts": np.ones(2, int), "seen": np.ones(2, int), "lags": (0,)}
    rounded = StateSample(states, quantizer=Quantizer.of("bfloat16", states), **tokens)
    steps = torch.tensor([[2.0**-7, 2.0**-7], [2.0**-7, 2.0**-14]], dtype=torch.float64)
    assert rounded.noise == "uniform"
    torch.testing.assert_close(rounded.sigma, 1 / (1 / steps).mean(0) / math.sqrt(12))
    quantizer = Quantizer.of("snr=10dB", states)
    noisy = StateSample(states, quantizer=quantizer, **tokens)
    assert noisy.noise == "gaussian" and noisy.sigma is quantizer.unit


# ------------------------------------------------------------------------------------------- what the corpus declares


def test_a_source_declares_whether_its_tokens_are_independent():
    drawn, chain = iid(5, documents=4, tokens=6), markov(vocabulary=5, documents=4, tokens=6)
    assert infodil.load_corpus(drawn).independent and not infodil.load_corpus(chain).independent
    corpus = infodil.load_corpus(drawn)
    assert corpus.vocabulary == 5 and corpus.name == "iid"
    with corpus.tokenize() as tokens:
        assert tokens.independent and tokens.provenance()["independent"]
    assert not infodil.load_corpus(drawn.tokens).independent
    assert infodil.load_corpus(drawn.tokens, independent=True).independent


def test_a_declaration_is_yes_or_no_and_made_where_the_corpus_is():
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(UserError, match="`independent` must be True or False, got 'yes'"):
            infodil.load_corpus([[0, 1]], independent="yes")
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(UserError, match="`independent` cannot change a Corpus already made"):
        infodil.load_corpus(infodil.load_corpus([[0, 1]]), independent=True)


# -------------------------------------------------------------------------------------------------- what a person sees


def test_the_table_names_the_bound(small):
    _, _, report = small
    text = str(report)
    assert "upper bound" in text and f"{chosen(report)[3]['upper_bits']:.2f} posterior" in text
    assert "The tokens were declared independent" in " ".join(text.split())
    narrow = infodil.report.table.report_table(report.to_dict(), width=80)
    assert max(map(len, narrow.splitlines())) <= 80 and "upper bound" in narrow


def test_frame_page_and_saved_report_have_both_sides(small, tmp_path):
    _, _, report = small
    frame = report.to_frame()
    assert set(UPPER) <= set(frame.columns) and frame["upper_bits"].notna().all()
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "upper_bits" in page and "Upper bounds, for any probe" in page
    assert infodil.load_report(report.save(tmp_path / "report.json")) == report


def test_the_plot_draws_the_sandwich(small):
    _, _, report = small
    frame = report.to_frame()
    frame = frame[frame["chosen"].eq(True)]
    ax = recoverability_curves(frame)
    drawn = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(drawn["_ema upper bound"].get_ydata(), frame["upper_bits"])
    assert "_ema sandwich" in {band.get_label() for band in ax.collections}
    plain = recoverability_curves(frame.assign(upper_by="entropy"))
    assert "_ema upper bound" not in {line.get_label() for line in plain.lines}


def test_a_report_of_an_older_version_says_nothing_of_upper_bounds(small):
    _, _, report = small
    old = [{name: value for name, value in row.items() if name not in UPPER} for row in report.rows]
    assert upper_sentences(old) == []
    assert "Upper bounds" not in str(dataclasses.replace(report, rows=tuple(old)))


# ---------------------------------------------------------------------------------------------------------- the gate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("types", "dim", "alpha", "noise"), [(2, 1, 0.5, 0.05), (3, 2, 0.4, 0.05), (4, 4, 0.5, 0.1), (8, 8, 0.6, 0.02)]
)
def test_small_traces_are_measured_to_a_twentieth_of_a_bit(types, dim, alpha, noise):
    source = iid(types, documents=400, tokens=500, seed=7)
    embedding = torch.randn(types, dim, generator=torch.Generator().manual_seed(7))
    encoder = TraceEncoder(types, (alpha,), dim=dim, embedding=embedding)
    spread = float(encoder.encode(source.tokens)["ema"].flatten(0, 1).var(0, correction=0).mean().sqrt())
    precision = f"snr={20 * math.log10(spread / noise):.4f}dB"
    report = measure(encoder, source, lags=range(8), probes="auto", precision=precision)
    sigma = report.model["errors"]["ema"]
    options = {"lags": range(8), "window": longest_window(types, 2**14), "seed": 1}
    told = channel_information(embedding, weights(alpha, 60), sigma, draws=8000, **options)
    revealed = exact_posterior(embedding, weights(alpha, 60), sigma, draws=8000, **options)
    for lag, below, above in zip(range(8), told, revealed, strict=True):
        row = chosen(report)[lag]
        assert row["low_bits"] <= above.high_bits and below.low_bits <= row["upper_high_bits"]
        # The truth is known to its own standard error only: half of its interval comes on top.
        assert row["value_bits"] >= below.value_bits - 0.05 - (below.high_bits - below.low_bits) / 2
