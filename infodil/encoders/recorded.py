"""States that were recorded elsewhere, aligned with token ids: arrays, memory maps, tensors, or files of them."""

__all__ = ["RecordedStates", "read_recorded"]

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from infodil.checks import UserError, check_not_empty, check_not_masked
from infodil.encoder import Encoder
from infodil.encoders.layout import as_numbers
from infodil.encoders.sites import choose_sites

TOKENS, LENGTHS = "tokens", "lengths"
"""Names of the arrays of token ids, and of the number of tokens of each document, in a folder of recorded states."""


class RecordedStates(Encoder):
    """Recorded states as an encoder that looks them up by their position in the corpus.

    Nothing is read before it is asked for: memory maps stay on disk.

    Args:
        states: Site name to `[documents, tokens, dim]`, or to a list of `[tokens, dim]`, one for each document; numpy
            arrays, memory maps or torch tensors of any floating-point type.
        lengths: Number of tokens of each document of the corpus, in its order.
        vocabulary: Number of token types.
        sites: Names, patterns or numbers of the sites to read; all by default.

    Raises:
        UserError: States that are no arrays, or do not fit the documents.
    """

    costly, reads_positions = False, True
    name = "recorded states"

    def __init__(
        self,
        states: Mapping[str, Any],
        lengths: Sequence[int],
        vocabulary: int,
        sites: str | int | Iterable[str | int] | None = None,
    ) -> None:
        check_not_empty("model", states, "pass a dictionary from site to recorded states")
        wanted = choose_sites(sites, [str(name) for name in states])
        lengths = [int(length) for length in lengths]
        self.vocabulary, self.sites = vocabulary, tuple(wanted)
        self.documents = {site: documents_of(site, states[site], lengths) for site in wanted}
        # Empty documents have no positions: the corpus leaves them out.
        self.numbers = np.flatnonzero(np.array(lengths) > 0)
        self.ends = np.cumsum(np.array(lengths)[self.numbers])
        self.dims = {site: int(shape_of(parts[self.numbers[0]])[1]) for site, parts in self.documents.items()}

    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """States `[documents, tokens, dim]` for positions in the corpus in place of token ids."""
        return {
            site: torch.stack([self.rows(site, parts, row.numpy()) for row in tokens.cpu()])
            for site, parts in self.documents.items()
        }

    def rows(self, site: str, parts: Any, positions: np.ndarray) -> Tensor:
        """The states at some positions of the corpus, a document at a time."""
        place = np.searchsorted(self.ends, positions, side="right")
        offset = positions - np.concatenate([[0], self.ends])[place]
        found: Tensor | None = None
        for document in np.unique(place):
            here = place == document
            first, last = int(offset[here].min()), int(offset[here].max()) + 1
            part = as_tensor(site, parts[self.numbers[document]][first:last])[torch.from_numpy(offset[here] - first)]
            found = part.new_empty((len(positions), part.shape[1])) if found is None else found
            found[torch.from_numpy(here)] = part
        return found

    def kind_of_site(self, site: str) -> str:
        """Recorded elsewhere."""
        return "recorded"


def documents_of(site: str, states: Any, lengths: Sequence[int]) -> Any:
    """One array `[tokens, dim]` for each document, without reading any; `UserError` where they do not fit."""
    if is_array(states):
        if len(shape_of(states)) == 2 and len(lengths) == 1:
            states = [states]
        elif len(shape_of(states)) < 3:
            raise UserError(
                f"`model` has states of shape {shape_of(states)} at {site!r}: pass [documents, tokens, dim], or a list "
                "of [tokens, dim], one for each document."
            )
    elif not isinstance(states, Sequence) or not all(map(is_array, states)):
        raise UserError(
            f"`model` has {type(states).__name__} at {site!r}: pass an array [documents, tokens, dim], or a list of "
            "arrays [tokens, dim], one for each document."
        )
    if len(states) != len(lengths):
        raise UserError(
            f"`model` has states of {len(states)} documents at {site!r}, and the corpus has {len(lengths)}: pass the "
            "token ids that the states were recorded for."
        )
    dims = set()
    for number, length in enumerate(lengths):
        shape = shape_of(states[number])
        dims.add(shape[1:])
        padded = is_array(states)  # shorter documents may be padded in an array, never in a list
        if len(shape) < 2 or shape[0] < length or (shape[0] > length and not padded):
            raise UserError(
                f"`model` has states of shape {shape} for document {number} at {site!r}, which has {length} tokens: "
                "pass one state for each token."
            )
    if len(dims) > 1 or 0 in next(iter(dims)):
        raise UserError(f"`model` has states of the shapes {sorted(dims)} at {site!r}: pass one length of 1 or more.")
    return states


def is_array(value: Any) -> bool:
    """Whether this is an array of numpy or a tensor of torch."""
    return isinstance(value, np.ndarray | Tensor)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array or tensor as a tuple."""
    return tuple(int(size) for size in value.shape)


def as_tensor(site: str, values: Any) -> Tensor:
    """Recorded numbers `[tokens, dim]` as a floating-point tensor: complex ones in two, coarse types widened."""
    check_not_masked("model", values)
    if isinstance(values, np.ndarray):
        values = np.array(values, dtype=values.dtype.newbyteorder("="), order="C")  # a copy, off the memory map
        try:
            values = torch.from_numpy(values)
        except TypeError:
            raise UserError(
                f"`model` has {values.dtype} numbers at {site!r}: pass floating-point ones, such as float32."
            ) from None
    values = as_numbers(values.detach().cpu())
    values = values.float() if values.dtype.itemsize == 1 else values
    return values.flatten(1)


def read_recorded(folder: str | Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Recorded states and token ids of a folder, memory-mapped.

    The folder has `tokens.npy` and one `<site>.npy` for each site, or one or more `.safetensors` files with these names
    inside. Token ids are `[documents, tokens]`, states `[documents, tokens, dim]`; or both are laid end to end, `[all
    tokens]` and `[all tokens, dim]`, beside `lengths`, the number of tokens of each document::

        np.save(folder / "tokens.npy", ids)       # [documents, tokens]
        np.save(folder / "layer.1.npy", states)   # [documents, tokens, dim]
        infodil.recoverability(*infodil.encoders.read_recorded(folder))

    Args:
        folder: Folder of the files.

    Returns:
        Site to states, and the token ids of each document.

    Raises:
        UserError: No such folder, no token ids or no states in it, or a file that cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"`states` {str(folder)!r} is no folder: pass one with tokens.npy and a .npy file for each site."
        )
    arrays: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        try:
            if path.suffix == ".npy":
                arrays[path.name.removesuffix(".npy")] = np.load(path, mmap_mode="r", allow_pickle=False)
            elif path.suffix == ".safetensors":
                from safetensors.torch import load_file

                arrays |= load_file(path)
        except Exception as error:  # a damaged file: numpy and safetensors raise many kinds
            why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise UserError(f"`states` file {path.name!r} cannot be read ({why}): write it anew.") from None
    ids, lengths = arrays.pop(TOKENS, None), arrays.pop(LENGTHS, None)
    if ids is None or not arrays:
        missing = "token ids (tokens.npy)" if ids is None else "states (a .npy file for each site)"
        raise UserError(f"`states` folder {folder.name!r} has no {missing}: put them there.")
    ids = np.asarray(ids)
    if lengths is None:
        rows = [ids] if ids.ndim == 1 else list(ids)
        return arrays, rows
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    bounds = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    for name, values in ((TOKENS, ids), *arrays.items()):
        if len(values) != int(ends[-1]):
            raise UserError(
                f"`states` has {len(values)} rows of {name!r}, and the lengths add up to {int(ends[-1])}: lay all "
                "documents end to end."
            )
    return (
        {name: [values[first:last] for first, last in bounds] for name, values in arrays.items()},
        [ids[first:last] for first, last in bounds],
    )
