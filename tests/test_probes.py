"""Readers: normalised over the whole vocabulary, equal to slow twins, and right where the posterior is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import infodil
from infodil.probes import (
    PROBES,
    BackwardNgram,
    Calibration,
    Linear,
    ProbeFit,
    ProbeSpec,
    Standardizer,
    cross_entropy_nats,
    fit_class_map,
    fit_temperature,
    log_predictive,
    prior_smoothing,
)
from infodil.probes.gaussian.class_sums import ClassSums
from infodil.probes.gaussian.discriminant import Discriminant

CPU = torch.device("cpu")


def plain_classes(number):
    """Every type modelled, uniform prior."""
    counts = torch.full((number,), 1000)
    return fit_class_map(counts, counts)


def setting(dim, targets, classes, rows=1000, seed=0):
    return ProbeSpec(dim=dim, targets=targets, classes=classes, train_rows=rows, device=CPU, seed=seed)


def codebook(rows, types=20, dim=8, noise=1.0, seed=0):
    """Tokens sent through a Gaussian channel: state = code of the token + noise."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(types, dim, generator=torch.Generator().manual_seed(99))
    tokens = torch.randint(types, (rows,), generator=generator)
    return codes[tokens] + noise * torch.randn(rows, dim, generator=generator), tokens, codes


def fit(probe, rows=8000, weaker=None, classes=None, **source):
    states, tokens, codes = codebook(rows, **source)
    classes = classes or plain_classes(int(tokens.max()) + 1)
    reader = PROBES[probe].start_fit(setting(states.shape[1], 1, classes, rows), weaker)
    held_states, held_tokens, _ = codebook(3000, **{**source, "seed": 7})
    calibration = Calibration(held_states, held_tokens[None])
    for _ in range(reader.passes):
        reader.update(states, tokens[None])
        reader.end_pass(calibration)
    return reader, classes, codes


def held_out_bits(reader, classes, **source):
    states, tokens, _ = codebook(20_000, **{**source, "seed": 11})
    logits = classes.class_log_prior + reader.temperatures[0] * reader.scores(states, 0)
    return (math.log(classes.number) - cross_entropy_nats(logits, tokens)) / math.log(2)


def true_bits(codes, noise=1.0, seed=11):
    """Mutual information of the codebook channel with its Monte Carlo standard error."""
    states, tokens, _ = codebook(20_000, types=len(codes), dim=codes.shape[1], noise=noise, seed=seed)
    log_likelihood = -torch.cdist(states, codes).square() / (2 * noise**2)
    gain = log_likelihood.gather(1, tokens[:, None]).squeeze(1) - torch.logsumexp(log_likelihood, 1)
    bits = (gain + math.log(len(codes))) / math.log(2)
    return float(bits.mean()), float(bits.std()) / math.sqrt(len(bits))


# ------------------------------------------------------------------------------------------------------- classes


@pytest.fixture
def skewed():
    counts = torch.tensor([50, 0, 3, 20, 0, 4, 9, 1])
    return fit_class_map(counts, torch.tensor([10, 1, 1, 5, 0, 1, 2, 0]), fewest=5)


def test_rare_types_are_pooled_and_everything_sums_to_one(skewed):
    assert skewed.modelled == 3 and skewed.number == 4
    assert skewed.of_type.tolist() == [0, 3, 3, 1, 3, 3, 2, 3]
    for log_probabilities in (skewed.log_prior, skewed.class_log_prior, skewed.pool):
        assert float(log_probabilities.exp().sum()) == pytest.approx(1.0, abs=1e-6)
    types = torch.arange(8)
    again = skewed.class_log_prior[skewed.of_type] + skewed.log_within(types)
    torch.testing.assert_close(again, skewed.log_prior)


def test_no_pool_where_every_type_is_frequent():
    classes = plain_classes(5)
    assert classes.modelled == classes.number == 5 and len(classes.pool) == 0


def test_ranks_equal_a_sort_of_the_whole_vocabulary(skewed):
    logits = torch.randn(200, skewed.number)
    logits[:50] = skewed.class_log_prior  # the prior itself: exact ties inside the pool
    types = torch.randint(8, (200,))
    greater, equal = skewed.ranks(logits, types)
    full = logits[:, skewed.of_type] + skewed.log_within(torch.arange(8))
    own = full.gather(1, types[:, None])
    torch.testing.assert_close(greater, (full > own + 1e-6).sum(1).float())
    torch.testing.assert_close(equal, ((full - own).abs() <= 1e-6).sum(1).float())


def test_the_smoothing_is_the_best_of_its_grid_on_the_calibration_split():
    sparse = torch.zeros(1000, dtype=torch.long)
    sparse[:10] = 100
    same = fit_class_map(sparse, sparse)
    spread = fit_class_map(sparse, torch.ones(1000, dtype=torch.long))
    assert float(same.log_prior[-1]) < float(spread.log_prior[-1])


# ------------------------------------------------------------------------------------------------------ gaussian


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.sampled_from([3, 30, 59, 90]), st.sampled_from([2, 4, 40]))
def test_class_sums_equal_a_loop_and_merge_to_the_whole(seed, lags, dim, classes):
    """Whether rows are kept, or turned into sums and matrices, as few and many classes and dims make them."""
    generator = torch.Generator().manual_seed(seed)
    rows = 60
    states = torch.randn(rows, dim, generator=generator)
    labels = torch.randint(classes, (lags + 1, rows), generator=generator)
    for target in range(1, lags + 1):
        labels[target, : 5 * target] = -1  # nested, as lags are
    whole, first, second = (ClassSums(dim, lags + 1, classes) for _ in range(3))
    whole.update(states, labels)
    first.update(states[:23], labels[:, :23])
    second.update(states[23:], labels[:, 23:])
    first.merge(second)
    for sums in (whole, first):
        for target in range(lags + 1):
            there = labels[target] >= 0
            counts, centre, means, total, _ = sums.compute(target)
            x, y = states[there].double(), labels[target][there]
            torch.testing.assert_close(centre, x.mean(0), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(total, x.T.cov(correction=0), rtol=1e-4, atol=1e-5)
            for c in range(classes):
                assert counts[c] == (y == c).sum()
                if counts[c]:
                    torch.testing.assert_close(means[c] + centre, x[y == c].mean(0), rtol=1e-4, atol=1e-5)


def test_without_shrinkage_it_is_fishers_discriminant():
    # Many rows a class: the means are hardly shrunk, and the twin is scikit-learn's linear discriminant analysis.
    states, tokens, _ = codebook(20_000, types=5, dim=4)
    sums = ClassSums(4, 1, 5)
    sums.update(states, tokens[None])
    direction, offset = Discriminant(sums.compute(0)).shrunk(1e-6)
    ours = torch.log_softmax(states[:100] @ direction + offset, 1)
    twin = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(5, 0.2)).fit(states.numpy(), tokens.numpy())
    # The shrunk means differ by a share of about 1 / (rows in a class x signal) = 1 / 4000.
    np.testing.assert_allclose(ours.numpy(), twin.predict_log_proba(states[:100].numpy()), atol=0.02)


def test_gaussian_reads_what_a_gaussian_channel_holds():
    reader, classes, codes = fit("gaussian", rows=20_000)
    truth, error = true_bits(codes)
    bits = held_out_bits(reader, classes)
    # Twenty means of eight numbers estimated from 20,000 rows cost about 160 / 40,000 nats.
    assert truth - 0.02 - 3 * error < bits < truth + 3 * error


def test_temperature_is_near_one_where_the_model_is_true():
    reader, _, _ = fit("gaussian", rows=20_000)
    assert reader.temperatures[0] == pytest.approx(1.0, abs=0.1)


def test_more_dims_than_rows_do_not_break_it():
    reader, classes, _ = fit("gaussian", rows=300, types=5, dim=400, noise=3.0)
    assert held_out_bits(reader, classes, types=5, dim=400, noise=3.0) > 0.5


# -------------------------------------------------------------------------------------------------------- linear


@pytest.mark.statistical
def test_its_gradient_is_autograds():
    classes = plain_classes(6)
    reader = Linear().start_fit(setting(4, 3, classes))
    states, labels = torch.randn(40, 4), torch.randint(6, (3, 40))
    labels[2, :15] = -1
    reader.linear.weight.normal_()
    weight, bias = reader.linear.weight.clone().requires_grad_(), reader.linear.bias.clone().requires_grad_()
    loss = sum(
        torch.nn.functional.cross_entropy(states @ weight[t] + bias[t], labels[t], ignore_index=-1) for t in range(3)
    )
    loss.backward()
    reader.step(states, labels)
    torch.testing.assert_close(reader.linear.weight.grad, weight.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(reader.linear.bias.grad, bias.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("together", [1, 2**30])
def test_targets_in_one_product_or_several_give_the_same_step(together):
    reader = Linear().start_fit(setting(4, 3, plain_classes(6)))
    reader.heads.logit_bytes = together
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(6, (3, 40), generator=generator)
    reader.step(torch.randn(40, 4, generator=generator), labels)
    expected = (labels[0] == 2).float().mean() - 1 / 6
    assert float(-reader.linear.bias.grad[0, 2]) == pytest.approx(float(expected), abs=1e-6)


def test_linear_is_no_worse_than_the_gaussian_it_starts_from():
    weaker, classes, codes = fit("gaussian", rows=6000)
    reader, _, _ = fit("linear", rows=6000, weaker=weaker, classes=classes)
    truth, error = true_bits(codes)
    assert held_out_bits(weaker, classes) - 0.01 < held_out_bits(reader, classes) < truth + 3 * error


@pytest.mark.statistical
def test_linear_alone_learns_too():
    reader, classes, codes = fit("linear", rows=20_000)
    assert held_out_bits(reader, classes) > 0.85 * true_bits(codes)[0]


@pytest.mark.statistical
def test_linear_sees_what_a_shared_covariance_cannot():
    # Classes of very unequal spread on a line: the best affine evidence is not the discriminant's.
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, (30_000,), generator=generator)
    states = torch.randn(30_000, 1, generator=generator) * torch.tensor([0.1, 3.0])[tokens][:, None]
    states = states + torch.tensor([0.0, 1.0])[tokens][:, None]
    classes = plain_classes(2)
    readers = []
    for probe in ("gaussian", "linear"):
        reader = PROBES[probe].start_fit(setting(1, 1, classes, 20_000), readers[-1] if readers else None)
        for _ in range(reader.passes):
            reader.update(states[:20_000], tokens[None, :20_000])
            reader.end_pass(Calibration(states[20_000:], tokens[None, 20_000:]))
        readers.append(reader)
    losses = [
        cross_entropy_nats(r.temperatures[0] * r.scores(states[20_000:], 0) + classes.class_log_prior, tokens[20_000:])
        for r in readers
    ]
    assert losses[1] <= losses[0] + 1e-4


# --------------------------------------------------------------------------------------------------- temperature


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_the_temperature_is_the_minimum_that_scipy_finds(size):
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(7, (3000,), generator=generator)
    scores = torch.randn(3000, 7, generator=generator)
    scores[torch.arange(3000), labels] += 1.0
    base = torch.log_softmax(torch.randn(7, generator=generator), 0)
    temperature, loss = fit_temperature(base, scores * size, labels)
    twin = minimize_scalar(lambda t: cross_entropy_nats(base + t * scores, labels), bounds=(0, 10), method="bounded")
    assert temperature * size == pytest.approx(twin.x, rel=0.01)
    assert loss == pytest.approx(twin.fun, abs=1e-5)


@pytest.mark.parametrize("lines", [1, 2000])
def test_logits_made_block_by_block_give_the_same_answer(lines):
    """2,000 rows of 900 classes are seven blocks; the twin makes all logits at once, in float64."""
    generator = torch.Generator().manual_seed(4)
    base = torch.log_softmax(torch.randn(lines, 900, generator=generator), 1)
    base = base[0] if lines == 1 else base
    scores = 2.0 * torch.randn(2000, 900, generator=generator)
    labels = torch.distributions.Categorical(logits=base + 0.4 * scores).sample()
    temperature, loss = fit_temperature(base, scores, labels)

    def twin_loss(temperature):
        return cross_entropy_nats(base.double() + temperature * scores.double(), labels)

    twin = minimize_scalar(twin_loss, bounds=(0.1, 1.0), method="bounded", options={"xatol": 1e-6})
    assert temperature == pytest.approx(twin.x, rel=2e-3) and loss == pytest.approx(twin.fun, abs=1e-6)
    log = log_predictive(base, scores, temperature, 0.01, labels)
    known = base.expand_as(scores).gather(1, labels[:, None]).squeeze(1).exp().double()
    plain = torch.log_softmax(base.double() + temperature * scores.double(), 1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(log, torch.log(0.99 * plain.exp() + 0.01 * known), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wrong", [0, 1, 30])
def test_the_temperature_is_the_minimum_where_most_evidence_is_overwhelming(wrong):
    """Scores of a million on nine rows of ten, a few on the others, of which some name the wrong type."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(7, (3000,), generator=generator)
    scores = -1.0 - 14.0 * torch.rand(3000, 7, generator=generator)
    scores[:2700] = -1e6
    scores[torch.arange(3000), labels] = 0.0
    scores[2700 : 2700 + wrong] = scores[2700 : 2700 + wrong].roll(1, 1)
    base = torch.log_softmax(torch.randn(7, generator=generator), 0)
    temperature, loss = fit_temperature(base, scores, labels)
    bounds = [(-16.0, -8.0), (-9.0, -2.0), (-3.0, 3.0)]
    twins = [
        minimize_scalar(lambda t: cross_entropy_nats(base + math.exp(t) * scores, labels), bounds=b, method="bounded")
        for b in bounds
    ]
    twin = min(twins, key=lambda twin: twin.fun)
    assert loss == pytest.approx(twin.fun, abs=1e-5)
    if wrong:  # without a wrong one, hotter is always better and every high temperature as good
        assert temperature == pytest.approx(math.exp(twin.x), rel=0.02)


def test_evidence_of_nothing_is_not_used():
    used = 0
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(5, (500,), generator=generator)
        scores = torch.randn(500, 5, generator=generator)
        used += fit_temperature(torch.zeros(5), scores, labels)[0] > 0
    # Four nats are passed by chance one time in 400 (half of a chi-square of one degree above 8): two of 100 at most.
    assert used <= 2


def test_no_rows_and_evidence_against_the_truth_give_the_prior():
    assert fit_temperature(torch.zeros(3), torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))[0] == 0.0
    labels = torch.arange(300) % 3
    assert fit_temperature(torch.zeros(3), -torch.nn.functional.one_hot(labels, 3).float(), labels)[0] == 0.0


@pytest.mark.parametrize("probe", ["prior", "gaussian", "linear", "mlp"])
def test_every_rung_is_a_reader_and_contains_the_prior(probe):
    generator = torch.Generator().manual_seed(5)
    states, tokens = torch.randn(2000, 6, generator=generator), torch.randint(9, (1, 2000), generator=generator)
    classes = plain_classes(9)
    reader = PROBES[probe].start_fit(setting(6, 1, classes, 1500), None)
    for _ in range(reader.passes):
        reader.update(states[:1500], tokens[:, :1500])
        reader.end_pass(Calibration(states[1500:], tokens[:, 1500:]))
    assert isinstance(reader, ProbeFit)
    assert reader.temperatures == [0.0]
    assert reader.scores(reader.prepare(states[:10]), 0).shape == (10, 9)


# ------------------------------------------------------------------------------------------------------- context


def ends(length, tokens):
    """How many tokens follow each token in sequences of one length."""
    return (length - 1 - np.arange(tokens) % length).astype(np.int64)


def test_backward_ngram_is_normalised_and_equals_counting_by_hand():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 400)
    classes = plain_classes(4)
    context = BackwardNgram(classes)
    context.fit(tokens, ends(40, 400))
    following = torch.from_numpy(rng.integers(0, 4, (50, 3)))
    for length in range(4):
        probability = context.probabilities(following, length)
        torch.testing.assert_close(probability.sum(1), torch.ones(50), rtol=1e-5, atol=1e-5)
    pairs = np.zeros((4, 4))
    for i in range(399):
        if i % 40 != 39:
            pairs[tokens[i + 1], tokens[i]] += 1
    discount = context.tables[0].discount
    given = int(following[0, 0])
    by_hand = np.maximum(pairs[given] - discount, 0) / pairs[given].sum()
    by_hand += discount * (pairs[given] > 0).sum() / pairs[given].sum() / 4
    np.testing.assert_allclose(context.probabilities(following, 1)[0].numpy(), by_hand, rtol=1e-5)


def test_backward_ngram_is_the_prior_on_independent_tokens():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 20, 20_000)
    counts = torch.from_numpy(np.bincount(tokens, minlength=20))
    classes = fit_class_map(counts, counts)
    context = BackwardNgram(classes)
    context.fit(tokens[:16_000], ends(100, 16_000))
    place = np.arange(16_000, 19_990)
    following = classes.of_type[torch.from_numpy(tokens[place[:, None] + np.arange(1, 4)])]
    context.choose(following, classes.of_type[tokens[place]])
    assert context.used == [0, 0, 0, 0]
    torch.testing.assert_close(context.log_probs(following), classes.class_log_prior.expand(len(place), -1))


def test_backward_ngram_reaches_the_conditional_entropy_of_a_chain():
    from infodil.sources import markov

    source = markov(vocabulary=4, documents=100, tokens=200, seed=0)
    tokens = source.tokens.numpy().ravel()
    counts = torch.from_numpy(np.bincount(tokens, minlength=4))
    classes = fit_class_map(counts, counts)
    context = BackwardNgram(classes)
    context.fit(tokens[:16_000], ends(200, 16_000))
    place = np.array([i for i in range(16_000, 20_000) if i % 200 < 190])
    following = classes.of_type[torch.from_numpy(tokens[place[:, None] + np.arange(1, 4)])]
    labels = classes.of_type[tokens[place]]
    context.choose(following, labels)
    loss = -float(context.log_probs(following).gather(1, labels[:, None]).mean()) / math.log(2)
    # H(X_t | X_{t+1}) = H(X_t | X_{t-1}) in a stationary chain; the sample of 3,800 has a standard error below 0.03.
    assert loss == pytest.approx(source.entropy_rate_bits, abs=0.06)
    assert loss < source.entropy_bits


@pytest.mark.statistical
@given(st.integers(0, 2**16), st.sampled_from([0.0, 1e-3, 1.0, 1e5]), st.integers(0, 10**5))
@settings(max_examples=60, deadline=None)
def test_an_answer_is_a_distribution_and_never_far_below_what_was_known(seed, temperature, rows):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(7, 5, generator=generator).log_softmax(1)
    scores, doubt = 30.0 * torch.randn(7, 5, generator=generator), prior_smoothing(rows)
    answers = torch.stack(
        [log_predictive(base, scores, temperature, doubt, torch.full((7,), label)) for label in range(5)], 1
    )
    torch.testing.assert_close(answers.exp().sum(1), torch.ones(7, dtype=torch.float64), rtol=0.0, atol=1e-6)
    assert bool((answers >= base.double() + math.log(doubt)).all())
    if temperature == 0.0:
        assert torch.equal(answers, base.double())


class OneHot:
    """States that are the newest token itself."""

    sites = ("token",)

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def encode(self, tokens):
        return {"token": torch.nn.functional.one_hot(tokens, self.vocabulary).float()}


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(8))
def test_a_dim_that_stands_still_in_some_states_is_not_blown_up(seed):
    """Some types are in few documents, and their places in one-hot states move in none that the frame is made of."""
    tokens = torch.randint(20, (300, 12), generator=torch.Generator().manual_seed(seed))
    tokens[seed::100, 5] = torch.tensor([20, 21, 22])
    report = infodil.recoverability(
        OneHot(23), list(tokens.numpy()), lags=(0,), probes=("linear",), seed=seed, controls=False, progress=False
    )
    row = report.rows[0]
    # Each of three rows may be of a type that the training met nowhere or once: there the prior answers, with the
    # probability that doubt leaves it, and the prior gives such a type no less than one part in twice the tokens.
    most = 3 * math.log2(tokens.numel() * 2 * tokens.numel()) / row["samples"]
    assert row["value_bits"] > row["ceiling_bits"] - 0.1 - most
    still = Standardizer.of(torch.tensor([[0.0, 1.0], [0.0, 3.0]]))
    assert still.apply(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 0.0]]
