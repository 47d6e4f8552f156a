"""Temporary folders of processes that were killed are removed by the next one, and those of living ones are not."""

import os
import signal
import subprocess
import sys

import pytest

import infodil.scratch
from infodil.scratch import remove_scratch, scratch_folder

pytestmark = pytest.mark.skipif(infodil.scratch.fcntl is None, reason="the system has no locks of this kind")


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_goes_with_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(infodil.scratch, "YOUNG_SECONDS", -1.0)
    code = (
        "import os, sys, time; from infodil.scratch import scratch_folder\n"
        "folder = scratch_folder(sys.argv[1]); (folder / 'a').write_text('a'); print(folder.name, flush=True)\n"
        "time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    name = other.stdout.readline().strip()
    (tmp_path / "infodil-results").mkdir()
    own = scratch_folder(tmp_path)
    assert kept(tmp_path) == sorted([own.name, name, "infodil-results"])
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    second = scratch_folder(tmp_path)
    assert kept(tmp_path) == sorted([own.name, second.name, "infodil-results"])
    remove_scratch(own)
    remove_scratch(second)
    assert kept(tmp_path) == ["infodil-results"]


def test_a_folder_that_is_being_made_is_left_alone(tmp_path):
    (tmp_path / "infodil-scratch-new").mkdir()
    own = scratch_folder(tmp_path)
    assert (tmp_path / "infodil-scratch-new").exists()
    remove_scratch(own)
    remove_scratch(own)  # once more does no harm
