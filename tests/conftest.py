"""One seed and one thread for every test: the same sums in the same order wherever they run."""

import gc
import os
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish():
    """What imports and collection left stays for good: no later collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _offline():
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)


@pytest.fixture
def shared():
    """A folder of data beside the project; the product never assumes it."""

    def find(name: str) -> Path:
        folder = SHARED / name
        if not folder.exists():
            pytest.skip(f"the development data {name} is not beside the project")
        return folder

    return find
