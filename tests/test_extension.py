"""One file and one line of a registry: a part that is defined here turns up everywhere, with no other line changed."""

import math
from dataclasses import dataclass

import pytest
import torch

import infodil
from infodil.cli import main
from infodil.probes import PROBES, Calibration, Gaussian, Probe, ProbeFit, fit_temperature
from infodil.report import load_report

TYPES = 6


@pytest.fixture(scope="module")
def tokens():
    return infodil.sources.iid(TYPES, documents=60, tokens=40, seed=0).tokens


# ---------------------------------------------------------------------------------------------------------- a probe


@dataclass(frozen=True)
class ToyCounts(Probe):
    """The nearest of the mean states of the classes says which class it is."""

    name = "toy_centroids"
    summary = "the nearest mean state of a class"
    sharpness: float = 1.0
    """Evidence of one squared distance, in the units of standardized states."""

    def start_fit(self, spec, base=None):
        return ToyFit(self, spec)


class ToyFit(ProbeFit):
    def __init__(self, probe, spec):
        super().__init__(probe, spec)
        self.sums = torch.zeros(spec.targets, spec.classes.number, spec.dim)
        self.counts = torch.zeros(spec.targets, spec.classes.number)

    def update(self, states, labels):
        for target, label in enumerate(labels):
            there = label >= 0
            self.sums[target].index_add_(0, label[there], states[there])
            self.counts[target] += torch.bincount(label[there], minlength=self.spec.classes.number)

    def end_pass(self, calibration: Calibration):
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(labels >= 0).squeeze(1)
            evidence = self.scores(calibration.states[rows], target)
            base = self.spec.classes.class_log_prior
            self.temperatures.append(fit_temperature(base, evidence, labels[rows])[0])

    def scores(self, prepared, target):
        means = self.sums[target] / self.counts[target].clamp(min=1.0)[:, None]
        return -0.5 * self.probe.sharpness * torch.cdist(prepared, means).square()


@pytest.fixture
def toy_probe(monkeypatch):
    """The toy stands in the registry, the strongest of all, for one test."""
    monkeypatch.setitem(PROBES, ToyCounts.name, ToyCounts())


@pytest.mark.statistical
@pytest.mark.usefixtures("toy_probe")
def test_a_probe_of_the_registry_is_in_the_report_its_order_and_its_page(tokens, tmp_path):
    options = {"lags": [0, 2], "progress": False, "window": 2}
    report = infodil.recoverability("shift_register", tokens, probes=["toy_centroids", "gaussian"], **options)
    assert report.probes == ("gaussian", "toy_centroids")
    assert [row["probe"] for row in report.rows] == ["gaussian", "toy_centroids"] * 2
    # One-hot states of the token itself: every probe reads the entropy, less what few rows leave unknown.
    assert report.estimate("shift_register", 0, "toy_centroids").value_bits > 0.9 * math.log2(TYPES)
    assert "toy_centroids" in report.to_html(tmp_path / "page.html").read_text()
    assert load_report(report.save(tmp_path / "report.json")).probes == report.probes


@pytest.mark.usefixtures("toy_probe")
def test_a_probe_of_the_registry_is_named_by_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["recoverability", "--help"])
    assert "toy_centroids" in capsys.readouterr().out


@pytest.mark.statistical
@pytest.mark.usefixtures("toy_probe")
def test_a_probe_of_the_registry_bounds_the_information_of_any_states(tokens):
    labels = tokens.flatten()
    states = torch.eye(TYPES)[labels] + 0.1 * torch.randn(len(labels), TYPES)
    bits = infodil.mi.lower_bound(labels, states, probe="toy_centroids")
    assert bits.value_bits > 0.9 * math.log2(TYPES)


@pytest.mark.statistical
def test_a_probe_need_not_be_registered_and_takes_options(tokens):
    assert ToyCounts.name not in PROBES
    probes = [ToyCounts(sharpness=2.0), Gaussian(shrinkages=(0.1,)), "prior"]
    report = infodil.recoverability("shift_register", tokens, probes=probes, lags=[0], progress=False, window=2)
    assert report.probes == ("prior", "gaussian", "toy_centroids")
    assert report.config["probe_options"] == {"gaussian": {"shrinkages": [0.1]}, "toy_centroids": {"sharpness": 2.0}}
