"""A new encoder is one class and one line of a registry: it is loaded, measured, listed and shown like any other."""

import re
import subprocess
import sys

import pytest
import torch

from infodil import Encoder, encoders, load_encoder, load_report, recoverability
from infodil.checks import UserError
from infodil.cli.main import main
from infodil.sources import iid

TYPES = 6


class Parity(Encoder):
    """The parity of the last few tokens, a toy of the tests."""

    sites = ("toy_state",)
    costly = False

    def __init__(self, vocabulary, reach=1, *, seed=0, device=None):
        self.vocabulary, self.reach = vocabulary, reach

    def encode(self, tokens):
        return {"toy_state": torch.stack([(tokens.roll(k, 1) % 2).float() for k in range(self.reach)], 2)}

    def kind_of_site(self, site):
        return "recurrent"


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(encoders.ENCODERS, "toy_encoder", Parity)


@pytest.fixture(scope="module")
def tokens():
    return iid(TYPES, documents=60, tokens=20, seed=1).tokens


def test_a_registered_encoder_is_loaded_with_its_options(registered):
    encoder = load_encoder("toy_encoder", vocabulary=TYPES, reach=2)
    assert isinstance(encoder, Parity) and encoder.reach == 2
    with pytest.raises(UserError, match=r"`model` 'toy_encodr' is no built-in name: did you mean 'toy_encoder'\?"):
        load_encoder("toy_encodr", vocabulary=TYPES)
    with pytest.raises(UserError, match=r"`model` 'toy_encoder' does not take these options: .*'rech'"):
        load_encoder("toy_encoder", vocabulary=TYPES, rech=2)


def test_a_registered_encoder_is_in_the_help(registered, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["recoverability", "--help"])
    assert ended.value.code == 0
    assert "toy_encoder" in capsys.readouterr().out


def test_every_registered_encoder_is_in_the_help_of_a_new_process():
    command = [sys.executable, "-m", "infodil", "recoverability", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    model = re.sub(r"\s+", " ", shown)
    assert ", ".join(encoders.ENCODERS) in model


def test_a_registered_encoder_is_measured_and_shown(registered, tokens, tmp_path):
    report = recoverability("toy_encoder", tokens, lags=[0, 1], probes=["gaussian"], controls=False, progress=False)
    assert report.sites == ("toy_state",) and report.model["name"] == "toy_encoder"
    # One bit of six equally likely types is whether their number is odd.
    assert report.estimate("toy_state", 0).value_bits == pytest.approx(1.0, abs=0.1)
    assert "toy_state" in str(report)
    assert "toy_state" in report.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    report.save(tmp_path / "report.json")
    assert load_report(tmp_path / "report.json") == report


@pytest.mark.statistical
def test_a_user_s_object_is_measured_like_a_registered_encoder(registered, tokens):
    class Own:
        vocabulary = TYPES

        def encode(self, tokens):
            return {"toy_state": (tokens % 2).float()[..., None]}

    options = {"lags": [0, 1], "probes": ["gaussian"], "controls": False, "progress": False}
    own, built = recoverability(Own(), tokens, **options), recoverability("toy_encoder", tokens, **options)
    kinds = {row["kind_of_site"] for row in own.rows}
    assert kinds == {"module"} != {row["kind_of_site"] for row in built.rows}
    assert [row | {"kind_of_site": None} for row in own.rows] == [row | {"kind_of_site": None} for row in built.rows]
    assert own.model["name"] == "Own"
