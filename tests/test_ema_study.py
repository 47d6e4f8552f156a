"""The study of the EMA language model: trends of known slope, terms that add up, openings."""

import math

import numpy as np
import pytest
from torch import nn

from analyses.ema_language_model import Config, Model, gap_reference, openings, step_beyond
from analyses.ema_language_tables import as_lists, compare, flops_per_token, gap_rows, trend_rows
from infodil.corpus import Split
from infodil.lm import LanguageModel, TextLoss, named_config


def lists(nats):
    return as_lists(TextLoss(np.array([nats, 3 * nats]), np.array([1, 3])))


def records(log_ratio):
    """Losses of traces that are those of attention and so much more."""
    return [
        {"family": family, "size": size, "parameters": parameters, "tokens": tokens, "seed": seed,
         "losses": {"text": lists(5.0 + (family == "spen") * log_ratio(tokens, parameters, seed))}}
        for size, parameters in (("small", 2**18), ("large", 2**20))
        for tokens in (2**16, 2**17, 2**18)
        for family in ("spen", "attention")
        for seed in range(3)
    ]  # fmt: skip


def test_a_trend_is_found_again():
    def planted(tokens, parameters, seed):
        return 0.1 * math.log2(tokens) - 0.2 * math.log2(parameters) + 0.5 * seed

    rows = trend_rows(compare(records(planted), 0.02))
    found = {(row["sizes"], row["effect"]): row for row in rows}
    for sizes in ("large small", "large", "small"):
        row = found[sizes, "each doubling of tokens"]
        assert row["ratio_factor"] == pytest.approx(math.exp(0.1))
        assert row["low"] == pytest.approx(row["high"])  # seeds differ in level and not in slope
        assert row["misfit_nats"] == pytest.approx(0, abs=1e-9)
    assert found["large small", "each doubling of parameters"]["ratio_factor"] == pytest.approx(math.exp(-0.2))


def test_a_trend_that_bends_or_that_seeds_do_not_share_is_told():
    bent = trend_rows(compare(records(lambda tokens, *_: 0.1 * (tokens == 2**17)), 0.02))
    assert bent[0]["misfit_nats"] == pytest.approx(0.1 * math.sqrt(2) / 3)  # of 0, 1, 0 about their mean
    rows = trend_rows(compare(records(lambda tokens, _, seed: 0.1 * seed * math.log2(tokens)), 0.02))
    # Slopes 0, 0.1, 0.2: mean 0.1, standard error 0.1 / sqrt(3), Student's quantile of two degrees 4.303.
    assert math.log(rows[0]["high"]) == pytest.approx(0.1 + 4.3027 * 0.1 / math.sqrt(3), rel=1e-4)


def test_the_terms_of_all_seeds_add_up():
    def cell(seed):
        nats = {"model": 6.0, "refitted": 5.9 - 0.1 * seed, "stronger": 5.7, "reference": 5.0}
        rows = [{"term": term, "meaning": "", "kind": "estimate"} for term in ("gap", "underfit", "held", "lost")]
        return {"seed": seed, "reference": "gru", "rows": rows, "losses": {one: lists(n) for one, n in nats.items()}}

    rows = {row["term"]: row for row in gap_rows([cell(0), cell(1)], 0.02) if row["seed"] == "all"}
    assert rows["gap"]["value_nats"] == pytest.approx(1.0)
    assert rows["underfit"]["value_nats"] == pytest.approx(0.15)
    assert rows["underfit"]["seed_values_bits"] == "0.1443 0.2885"
    assert sum(rows[term]["value_nats"] for term in ("underfit", "held", "lost")) == pytest.approx(1.0)
    assert rows["underfit"]["low_bits"] < 0.144 < 0.289 < rows["underfit"]["high_bits"]


def test_the_reference_is_attention_only_where_it_is_ahead():
    config = Config()

    def rows(attention):
        losses = {"spen": 5.0, "gated_ema": 5.0, "attention": attention, "gru": 4.8, "lstm": 4.7, "gated_linear": 4.9}
        return [vars(Model(name, "1m", config.steps, 0)) | {"calibration_loss_nats": loss}
                for name, loss in losses.items()]  # fmt: skip

    assert gap_reference(rows(4.95), config) == "attention"
    assert gap_reference(rows(5.05), config) == "lstm"


def test_a_rate_at_an_edge_is_gone_beyond():
    assert step_beyond([2.0, 4.0, 8.0], 4.0) is None
    assert step_beyond([2.0, 4.0, 8.0], 8.0) == 16.0
    assert step_beyond([2.0, 4.0, 8.0], 2.0) == 1.0


def test_openings_are_the_beginnings_of_whole_documents():
    # The first document is cut into two sequences; what is left has 4 + 3 tokens, and the third would be too much.
    lengths = np.array([5, 2, 3, 4])
    split = Split(np.arange(14, dtype=np.int32), np.array([0, 5, 7, 10]), lengths, np.array([0, 0, 1, 2]), 5)
    found = openings(split, 8, 4)
    assert found.starts.tolist() == [0, 7]
    assert found.lengths.tolist() == [4, 3]
    assert found.document.tolist() == [0, 1]


def test_operations_are_six_for_each_weight_and_those_between_positions():
    tokens, size = 32, "0.3m"
    built = named_config("attention", size, vocabulary=512, context=tokens)
    parts = LanguageModel(built, device="meta").modules()
    matrices = built.vocabulary * built.dim + sum(part.weight.numel() for part in parts if isinstance(part, nn.Linear))
    between = built.layers * 2 * tokens * built.dim  # scores of all positions and the sum of their values
    # A multiplication and an addition for each, forward and, at least, twice backward; scores may be made again.
    least = 6 * (matrices + between)
    assert least <= flops_per_token("attention", size, 512, tokens) <= least + 2 * between
