"""Readers trained by gradient: equal to slow twins, right where the truth is known, never below where they start."""

import math

import pytest
import torch
from torch import nn

from infodil.encoders import TraceEncoder
from infodil.probes import (
    MLP,
    Calibration,
    Gaussian,
    Linear,
    ProbeSpec,
    cross_entropy_nats,
    fit_class_map,
    fit_temperature,
)
from infodil.probes.calibration import calibrate_temperature
from infodil.probes.class_map import MANY_CLASSES, TRAINING_BYTES, most_classes
from infodil.probes.neural.softmax import SoftmaxHeads, learning_rate
from infodil.sources import iid

CPU = torch.device("cpu")
PROBES = (Gaussian(), Linear(), MLP())
CHUNK = 1000


def setting(dim, targets, classes, rows=1000, seed=0):
    return ProbeSpec(dim=dim, targets=targets, classes=classes, train_rows=rows, device=CPU, seed=seed)


def plain_classes(number):
    counts = torch.full((number,), 1000)
    return fit_class_map(counts, counts)


def fit(reader, states, labels, held_states, held_labels, passes=None):
    for _ in range(passes or reader.passes):
        for rows in torch.arange(len(states)).split(CHUNK):
            reader.update(states[rows], labels[:, rows])
        reader.end_pass(Calibration(held_states, held_labels))
    return reader


def fit_ladder(states, labels, held_states, held_labels, classes, seed=0):
    """Every rung on the one below it."""
    rungs = [None]
    for rung in PROBES:
        made = rung.start_fit(setting(states.shape[1], len(labels), classes, len(states), seed), rungs[-1])
        rungs.append(fit(made, states, labels, held_states, held_labels))
    return rungs[1:]


def loss_nats(reader, states, labels, target=0):
    there = labels[target] >= 0
    scores = reader.scores(reader.prepare(states)[there], target)
    logits = reader.spec.classes.class_log_prior + reader.temperatures[target] * scores
    return cross_entropy_nats(logits, labels[target][there])


# --------------------------------------------------------------------------------------------------------- heads


def some_heads(targets=4, inputs=5, classes=7, rows=40):
    heads = SoftmaxHeads(targets, inputs, classes, CPU)
    heads.weight[:, : inputs + 1].normal_()
    labels = torch.randint(classes, (targets, rows))
    labels[2, :15] = -1
    return heads, torch.randn(rows, inputs), labels


def twin_gradients(heads, inputs, labels, offset=0.0):
    """The same by autograd: of the weights (the bias the last row) and of the inputs."""
    weight = heads.weight[:, : heads.inputs + 1].clone().requires_grad_()
    inputs = inputs.clone().requires_grad_()
    logits = inputs @ weight[:, :-1] + weight[:, -1:] + offset
    sum(nn.functional.cross_entropy(*pair, ignore_index=-1) for pair in zip(logits, labels, strict=True)).backward()
    return weight.grad, inputs.grad


@pytest.mark.parametrize("logit_bytes", [1, 2 * 4 * 40 * 7, 2**20], ids=["one at a time", "two", "all"])
def test_the_gradients_of_heads_and_inputs_are_autograds(logit_bytes):
    heads, inputs, labels = some_heads()
    offset, back = torch.randn(4, 40, 7), torch.zeros(40, 5)

    def add(some, room):
        room.copy_(offset[some])
        return True

    heads.logit_bytes = logit_bytes
    heads.compute_gradient(inputs, labels, add, back)
    weight, expected = twin_gradients(heads, inputs, labels, offset)
    torch.testing.assert_close(heads.gradient[:, :6], weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(back, expected, rtol=1e-4, atol=1e-6)
    assert not heads.gradient[:, 6:].any()


def test_in_half_precision_the_gradient_is_autograds_to_a_rounding(monkeypatch):
    # What a GPU does, done here. Logits of size 4 sqrt(6) round to 2^-9 of that, probabilities and inputs likewise.
    monkeypatch.setattr("infodil.probes.neural.softmax.product_dtype", lambda device: torch.bfloat16)
    heads, inputs, labels = some_heads()
    back = torch.zeros(40, 5)
    heads.compute_gradient(inputs, labels, input_gradient=back)
    weight, expected = twin_gradients(heads, inputs, labels)
    assert heads.weight.dtype == heads.gradient.dtype == torch.float32
    for found, twin in ((heads.gradient[:, :6], weight), (back, expected)):
        assert float((found - twin).norm() / twin.norm()) < 4 * math.sqrt(6) * 2**-8


@pytest.mark.statistical
def test_the_ladder_in_half_precision_reads_as_much(monkeypatch):
    train, held, test = noisy_codes(4000), noisy_codes(2000, seed=1), noisy_codes(4000, seed=2)
    losses = [loss_nats(rung, *test) for rung in fit_ladder(*train, *held, plain_classes(30))]
    monkeypatch.setattr("infodil.probes.neural.softmax.product_dtype", lambda device: torch.bfloat16)
    halved = [loss_nats(rung, *test) for rung in fit_ladder(*train, *held, plain_classes(30))]
    # A logit of 10 nats is rounded by 0.02, which moves the loss by its square; training goes another way, too.
    assert halved == pytest.approx(losses, abs=0.01)


def test_a_retired_head_stays_while_its_neighbours_learn():
    heads, inputs, labels = some_heads()
    for _ in range(3):
        heads.compute_gradient(inputs, labels)
        heads.step(0.1)
    heads.stop(1)
    before = heads.weight.clone()
    assert [(some.start, some.stop) for some in heads.groups(40)] == [(0, 1), (2, 4)]
    for _ in range(3):
        heads.compute_gradient(inputs, labels)
        heads.step(0.1)
    moved = (heads.weight != before).flatten(1).any(1)
    assert moved.tolist() == [True, False, True, True]


def test_the_rate_warms_up_and_ends_at_zero():
    assert learning_rate(0, 0.0, 1.0) == pytest.approx(0.05)
    assert learning_rate(100, 0.5, 1.0) == pytest.approx(0.5)
    assert learning_rate(100, 1.0, 1.0) == learning_rate(100, 1.7, 1.0) == pytest.approx(0.0, abs=1e-12)


def test_rows_that_are_all_read_right_are_not_trusted_without_limit():
    labels = torch.randint(5, (1000,))
    base, own = torch.zeros(5), nn.functional.one_hot(labels, 5).float()
    # With one wrong row the loss n log(1 + 4 exp(-t)) + log(exp(t) + 4) is least where exp(t) = 4 n.
    limit = math.log(4 * 1000)
    assert fit_temperature(base, own, labels)[0] > 1.5 * limit
    assert calibrate_temperature(base, own, labels) == pytest.approx(limit, rel=1e-3)
    assert calibrate_temperature(base, 3.0 * own, labels) == pytest.approx(limit / 3, rel=1e-3)
    # It holds back what would go beyond one, and takes nothing from one.
    assert calibrate_temperature(base, 9.0 * own, labels) == 1.0


def test_ordinary_evidence_is_trusted_as_its_rows_say():
    labels = torch.randint(5, (3000,))
    for size in (0.3, 3.0):
        scores = torch.randn(3000, 5) + nn.functional.one_hot(labels, 5)
        base = torch.log_softmax(torch.randn(3000, 5), 1)
        found = fit_temperature(base, size * scores, labels)[0]
        assert calibrate_temperature(base, size * scores, labels) == pytest.approx(found, rel=0.01)
        assert calibrate_temperature(base, size * scores, labels) <= found


# ------------------------------------------------------------------------------------------------------- classes


def test_the_classes_of_a_memory_budget():
    for targets, dim in ((17, 768), (33, 1024), (9, 600)):
        assert 16 * targets * dim * most_classes(targets, dim) <= TRAINING_BYTES or most_classes(targets, dim) == 4096
    # Four class numbers and the pool's must fit a key of 63 bits.
    assert (most_classes(1, 1) + 1) ** 4 < 2**63


@pytest.mark.parametrize("vocabulary, most", [(3000, 4096), (3001, 4096), (3007, 4096), (9000, 4096), (9000, 2000)])
def test_many_classes_are_a_multiple_of_eight(vocabulary, most):
    counts = torch.full((vocabulary,), 100)
    classes = fit_class_map(counts, counts, most=most)
    assert classes.number % 8 == 0
    assert min(vocabulary, most) - 8 <= classes.modelled <= most
    assert float(classes.class_log_prior.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert fit_class_map(counts[: MANY_CLASSES - 1], counts[: MANY_CLASSES - 1]).modelled == MANY_CLASSES - 1


# -------------------------------------------------------------------------------------------------------- linear


def noisy_codes(rows, types=30, dim=20, seed=0):
    """One readable target, and one whose labels are drawn without a look at the state."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(types, dim, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(types, (2, rows), generator=generator)
    return codes[labels[0]] + torch.randn(rows, dim, generator=generator), labels


def test_a_linear_head_that_overfits_goes_back_and_stays_while_the_other_learns():
    states, labels = noisy_codes(2000)
    held = noisy_codes(3000, seed=1)
    classes = plain_classes(30)
    reader = Linear().start_fit(setting(20, 2, classes, 2000))
    assert reader.passes == 3
    fit(reader, states, labels, *held, passes=1)
    # Of labels drawn without a look at the state nothing can be learned: all of it is taken back.
    assert reader.heads.training == [0]
    weight, bias = reader.start(1)
    assert torch.equal(reader.linear.weight[1], weight) and torch.equal(reader.linear.bias[1], bias)
    before = reader.linear.weight.clone()
    fit(reader, states, labels, *held, passes=1)
    assert torch.equal(reader.linear.weight[1], before[1]) and not torch.equal(reader.linear.weight[0], before[0])
    fit(reader, states, labels, *held, passes=1)
    assert reader.temperatures[1] == 0.0 < reader.temperatures[0]


def test_linear_is_never_worse_than_its_start_on_the_calibration_rows():
    for seed, rows in enumerate((300, 1000, 4000)):
        states, labels = noisy_codes(rows, seed=seed)
        held = noisy_codes(2000, seed=10 + seed)
        classes = plain_classes(30)
        below = fit(Gaussian().start_fit(setting(20, 2, classes, rows)), states, labels, *held)
        reader = fit(Linear().start_fit(setting(20, 2, classes, rows), below), states, labels, *held)
        for target in range(2):
            # A temperature is found to a thousandth, which costs a millionth of the evidence's variance.
            assert loss_nats(reader, *held, target) <= loss_nats(below, *held, target) + 1e-4


def test_training_that_breaks_leaves_the_start():
    states, labels = noisy_codes(2000)
    held = noisy_codes(2000, seed=1)
    classes = plain_classes(30)
    below = fit(Gaussian().start_fit(setting(20, 2, classes, 2000)), states, labels, *held)
    for rung in (Linear(learning_rate=float("nan")), MLP(head_rate=float("nan"))):
        reader = fit(rung.start_fit(setting(20, 2, classes, 2000), below), states, labels, *held)
        assert loss_nats(reader, *held) == pytest.approx(loss_nats(below, *held), abs=1e-4)


# ----------------------------------------------------------------------------------------------------------- mlp


@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_features_and_the_trunks_gradient_are_those_of_a_torch_module(hidden_layers):
    states, labels = torch.randn(50, 6), torch.randint(5, (3, 50))
    labels[1, :20] = -1
    reader = MLP(hidden_layers=hidden_layers, width=8).start_fit(setting(6, 3, plain_classes(5)))
    reader.heads.weight[:, :9].normal_()
    twin = nn.Sequential()
    for weight, bias in reader.layers:
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.detach().T.clone(), bias.detach().clone()
        twin.extend([layer, nn.GELU()])
    torch.testing.assert_close(reader.features(states), twin(states), rtol=1e-5, atol=1e-6)
    logits = twin(states) @ reader.heads.weight[:, :8] + reader.heads.weight[:, 8:9]
    sum(nn.functional.cross_entropy(*pair, ignore_index=-1) for pair in zip(logits, labels, strict=True)).backward()
    found = []
    reader.optimizer.step = lambda: found.extend(part.grad.clone() for layer in reader.layers for part in layer)
    reader.step(states, labels)
    expected = [part.grad.T if part.dim() == 2 else part.grad for part in twin.parameters()]
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_before_training_it_is_the_rung_below():
    states, labels = noisy_codes(3000)
    held = noisy_codes(2000, seed=1)
    classes = plain_classes(30)
    below = fit(Linear().start_fit(setting(20, 2, classes, 3000)), states, labels, *held)
    reader = MLP().start_fit(setting(20, 2, classes, 3000), below)
    room = torch.zeros(2, 100, 30)
    assert reader.write_base_logits(states[:100], slice(0, 2), room)
    for target in range(2):
        logits = room[target] + reader.heads.weight[target, reader.heads.inputs]
        expected = classes.class_log_prior + below.temperatures[target] * below.scores(states[:100], target)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def xor(rows, seed):
    """The token is whether the signs of the state's two numbers differ: no affine evidence at all."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(2, (2, rows), generator=generator)
    states = 2.0 * bits.T - 1.0 + 0.3 * torch.randn(rows, 2, generator=generator)
    return states, (bits[0] ^ bits[1])[None]


@pytest.mark.statistical
def test_it_reads_an_exclusive_or_of_which_linear_reads_nothing():
    train, held, test = xor(6000, 0), xor(2000, 1), xor(10_000, 2)
    classes = plain_classes(2)
    linear = fit(Linear().start_fit(setting(2, 1, classes, 6000)), *train, *held)
    reader = fit(MLP().start_fit(setting(2, 1, classes, 6000), linear), *train, *held)
    assert linear.temperatures == [0.0]
    # A sign is wrong when noise of 0.3 exceeds 1, once in 2,300: H(token | state) is below 0.01 bits.
    assert loss_nats(reader, *test) < 0.03 * math.log(2)


def spread_codes(rows, seed, sizes=(0.2, 1.0, 5.0)):
    """The token is how large the state is: all class means are zero."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(sizes), (1, rows), generator=generator)
    return torch.tensor(sizes)[labels[0], None] * torch.randn(rows, 4, generator=generator), labels


@pytest.mark.statistical
def test_it_reads_what_a_variance_holds():
    train, held, test = spread_codes(10_000, 0), spread_codes(3000, 1), spread_codes(20_000, 2)
    classes = plain_classes(3)
    linear = fit(Linear().start_fit(setting(4, 1, classes, 10_000)), *train, *held)
    reader = fit(MLP().start_fit(setting(4, 1, classes, 10_000), linear), *train, *held)
    sizes = torch.tensor((0.2, 1.0, 5.0))
    log_likelihood = -0.5 * test[0].square().sum(1, keepdim=True) / sizes**2 - 4 * sizes.log()
    truth = cross_entropy_nats(log_likelihood, test[1][0])
    assert loss_nats(linear, *test) > math.log(3) - 0.01
    # The terms' standard deviation is below 1 nat: 20,000 of them are known to 0.007, and both are of the same rows.
    assert truth - 0.007 < loss_nats(reader, *test) < truth + 0.03


def trace(documents, seed, types=32, dim=24, lags=(0, 1, 2)):
    tokens = iid(types, documents=documents, tokens=100, distribution="uniform", seed=seed).tokens
    states = TraceEncoder(types, (0.5,), dim=dim, seed=0).encode(tokens)["ema"][:, max(lags) :]
    # The oldest token of each row is left out for the last target, as a lag without predecessors is.
    labels = torch.stack([tokens[:, max(lags) - lag : 100 - lag] for lag in lags])
    labels[-1, :, 0] = -1
    return states.flatten(0, 1) * dim**0.5, labels.flatten(1)


@pytest.mark.statistical
def test_on_a_trace_each_rung_reads_more_than_the_one_below():
    train, held, test = trace(150, 0), trace(30, 1), trace(100, 2)
    rungs = fit_ladder(*train, *held, plain_classes(32))
    for target, gained in ((1, 0.5), (2, 0.1)):
        losses = [loss_nats(rung, *test, target) / math.log(2) for rung in rungs]
        assert losses[1] < losses[0] + 0.02 and losses[2] < losses[1] - gained
    # 15,000 rows suffice to tell the newest token: 5 bits, all of them.
    assert loss_nats(rungs[2], *test, 0) < 0.05


@pytest.mark.statistical
def test_each_rung_contains_the_one_below_where_that_is_not_affine():
    train, held = spread_codes(8000, 3), spread_codes(3000, 4)
    rungs = fit_ladder(*train, *held, plain_classes(3))
    assert rungs[0].quadratic[0] is not None
    losses = [loss_nats(rung, *held) for rung in rungs]
    assert losses[0] < math.log(3) - 0.3
    # Each is chosen on these rows; a temperature is found to a thousandth.
    assert losses[1] <= losses[0] + 1e-4 and losses[2] <= losses[1] + 1e-4


@pytest.mark.parametrize("rows", [60, 500])
def test_on_few_rows_it_is_no_worse_than_linear(rows):
    train, held, test = noisy_codes(rows), noisy_codes(3000, seed=1), noisy_codes(5000, seed=2)
    rungs = fit_ladder(*train, *held, plain_classes(30))
    for target in range(2):
        assert loss_nats(rungs[2], *held, target) <= loss_nats(rungs[1], *held, target) + 1e-4
        # One share and one temperature were chosen on 3,000 rows: about 2 / 6,000 nats, of which ten times is rare.
        assert loss_nats(rungs[2], *test, target) < loss_nats(rungs[1], *test, target) + 20 / 6000


def test_a_head_worth_nothing_leaves_after_half_of_the_passes():
    train, held = noisy_codes(2000), noisy_codes(3000, seed=1)
    reader = MLP(width=32).start_fit(setting(20, 2, plain_classes(30), 2000))
    fit(reader, *train, *held, passes=reader.passes // 2)
    assert reader.heads.training == [0] and reader.unused == {1}
    fit(reader, *train, *held)
    assert reader.temperatures[1] == 0.0 < reader.temperatures[0]
    assert not reader.scores(reader.prepare(held[0]), 1).any()


@pytest.mark.statistical
def test_the_seed_decides_everything():
    train, held = noisy_codes(1000), noisy_codes(1000, seed=1)
    classes = plain_classes(30)
    made = [fit(MLP(width=16).start_fit(setting(20, 2, classes, 1000, seed)), *train, *held) for seed in (3, 3, 4)]
    scores = [reader.scores(reader.prepare(held[0]), 0) for reader in made]
    assert torch.equal(scores[0], scores[1]) and not torch.equal(scores[0], scores[2])


def test_what_it_prepares_can_be_picked_by_rows():
    train, held = noisy_codes(1000), noisy_codes(1000, seed=1)
    reader = fit(MLP(width=16).start_fit(setting(20, 2, plain_classes(30), 1000)), *train, *held)
    rows = torch.tensor([5, 3, 900])
    torch.testing.assert_close(
        reader.scores(reader.prepare(held[0])[rows], 0), reader.scores(reader.prepare(held[0][rows]), 0)
    )
