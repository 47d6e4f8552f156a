"""The memory of a measurement: what probes say that they hold, what they hold, and what does not fit."""

import pytest
import torch
from counted_work import PeakBytes
from gaussian_cases import plain_classes

from infodil import recoverability
from infodil.checks import UserError
from infodil.encoders import CountSketch
from infodil.probes import PROBES, Calibration, ProbeSpec
from infodil.sources import iid


def fit_peak(name, rows, dim, classes=20, targets=3):
    """The peak of a fit, of the linear probe on top of a Gaussian one that is there already."""
    spec = ProbeSpec(dim, targets, plain_classes(classes), rows, torch.device("cpu"), seed=0, learning_curve=True)
    generator = torch.Generator().manual_seed(0)
    states, labels = (torch.randn(rows, dim, generator=generator), torch.randint(classes, (targets, rows)))
    held_out = Calibration(states[:100], labels[:, :100])
    base = None
    for probe in {"gaussian": ["gaussian"], "linear": ["gaussian", "linear"]}[name]:
        with PeakBytes() as peak:
            fit = PROBES[probe].start_fit(spec, base)
            for _ in range(fit.passes):
                for part in range(0, rows, 250):
                    fit.update(states[part : part + 250], labels[:, part : part + 250])
                fit.end_pass(held_out)
        base = fit
    return peak.peak, PROBES[name].memory_bytes(spec)


@pytest.mark.statistical
@pytest.mark.parametrize(("rows", "dim"), [(150, 600), (900, 180)])
@pytest.mark.parametrize("name", ["gaussian", "linear"])
def test_a_probe_holds_about_what_it_says(name, rows, dim):
    """Grows where a probe comes to hold more: the check before work would then let through what ends in an error."""
    held, said = fit_peak(name, rows, dim)
    assert 0.4 * said < held < 1.3 * said + 16 * 250 * dim  # some copies of the rows of an update


def test_a_sketch_holds_little_beside_states_and_sums():
    sketch, states = CountSketch.of(20_000, 64), torch.randn(50, 20_000)
    with PeakBytes() as peak:
        sketch.apply(states)
    assert peak.peak < 0.5 * states.nbytes


def test_what_does_not_fit_is_told_before_any_work(monkeypatch):
    tokens = iid(vocabulary=6, documents=60, tokens=20, seed=0).tokens
    monkeypatch.setattr("infodil.measure.memory.available_bytes", lambda device: 3 * 10**6)
    monkeypatch.setattr("infodil.measure.measurement.open_states", None)  # work would begin here
    with pytest.raises(UserError, match=r"`sketch_dims` None leaves 600 numbers to read at 'ema', and .* GB are free"):
        recoverability("ema", tokens, dim=600, lags=[0, 1], sketch_dims=None, progress=False)


def test_a_sketch_makes_it_fit(monkeypatch):
    tokens = iid(vocabulary=6, documents=60, tokens=20, seed=0).tokens
    monkeypatch.setattr("infodil.measure.memory.available_bytes", lambda device: 3 * 10**6)
    report = recoverability("ema", tokens, dim=600, lags=[0], sketch_dims=16, probes="gaussian", progress=False)
    assert report.rows[0]["value_bits"] > 0.5
