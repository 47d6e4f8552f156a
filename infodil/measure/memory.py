"""The check before a measurement that its probes fit into memory."""

__all__ = ["available_bytes", "check_memory", "needed_bytes"]

from collections.abc import Mapping

import psutil
import torch

from infodil.checks import UserError
from infodil.corpus import Tokens
from infodil.ladder import LagTask, MeasuredSites, is_control, probes_to_fit
from infodil.measure.config import MeasurementConfig
from infodil.probes import ProbeSpec, control_probe


def check_memory(
    sites: MeasuredSites, tokens: Tokens, task: LagTask, config: MeasurementConfig, device: torch.device
) -> None:
    """Refuse a measurement whose probes need more memory than the device has left, before any work is done.

    Args:
        sites: Sites to measure.
        tokens: The corpus.
        task: Targets and classes.
        config: Probes that are fitted.
        device: Device of the probes.

    Raises:
        UserError: They do not fit; the message has both figures and the way out.
    """
    available = available_bytes(device)
    needed, probe = needed_bytes(sites, len(tokens.splits["train"].tokens), task, config, device)
    if available is None or needed <= available:
        return
    widest = max(sites.dims, key=lambda site: sites.dims[site])
    dim, smaller = sites.dims[widest], f"sketch_dims={max(1, min(4096, sites.dims[widest] // 4))}"
    raise UserError(
        f"`sketch_dims` {config.sketch_dims} leaves {dim:,} numbers to read at {widest!r}, and the {probe} probe of "
        f"{len(sites.dims)} site{'s' * (len(sites.dims) > 1)} and {len(task.lags)} lag{'s' * (len(task.lags) > 1)} "
        f"needs about {needed / 1e9:,.1f} GB of memory where {available / 1e9:,.1f} GB are free: pass {smaller}, "
        "or fewer `sites` or `lags`."
    )


def needed_bytes(
    sites: MeasuredSites, train_rows: int, task: LagTask, config: MeasurementConfig, device: torch.device
) -> tuple[float, str]:
    """The most memory that the fits of a probe at all sites hold together, and the name of that probe."""
    choice = config.probes
    sizes: Mapping[str, int] = sites.dims | sites.control_dims
    needed = {}
    for probe in probes_to_fit(choice):
        needed[probe.name] = sum(
            probe.memory_bytes(
                ProbeSpec(
                    dim, task.targets, task.classes, train_rows, device, config.seed, lags=task.lags,
                    learning_curve=config.follows_learning and not is_control(site),
                )
            )
            for site, dim in sizes.items()
            if not is_control(site) or probe.name == control_probe()
        )  # fmt: skip
    worst = max(needed, key=lambda name: needed[name])
    return needed[worst], worst


def available_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device; None where it does not tell."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return None
