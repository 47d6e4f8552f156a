"""Laws of every probe of the registry, whatever its family."""

import math

import pytest
import torch

from infodil.channel.code import Code
from infodil.probes import PROBES, Calibration, ProbeSpec, Pursuit, fit_class_map, log_predictive, prior_smoothing

pytestmark = pytest.mark.statistical
CPU = torch.device("cpu")
TYPES, TRAIN, HELD, TEST = 4, 1200, 800, 1000
WEIGHTS = torch.tensor([[1.0, 0.25], [0.25, 1.0]])
"""Two sums of the two newest tokens, from which each token is an affine function of the state."""


QUICK = {"pursuit": Pursuit(max_rows=150)}
"""Options under which a slow probe is tested on fewer rows."""


def superposition(rows, seed):
    """States, labels (a shuffled control, the newest and the older token), and how the states were made."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(TYPES, (2, rows), generator=generator)
    states = torch.einsum("sk,krd->rsd", WEIGHTS, torch.eye(TYPES)[tokens]).flatten(1)
    shuffled = tokens[0][torch.randperm(rows, generator=generator)]
    return states, torch.stack([shuffled, *tokens]), Code(torch.eye(TYPES), WEIGHTS)


def noise_only(rows, seed):
    """States that say nothing of any token."""
    states, labels, code = superposition(rows, seed)
    return torch.randn(states.shape, generator=torch.Generator().manual_seed(seed + 1)), labels, code


def fit(probe, source, seed=0, batches=1):
    """A probe fitted above the Gaussian one."""
    states, labels, code = source(TRAIN, 1)
    chosen = QUICK.get(probe, PROBES[probe])
    counts = torch.full((TYPES,), 1000)
    spec = ProbeSpec(2 * TYPES, 3, fit_class_map(counts, counts), TRAIN, CPU, seed, code=code, lags=(0, 1))
    made = None
    for options in [PROBES["gaussian"], chosen]:
        made = options.start_fit(spec, made)
        held, known, _ = source(options.max_rows or HELD, 2)
        calibration = Calibration(held, known)
        for _ in range(made.passes):
            for rows in torch.arange(TRAIN).tensor_split(batches):
                made.update(states[rows], labels[:, rows])
            made.end_pass(calibration)
    return made


def gain_bits(made, source, target):
    """Bits beyond the uniform prior on test rows, row by row."""
    states, labels, _ = source(TEST, 5)
    rows = made.probe.max_rows or TEST
    states, label = states[:rows], labels[target, :rows]
    scores = made.scores(made.prepare(states), target)
    log = log_predictive(
        made.spec.classes.class_log_prior,
        scores,
        made.temperatures[target],
        prior_smoothing(made.probe.max_rows or HELD),
        label,
    )
    return (log + math.log(TYPES)) / math.log(2)


@pytest.fixture(scope="module", params=list(PROBES))
def probe(request):
    return request.param


@pytest.fixture(scope="module")
def made(probe):
    return fit(probe, superposition)


def test_its_fit_has_a_temperature_and_evidence_for_every_target(made):
    states, _, _ = superposition(20, 5)
    assert len(made.temperatures) == 3 and all(temperature >= 0.0 for temperature in made.temperatures)
    for target in range(3):
        scores = made.scores(made.prepare(states), target)
        assert scores.shape == (20, TYPES) and bool(scores.isfinite().all())


def test_it_reads_nearly_all_that_an_easy_state_holds(made, probe):
    for target in (1, 2):
        gain = gain_bits(made, superposition, target)
        if probe == "prior":  # it reads no state, by design
            assert float(gain.abs().max()) < 1e-6
        else:
            assert float(gain.mean()) > 0.8 * math.log2(TYPES)


def test_it_reads_no_bits_of_a_shuffled_token_and_no_negative_ones(made):
    gain = gain_bits(made, superposition, 0)
    reach = 4.0 * float(gain.std()) / len(gain) ** 0.5
    assert -reach - 1e-6 <= float(gain.mean()) <= reach + 1e-6


def test_it_contains_the_prior(probe):
    """On states of noise alone what it says costs no more than chance: four standard errors, once in 30,000."""
    made = fit(probe, noise_only)
    for target in range(3):
        gain = gain_bits(made, noise_only, target)
        reach = 4.0 * float(gain.std()) / len(gain) ** 0.5
        assert -reach - 1e-6 <= float(gain.mean()) <= reach + 1e-6


def test_the_same_seed_gives_the_same_evidence(made, probe):
    again, (states, _, _) = fit(probe, superposition), superposition(50, 5)
    assert again.temperatures == made.temperatures
    for target in range(3):
        assert torch.equal(made.scores(made.prepare(states), target), again.scores(again.prepare(states), target))


def test_how_training_rows_are_batched_hardly_matters(made, probe):
    """Sums are rounded in another order, and steps of an optimizer see other rows: bits move by no more than .03."""
    parts = fit(probe, superposition, batches=3)
    for target in (1, 2):
        change = gain_bits(made, superposition, target) - gain_bits(parts, superposition, target)
        assert abs(float(change.mean())) < 0.03


def test_evidence_of_a_row_does_not_depend_on_the_rows_beside_it(made):
    states, _, _ = superposition(64, 5)
    for target in range(3):
        whole = made.scores(made.prepare(states), target)
        alone = torch.cat([made.scores(made.prepare(states[row : row + 1]), target) for row in range(0, 64, 16)])
        torch.testing.assert_close(whole[::16], alone, rtol=1e-3, atol=1e-3)


def test_prepared_rows_may_be_picked(made):
    states, _, _ = superposition(64, 5)
    rows = torch.arange(0, 64, 3)
    for target in range(3):
        picked = made.scores(made.prepare(states)[rows], target)
        torch.testing.assert_close(picked, made.scores(made.prepare(states[rows]), target), rtol=1e-3, atol=1e-3)


def test_options_are_frozen_and_compare_by_value(probe):
    options = PROBES[probe]
    assert type(options)() == options and hash(type(options)()) == hash(options)
    with pytest.raises(AttributeError):
        options.name = "other"
