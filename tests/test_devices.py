"""What a device is made to wait for: a report of another device is the same, and no batch is looked at without need."""

import math

import pytest
import torch
from gaussian_cases import plain_classes
from second_device import DEVICE, second_device

from infodil import load_corpus, recoverability
from infodil.ladder.state_stream import CHUNK_SEQUENCES
from infodil.probes import CONTEXT_TOKENS, PROBES, Calibration, ProbeSpec
from infodil.probes.calibration import LEAST_PROMISE_NATS
from infodil.probes.neural.softmax import SoftmaxHeads
from infodil.sources import markov

LAGS = (0, 2)
SITES = 2
"""The site and its control of random weights."""
TOKENS = 20
SEARCHES = {
    "probes/calibration.py TemperatureLoss.at": "the search for a temperature looks at each of its steps",
    "probes/calibration.py cross_entropy_nats": "shrinkages are compared by their loss",
    "probes/gaussian/quadratic_discriminant.py refine": "the search for directions looks at each of its steps",
    "probes/gaussian/quadratic_discriminant.py positive_definite": "one look for each of several covariances",
    "probes/gaussian/covariance_contrasts.py scatter": "a sample of rows is cut into blocks",
    "probes/gaussian/covariance_contrasts.py reproduced": "the directions that were found again are kept",
    "probes/gaussian/probe.py GaussianFit.sampled": "rows of a sample that have a label",
    "probes/gaussian/learning_curve.py LearningCurve.gain": "of a prefix that teaches nothing none",
}
"""Waits whose number depends on the numbers, and neither on how many batches there are nor on the rows."""


def waits_of(length):
    """The report of the second device, its waits by kind and place, and the number of batches of each split."""
    tokens = markov(vocabulary=6, documents=120, tokens=TOKENS, seed=0).tokens
    corpus = load_corpus(tokens, max_length=length)
    with second_device() as waits:
        report = measure(corpus, DEVICE)
    with corpus.tokenize(seed=0) as split:
        batches = {name: part.number_of_batches(CHUNK_SEQUENCES) for name, part in split.splits.items()}
    return report, waits, batches, corpus


def measure(corpus, device):
    return recoverability("gru", corpus, dim=8, lags=LAGS, probes="gaussian", device=device, progress=False)


@pytest.mark.statistical
def test_a_report_of_another_device_is_the_same_and_no_batch_makes_the_host_look_without_need():
    """Documents of 20 tokens come 16 or 64 to a batch: the same rows, in few and in many batches."""
    report, many, many_batches, corpus = waits_of(TOKENS)
    _, few, few_batches, _ = waits_of(4 * TOKENS)
    # On another device the rows of calibration are taken in other blocks, and sums round otherwise: a search may end
    # elsewhere within what it gives up on all rows together. A figure rests on two of them.
    rows = report.rows[0]["samples"]
    for row, expected in zip(report.rows, measure(corpus, "cpu").rows, strict=True):
        for name in ("value_bits", "beyond_context_bits", "random_weights_bits", "shuffled_bits"):
            assert row[name] == pytest.approx(expected[name], abs=2 * LEAST_PROMISE_NATS / math.log(2) / rows)

    more = {name: many_batches[name] - few_batches[name] for name in many_batches}
    assert more["train"] > 0 and more["test"] > 0
    encodings = sum(more.values()) * SITES
    allowed = {
        # Whether all numbers are finite: one look for all sites together. A site that is not read is not encoded.
        ("read", "encoders/sites.py largest_numbers"): encodings,
        # How many rows have a label of how many lags decides which sums they belong to.
        ("read", "probes/gaussian/class_sums.py ClassSums.update"): SITES * more["train"],
        # How many tokens were seen after the contexts of the rows.
        ("shape", "probes/backward_ngram.py Table.back_off"): CONTEXT_TOKENS * len(LAGS) * more["test"],
        # Tokens, and the rows that are wanted of the states, come from the host.
        ("write", "lm/recurrent.py GRULanguageModel.states"): encodings,
        ("write", "ladder/task.py labels_of"): more["train"],
        ("write", "ladder/calibration.py gather"): more["calibration"],
        ("write", "measure/test_pass.py ScoredRows.of_part"): 2 * (1 + len(LAGS)) * more["test"],
        ("write", "probes/backward_ngram.py BackwardNgram.begin"): more["test"],
        ("write", "probes/backward_ngram.py BackwardNgram.predict"): len(LAGS) * more["test"],
        # Random rows are chosen on the host, so that every device takes the same: those of a sample of all, and, of the
        # site that is measured, those of a block of the learning curve.
        ("write", "probes/reservoir.py Reservoir.update"): 2 * (SITES + 1) * more["train"],
    }
    grown = {key: many[key] - few[key] for key in many | few if key[1] not in SEARCHES}
    assert {key: more for key, more in grown.items() if more > allowed.get(key, 0)} == {}


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_training_step_never_makes_the_host_look(name):
    generator = torch.Generator().manual_seed(0)
    states, labels = torch.randn(300, 8, generator=generator), torch.randint(5, (2, 300), generator=generator)
    classes = plain_classes(5)
    with second_device() as waits:
        far = type(classes)(*(value.to(DEVICE) for value in vars(classes).values()))
        spec = ProbeSpec(8, 2, far, 300, DEVICE, seed=0)
        calibration = Calibration(states.to(DEVICE), labels.to(DEVICE))
        base = PROBES["gaussian"].start_fit(spec)
        base.update(calibration.states, calibration.labels)
        base.end_pass(calibration)
        fit = PROBES[name].start_fit(spec, base)
        before = waits.copy()
        for _ in range(3):
            fit.update(calibration.states, calibration.labels)
    # A random order of the rows, drawn on the host so that every device takes the same.
    assert {kind: number for (kind, _), number in (waits - before).items()} == {"write": 3}
    assert fit.steps >= 3


def test_the_heads_learn_without_a_wait():
    """The loop that takes nearly all time of a probe of many classes."""
    with second_device() as waits:
        heads = SoftmaxHeads(2, 4, 6, DEVICE)
        inputs, labels = torch.randn(40, 4).to(DEVICE), torch.randint(6, (2, 40)).to(DEVICE)
        before = waits.copy()
        for _ in range(3):
            heads.compute_gradient(inputs, labels)
            heads.step(0.1)
        assert waits == before
        assert float(heads.weight.abs().max()) > 0.0


def test_tensors_of_two_devices_do_not_mix():
    """The check itself: what a GPU refuses is refused, and every way to the host is counted."""
    with second_device() as waits:
        far = torch.arange(4.0, device=DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            far + torch.ones(4)
        assert float(far[1]) == 1.0 and far.tolist() == [0.0, 1.0, 2.0, 3.0] and bool((far.cpu() == far.inner).all())
        assert far[far > 1].shape == (2,) and len(torch.nonzero(far)) == 3
    assert {kind: sum(n for (k, _), n in waits.items() if k == kind) for kind in ("read", "shape", "write")} == {
        "read": 3, "shape": 2, "write": 0,
    }  # fmt: skip


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_heads_learn_without_a_wait_on_a_gpu():
    heads = SoftmaxHeads(2, 16, 24, torch.device("cuda"))
    inputs, labels = torch.randn(64, 16, device="cuda"), torch.randint(24, (2, 64), device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            heads.compute_gradient(inputs, labels)
            heads.step(0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
