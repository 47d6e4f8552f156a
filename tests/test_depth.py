"""Accumulation over depth: rules against their weights and against time, and messages that are known to survive."""

import math
from dataclasses import fields

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infodil import depth
from infodil.accumulation import make_rule
from infodil.checks import UserError
from infodil.cli import main
from infodil.depth.moments import Moments
from infodil.depth.product_quantizer import ProductQuantizer
from infodil.depth.writes import BlockWrites
from infodil.encoders import Encoder
from infodil.lm import LanguageModel, LanguageModelConfig
from infodil.traces import ema

FIXED = [name for name, rule in depth.RULES.items() if rule.kind == "fixed"]
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 6), st.integers(0, 99))


def messages_of(rows, layers, dim, seed=0, dtype=torch.float64):
    return torch.randn(rows, layers, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_every_rule_is_there_and_says_what_its_weights_are():
    assert {"sum", "scaled", "ema", "ema_bank", "highway", "dense", "hyper", "attention"} <= set(depth.RULES)
    for name, rule in depth.RULES.items():
        assert rule.name == name and rule.summary and rule.kind in ("fixed", "learned", "input")


@pytest.mark.parametrize("rule", depth.RULES)
@given(size=SIZES)
@settings(max_examples=20, deadline=None)
def test_a_stream_has_the_shape_of_its_messages_and_looks_at_no_later_layer(rule, size):
    rows, layers, dim, seed = size
    messages = messages_of(rows, layers, dim, seed)
    stream = depth.accumulate(messages, rule)
    assert stream.shape == messages.shape and stream.dtype == messages.dtype
    changed = messages.clone()
    changed[:, -1] += 1.0
    assert torch.allclose(depth.accumulate(changed, rule)[:, :-1], stream[:, :-1])


@pytest.mark.parametrize("rule", FIXED)
@given(size=SIZES)
@settings(max_examples=20, deadline=None)
def test_weights_times_messages_are_the_stream(rule, size):
    rows, layers, dim, seed = size
    messages = messages_of(rows, layers, dim, seed)
    expected = torch.einsum("Ll,rld->rLd", depth.weights(rule, layers), messages)
    assert torch.allclose(depth.accumulate(messages, rule), expected, atol=1e-12)


@pytest.mark.statistical
@given(alpha=st.floats(0.01, 1.0), layers=st.integers(1, 70))
@settings(max_examples=30, deadline=None)
def test_an_average_over_depth_is_an_average_over_time(alpha, layers):
    messages = messages_of(3, layers, 5)
    assert torch.equal(depth.accumulate(messages, "ema", alpha=alpha), ema(messages, alpha))
    one = depth.accumulate(messages, "ema_bank", alphas=(alpha,))
    assert torch.allclose(one, ema(messages, alpha), atol=1e-12)


def test_a_sum_of_orthogonal_messages_gives_all_of_them_back():
    layers, dim = 8, 64
    basis = torch.linalg.qr(messages_of(1, dim, dim)[0]).Q.view(layers, dim // layers, dim)
    coordinates = messages_of(50, layers, dim // layers, seed=1)
    messages = torch.einsum("rlk,lkd->rld", coordinates, basis)
    stream = depth.accumulate(messages, "sum")[:, -1]
    found = torch.einsum("rd,lkd->rlk", stream, basis)
    assert torch.allclose(found, coordinates, atol=1e-12)


def test_attention_with_one_hot_scores_gives_exactly_the_chosen_message():
    messages = messages_of(4, 6, 5)
    chosen = torch.tensor([0, 0, 2, 1, 4, 3])
    scores = torch.full((6, 6), -math.inf).scatter(1, chosen[:, None], 0.0)
    assert torch.equal(depth.accumulate(messages, "attention", scores=scores), messages[:, chosen])


def test_attention_without_preference_is_the_mean_so_far():
    messages = messages_of(4, 6, 5)
    mean = messages.cumsum(1) / torch.arange(1, 7)[:, None]
    for rule, options in (("attention", {"gain": 0.0}), ("gated", {})):
        assert torch.allclose(depth.accumulate(messages, rule, **options), mean)


def test_attention_over_blocks_of_one_layer_is_attention_over_layers():
    messages = messages_of(4, 6, 5)
    full, block = depth.accumulate(messages, "attention"), depth.accumulate(messages, "attention", block=1)
    assert torch.allclose(full, block)


@pytest.mark.parametrize("rule", ["dense", "hyper"])
def test_learned_rules_begin_as_the_residual_stream(rule):
    messages = messages_of(4, 6, 5)
    assert torch.allclose(depth.accumulate(messages, rule), messages.cumsum(1))


def test_hyper_connections_mix_their_streams():
    messages, mixing, write = messages_of(2, 3, 4), torch.rand(2, 2).double(), torch.rand(2).double()
    stream = depth.accumulate(messages, "hyper", streams=2, mixing=mixing, write=write)
    weights = [float((torch.linalg.matrix_power(mixing, 2 - layer) @ write).mean()) for layer in range(3)]
    expected = sum(weight * message for weight, message in zip(weights, messages.unbind(1), strict=True))
    assert torch.allclose(stream[:, -1], expected)


TRAINABLE = {name: {} for name in depth.RULES} | {"attention": {"block": 2}, "hyper": {"streams": 3}}


@pytest.mark.parametrize("rule", TRAINABLE)
@given(size=SIZES)
@settings(max_examples=10, deadline=None)
def test_a_rule_in_a_network_is_the_rule_with_what_it_learned(rule, size):
    rows, layers, dim, seed = size
    messages = messages_of(rows, layers, dim, seed)
    accumulator = make_rule(rule, **TRAINABLE[rule]).trainable(layers, dim).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in accumulator.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    memory, streams = None, []
    for layer, message in enumerate(messages.unbind(1)):
        stream, memory = accumulator(layer, message, memory)
        streams.append(stream)
    expected = accumulator.rule().accumulate(messages)
    assert torch.allclose(torch.stack(streams, 1), expected, atol=1e-6)


@pytest.mark.parametrize("rule", ["sum", "scaled", "deepnorm", "ema", "ema_bank", "gated", "dense", "hyper"])
def test_a_rule_in_a_network_begins_as_the_rule(rule):
    messages = messages_of(3, 7, 5)
    accumulator, memory = make_rule(rule).trainable(7, 5).double(), None
    for layer, message in enumerate(messages.unbind(1)):
        stream, memory = accumulator(layer, message, memory)
    assert torch.allclose(stream, depth.accumulate(messages, rule)[:, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: depth.weights("emma", 3), "`rule` must be one of .* did you mean 'ema'"),
        (lambda: depth.weights("highway", 3), "`rule` 'highway' has no fixed weights"),
        (lambda: depth.weights("dense", 3), "`rule` 'dense' has no fixed weights"),
        (lambda: depth.weights("sum", 0), "`layers`"),
        (lambda: depth.weights("ema", 3, alpha=1.5), "`alpha`"),
        (lambda: depth.weights("ema", 3, alphas=(0.5,)), "did you mean 'alpha'"),
        (lambda: depth.accumulate(torch.ones(3, 4), "sum"), "`messages`"),
        (lambda: depth.accumulate(torch.ones(3, 0, 4), "sum"), "`messages`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4).long(), "sum"), "floating"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "gated", gates=(0.5,)), "`gates`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "highway", directions=torch.ones(3, 4)), "`directions`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "attention", queries=torch.ones(2, 3)), "`queries`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "dense", table=torch.ones(3, 3)), "`table`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "attention", scores=torch.ones(3, 3)), "`scores`"),
        (lambda: depth.accumulate(torch.ones(3, 2, 4), "attention", scores=-torch.full((2, 2), math.inf)), "`scores`"),
    ],
)
def test_a_mistake_is_one_sentence(call, words):
    with pytest.raises(UserError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------- synthetic sweeps


@pytest.fixture(scope="module")
def small_sweep():
    rules = ["sum", depth.RULES["ema"](alpha=0.2), "attention"]
    return depth.sweep(rules, [2, 16, 48], dim=32, types=8, rows=2048, precision="bfloat16")


@pytest.mark.statistical
def test_a_sweep_has_its_columns_and_bits_within_their_bounds(small_sweep):
    frame = small_sweep.to_frame()
    columns = "rule depth written read value_bits low_bits high_bits upper_bits norm_share r2".split()
    assert list(frame.columns[:10]) == columns and len(frame) == 3 * (2 + 3 + 3)
    assert set(frame["rule"]) == {"sum", "ema(alpha=0.2)", "attention"}
    assert (frame["low_bits"] <= frame["upper_bits"]).all() and (frame["upper_bits"] <= 3.0 + 1e-9).all()
    assert (frame["low_bits"] <= frame["value_bits"]).all() and (frame["value_bits"] <= frame["high_bits"]).all()
    assert (frame["value_bits"] <= 3.0).all()
    assert frame["oracle_bits"].to_list() == pytest.approx([3.0] * len(frame), abs=0.01)


@pytest.mark.statistical
def test_few_messages_are_read_by_every_rule(small_sweep):
    frame = small_sweep.to_frame()
    assert (frame[frame["depth"] == 2]["value_bits"] > 2.5).all()


@pytest.mark.statistical
def test_dilution_is_not_loss():
    """An average of 32 layers: the first message has 1e-4 of the norm, and a decoder of the code still reads it."""
    row = depth.sweep(depth.RULES["ema"](alpha=0.2), [24], dim=64, types=8, written=[1]).to_frame().iloc[0]
    assert row["linear_bits"] < 0.1 and row["norm_share"] < 1e-3
    assert row["value_bits"] > 2.7 and row["verdict"] == "diluted"


@pytest.mark.statistical
def test_what_rounding_hides_is_lost_and_the_genie_says_so():
    row = depth.sweep(depth.RULES["ema"](alpha=0.5), [40], dim=32, types=8, written=[1], precision="bfloat16")
    row = row.to_frame().iloc[0]
    assert row["upper_bits"] < 0.5 and row["verdict"] == "lost"
    assert row["low_bits"] <= row["upper_bits"] and row["value_bits"] < 0.1


@pytest.mark.statistical
def test_equal_shares_of_a_sum_are_those_of_its_messages():
    frame = depth.sweep("sum", [8], dim=64, types=8, rows=8192).to_frame()
    # The codebooks' sizes differ: 8 vectors of 64 numbers have a mean square within sqrt(2 / 512) of one, 4 sigma.
    assert (frame["norm_share"] * 8).to_list() == pytest.approx([1.0] * 3, abs=4 * math.sqrt(2 / 512) + 0.1)
    assert frame["retained"].to_list() == pytest.approx([1.0] * 3, abs=0.1)


@pytest.mark.statistical
def test_a_normalised_low_rank_growing_stream_is_measured():
    frame = depth.sweep("sum", [12], dim=32, types=4, rank=2, growth=1.2, normalize=True, rows=2048).to_frame()
    assert frame["norm_share"].is_monotonic_increasing and frame["value_bits"].iloc[-1] > 1.5


@pytest.mark.statistical
def test_a_depth_report_prints_saves_draws_and_becomes_a_page(small_sweep, tmp_path):
    text = str(small_sweep)
    assert text.startswith("Messages over depth: sum, ema(alpha=0.2), attention") and "Dilution is not loss" in text
    again = depth.DepthReport.load(small_sweep.save(tmp_path / "depth.json"))
    assert str(again) == text and again.to_frame().equals(small_sweep.to_frame())
    page = small_sweep.to_html(tmp_path / "depth.html").read_text()
    assert "Messages over depth" in page and "<script" not in page
    assert len(small_sweep.plot()) == 3 and small_sweep.plot("r2").figure is not None


@pytest.mark.statistical
def test_the_same_seed_gives_the_same_sweep():
    first, second = (depth.sweep("ema", [6], dim=16, types=4, rows=512, seed=3).rows for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rules": []}, "`rules`"),
        ({"rules": "emaa"}, "did you mean 'ema'"),
        ({"depths": []}, "`depths`"),
        ({"depths": [0]}, "`depths`"),
        ({"rank": 99}, "`rank`"),
        ({"precision": "float7"}, "`precision`"),
        ({"growth": -1.0}, "`growth`"),
        ({"written": [99]}, "`written`"),
        ({"confidence": 1.0}, "`confidence`"),
        ({"probe": "linaer"}, "linear"),
    ],
)
def test_a_mistaken_sweep_is_one_sentence(options, words):
    arguments = {"rules": "sum", "depths": [4], "dim": 16, "types": 4, "rows": 512} | options
    with pytest.raises(UserError, match=words):
        depth.sweep(arguments.pop("rules"), arguments.pop("depths"), **arguments)


@pytest.mark.statistical
def test_no_other_quantity_is_drawn(small_sweep):
    with pytest.raises(UserError, match="`quantity`"):
        small_sweep.plot("verdict")


def test_a_file_that_is_no_depth_report_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match="`path`"):
        depth.DepthReport.load(tmp_path / "a.json")


# ------------------------------------------------------------------------------------------------- a model's stream


class Written(Encoder):
    """A stream of independent writes: the token, the one before it, the second before, and the erasure of one."""

    def __init__(self, vocabulary=8, dim=24, rotation=None, erase=None):
        generator = torch.Generator().manual_seed(0)
        self.vocabulary, self.name, self.erase = vocabulary, "written", erase
        self.sites = ("embedding", "layer.1", "layer.2", "layer.3")
        self.vectors = torch.randn(3, vocabulary, dim, generator=generator)
        self.rotation = torch.eye(dim) if rotation is None else rotation

    def encode(self, tokens):
        padded = torch.nn.functional.pad(tokens, (2, 0))
        writes = [self.vectors[lag][padded[:, 2 - lag : padded.shape[1] - lag]] for lag in range(3)]
        writes.append(torch.zeros_like(writes[0]) if self.erase is None else -writes[self.erase])
        return dict(zip(self.sites, torch.stack(writes).cumsum(0) @ self.rotation, strict=True))


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(8, (120, 60), generator=torch.Generator().manual_seed(1))


def survived(encoder, tokens):
    frame = depth.survival(encoder, tokens, max_tokens=None, codes=(4, 2), held_out_rows=1200).to_frame()
    return frame.set_index(["written", "read"])


class Shifted(Written):
    """The same with a large constant in one number of the stream, as trained transformers have."""

    def encode(self, tokens):
        constant = torch.zeros(24)
        constant[3] = 1e4
        return {site: state + constant for site, state in super().encode(tokens).items()}


@pytest.mark.statistical
def test_a_large_constant_in_the_stream_changes_no_figure(tokens):
    frame, shifted = survived(Written(), tokens), survived(Shifted(), tokens)
    for name in ("r2", "retained", "norm_share"):
        pd.testing.assert_series_equal(frame[name], shifted[name], rtol=0.02, atol=0.02)
    pd.testing.assert_series_equal(frame["value_bits"], shifted["value_bits"], atol=0.1)


@pytest.mark.parametrize(("erase", "written"), [(0, "embedding"), (1, "1 block")])
def test_a_message_written_and_subtracted_later_reads_zero(tokens, erase, written):
    frame = survived(Written(erase=erase), tokens)
    gone, there = frame.loc[written, 3], frame.loc[written, 2]
    # Independent tokens correlate by chance: by 1 / sqrt(rows) in each of some ten directions, four sigma.
    assert gone["retained"] == pytest.approx(0.0, abs=0.02) and there["retained"] == pytest.approx(1.0, abs=0.02)
    assert gone["low_bits"] < 0.01 and gone["value_bits"] < 0.03 and gone["r2"] < 0.02
    assert there["value_bits"] > 0.9 * there["entropy_bits"] and there["r2"] > 0.9


def test_a_diluted_write_keeps_its_coefficient(tokens):
    frame = survived(Written(), tokens)
    for written in ("embedding", "1 block", "2 block"):
        row = frame.loc[written, 3]
        assert row["retained"] == pytest.approx(1.0, abs=0.02)
        assert row["retained_low"] < row["retained"] < row["retained_high"] < row["retained_low"] + 0.1
        assert row["r2_low"] < row["r2"] <= 1.0 and row["r2"] < row["r2_high"] < row["r2_low"] + 0.2
    assert frame.loc["embedding", 0]["value_bits"] == pytest.approx(frame.loc["embedding", 0]["entropy_bits"], abs=0.03)
    assert frame.loc["embedding", 0]["r2"] == pytest.approx(1.0, abs=1e-3)
    assert frame.loc["embedding", 3]["norm_share"] == pytest.approx(1 / 3, abs=0.12)


@pytest.mark.statistical
def test_survival_does_not_notice_a_rotation(tokens):
    rotation = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(2))).Q
    plain, turned = (survived(Written(rotation=each), tokens) for each in (None, rotation))
    # Rounding may move a vector across a boundary of the product quantiser, at one position in a thousand or so.
    columns = (("value_bits", 0.02), ("r2", 1e-3), ("norm_share", 1e-4), ("retained", 1e-4), ("retained_low", 1e-4))
    for column, tolerance in columns:
        assert turned[column].fillna(0.0).to_list() == pytest.approx(plain[column].fillna(0.0).to_list(), abs=tolerance)


def test_tokens_further_back_are_read_where_they_were_written(tokens):
    frame = survived(Written(), tokens)
    # Layer 1 writes the token before, layer 2 the one before that, and none writes the fourth back.
    for name, written_at in (("previous token", 1), ("token 2 back", 2)):
        assert frame.loc[name, written_at]["value_bits"] > 2.0 > 0.05 > frame.loc[name, written_at - 1]["value_bits"]
    assert frame.loc["token 4 back", 3]["value_bits"] < 0.05


@given(seed=st.integers(0, 999), parts=st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_a_label_names_the_nearest_centre_of_each_sub_vector(seed, parts):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(60, 7, generator=generator) * torch.arange(1.0, 8.0) + 3.0
    codes = (2, 3, 4, 2)[:parts]
    quantizer = ProductQuantizer.fit(vectors, codes, seed)
    assert [len(offset) for offset in quantizer.offsets] == list(codes)
    label = quantizer.labels(vectors)
    assert int(label.min()) >= 0 and int(label.max()) < math.prod(codes)
    # The codebooks of all sub-vectors together are a codebook of their sums; its nearest entry is the label's.
    centred = vectors - vectors.mean(0)
    book = torch.zeros(1, 7)
    for direction in quantizer.directions:
        book = (book[:, None] + direction.T).flatten(0, 1)
    assert torch.equal(torch.cdist(centred, book).argmin(1), label)


def test_bits_of_a_write_stay_below_its_entropy(tokens):
    frame = survived(Written(), tokens)
    assert (frame["low_bits"] <= frame["upper_bits"]).all() and (frame["entropy_bits"] <= 3.0 + 1e-9).all()


def test_moments_of_parts_merge_to_those_of_the_whole():
    generator = torch.Generator().manual_seed(0)

    def part(rows):
        streams, writes, before = (torch.randn(n, rows, 5, generator=generator) for n in (2, 3, 3))
        labels = torch.randint(4, (6, rows), generator=generator)
        return BlockWrites(streams, writes, before), labels, torch.arange(rows) // 3

    parts = [part(rows) for rows in (7, 11)]
    whole, first, second = (Moments.empty((1, 3), 3, 5, 5, 6, 4) for _ in range(3))
    for one, (states, labels, documents) in zip((first, second), parts, strict=True):
        one.update(states, states.writes, labels, documents)
        whole.update(states, states.writes, labels, documents)
    first.merge(second)
    for each in fields(Moments)[1:]:
        assert torch.allclose(getattr(first, each.name), getattr(whole, each.name))
    stream = torch.cat([states.streams[1] for states, _, _ in parts]).double()
    assert torch.allclose(whole.covariance(1), torch.cov(stream.T, correction=0), atol=1e-5)
    write, before = (torch.cat([getattr(states, name)[2] for states, _, _ in parts]).double() for name in
                     ("writes", "before"))  # fmt: skip
    centred = write - write.mean(0)
    expected = (centred * (stream - before)).sum() / centred.square().sum()
    assert float(whole.retained()[2, 1]) == pytest.approx(float(expected), abs=1e-5)
    # Without a group of documents, the coefficient is that of the others.
    kept = torch.cat([documents for _, _, documents in parts]) != 0
    centred = write[kept] - write[kept].mean(0)
    expected = (centred * (stream - before)[kept]).sum() / centred.square().sum()
    assert float(whole.retained_without_each_group()[0, 2, 1]) == pytest.approx(float(expected), abs=1e-5)
    labels = torch.cat([labels[1] for _, labels, _ in parts])
    assert torch.allclose(whole.class_sums[1, 1, 2], stream[labels == 2].sum(0), atol=1e-5)
    assert not whole.class_sums[1, 0].any() and not whole.cross[0, :, 1:].any()


@pytest.mark.statistical
def test_a_llama_layout_is_split_into_mixer_and_feed_forward():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    ids = torch.randint(16, (80, 40), generator=torch.Generator().manual_seed(0))
    report = depth.survival(model, ids, codes=(2, 2), held_out_rows=800)
    frame = report.to_frame()
    names = ["embedding", "1 mixer", "1 feed-forward", "2 mixer", "2 feed-forward"]
    names += ["token", "previous token", "token 2 back", "token 4 back"]
    random = frame.set_index(["written", "read"]).loc["1 mixer", 2]
    # Weights drawn anew are another random model: the same kind of figures, none of them equal.
    assert random["random_retained"] == pytest.approx(random["retained"], abs=0.5)
    assert random["random_bits"] != random["value_bits"] and 0.0 < random["random_r2"] < 1.0
    assert list(dict.fromkeys(frame["written"])) == names and sorted(set(frame["read"])) == [0, 1, 2]
    assert frame.set_index(["written", "read"]).loc["embedding", 0]["retained"] == pytest.approx(1.0, abs=1e-5)
    assert len(report.plot("r2")) == 1 and "retained" in str(report)


@pytest.mark.parametrize("rule", ["sum", "attention"])
def test_a_language_model_of_any_rule_is_measured(rule, tokens):
    config = LanguageModelConfig(
        "attention", vocabulary=8, dim=8, layers=2, context=60, feed_forward=8, heads=1, accumulation=rule
    )
    model = LanguageModel(config)
    options = {"max_tokens": None, "codes": (2, 2), "held_out_rows": 800, "controls": False}
    report = depth.survival(model, tokens, depths=(2, 0), **options)
    frame = report.to_frame().set_index(["written", "read"])
    assert rule in report.model and set(frame.index.levels[1]) == {0, 2}
    assert (frame["low_bits"] <= frame["upper_bits"]).all()
    # Block 1 reads the embedding alone; the stream after it is their sum, or their mean before training.
    weight = 1.0 if rule == "sum" else 0.5
    keep = {}
    stream = model.streams(tokens, keep)
    assert torch.allclose(keep["block.1"], weight * (keep["embedding"] + keep["block.1.message"]), atol=1e-6)
    assert torch.equal(stream, keep["block.2"]) and frame.loc["embedding", 0]["r2"] > 0.999
    assert ("retained" in frame) == (rule == "sum")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lags": (-1,)}, "`lags`"),
        ({"depths": (4,)}, "`depths` must be at most the 3 blocks"),
        ({"depths": ()}, "`depths`"),
        ({"model": "ema"}, "no residual stream of blocks|vocabulary"),
        ({"codes": ()}, "`codes`"),
        ({"codes": (1,)}, "`codes`"),
        ({"precision": "float9"}, "`precision`"),
        ({"held_out_rows": 3}, "`held_out_rows`"),
    ],
)
def test_a_mistaken_survival_is_one_sentence(options, words, tokens):
    arguments = {"model": Written(), "corpus": tokens} | options
    with pytest.raises(UserError, match=words):
        depth.survival(arguments.pop("model"), arguments.pop("corpus"), **arguments)


# ------------------------------------------------------------------------------------------------- the command


@pytest.mark.statistical
def test_the_command_sweeps_rules_and_writes_its_files(tmp_path, capsys):
    arguments = ["depth", "--rules", "sum", "ema", "--depths", "2", "4", "--dim", "16", "--types", "4"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert "Messages over depth: sum, ema" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "depth.csv", "depth.html", "depth.json", "depth.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rules", "emaa"], "did you mean 'ema'"),
        ([], "--model"),
        (["--model", "gpt2"], "--corpus"),
        (["--rules", "sum", "--confidence", "2"], "--confidence"),
    ],
)
def test_a_mistaken_command_is_one_sentence(arguments, words, tmp_path, capsys):
    assert main(["depth", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.statistical
def test_a_block_without_feed_forward_has_one_write():
    transformers = pytest.importorskip("transformers")
    config = transformers.MambaConfig(vocab_size=16, hidden_size=16, num_hidden_layers=2, state_size=4)
    torch.manual_seed(0)
    ids = torch.randint(16, (60, 24), generator=torch.Generator().manual_seed(0))
    model = transformers.MambaForCausalLM(config).eval()
    frame = depth.survival(model, ids, codes=(2, 2), held_out_rows=600, controls=False).to_frame()
    assert not [name for name in frame.columns if name.startswith("random")]
    assert list(dict.fromkeys(frame["written"]))[:4] == ["embedding", "1 mixer", "2 mixer", "token"]
    assert (frame["value_bits"] <= frame["upper_bits"] + 1e-9).all()
