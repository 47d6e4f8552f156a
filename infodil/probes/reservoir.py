"""A few rows of a long stream, each as likely to be kept as any other."""

__all__ = ["Reservoir"]

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Reservoir:
    """A uniform sample of the rows of a stream in constant memory: those with the smallest of random keys.

    Args:
        most: Rows to keep.
        announced: Rows that will come. A key that so many rows leave no room for is not copied at all; should fewer
            rows come, the sample is smaller and no less uniform.
        dim: Numbers in a row.
        targets: Labels of a row.
        seed: What makes the keys.
        device: Where the rows are kept.
    """

    def __init__(
        self, most: int, announced: int, dim: int, targets: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.ceiling = (most + 4.0 * most**0.5) / max(1, announced)
        self.keys = torch.empty(0, dtype=torch.float64)
        self.kept_states = torch.empty(most, dim, device=device)
        self.kept_labels = torch.empty(targets, most, dtype=torch.long, device=device)

    @property
    def states(self) -> Float[Tensor, "rows dim"]:
        """The sampled rows."""
        return self.kept_states[: len(self.keys)]

    @property
    def labels(self) -> Int[Tensor, "targets rows"]:
        """Their labels."""
        return self.kept_labels[:, : len(self.keys)]

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Offer rows to the sample."""
        most, held = len(self.kept_states), len(self.keys)
        keys = torch.rand(len(states), generator=self.generator, dtype=torch.float64)
        rows = torch.nonzero(keys < self.ceiling).squeeze(1)
        together = torch.cat([self.keys, keys[rows]])
        slots = torch.arange(held, len(together))
        if len(together) > most:
            stay = torch.zeros(len(together), dtype=torch.bool)
            stay[together.topk(most, largest=False).indices] = True
            rows = rows[stay[held:]]
            slots = torch.cat([torch.nonzero(~stay[:held]).squeeze(1), torch.arange(held, most)])
            together[slots] = keys[rows]
        self.keys = together[:most]
        slots, rows = slots.to(states.device), rows.to(states.device)
        self.kept_states.index_copy_(0, slots, states.index_select(0, rows))
        self.kept_labels.index_copy_(1, slots, labels.index_select(1, rows))
