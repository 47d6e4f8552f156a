"""Families of equal size are causal encoders; fixed, learned and selective traces are what their formulas say."""

import dataclasses

import pytest
import torch
from torch import nn

import infodil
from infodil.accumulation import RULES
from infodil.checks import UserError
from infodil.encoders import Encoder, self_test
from infodil.lm import (
    FAMILIES,
    PREDICTORS,
    SIZES,
    LanguageModel,
    LanguageModelConfig,
    count_parameters,
    make_predictor,
    named_config,
)
from infodil.lm.feed_forward import FeedForward
from infodil.lm.scans import gated_scan, learnable_bank, selective_bank
from infodil.traces import ema, ema_bank

TINY = {"vocabulary": 11, "dim": 8, "layers": 2, "context": 12, "feed_forward": 32, "heads": 2, "bottleneck_dim": 4}
CHOICES = [
    *({"family": family} for family in FAMILIES),
    *({"family": "spen", "predictor": predictor} for predictor in PREDICTORS[1:]),
    {"family": "spen", "learnable_alpha": True},
    {"family": "spen", "trace_input": "embedding"},
    {"family": "spen", "trace_scale": "raw"},
    {"family": "spen", "trace_includes_token": True},
    {"family": "spen", "mix": "sum"},
    {"family": "spen", "bottleneck": "squeeze"},
    {"family": "spen", "bottleneck": "none"},
    {"family": "spen", "activation": "relu"},
    {"family": "spen", "active_by": "magnitude"},
    {"family": "spen", "normalisation": "after"},
    {"family": "attention", "tied": False},
    *({"family": "attention", "accumulation": rule} for rule in list(RULES)[1:]),
]
NAMES = ["-".join(map(str, choice.values())) for choice in CHOICES]


def tiny(**choices):
    return LanguageModel(LanguageModelConfig(**TINY | choices)).eval()


# What every family keeps


@pytest.mark.parametrize("choice", CHOICES, ids=NAMES)
def test_a_model_is_a_causal_encoder_of_all_its_sites(choice):
    model = tiny(**choice)
    assert isinstance(model, Encoder)
    dims = self_test(model, length=10)
    assert tuple(dims) == model.sites
    assert model.sites[0] == "embedding"
    assert model.sites[-1] == "block.2"
    assert dims["block.2"] == 8
    tokens = torch.randint(11, (2, 12))
    later = tokens.clone()
    later[:, 7:] = (tokens[:, 7:] + 1) % 11
    torch.testing.assert_close(model(later)[:, :7], model(tokens)[:, :7])
    assert not torch.allclose(model(later)[:, 7:], model(tokens)[:, 7:])


@pytest.mark.parametrize("choice", CHOICES, ids=NAMES)
def test_every_parameter_is_learned_from(choice):
    model = tiny(**choice)
    model(torch.randint(11, (2, 12))).square().sum().backward()
    assert not [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]


@pytest.mark.statistical
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_families_have_equal_parameters_and_none_is_made_to_count_them(size, family):
    # A hidden unit is 2 dim + 1 parameters: the nearest number of them is half of that off, in each block.
    chosen = SIZES[size]
    off = count_parameters(named_config(family, size)) - chosen.parameters
    assert abs(off) <= chosen.layers * (2 * chosen.dim + 1) / 2
    assert abs(off) < 0.002 * chosen.parameters


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_predictors_are_exchanged_at_equal_parameters(predictor):
    assert count_parameters(named_config("spen", "1m", predictor=predictor)) == pytest.approx(1_050_000, rel=1e-3)


def test_the_largest_size_is_the_paper_s():
    config = named_config("spen", "130m")
    assert (config.layers, config.alphas, config.active_share) == (12, (0.5, 0.1, 0.02), 0.06)
    assert count_parameters(config) == pytest.approx(130e6, rel=1e-3)


def test_the_seed_makes_the_weights():
    before = torch.get_rng_state()
    first, again, other = (LanguageModel(LanguageModelConfig("spen", **TINY), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in first.state_dict().items())
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    control = first.randomised(2)
    assert torch.equal(control.embedding.weight, other.embedding.weight)


@pytest.mark.statistical
def test_a_model_before_training_guesses_about_evenly():
    for family in FAMILIES:
        model = LanguageModel(named_config(family, "0.3m"))
        tokens = torch.randint(2048, (2, 64))
        loss = nn.functional.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        # Logits of unit variance cost half a nat beside log 2048 = 7.62.
        assert loss.item() == pytest.approx(7.62 + 0.5, abs=0.3), family


def test_a_stream_normalised_after_each_block_has_mean_zero_and_variance_one():
    states = tiny(family="spen", normalisation="after", bottleneck="none").encode(torch.randint(11, (2, 12)))
    for layer in (1, 2):
        left = states[f"block.{layer}"]
        torch.testing.assert_close(left.mean(-1), torch.zeros(2, 12), atol=1e-5, rtol=0.0)
        torch.testing.assert_close(left.var(-1, correction=0), torch.ones(2, 12), atol=1e-2, rtol=0.0)


# Traces


def test_the_sites_of_traces_are_traces_of_the_stream():
    model = tiny(family="spen", trace_scale="raw")
    tokens = torch.randint(11, (2, 12))
    states = model.encode(tokens)
    with torch.no_grad():
        for layer, read in ((1, "embedding"), (2, "block.1")):
            expected = ema_bank(model.blocks[layer - 1].reads(states[read]), (0.5, 0.1, 0.02)).flatten(2)
            torch.testing.assert_close(states[f"block.{layer}.traces"], expected)
    unit = LanguageModel(LanguageModelConfig("spen", **TINY)).eval()
    expected = torch.tensor([3.0, 19.0, 99.0]).sqrt().repeat_interleave(8)  # sqrt((2 - alpha) / alpha)
    traces = unit.encode(tokens)["block.1.traces"]
    torch.testing.assert_close(traces, expected * states["block.1.traces"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "choice",
    [{}, {"trace_input": "embedding"}, {"trace_scale": "raw"}, {"learnable_alpha": True}, {"normalisation": "after"}],
)
def test_the_first_traces_are_the_superposition_they_are_told_to_be(choice):
    model = tiny(family="spen", **choice)
    tokens = torch.randint(11, (1, 12))
    vectors, told = model.superposition("block.1.traces")
    state = model.encode(tokens)["block.1.traces"][0, -1].view(3, 8)
    back = tokens[0].flip(0)
    summed = told[:, :12].float() @ vectors[back]
    torch.testing.assert_close(state, summed, rtol=1e-5, atol=1e-5)
    assert model.superposition("block.2.traces") is None
    assert tiny(family="gated_ema").superposition("block.1.traces") is None


def test_learned_alphas_have_the_gradient_of_finite_differences():
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    alphas = torch.tensor([0.5, 0.07], dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 20, 2, 3, dtype=torch.float64)
    (learnable_bank(x, alphas) * target).sum().backward()
    torch.testing.assert_close(learnable_bank(x, alphas).detach(), ema_bank(x, (0.5, 0.07)))
    step = 1e-6
    for scale in range(2):
        ends = [alphas.detach().clone() for _ in range(2)]
        ends[0][scale] += step
        ends[1][scale] -= step
        above, below = ((ema_bank(x, end.tolist()) * target).sum() for end in ends)
        # A central difference errs by the step squared, and by rounding over the step: 1e-9 of values near 10.
        torch.testing.assert_close(alphas.grad[scale], (above - below) / (2 * step), rtol=1e-6, atol=1e-6)


def test_learned_alphas_move():
    model = tiny(family="spen", learnable_alpha=True)
    model(torch.randint(11, (2, 12))).square().sum().backward()
    assert model.blocks[0].alpha_logits.grad.abs().min() > 0


def test_a_selective_trace_that_decides_nothing_is_fixed():
    x = torch.randn(2, 40, 3)
    logits = torch.logit(torch.tensor([0.5, 0.02])).expand(2, 40, 2)
    torch.testing.assert_close(selective_bank(x, logits), ema_bank(x, (0.5, 0.02)))
    # So is the whole model before training, but for its initial draws.
    fixed, gated = tiny(family="spen"), tiny(family="gated_ema")
    gated.load_state_dict(fixed.state_dict(), strict=False)
    tokens = torch.randint(11, (2, 12))
    torch.testing.assert_close(gated(tokens), fixed(tokens), rtol=1e-4, atol=1e-5)


def test_a_selective_trace_is_its_recurrence():
    x, logits = torch.randn(2, 30, 3), 3 * torch.randn(2, 30, 2)
    state = torch.zeros(2, 2, 3)
    for place in range(30):
        alpha = logits[:, place, :, None].sigmoid()
        state = (1 - alpha) * state + alpha * x[:, place, None]
        torch.testing.assert_close(selective_bank(x, logits)[:, place], state, rtol=1e-4, atol=1e-5)


def test_traces_keep_their_precision_under_autocast():
    x = torch.randn(1, 60, 4)
    logits = torch.logit(torch.tensor([0.5, 0.02])).expand(1, 60, 2)
    exact = ema_bank(x, (0.5, 0.02))
    with torch.autocast("cpu", torch.bfloat16):
        for traces in (
            ema_bank(x, (0.5, 0.02)),
            learnable_bank(x, torch.tensor([0.5, 0.02])),
            selective_bank(x, logits),
        ):
            torch.testing.assert_close(traces, exact, rtol=1e-5, atol=1e-5)  # bfloat16 would be off by 1e-2


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 33])
def test_a_gated_scan_is_its_recurrence(tokens):
    decay, x = torch.rand(2, tokens, 5), torch.randn(2, tokens, 5)
    state = torch.zeros(2, 5)
    for place in range(tokens):
        state = decay[:, place] * state + x[:, place]
        torch.testing.assert_close(gated_scan(decay, x)[:, place], state, rtol=1e-4, atol=1e-5)


# Predictors and the feed-forward layer


@pytest.mark.parametrize(
    ("predictor", "earliest"),
    [("linear", 9), ("mlp", 9), ("scale_attention", 9), ("window_attention", 7), ("history_attention", 0)],
)
def test_a_predictor_looks_no_further_than_is_said(predictor, earliest):
    config = LanguageModelConfig("spen", **TINY | {"predictor": predictor, "predictor_window": 3})
    predict = make_predictor(config)
    traces, vectors = torch.randn(1, 12, 3, 8, requires_grad=True), torch.randn(1, 12, 8)
    predict(traces, vectors)[0, 9].square().sum().backward()
    seen = traces.grad[0].abs().sum((1, 2)).nonzero().flatten().tolist()
    assert seen == list(range(earliest, 10))


def test_the_ngram_control_reads_tokens_and_no_trace():
    predict = make_predictor(LanguageModelConfig("spen", **TINY | {"predictor": "ngram"}))
    traces, vectors = torch.randn(1, 12, 3, 8, requires_grad=True), torch.randn(1, 12, 8, requires_grad=True)
    (predict(traces, vectors)[0, 9].square().sum() + 0 * traces.sum()).backward()
    assert not traces.grad.any()
    assert vectors.grad[0].abs().sum(1).nonzero().flatten().tolist() == [7, 8, 9]
    assert predict(traces[:, :2], vectors[:, :2]).shape == (1, 2, 3, 8)  # shorter than its order


def test_two_heads_over_the_history_undo_the_trace():
    # Lag 0 and lag 1 of one trace, with values h / alpha and -(1 - alpha) h / alpha: the token vector itself.
    alpha, dim = 0.25, 4
    config = LanguageModelConfig(
        "spen", vocabulary=5, dim=2 * dim, context=9, heads=2, alphas=(alpha,), predictor="history_attention"
    )
    predict = make_predictor(config)
    x = torch.randn(1, 9, dim)
    traces = ema(torch.cat([x, x], 2), alpha)
    with torch.no_grad():
        for weight in predict.parameters():
            weight.zero_()
        predict.lag_scores.fill_(-1e4)
        predict.lag_scores[0, 0] = predict.lag_scores[1, 1] = 1e4
        value = torch.block_diag(torch.eye(dim) / alpha, -(1 - alpha) / alpha * torch.eye(dim))
        predict.query_key_value.weight[4 * dim :] = value
        predict.out.weight[:dim] = torch.cat([torch.eye(dim), torch.eye(dim)], 1)
        found = predict(traces[:, :, None], traces)[0, :, 0, :dim]
    torch.testing.assert_close(found[1:], x[0, 1:], rtol=1e-4, atol=1e-4)


def test_few_units_are_active():
    layer = FeedForward(8, 50, active_share=0.06)
    seen = []
    layer.out.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(3, 7, 8)
    layer(x)
    units = nn.functional.gelu(layer.into(x))
    assert (seen[0] != 0).sum(-1).unique().tolist() == [3]  # 6% of 50
    torch.testing.assert_close(seen[0].amax(-1), units.amax(-1))
    assert (seen[0] != 0)[units >= units.topk(3).values[..., -1:]].all()
    dense = FeedForward(8, 50)
    torch.testing.assert_close(dense(x), dense.out(nn.functional.gelu(dense.into(x))))
    signed = FeedForward(8, 50, 0.06, active_by="magnitude")
    kept = []
    signed.out.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    signed(x)
    units = nn.functional.gelu(signed.into(x))
    torch.testing.assert_close(kept[0].abs().sum(-1), units.abs().topk(3).values.sum(-1))
    other = FeedForward(8, 50, activation="relu")
    torch.testing.assert_close(other(x), other.out(other.into(x).clamp(min=0)))


def test_an_output_of_its_own_counts_among_equal_parameters():
    assert count_parameters(named_config("spen", "1m", tied=False)) == pytest.approx(1_050_000, rel=1e-3)
    model = tiny(family="gru", tied=False)
    tokens = torch.randint(11, (1, 5))
    before = model(tokens)
    with torch.no_grad():
        model.output.weight[3] = 0.0
    torch.testing.assert_close(model(tokens)[..., 3], torch.zeros(1, 5))
    torch.testing.assert_close(model(tokens)[..., :3], before[..., :3])


@pytest.mark.statistical
def test_a_trained_model_is_measured():
    model = tiny(family="spen")
    tokens = torch.randint(11, (40, 12))
    report = infodil.recoverability(
        model, tokens, sites="block.1.traces", lags=[0, 1], probes="gaussian", controls=False, progress=False
    )
    assert report.sites == ("block.1.traces",)


# Mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "spem"}, "`family` must be one of .*, got 'spem': did you mean 'spen'?"),
        ({"predictor": "liner"}, "`predictor` must be one of .*, got 'liner': did you mean 'linear'?"),
        ({"activation": "tanh"}, "`activation` must be one of 'gelu' or 'relu', got 'tanh'."),
        ({"mix": "product"}, "`mix` must be one of 'concat' or 'sum', got 'product'."),
        ({"vocabulary": 1}, "`vocabulary` must be a whole number of at least 2, got 1: a token must tell something."),
        ({"layers": 0}, "`layers` must be a whole number of at least 1, got 0: pass 1 or more."),
        ({"alphas": ()}, r"`alphas` must not be empty: pass at least one, such as alphas=\(0.5, 0.1, 0.02\)."),
        ({"alphas": (0.5, 1.5)}, "`alphas` must be above 0.0 and at most 1.0, got 1.5: pass a value in"),
        ({"alphas": (1.0,), "learnable_alpha": True}, "`alphas` must be below 1 where they can move, got 1.0"),
        ({"active_share": 0.0}, "`active_share` must be above 0.0 and at most 1.0, got 0.0"),
        ({"family": "attention", "heads": 3}, "`dim` must be a multiple of heads = 3, got 8: pass another width."),
    ],
)
def test_a_wrong_choice_is_told_in_one_sentence(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        LanguageModelConfig(**{"family": "spen"} | TINY | changes)
    assert "\n" not in str(caught.value)


def test_a_wrong_name_is_told_in_one_sentence():
    with pytest.raises(UserError, match="`family` must be one of 'spen'"):
        named_config("gpt", "1m")
    with pytest.raises(UserError, match=r"`size` must be one of .*, got '2m'"):
        named_config("gru", "2m")
    with pytest.raises(UserError, match=r"`changes` must be one of .*, got 'layer': did you mean 'layers'?"):
        named_config("gru", "1m", layer=2)
    with pytest.raises(UserError, match=r"'lstm' has .* without a feed-forward layer: pass fewer `layers`"):
        named_config("lstm", "1m", layers=12)


def test_attention_reads_no_further_than_its_positions():
    with pytest.raises(UserError, match="`tokens` has sequences of 13 tokens, and the model learned 12 positions"):
        tiny(family="attention")(torch.zeros(1, 13, dtype=torch.long))
    assert tiny(family="attention").longest == 12
    assert tiny(family="spen", predictor="history_attention").longest == 12
    assert tiny(family="spen").longest is None
    tiny(family="spen")(torch.zeros(1, 40, dtype=torch.long))


def test_a_configuration_survives_json():
    config = named_config("spen", "1m", predictor="mlp")
    assert LanguageModelConfig(**dataclasses.asdict(config) | {"alphas": [0.5, 0.1, 0.02]}) == config


@pytest.mark.slow
def test_the_paper_s_size_takes_a_step():
    model = LanguageModel(named_config("spen", "130m"))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    tokens = torch.randint(50257, (1, 9))
    losses = []
    for _ in range(2):
        loss = nn.functional.cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[1] < losses[0]
