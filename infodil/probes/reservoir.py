"""Reservoir sampling: a uniform sample of the rows of a stream in constant memory."""

__all__ = ["Reservoir"]

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Reservoir:
    """A uniform sample of the rows of a stream: those with the smallest of random keys.

    Args:
        most: Rows to keep at most.
        announced: Rows that are expected. A row whose key is too large for a sample of so many rows is not copied at
            all; where fewer rows come, the sample is smaller and no less uniform.
        dim: Numbers in a row.
        targets: Labels of a row.
        seed: Seed of the keys.
        device: Device of the sampled rows.

    Reference:
        Vitter (1985), Random sampling with a reservoir.
    """

    def __init__(
        self, most: int, announced: int, dim: int, targets: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.ceiling = (most + 4.0 * most**0.5) / max(1, announced)
        self.keys = torch.empty(0, dtype=torch.float64)
        self.kept_states = torch.empty(most, dim, dtype=torch.float32, device=device)
        self.kept_labels = torch.empty(targets, most, dtype=torch.long, device=device)

    @property
    def states(self) -> Float[Tensor, "rows dim"]:
        """The sampled rows."""
        return self.kept_states[: len(self.keys)]

    @property
    def labels(self) -> Int[Tensor, "targets rows"]:
        """Labels of the sampled rows."""
        return self.kept_labels[:, : len(self.keys)]

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Offer rows to the sample."""
        most, size = len(self.kept_states), len(self.keys)
        keys = torch.rand(len(states), generator=self.generator, dtype=torch.float64)
        rows = torch.nonzero(keys < self.ceiling).squeeze(1)
        candidates = torch.cat([self.keys, keys[rows]])
        slots = torch.arange(size, len(candidates))
        if len(candidates) > most:
            kept = torch.zeros(len(candidates), dtype=torch.bool)
            kept[candidates.topk(most, largest=False).indices] = True
            rows = rows[kept[size:]]
            slots = torch.cat([torch.nonzero(~kept[:size]).squeeze(1), torch.arange(size, most)])
            candidates[slots] = keys[rows]
        self.keys = candidates[:most]
        slots, rows = slots.to(states.device), rows.to(states.device)
        self.kept_states.index_copy_(0, slots, states.index_select(0, rows))
        self.kept_labels.index_copy_(1, slots, labels.index_select(1, rows))
