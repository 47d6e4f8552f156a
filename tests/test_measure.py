"""Recoverability end to end against known truth: copies, chains, nothing at all; and the same seed the same report."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import infodil
from infodil.encoders import CombinedEncoder, ShiftRegisterEncoder
from infodil.ladder import LagLabels, TextClusters, positions
from infodil.measure.report_rows import half_life
from infodil.sources import iid, markov


def measure(encoder, tokens, **options):
    options = {"lags": [0, 1, 2, 3], "progress": False, **options}
    return infodil.recoverability(encoder, tokens, **options)


def value(report, lag, probe=None, column="value_bits"):
    row = next(
        row for row in report.rows if row["lag"] == lag and (row["chosen"] if probe is None else row["probe"] == probe)
    )
    return row[column]


# --------------------------------------------------------------------------------------------------- known truth


@pytest.fixture(scope="module")
def copies():
    """Independent Zipf tokens in a state that holds the last two of them exactly."""
    source = iid(12, documents=120, tokens=80, distribution="zipf", seed=1)
    return source, measure(ShiftRegisterEncoder(12, window=2, dim=8), source.tokens)


@pytest.mark.statistical
def test_a_copy_holds_the_entropy_inside_its_window(copies):
    source, report = copies
    for lag in (0, 1):
        assert value(report, lag, column="low_bits") <= source.entropy_bits <= value(report, lag, column="high_bits")
        # The plug-in entropy is low by (types - 1) / (2 samples ln 2) bits in the mean, its standard error below 0.02.
        assert value(report, lag) == pytest.approx(source.entropy_bits, abs=0.06)
        assert value(report, lag) <= value(report, lag, column="ceiling_bits") + 1e-9
        assert value(report, lag, column="top1") == 1.0


@pytest.mark.statistical
def test_a_copy_holds_nothing_outside_its_window(copies):
    _, report = copies
    for lag in (2, 3):
        for probe in ("prior", "gaussian", "linear"):
            assert value(report, lag, probe, "low_bits") <= 0 <= value(report, lag, probe, "high_bits")
            assert abs(value(report, lag, probe)) < 0.02


def test_on_independent_tokens_the_bits_beyond_context_are_the_bits(copies):
    _, report = copies
    for row in report.rows:
        assert row["beyond_context_bits"] == pytest.approx(row["value_bits"], abs=1e-6)


def test_the_shuffled_control_reads_nothing(copies):
    _, report = copies
    for row in report.rows:
        assert row["shuffled_low_bits"] <= 0 <= row["shuffled_high_bits"]


@pytest.mark.statistical
def test_a_state_that_knows_one_token_knows_what_the_chain_says_of_the_others():
    source = markov(vocabulary=5, documents=150, tokens=100, concentration=0.3, seed=3)
    report = measure(ShiftRegisterEncoder(5, window=1, dim=6), source.tokens)
    for lag in (0, 1, 2, 3):
        truth = source.mutual_information_bits(lag)
        low, high = value(report, lag, column="low_bits"), value(report, lag, column="high_bits")
        # One interval in twenty misses; widened to twice its length, one in ten thousand.
        assert low - (high - low) / 2 <= truth <= high + (high - low) / 2
    # From lag 1 on the current token is itself among the tokens after the hidden one: nothing is left for memory.
    for lag in (1, 2, 3):
        assert value(report, lag, column="beyond_context_bits") == pytest.approx(0.0, abs=0.03)


@pytest.mark.statistical
def test_memory_beyond_context_is_what_the_context_leaves_open():
    source = markov(vocabulary=5, documents=150, tokens=100, concentration=0.3, seed=3)
    report = measure(ShiftRegisterEncoder(5, window=2, dim=6), source.tokens, lags=[0, 1])
    # The state holds the token; given the one after it, its entropy is the rate of the (reversed) chain.
    assert value(report, 1, column="beyond_context_bits") == pytest.approx(source.entropy_rate_bits, abs=0.08)


@pytest.mark.statistical
def test_noise_in_the_states_lowers_the_bits_and_rounding_is_named():
    class Noisy(ShiftRegisterEncoder):
        def encode(self, tokens):
            states = super().encode(tokens)["shift_register"]
            generator = torch.Generator().manual_seed(int(tokens.sum()))
            return {"noisy": states + 0.4 * torch.randn(states.shape, generator=generator)}

    class Same(Noisy):
        """The same noise for the same place, so that the self-test finds a deterministic encoder."""

        def encode(self, tokens):
            states = ShiftRegisterEncoder.encode(self, tokens)["shift_register"]
            noise = torch.randn(1, 1000, states.shape[2], generator=torch.Generator().manual_seed(1))
            return {"noisy": states + 0.4 * noise[:, : states.shape[1]]}

    tokens = iid(8, documents=100, tokens=60, seed=0).tokens
    clean = measure(ShiftRegisterEncoder(8, window=1, dim=4), tokens, lags=[0])
    noisy = measure(Same(8, window=1, dim=4), tokens, lags=[0])
    rounded = measure(ShiftRegisterEncoder(8, window=1, dim=4), tokens, lags=[0], precision="bfloat16")
    assert 0.1 < value(noisy, 0) < value(clean, 0) - 0.1
    assert rounded.config["precision"] == "bfloat16" and "bfloat16" in str(rounded)
    assert value(rounded, 0) == pytest.approx(value(clean, 0), abs=0.01)


@pytest.mark.statistical
def test_controls_read_zero_for_almost_every_seed():
    source = iid(6, documents=60, tokens=40, seed=9)
    inside = 0
    for seed in range(40):
        report = measure(
            ShiftRegisterEncoder(6, window=1, dim=3),
            source.tokens,
            lags=[0],
            seed=seed,
            probes=("gaussian",),
            controls=False,  # no learning curves: forty runs
        )
        inside += report.rows[0]["shuffled_low_bits"] <= 0 <= report.rows[0]["shuffled_high_bits"]
    assert inside >= 38


# ------------------------------------------------------------------------------------------------------- counting


@pytest.mark.statistical
def test_positions_with_fewer_predecessors_are_left_out():
    lengths = [3, 5, 9, 2, 30, 7, 11, 30, 4, 6] * 8
    tokens = [torch.randint(4, (length,)) for length in lengths]
    report = measure("shift_register", tokens, lags=[0, 2, 8])
    splits = report.corpus["splits"]
    for lag in (0, 2, 8):
        row = next(row for row in report.rows if row["lag"] == lag)
        everything = row["samples"] + row["train_samples"]
        assert everything < sum(max(length - lag, 0) for length in lengths)
    first = next(row for row in report.rows if row["lag"] == 0)
    assert (first["samples"], first["train_samples"]) == (splits["test"]["tokens"], splits["train"]["tokens"])


def test_labels_are_the_tokens_before_in_the_same_sequence():
    corpus = infodil.load_corpus([[i * 10 + j for j in range(2 + i % 4)] for i in range(40)], vocabulary=500)
    with corpus.tokenize() as tokens:
        split = tokens.splits["train"]
        targets = LagLabels.of(split, (0, 1, 3), np.random.default_rng(0))
        index, place = np.arange(len(split.tokens)), positions(split)
        types = targets.types(index, place)
        for i in index:
            for target, lag in enumerate((0, 1, 3), start=1):
                expected = split.tokens[i - lag] if place[i] >= lag else -1
                assert types[target, i] == expected
                assert expected == -1 or expected // 10 == split.tokens[i] // 10
        shift = np.flatnonzero(split.tokens == types[0, 0])[0]
        np.testing.assert_array_equal(types[0], np.roll(split.tokens, -shift))
        counts = targets.counts(500)
        for target in range(4):
            seen = types[target][types[target] >= 0]
            np.testing.assert_array_equal(counts[target], np.bincount(seen, minlength=500))


def test_clusters_are_documents_or_cells():
    corpus = infodil.load_corpus([[i % 7, i // 7, 3, *[4] * (i % 3)] for i in range(400)], vocabulary=60)
    with corpus.tokenize() as tokens:
        split = tokens.splits["test"]
        clusters = TextClusters.of(split, few_documents=False)
        assert clusters.documents and clusters.number == split.documents
        lengths = np.diff(np.append(clusters.edges, len(split.tokens)))
        np.testing.assert_array_equal(np.bincount(clusters.index(np.arange(len(split.tokens)))), lengths)
        cells = TextClusters.of(split, few_documents=True)
        assert not cells.documents and cells.number == math.ceil(len(split.tokens) / (len(split.tokens) // 32))


def test_documents_that_are_copies_share_a_split_and_a_cluster_and_are_counted():
    different = [[i, i + 1, 3, *[4] * (i % 3)] for i in range(150)]
    with infodil.load_corpus(different * 4, vocabulary=200).tokenize() as tokens:
        split = tokens.splits["test"]
        assert TextClusters.of(split, few_documents=False).number == split.documents // 4
    assert any("450 of 600 documents are exact copies of others" in sentence for sentence in tokens.warnings)


@pytest.mark.statistical
def test_one_long_text_is_resampled_in_blocks():
    tokens = iid(6, documents=1, tokens=20_000, seed=2).tokens
    report = measure("shift_register", infodil.load_corpus(tokens, vocabulary=6, max_length=100), lags=[0, 5])
    assert report.provenance["resampled"]["of"] == "blocks of positions"
    assert report.corpus["few_documents"] and any("stretches" in sentence for sentence in report.warnings)
    assert value(report, 0, column="low_bits") <= math.log2(6) <= value(report, 0, column="high_bits")
    assert value(report, 5, column="low_bits") <= 0 <= value(report, 5, column="high_bits")


def test_half_life():
    assert half_life([0, 1, 2], np.array([4.0, 3.0, 2.5])) == float("inf")
    assert half_life([1, 2, 4], np.array([4.0, 3.0, 1.0])) == 2.0
    assert half_life([0, 1], np.array([-0.1, 0.0])) == 0.0


# ------------------------------------------------------------------------------------------------------ the report


@pytest.mark.statistical
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    tokens = iid(7, documents=50, tokens=50, seed=4).tokens
    paths = [
        measure("ema", tokens, lags=[0, 1], seed=seed).save(tmp_path / f"{number}.json")
        for number, seed in enumerate((0, 0, 1))
    ]
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other


def test_the_report_says_what_it_is(copies):
    _, report = copies
    frame = report.to_frame()
    wanted = "site kind_of_site lag probe value_bits low_bits high_bits kind top1 top5 ceiling_bits samples"
    assert {*wanted.split(), "beyond_context_bits"} <= set(frame.columns)
    assert set(frame["kind"]) == {"lower bound"} and frame["kind_of_site"].notna().all()
    assert report.summary[0]["kind_of_site"] == frame["kind_of_site"][0]
    assert len(frame) == 4 * 3
    assert report.provenance["versions"]["torch"] == torch.__version__
    assert report.corpus["sha256"] and report.config["seed"] == 0
    assert json.loads(json.dumps(report.text_view)) == report.text_view
    site = report.text_view["sites"][0]
    assert [len(site["bits"]), len(site["bits"][0])] == [4, len(report.text_view["tokens"])]
    assert site["bits"][2][:2] == [None, None]


def test_summary_sums_the_chosen_rows(copies):
    _, report = copies
    (summary,) = report.summary
    chosen = [row for row in report.rows if row["chosen"]]
    assert summary["recoverable_bits"] == pytest.approx(sum(row["value_bits"] for row in chosen))
    assert summary["share_of_ceiling"] == pytest.approx(
        summary["recoverable_bits"] / sum(row["ceiling_bits"] for row in chosen)
    )
    assert summary["recoverable_low_bits"] < summary["recoverable_bits"] < summary["recoverable_high_bits"]
    assert 1.0 < summary["half_life_tokens"] < 2.0


def test_sites_probes_and_lags_are_those_asked_for():
    encoder = CombinedEncoder({"one": ShiftRegisterEncoder(5, window=1), "two": ShiftRegisterEncoder(5, window=2)})
    tokens = iid(5, documents=40, tokens=40, seed=0).tokens
    report = measure(encoder, tokens, sites="tw*", probes="linear", lags=[3, 1, 1])
    assert report.sites == ("two",) and report.lags == (1, 3) and report.probes == ("linear",)


# --------------------------------------------------------------------------------------------------------- states


class Counting(ShiftRegisterEncoder):
    """Says that it is costly, and counts how often it is asked for more than the self-test's few tokens."""

    costly = True

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.calls = 0

    def encode(self, tokens):
        self.calls += tokens.numel() > 400
        return super().encode(tokens)


@pytest.mark.statistical
def test_states_of_a_costly_model_are_kept_and_a_second_run_takes_them_up(tmp_path):
    tokens = iid(5, documents=60, tokens=80, seed=0).tokens
    kept, plain = Counting(5, window=2), ShiftRegisterEncoder(5, window=2)
    first = measure(kept, tokens, cache_dir=tmp_path, batch_size=2)
    calls, kept.calls = kept.calls, 0
    again = measure(kept, tokens, cache_dir=tmp_path, batch_size=2)
    assert calls > 0 and kept.calls == 0
    without = measure(plain, tokens, batch_size=2)
    assert first.rows == again.rows == without.rows
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.statistical
def test_without_a_cache_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    measure(Counting(5, window=2), iid(5, documents=60, tokens=30, seed=0).tokens)
    assert not list(tmp_path.iterdir())


@pytest.mark.statistical
def test_a_module_is_measured_through_its_sites_and_left_alone():
    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(6, 10)
            self.rnn = nn.GRU(10, 12, batch_first=True)
            self.head = nn.Linear(12, 6)

        def forward(self, tokens):
            return self.head(self.rnn(self.embedding(tokens))[0])

    model = Tiny()
    model.rnn.eval()
    before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    tokens = iid(6, documents=60, tokens=40, seed=0).tokens
    report = measure(model, tokens, sites=["embedding", "rnn"], lags=[0, 1])
    assert report.sites == ("embedding", "rnn") and report.model["sites"] == {"embedding": 10, "rnn": 12}
    assert model.training and not model.rnn.training and not model.rnn._forward_hooks
    for name, parameter in model.state_dict().items():
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0)
    embedding = [row for row in report.rows if row["site"] == "embedding" and row["lag"] == 1 and row["chosen"]]
    assert embedding[0]["high_bits"] < 0.05


@pytest.mark.statistical
def test_states_of_large_offset_and_scale_change_nothing():
    class Moved(ShiftRegisterEncoder):
        def encode(self, tokens):
            return {"shift_register": super().encode(tokens)["shift_register"] * 1e-4 + 3.0}

    tokens = iid(9, documents=60, tokens=60, seed=0).tokens
    plain, moved = (measure(kind(9, window=1, dim=5), tokens, lags=[0]) for kind in (ShiftRegisterEncoder, Moved))
    # Entries of 1e-4 on top of 3 keep three digits in float32: enough for nine codes.
    assert value(moved, 0) == pytest.approx(value(plain, 0), abs=0.01)
