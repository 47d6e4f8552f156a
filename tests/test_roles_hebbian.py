"""No label reaches the learner; its layers are the fixed points of local rules; names are the best there are."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from infodil.checks import UserError
from infodil.roles import Architecture, HebbianRoles, RoleText, grammar, name_units
from infodil.roles.learners import CoActivity, Competition, context_traces
from infodil.roles.study import SUPERVISED, UNSUPERVISED, Trial, hebbian, hebbian_learner, named

SMALL = Architecture(hidden=200, restarts=2)


def learned(words, architecture=SMALL, vocabulary=None, **options):
    return HebbianRoles(vocabulary or int(words.max()) + 1, architecture, **options).learn(words)


def accuracy(learner, train, test):
    """Of argument tokens of another text, by many-to-one names from the training text."""
    number = learner.architecture.units
    naming = name_units(learner.units(train.words), train.roles, number=number, role_number=len(train.role_names))
    right = naming.many_to_one[learner.units(test.words)] == test.roles
    return float(right[test.is_argument].double().mean())


def sanger(covariance, directions, steps, rate):
    """Sanger's generalised Hebbian rule, iterated: unit i learns from the input less what units up to i explain."""
    weights = np.random.default_rng(0).normal(size=(directions, len(covariance))) * 0.1
    for _ in range(steps):
        # Averaged over inputs: E[y x] - lower(E[y y]) W, with y = W x.
        hebbian = weights @ covariance
        weights += rate * (hebbian - np.tril(hebbian @ weights.T) @ weights)
    return weights


def settle(inhibition, drive, steps):
    """Activity of units that are driven and inhibit each other: dz/dt = drive - inhibition z."""
    activity = np.zeros_like(drive)
    step = 1.0 / np.linalg.norm(inhibition, 2)
    for _ in range(steps):
        activity += step * (drive - inhibition @ activity)
    return activity


# No labels


@pytest.mark.statistical
def test_permuted_labels_give_bit_equal_units_and_other_names():
    text, validation, test = (grammar("A").sample(300, seed=seed) for seed in range(3))
    learned = []
    for order in (torch.arange(300), torch.randperm(300, generator=torch.Generator().manual_seed(0))):
        # The labels go in with the words, as they do in every study: those of other sentences, the second time.
        told = [dataclasses.replace(one, roles=one.roles[order].flip(1)) for one in (text, validation)]
        trial = Trial(*told, seed=0, architecture=SMALL)
        learned.append((hebbian_learner(trial), named(hebbian(trial), trial.train, seed=0)[0]["many_to_one"](test)))
    (first, names), (second, other_names) = learned
    assert torch.equal(first.units(test.words), second.units(test.words))
    assert torch.equal(first.roles.weights, second.roles.weights)
    # The control: these labels do decide what they may decide, the names.
    assert not torch.equal(names, other_names)


@pytest.mark.statistical
def test_labels_that_nobody_may_read_are_not_read():
    class Told(RoleText):
        @property
        def roles(self):
            raise AssertionError("a label was read")

    text = grammar("A").sample(200, seed=0)
    words = {field.name: getattr(text, field.name) for field in dataclasses.fields(text)}
    told = Told.__new__(Told)
    told.__dict__.update({name: value for name, value in words.items() if name != "roles"})
    trial = Trial(told, told, seed=0, architecture=SMALL)
    for condition in ("Hebbian", "Hebbian, stacked", "Hebbian, induced classes", "one layer", "random GRU"):
        assert UNSUPERVISED[condition](trial).of(text).shape == text.words.shape
    with pytest.raises(AssertionError, match="a label was read"):
        SUPERVISED["majority per word"](trial)


@pytest.mark.statistical
def test_a_seed_gives_its_units_again():
    words = grammar("A").sample(200, seed=0).words
    assert torch.equal(learned(words, seed=3).units(words), learned(words, seed=3).units(words))
    assert not torch.equal(learned(words, seed=3).units(words), learned(words, seed=4).units(words))


@pytest.mark.statistical
def test_roles_are_learned_and_are_lost_when_words_change_places():
    of = grammar("A", depth=0)
    train, test = of.sample(2500, training=True, seed=0), of.sample(500, seed=1)
    whole = accuracy(learned(train.words), train, test)
    scrambled = []
    for text in (train, test):
        order = torch.where(text.present, torch.rand(text.words.shape), 2.0).argsort(1)
        scrambled.append(
            dataclasses.replace(text, words=text.words.gather(1, order), roles=text.roles.gather(1, order))
        )
    lost = accuracy(learned(scrambled[0].words), *scrambled)
    assert whole > 0.85
    # Without order nothing is left but what else is in the sentence.
    assert lost < 0.55


def test_the_word_itself_never_decides_its_unit():
    of = grammar("A")
    words = of.sample(300, seed=0).words
    learner = learned(words, vocabulary=len(of.vocabulary))
    sentence = words[:1, : int((words[0] >= 0).sum())]
    for place in range(sentence.shape[1]):
        other = sentence.clone()
        other[0, place] = (other[0, place] + 17) % len(of.vocabulary)
        assert learner.units(other)[0, place] == learner.units(sentence)[0, place]


def test_without_backward_traces_a_unit_knows_only_what_came_before():
    of = grammar("A")
    words = of.sample(300, seed=0).words
    forward = dataclasses.replace(SMALL, backward=False)
    learner = learned(words, forward, vocabulary=len(of.vocabulary))
    length = int((words[1] >= 0).sum())
    sentence, other = words[1:2, :length], words[1:2, :length].clone()
    other[0, length // 2 :] = 0
    assert torch.equal(learner.units(sentence)[0, : length // 2 + 1], learner.units(other)[0, : length // 2 + 1])


def test_padding_changes_nothing():
    of = grammar("A")
    words = of.sample(300, seed=0).words
    learner = learned(words, vocabulary=len(of.vocabulary))
    wider = torch.nn.functional.pad(words, (0, 5), value=-1)
    assert torch.equal(learner.units(wider)[:, :-5], learner.units(words))
    assert bool((learner.units(wider)[:, -5:] == -1).all())


@pytest.mark.statistical
def test_given_vectors_and_inputs_are_used():
    of = grammar("A", depth=0)
    train, test = of.sample(1500, training=True, seed=0), of.sample(400, seed=1)
    classes = torch.eye(len(of.category_names))
    learner = HebbianRoles(len(of.vocabulary), SMALL, vectors=classes).learn(train.words, train.categories)
    names = name_units(learner.units(train.words, train.categories), train.roles, number=32, role_number=8)
    right = names.many_to_one[learner.units(test.words, test.categories)] == test.roles
    assert float(right[test.is_argument].double().mean()) > 0.7  # the words alone give 0.57
    assert torch.equal(learner.vectors, classes)


@pytest.mark.statistical
def test_with_vectors_of_its_own_a_word_has_a_say_beside_the_direction_of_what_is_expected():
    of = grammar("A", depth=0)
    words = of.sample(300, seed=0).words
    own = 10.0 * torch.eye(len(of.vocabulary))
    learner = HebbianRoles(len(of.vocabulary), SMALL, own=own, seed=0).learn(words)
    rows = torch.cat([*learner.contested(words, None)])
    assert rows[:, : -len(own)].norm(dim=1) == pytest.approx(torch.ones(len(rows)), abs=1e-5)
    # Words that are this far apart never share a unit with the most frequent one, whatever is expected.
    units = learner.units(words)
    most = int(words[words >= 0].bincount().argmax())
    assert not set(units[words == most].tolist()) & set(units[(words >= 0) & (words != most)].tolist())


def test_words_without_a_role_give_no_name():
    units, roles = torch.tensor([0, 0, 0, 1]), torch.tensor([1, -1, -1, 0])
    naming = name_units(units, roles, number=2, role_number=2)
    assert naming.many_to_one.tolist() == [1, 0]


# Fixed points


def test_traces_are_those_of_the_words_on_either_side():
    vectors = torch.randn(2, 6, 3, dtype=torch.float64)
    traces = context_traces(vectors, (0.5, 0.1))
    for document, place in itertools.product(range(2), range(6)):
        expected = []
        for side in (vectors[document, :place].flip(0), vectors[document, place + 1 :]):
            for alpha in (0.5, 0.1):
                weight = alpha * (1 - alpha) ** torch.arange(len(side), dtype=torch.float64)
                expected.append((weight[:, None] * side).sum(0))
        torch.testing.assert_close(traces[document, place], torch.cat(expected))


@pytest.mark.statistical
def test_word_vectors_are_what_sangers_rule_comes_to():
    words = grammar("A", depth=0).sample(300, seed=0).words
    learner = learned(words, dataclasses.replace(SMALL, dim=3))
    size, near = learner.vocabulary, learner.architecture.near
    pairs = torch.zeros(size, 2 * len(near) * size, dtype=torch.float64)
    for sentence in words:
        here = sentence[sentence >= 0]
        traces = context_traces(torch.eye(size, dtype=torch.float64)[here][None], near)[0]
        for word, trace in zip(here, traces, strict=True):
            pairs[word] += trace
    pairs = (pairs / pairs.sum()).numpy() * float(pairs.sum() / (words >= 0).sum())
    frequency = learner.frequency.double().numpy()
    independent = np.outer(frequency, pairs.sum(0))
    residual = np.divide(pairs - independent, np.sqrt(independent), out=np.zeros_like(pairs), where=independent > 0)
    covariance = residual @ residual.T
    iterated = sanger(covariance / np.linalg.norm(covariance, 2), 3, steps=4000, rate=0.2)
    made = (learner.vectors.double() * torch.from_numpy(frequency).sqrt()[:, None]).T.numpy()
    # Sanger's units are the leading directions in order, up to their signs.
    assert np.abs((iterated * made).sum(1)) == pytest.approx(np.ones(3), abs=1e-3)


@pytest.mark.statistical
def test_expectations_are_those_of_units_that_settled():
    words = grammar("A", depth=0).sample(200, seed=0).words
    learner = learned(words, Architecture(hidden=30, restraint=0.05, restarts=1))
    hidden, target = [], []
    for here, traces in learner.traces(words):
        hidden.append(learner.hidden(traces))
        target.append(here)
    hidden, target = torch.cat(hidden).double().numpy(), torch.cat(target).numpy()
    inhibition = hidden.T @ hidden / len(hidden)
    inhibition += 0.05 * np.diag(inhibition).mean() * np.eye(len(inhibition))
    frequency = learner.frequency.double().numpy()
    settled = settle(inhibition, hidden[:5].T, steps=20_000)
    hebbian = np.zeros((learner.vocabulary, hidden.shape[1]))
    np.add.at(hebbian, target, hidden / len(hidden))
    hebbian /= np.sqrt(np.where(frequency > 0, frequency, 1.0))[:, None]
    made = next(iter(learner.expectations(words)))[1][:5]
    np.testing.assert_allclose(made.numpy(), (hebbian @ settled).T @ learner.leading.numpy(), atol=2e-3)


def test_co_activity_is_the_covariance():
    rows = torch.randn(50, 4)
    sums = CoActivity(4)
    for part in rows.split(7):
        sums.update(part)
    torch.testing.assert_close(sums.covariance(), torch.cov(rows.T.double(), correction=0), atol=1e-6, rtol=1e-5)


# Competition


def test_units_find_far_apart_groups_and_are_their_means():
    centres = 20.0 * torch.eye(5)
    rows = (centres[:, None] + torch.randn(5, 40, 5)).flatten(0, 1)
    competition = Competition(5, seed=1).recruit(rows).learn(rows.split(50), passes=4)
    groups = competition.winners(rows).view(5, 40)
    assert bool((groups == groups[:, :1]).all())
    assert len(groups[:, 0].unique()) == 5
    for group in range(5):
        torch.testing.assert_close(competition.weights[groups[group, 0]], rows.view(5, 40, 5)[group].mean(0))


def test_one_by_one_it_is_the_rule_of_macqueen():
    rows = torch.randn(60, 2, dtype=torch.float64)
    competition = Competition(3, seed=0).recruit(rows)
    weights, wins = competition.weights.clone(), torch.zeros(3, dtype=torch.float64)
    competition.learn(rows.split(1), passes=1)
    for row in rows:
        winner = (row - weights).square().sum(1).argmin()
        wins[winner] += 1
        weights[winner] += (row - weights[winner]) / wins[winner]
    torch.testing.assert_close(competition.weights, weights)


def test_more_passes_leave_less_unexplained():
    rows = torch.randn(500, 3)
    errors = [Competition(8, seed=0).recruit(rows).learn(rows.split(500), passes=n).error(rows) for n in (1, 3, 9)]
    assert errors[0] >= errors[1] >= errors[2] > 0.0  # one batch a pass: Lloyd's algorithm, which never goes up


# Names


def test_names_are_the_best_of_all():
    generator = torch.Generator().manual_seed(0)
    units, roles = (torch.randint(number, (200,), generator=generator) for number in (5, 3))
    naming = name_units(units, roles, number=5, role_number=3)

    def right(names):
        return int((torch.tensor(names)[units] == roles).sum())

    assert right(naming.many_to_one.tolist()) == max(right(names) for names in itertools.product(range(3), repeat=5))
    injective = [names for names in itertools.product((-1, 0, 1, 2), repeat=5) if sorted(names) == [-1, -1, 0, 1, 2]]
    assert right(naming.one_to_one.tolist()) == max(map(right, injective))
    assert sorted(naming.one_to_one.tolist()) == [-1, -1, 0, 1, 2]


def test_v_measure_and_chance_at_their_ends():
    roles = torch.arange(4).repeat(250)
    same = name_units(3 - roles, roles, number=5, role_number=4)
    assert same.v_measure == pytest.approx(1.0)
    assert same.many_to_one.tolist() == [3, 2, 1, 0, -1]  # the last unit never won
    assert same.chance < 0.35  # a quarter, and what four units of 250 tokens learn by heart
    nothing = name_units(torch.zeros_like(roles), roles, number=1, role_number=4)
    assert (nothing.v_measure, nothing.chance) == (0.0, 0.25)


# Mistakes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HebbianRoles(1), "`vocabulary` must be a whole number of at least 2, got 1"),
        (lambda: Architecture(units=0), "`units` must be a whole number of at least 1, got 0"),
        (lambda: Architecture(hidden=-1), "`hidden` must be a whole number of at least 0"),
        (lambda: Architecture(alphas=()), "`alphas` must not be empty"),
        (lambda: Architecture(restraint=0.0), "`restraint` must be above 0.0"),
        (
            lambda: HebbianRoles(5).units(torch.zeros(1, 1).long()),
            "`units` must be asked of a learner that has learned",
        ),
        (lambda: learned(torch.full((2, 2), -1), vocabulary=5), "`words` must hold at least one word"),
        (lambda: learned(torch.full((2, 2), 7), vocabulary=5), "`words` must be below the vocabulary of 5, got 7"),
        (
            lambda: HebbianRoles(5).learn(torch.zeros(1, 2).long(), torch.zeros(1, 2).long()),
            "`inputs` need vectors, got none",
        ),
        (
            lambda: HebbianRoles(5, vectors=torch.eye(2)).learn(torch.zeros(1, 2).long(), torch.tensor([[0, -1]])),
            "`inputs` must be padded as `words` are, got 1 inputs for 2 words",
        ),
        (
            lambda: HebbianRoles(5, vectors=torch.eye(2)).learn(torch.full((1, 2), 3)),
            "`vectors` must have a row for input 3, got 2 rows",
        ),
        (lambda: HebbianRoles(5, own=torch.eye(4)), "`own` must have a row for each of 5 words, got 4"),
        (lambda: Competition(3).recruit(torch.zeros(9, 2)), "`units` must not exceed the 1 different inputs, got 3"),
        (
            lambda: name_units(torch.full((3,), -1), torch.zeros(3).long(), number=2, role_number=2),
            "`units` must have at least one token",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
