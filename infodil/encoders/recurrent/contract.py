"""The contract of a family's recurrent states, and the test that every model of a family passes when it is loaded."""

__all__ = ["BlockStates", "RecurrentStates"]

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.checks import UserError
from infodil.encoders.undisturbed import undisturbed

TEST_DOCUMENTS, TEST_TOKENS = 2, 8
"""Random documents of the self-test, and tokens of each: longer than most convolutions, short for large models."""

TOLERANCE = 1e-4
"""Largest difference allowed in float32, as a share of a tensor's largest number: rounding comes to a tenth of it."""

TOLERANCE_EPSILONS = 8.0
"""The same in multiples of the machine epsilon of the model's own format, where that is coarser."""

BlockStates = dict[str, Tensor]
"""States of one block: `recurrent` or `recurrent.<part>`, `conv` or `conv.<part>`, to a tensor that begins with the
documents (and, where all positions are meant, the tokens)."""


class RecurrentStates(ABC):
    """Recurrent and convolutional states of one model at every position: the state at t is the one after token t.

    Sites are `layer.N.recurrent` and `layer.N.conv` (N from 1), every number of the block's tensors in a row; where a
    block keeps several, each is a site `layer.N.recurrent.<part>` too, and where the state has heads, each head is a
    site `layer.N.recurrent.head.M` (M from 1).

    Args:
        module: Base model of transformers, without its head.
        blocks: Its blocks, in order.
    """

    family: str
    """Name of the family in messages and reports."""
    route: str
    """How the states are computed, for reports."""

    def __init__(self, module: nn.Module, blocks: nn.ModuleList) -> None:
        self.module, self.blocks = module, blocks

    @classmethod
    @abstractmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether a model is of this family."""

    @abstractmethod
    def read(self, tokens: Int[Tensor, "documents tokens"], wanted: Collection[int]) -> dict[int, BlockStates]:
        """States of the wanted blocks (from 0), each tensor `[documents, tokens, ...]`."""

    @abstractmethod
    def after(self, tokens: Int[Tensor, "documents tokens"]) -> dict[int, BlockStates]:
        """States of all blocks after the last token, as the model itself keeps them after one plain pass."""

    @cached_property
    def shapes(self) -> dict[int, dict[str, torch.Size]]:
        """Shape of each tensor of each block that has any, without documents and tokens."""
        tokens = torch.zeros(1, 2, dtype=torch.long)
        with torch.no_grad(), undisturbed(self.module):
            states = self.after(tokens.to(self.device))
        return {block: {part: state.shape[1:] for part, state in parts.items()} for block, parts in states.items()}

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.module.parameters()).device

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Names of all sites, block by block."""
        return tuple(site for block in sorted(self.shapes) for site in self.sites_of(block))

    @property
    def memory_sites(self) -> tuple[str, ...]:
        """Names of the whole recurrent state of each block that has one."""
        return tuple(f"layer.{block + 1}.recurrent" for block in sorted(self.shapes) if self.has_memory(block))

    def sites_of(self, block: int) -> list[str]:
        """Names of one block's sites."""
        names, parts = [], list(self.shapes[block])
        for kind in ("recurrent", "conv"):
            own = [part for part in parts if part.split(".")[0] == kind]
            names += [kind] * bool(own) + [part for part in own if part != kind]
        names += [f"recurrent.head.{head + 1}" for head in range(self.heads(block))]
        return [f"layer.{block + 1}.{name}" for name in names]

    def heads(self, block: int) -> int:
        """Heads of a block's recurrent state; zero where it has none."""
        shapes = [shape for part, shape in self.shapes[block].items() if part.split(".")[0] == "recurrent"]
        # A head is a matrix: tensors of a block share their first axis where one of them has two more.
        heads = {shape[0] for shape in shapes if len(shape) > 0}
        return heads.pop() if len(heads) == 1 and any(len(shape) == 3 for shape in shapes) else 0

    def has_memory(self, block: int) -> bool:
        """Whether a block has a recurrent state, and not only the window of a convolution."""
        return any(part.split(".")[0] == "recurrent" for part in self.shapes[block])

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"], sites: Collection[str]) -> dict[str, Tensor]:
        """States of some sites, `[documents, tokens, numbers]`."""
        names: dict[int, dict[str, str]] = {}
        for site in sites:
            _, number, name = site.split(".", 2)
            names.setdefault(int(number) - 1, {})[name] = site
        with undisturbed(self.module):
            states = self.read(tokens.to(self.device), names)
        return {site: select(states[block], name) for block, own in names.items() for name, site in own.items()}

    @torch.no_grad()
    def self_test(self, vocabulary: int, seed: int = 0) -> None:
        """Compare the states of random tokens with those that the model itself keeps after each beginning of them.

        Args:
            vocabulary: Number of token types.
            seed: Seed of the tokens.

        Raises:
            UserError: A state differs by more than rounding; the message names the site and the difference.
        """
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randint(vocabulary, (TEST_DOCUMENTS, TEST_TOKENS), generator=generator).to(self.device)
        with undisturbed(self.module):
            states = self.read(tokens, self.shapes)
            # From two tokens on: a pass over a single one is another path through most models.
            for length in range(2, TEST_TOKENS + 1):
                for block, parts in self.after(tokens[:, :length]).items():
                    for part, state in parts.items():
                        self.compare(f"layer.{block + 1}.{part}", states[block][part][:, length - 1], state)
            self.check_path(tokens)

    def check_path(self, tokens: Int[Tensor, "documents tokens"]) -> None:
        """Compare what else the route needs to be exact; by default nothing."""
        del tokens

    def compare(self, name: str, found: Tensor, expected: Tensor) -> None:
        """Refuse a model whose numbers differ by more than rounding."""
        dtype = next(self.module.parameters()).dtype
        tolerance = max(TOLERANCE, TOLERANCE_EPSILONS * torch.finfo(dtype).eps)
        difference, scale = float((found - expected).abs().max()), float(expected.abs().max())
        if not difference <= tolerance * scale:
            raise UserError(
                f"`model` is of the family {self.family!r}, whose {name} by {self.route} differs by {difference:.2g} "
                f"(numbers up to {scale:.2g}) from a plain pass: choose other `sites`, such as the stream, or try "
                "another version of transformers."
            )


def select(parts: Mapping[str, Tensor], name: str) -> Tensor:
    """The numbers of one site of a block: one part, one head, or everything of its kind."""
    if name in parts:
        return parts[name].flatten(2)
    kind, _, rest = name.partition(".")
    own = [state for part, state in parts.items() if part.split(".")[0] == kind]
    if rest.startswith("head."):
        head = int(rest.removeprefix("head.")) - 1
        own = [state[:, :, head, None] for state in own]
    return torch.cat([state.flatten(2) for state in own], 2)
