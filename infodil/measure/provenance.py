"""The provenance of a report, and the warnings that its figures need."""

__all__ = ["describe", "provenance", "warn", "warn_of_memory", "warn_of_parts"]

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch

from infodil.corpus import Tokens
from infodil.encoders import Encoder
from infodil.ladder import MeasuredSites
from infodil.processes import current

FEWEST_SAMPLES = 1000
"""Below this many test positions a warning says that the figures are rough."""


def describe(model: object, encoder: Encoder) -> str:
    """The name of the model in the report; of a local folder its last part only."""
    if isinstance(model, str | Path):
        return Path(model).name if Path(model).exists() else str(model)
    return encoder.name or type(encoder).__name__


def warn(rows: Sequence[dict], tokens: Tokens, resampled: dict, probes: Sequence[str]) -> list[str]:
    """Warnings that the figures need, one sentence each."""
    sentences = list(tokens.warnings)
    few = min(row["samples"] for row in rows)
    if few < FEWEST_SAMPLES:
        lag = min((row for row in rows if row["samples"] == few), key=lambda row: row["lag"])["lag"]
        sentences.append(f"Lag {lag} rests on {few} test positions only: pass more text.")
    if resampled["worth"] < 30:
        unequal = resampled["worth"] < 0.9 * resampled["clusters"]
        worth = f" worth about {resampled['worth']:.1f} of equal length" if unequal else ""
        sentences.append(
            f"Intervals rest on {resampled['clusters']} {resampled['of']}{worth}: pass more text for reliable ones."
        )
    by_place: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        by_place.setdefault((row["site"], row["lag"]), {})[row["probe"]] = row
    fell = [
        (site, lag, weak, strong)
        for (site, lag), ladder in by_place.items()
        for weak, strong in pairwise(probe for probe in probes if probe in ladder)
        if ladder[strong]["high_bits"] < ladder[weak]["value_bits"]
    ]
    if fell:
        site, lag, weak, strong = fell[0]
        sentences.append(
            f"The {strong} probe fell below the {weak} one beyond its interval in {len(fell)} places "
            f"(first at {site}, lag {lag}): its fit failed there, trust the {weak} figure."
        )
    return sentences


def warn_of_memory(encoder: Encoder, kinds: Mapping[str, str]) -> list[str]:
    """A sentence where a model has a recurrent state that no measured site is: its other sites are read-outs of it."""
    if not encoder.memory_sites or "recurrent" in kinds.values():
        return []
    return [
        "The model carries a recurrent state that was not measured, and what is read of it elsewhere may be far less: "
        f"pass sites={encoder.memory_sites[0]!r} or 'layer.*.recurrent'."
    ]


def warn_of_parts(sites: MeasuredSites, batch_size: int, max_length: int) -> list[str]:
    """A sentence where fewer tokens were encoded at once than was asked for, as more did not fit into memory."""
    encoders = [sites.encoder] if sites.control is None else [sites.encoder, sites.control]
    most = min((encoder.most_tokens for encoder in encoders if encoder.most_tokens is not None), default=None)
    if most is None:
        return []
    return [
        f"Memory ran out at `batch_size` {batch_size}, so no more than {most:,} tokens were encoded at once: the "
        f"figures are the same, and batch_size={max(1, most // max_length)} saves the attempts."
    ]


def provenance(device: torch.device, seed: int) -> dict:
    """Versions, device, seed, and the commit of the working tree infodil runs from, if it is one."""
    packages = ("infodil", "torch", "numpy", "scipy", "transformers", "tokenizers", "datasets")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    described = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    )
    return {
        "seed": seed,
        "versions": versions,
        "device": f"{device.type}: {described}",
        "threads": torch.get_num_threads(),
        "processes": current().number,
        "commit": commit(),
    }


def commit() -> str | None:
    """The commit of infodil's own checkout; None where it is installed from a package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
