"""The verdict on two losses errs as seldom as it says; each term of a gap is all of it where it must be."""

import numpy as np
import pytest
import torch
from torch import nn

from infodil.checks import UserError
from infodil.cli import main
from infodil.corpus import load_corpus
from infodil.estimate import Estimate
from infodil.lm import PREDICTORS, LanguageModel, LanguageModelConfig, TextLoss
from infodil.processing import ablate_predictor, ablation, compare_losses, decompose_gap
from infodil.processing.frozen_heads import StateProbe, TracePredictor, keep_better

# Differences


def losses_of(nats, tokens):
    return [TextLoss(row, tokens) for row in np.atleast_2d(nats)]


def drawn(shift, seeds=1, documents=60, spread=0.3, between=0.0, rng=None):
    """Losses of two models whose true difference is `shift` nats a token."""
    rng = np.random.default_rng(0) if rng is None else rng
    tokens = rng.integers(20, 200, documents)
    common = rng.normal(4.0, 0.5, documents)
    noise = rng.normal(0.0, spread, documents) + rng.normal(0.0, between, (seeds, 1))
    first = (common + shift + noise) * tokens
    return losses_of(first, tokens), losses_of(np.tile(common * tokens, (seeds, 1)), tokens)


def test_the_three_verdicts():
    assert compare_losses(*drawn(0.0, spread=0.01)).verdict == "identical within 0.02 nats"
    assert compare_losses(*drawn(0.5), margin_nats=0.1).verdict == "different"
    assert compare_losses(*drawn(0.0)).verdict == "cannot be told"
    # A difference that is there and is smaller than the margin is none.
    small = compare_losses(*drawn(0.01, spread=0.001))
    assert small.low_nats > 0
    assert small.verdict == "identical within 0.02 nats"


def test_the_value_is_per_token_and_turns_its_sign():
    first, second = losses_of([3.0, 9.0], np.array([1, 5])), losses_of([1.0, 5.0], np.array([1, 5]))
    assert compare_losses(first, second).value_nats == pytest.approx(6 / 6)
    one, other = drawn(0.2, seeds=3, between=0.1)
    there, back = compare_losses(one, other), compare_losses(other, one)
    assert (there.value_nats, there.low_nats) == pytest.approx((-back.value_nats, -back.high_nats))
    assert there.estimate.value_bits == pytest.approx(there.value_nats / np.log(2))


@pytest.mark.statistical
@pytest.mark.parametrize(("seeds", "between"), [(1, 0.0), (3, 0.1)])
def test_intervals_cover_and_equivalence_is_rarely_wrong(seeds, between):
    rng, runs = np.random.default_rng(1), 300
    found = [
        compare_losses(*drawn(0.1, seeds, between=between, rng=rng), margin_nats=0.1, seed=run) for run in range(runs)
    ]
    covered = sum(one.low_nats <= 0.1 <= one.high_nats for one in found)
    # At 95% the count of 300 is below 270 with a probability of 1e-4 (binomial).
    assert covered >= 270
    # At the edge of the margin it is called identical in 5% of runs at most: above 28 of 300 with 1e-3.
    assert sum("identical" in one.verdict for one in found) <= 28


def test_seeds_that_differ_widen_the_interval():
    alike = compare_losses(*drawn(0.1, 3, between=0.0))
    apart = compare_losses(*drawn(0.1, 3, between=0.2))
    assert apart.high_nats - apart.low_nats > 2 * (alike.high_nats - alike.low_nats)
    assert apart.document_high_nats - apart.document_low_nats < apart.high_nats - apart.low_nats
    assert len(apart.seed_values_nats) == 3
    assert "One seed" in compare_losses(*drawn(0.1)).warnings[0]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([], [], "`first` must not be empty: pass one loss for each seed."),
        (drawn(0)[0], drawn(0)[1] * 2, "`first` has 1 seeds and `second` 2: pass the same seeds of both."),
        (drawn(0)[0], drawn(0, documents=9)[1], "must be losses of the same documents: score both on one split."),
        (*[losses_of([1.0], np.array([2]))] * 2, "`first` has one document: pass losses of two or more"),
    ],
)
def test_losses_that_do_not_pair_are_told(first, second, message):
    with pytest.raises(UserError, match=message):
        compare_losses(first, second)


# The gap: a source whose next token is, nine times in ten, the sum of the last two, and states that hold one or both


class Oracle(nn.Module):
    """The true probabilities of the next token."""

    vocabulary = 2

    def forward(self, tokens):
        before = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], 1)
        share = torch.full((*tokens.shape, 2), 0.1)
        share.scatter_(2, ((tokens + before) % 2)[..., None], 0.9)
        return share.log()


class Blank(nn.Module):
    """Knows nothing; its state is the last tokens."""

    vocabulary = 2

    def __init__(self, window):
        super().__init__()
        self.window = window

    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 2)

    def encode(self, tokens):
        shown = nn.functional.one_hot(tokens, 2).float()
        back = [torch.cat([torch.zeros_like(shown[:, :lag]), shown[:, : tokens.shape[1] - lag]], 1)
                for lag in range(self.window)]  # fmt: skip
        return {"window": torch.cat(back, 2)}


@pytest.fixture(scope="module")
def sums():
    """Tokens of that source, the first of each document zero so that the oracle is right from the start."""
    rng = np.random.default_rng(0)
    tokens = np.zeros((60, 400), dtype=np.int64)
    for place in range(1, 400):
        right = (tokens[:, place - 1] + (tokens[:, place - 2] if place > 1 else 0)) % 2
        tokens[:, place] = np.where(rng.random(60) < 0.9, right, 1 - right)
    return load_corpus(tokens, vocabulary=2).tokenize()


@pytest.fixture(scope="module")
def copies():
    """Tokens that are, nine times in ten, the one before turned: all is in the newest, and linearly."""
    rng = np.random.default_rng(0)
    steps = rng.random((60, 400)) < 0.9
    steps[:, 0] = False
    return load_corpus((steps.cumsum(1) % 2).astype(np.int64), vocabulary=2).tokenize()


class Turned(Oracle):
    """The true probabilities of the turned source."""

    def forward(self, tokens):
        return torch.full((*tokens.shape, 2), 0.1).scatter(2, 1 - tokens[..., None], 0.9).log()


def decomposed(model, reference, text, **options):
    found = decompose_gap(
        model, reference, text, tokens=40_000, window=50, peak_rate=0.03, hidden=16, progress=False, **options
    )
    parts = (found.underfit, found.held, found.lost)
    assert sum(part.value_bits for part in parts) == pytest.approx(found.gap.value_bits, abs=1e-12)
    assert all(one.low_bits <= one.value_bits <= one.high_bits for one in (found.gap, *parts, found.lost_at_least))
    assert found.lost.kind == "upper bound"
    return found


# 1 bit less the entropy of one in ten, 0.469: the whole gap. Documents windowed at 50 begin a window without their
# past once in fifty tokens.
GAP_BITS = 0.531


@pytest.mark.statistical
def test_a_gap_that_is_all_underfitting(copies):
    found = decomposed(Blank(1), Turned(), copies)
    assert found.gap.value_bits == pytest.approx(GAP_BITS, abs=0.04)
    assert found.underfit.value_bits == pytest.approx(found.gap.value_bits, abs=0.01)
    assert abs(found.held.value_bits) < 0.01
    assert abs(found.lost.value_bits) < 0.01


@pytest.mark.statistical
def test_a_gap_that_is_held_and_not_usable(sums):
    found = decomposed(Blank(2), Oracle(), sums)
    assert found.gap.value_bits == pytest.approx(GAP_BITS, abs=0.04)
    assert abs(found.underfit.value_bits) < 0.02  # no linear reader learns a sum modulo two
    assert found.held.low_bits > 0.9 * GAP_BITS
    assert abs(found.lost.value_bits) < 0.03


@pytest.mark.statistical
def test_a_gap_that_is_lost_and_certified(sums):
    nothing = Estimate(0.0, 0.0, 0.0, kind="upper bound", method="the newest token alone")
    found = decomposed(Blank(1), Oracle(), sums, bound=nothing)
    assert found.lost.value_bits == pytest.approx(found.gap.value_bits, abs=0.02)
    assert found.lost_at_least.kind == "lower bound"
    assert 0.9 * GAP_BITS < found.lost_at_least.value_bits < found.lost.value_bits + 0.02
    much = Estimate(8.0, 8.0, 8.0, kind="upper bound", method="a wide state")
    vain = decomposed(Blank(1), Oracle(), sums, bound=much)
    assert vain.lost_at_least.value_bits == 0
    assert "no loss is certified" in vain.warnings[0]


@pytest.mark.statistical
def test_a_model_against_itself_has_no_gap(copies):
    found = decomposed(Turned(), Turned(), copies, encoder=Blank(1))
    assert found.gap.value_bits == 0
    assert found.underfit.value_bits == pytest.approx(-found.held.value_bits - found.lost.value_bits)
    assert abs(found.underfit.value_bits) < 0.01  # nothing is better than the truth


@pytest.mark.statistical
def test_what_is_told_of_a_gap(copies):
    found = decomposed(Blank(1), Turned(), copies)
    frame = found.to_frame()
    assert list(frame["term"]) == ["gap", "underfit", "held", "lost", "lost_at_least"]
    assert (frame["value_nats"] / frame["value_bits"]).dropna().round(6).unique().tolist() == [0.693147]
    for words in ("underfit", "(upper bound)", "states read: window", "losses in nats"):
        assert words in str(found)
    axes = found.plot()
    widths = {bar.get_label(): bar.patches[0].get_width() for bar in axes.containers}
    assert widths["gap"] == pytest.approx(found.gap.value_bits)
    assert sum(widths[name] for name in ("underfit", "held", "lost")) == pytest.approx(found.gap.value_bits)
    assert decomposed(Blank(1), Turned(), copies).gap == found.gap  # the same again


@pytest.mark.statistical
def test_a_gap_becomes_a_page(copies, tmp_path):
    found = decomposed(Blank(1), Turned(), copies)
    page = found.to_html(tmp_path / "a.html", lead="<b>one</b> against another").read_text()
    assert "&lt;b&gt;one&lt;/b&gt; against another" in page
    assert "<script" not in page
    for row in found.rows():
        assert f"<td>{row['value_bits']:.3f}</td><td>[{row['low_bits']:.3f}, {row['high_bits']:.3f}]</td>" in page
    assert page.count("<img") == 1
    assert page == found.to_html(tmp_path / "b.html", lead="<b>one</b> against another").read_text()


@pytest.mark.statistical
def test_a_gap_between_language_models(sums):
    shape = {"vocabulary": 2, "dim": 8, "layers": 1, "context": 50, "feed_forward": 16, "heads": 2}
    models = [LanguageModel(LanguageModelConfig(family, **shape)) for family in ("spen", "attention")]
    before = [weight.clone() for weight in models[0].parameters()]
    found = decompose_gap(*models, sums, sites=["block.1.traces", "block.1"], tokens=2_000, window=50, progress=False)
    assert found.sites == ("block.1.traces", "block.1")
    assert all(torch.equal(weight, old) for weight, old in zip(models[0].parameters(), before, strict=True))


@pytest.mark.statistical
def test_a_transformer_of_hugging_face_is_taken_apart():
    transformers = pytest.importorskip("transformers")
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=300, n_positions=32, n_embd=8, n_layer=2,
                                                                 n_head=2))  # fmt: skip
    reference = LanguageModel(LanguageModelConfig("spen", 256, **TINY))
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), 70)) for _ in range(40)]
    corpus = load_corpus(texts, tokenizer="bytes")  # the ids of the transformer are padded beyond the bytes
    found = decompose_gap(model, reference, corpus, sites=[-1], tokens=400, window=24, progress=False)
    assert found.sites == ("layer.2",)
    assert found.documents > 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "`model` must give next-token logits for ids, got int: pass a torch module."),
        ({"reference": type("Other", (Oracle,), {"vocabulary": 3})()}, "`reference` has 3 types and `text` 2"),
        ({"sites": "layer"}, "`sites` has 'layer', which the model does not have: there are 'window'."),
        ({"tokens": 0}, "`tokens` must be a whole number of at least 1, got 0"),
        ({"model": nn.Embedding(2, 2), "encoder": Blank(1), "reference": lambda ids: ids}, "`model` must give logits"),
        ({"confidence": 0.3}, "`confidence` must be at least 0.5"),
    ],
)
def test_a_wrong_gap_is_told(sums, change, message):
    options = {"model": Blank(1), "reference": Oracle(), "tokens": 500, "window": 20, "progress": False} | change
    with pytest.raises(UserError, match=message):
        decompose_gap(options.pop("model"), options.pop("reference"), sums, **options)


# Readers of frozen states, and the ablation

TINY = {"dim": 8, "layers": 2, "context": 24, "feed_forward": 32, "heads": 2}


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_only_what_follows_the_traces_is_trained(predictor):
    model = LanguageModel(LanguageModelConfig("spen", 11, **TINY))
    reader = TracePredictor(model, predictor)
    tokens = torch.randint(11, (2, 24))
    reader(tokens).square().sum().backward()
    assert all(weight.grad is None for weight in model.parameters())
    grown = [name for name, weight in reader.named_parameters() if weight.grad is not None and weight.grad.any()]
    assert grown == [name for name, _ in reader.named_parameters()]
    later = tokens.clone()
    later[:, 9:] = (tokens[:, 9:] + 1) % 11
    torch.testing.assert_close(reader(later)[:, :9], reader(tokens)[:, :9])


def test_a_reader_begins_as_the_model():
    model = LanguageModel(LanguageModelConfig("gru", 11, **TINY)).eval()
    for hidden in (0, 16):
        reader = StateProbe(model, model, ("embedding", "block.2"), (8, 8), 11, hidden=hidden)
        tokens = torch.randint(11, (2, 24))
        torch.testing.assert_close(reader(tokens), model(tokens))
        assert not {id(weight) for weight in model.parameters()} & {id(weight) for weight in reader.parameters()}


@pytest.fixture(scope="module")
def repeats():
    """Nine times in ten a token is the one three steps back: a slow trace holds it among all the others."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 8, (120, 200))
    for place in range(3, 200):
        tokens[:, place] = np.where(rng.random(120) < 0.9, tokens[:, place - 3], tokens[:, place])
    return load_corpus(tokens, vocabulary=8).tokenize()


@pytest.mark.statistical
def test_the_ablation_finds_what_one_trace_does_not_give(repeats, tmp_path, monkeypatch):
    options = {
        "size": "0.3m", "predictors": ["ngram"], "tokens": 30_000, "seeds": (0, 1), "folder": tmp_path,
        "alphas": (0.02,), "progress": False, "ways": ["frozen traces"], "batch_size": 16,
        "dim": 16, "layers": 1, "context": 24, "feed_forward": 32,
    }  # fmt: skip
    found = ablate_predictor(repeats, **options)
    assert list(found.losses) == [("frozen traces", "linear"), ("frozen traces", "ngram")]
    control = found.differences["frozen traces", "ngram"]
    # The last three tokens tell nearly all, and their running mean nearly nothing, of what can be known.
    assert control.verdict == "different"
    assert control.value_nats < -0.5
    monkeypatch.setattr(ablation, "train_language_model", None)  # all is read back
    again = ablate_predictor(repeats, **options)
    assert again.differences == found.differences
    assert "looks at the last 3 token vectors themselves and no trace" in str(again)
    assert {"way", "predictor", "looks_at", "loss_nats", "verdict", "margin_nats"} <= set(again.to_frame().columns)


@pytest.mark.statistical
def test_the_ablation_trains_every_predictor_both_ways(repeats, tmp_path):
    found = ablate_predictor(
        repeats, tokens=600, seeds=(0,), progress=False, dim=16, layers=1, context=24, feed_forward=32, heads=2
    )
    assert {predictor for _, predictor in found.losses} == set(PREDICTORS)
    assert len(found.losses) == 12
    assert len(found.differences) == 10
    history = found.looks_at["history_attention"]
    assert "determine every token" in history
    assert found.looks_at["window_attention"] == "all traces at the last 16 positions"
    page = found.to_html(tmp_path / "a.html").read_text()
    assert page.count('<th scope="row"') == 12
    difference = found.differences["frozen traces", "mlp"]
    assert f"<td>{difference.value_nats:+.3f}</td>" in page
    assert difference.verdict in page
    assert "One seed: the interval says nothing of another training run." in page


def test_a_stronger_predictor_that_does_worse_is_a_matter_of_its_fit():
    worse, better = compare_losses(*drawn(0.5, spread=0.1)), compare_losses(*drawn(-0.5, spread=0.1))
    assert ablation.falls_short("window_attention", "linear", worse)
    assert not ablation.falls_short("window_attention", "linear", better)
    assert not ablation.falls_short("linear", "window_attention", worse)
    assert not ablation.falls_short("ngram", "linear", worse)  # it reads no trace


@pytest.mark.statistical
def test_a_reader_goes_as_far_as_it_does_better():
    reader = nn.Embedding(4, 4)
    nn.init.zeros_(reader.weight)
    tokens = np.tile([0, 1, 2, 3], 400)
    options = {"tokens": 4_000, "window": 16, "batch_size": 8, "weight_decay": 0.0, "progress": False}

    def score(one, side):
        ids = torch.from_numpy(side)[None]
        loss = nn.functional.cross_entropy(one(ids[:, :-1])[0], ids[0, 1:])
        return TextLoss(np.array([loss.item() * (len(side) - 1)]), np.array([len(side) - 1]))

    keep_better(reader, lambda one: score(one, tokens), tokens, peak_rate=0.05, **options)
    learned = score(reader, tokens).loss_nats
    assert learned < 0.5 * np.log(4)
    before = reader.weight.clone()
    # On text of another order everything that is learned makes it worse.
    keep_better(reader, lambda one: score(one, tokens), tokens[::-1].copy(), peak_rate=0.05, **options)
    assert score(reader, tokens).loss_nats <= learned
    torch.testing.assert_close(reader.weight, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictors": ["liner"]}, r"`predictors` must be one of .*did you mean 'linear'"),
        ({"ways": ["frozen"]}, "`ways` must be one of"),
        ({"seeds": ()}, "`seeds` must not be empty"),
        ({"size": "5m"}, "`size` must be one of"),
        ({"text": ["a text"]}, "`text` must be tokenised, got list"),
    ],
)
def test_a_wrong_ablation_is_told(repeats, change, message):
    with pytest.raises(UserError, match=message):
        ablate_predictor(change.pop("text", repeats), tokens=600, progress=False, **change)


@pytest.mark.statistical
def test_ablation_and_gap_from_a_shell(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = ("dim=8", "layers=1", "context=16", "feed_forward=16", "heads=2")
    shape = [word for size in sizes for word in ("--set", size)]
    rng = np.random.default_rng(0)
    (tmp_path / "texts.txt").write_text("<|endoftext|>".join("".join(rng.choice(list("abcd"), 90)) for _ in range(60)))
    command = ["lm", "ablate", "--corpus", "texts.txt", "--vocabulary", "260", "--size", "0.3m", "--tokens", "300"]
    assert main([*command, *shape, "--predictors", "mlp", "--seeds", "2", "--out", "out", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "nats" in printed
    assert {"ablation.csv", "ablation.html", "ablation.json", "ablation.png", "text", "cells"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    shape = [word for size in sizes for word in ("--set", f"model.{size}")]
    for family in ("spen", "gru"):
        run = ["lm", "train", "--config", f"{family}-0.3m", "--corpus", "texts.txt", "--tokens", "300", "--quiet"]
        assert main([*run, *shape, "--set", "model.vocabulary=260", "--out", family]) == 0
    command = ["lm", "gap", "--model", "spen", "--reference", "gru", "--tokens", "300"]
    assert main([*command, "--out", "gap", "--quiet"]) == 0
    assert "at most lost in the states" in capsys.readouterr().out
    assert {"gap.csv", "gap.html", "gap.json", "gap.png"} == {path.name for path in (tmp_path / "gap").iterdir()}
