"""Any torch module that reads token ids: the outputs of the submodules named by `sites` are the states."""

__all__ = ["ModuleEncoder"]

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.checks import UserError
from infodil.encoder import Encoder, random_copy
from infodil.encoders.sites import choose_sites


class ModuleEncoder(Encoder):
    """Outputs of named submodules of a torch module, read through forward hooks; the module is left as it was.

    The module is called as `module(tokens)` with ids `[documents, tokens]`, in evaluation mode, without gradients, on
    the device it is on; every submodule's mode is put back and every hook removed after each call. A submodule's
    output may be a tensor or begin with one (a recurrent module's output sequence, an attention block's output), with
    documents or tokens first.

    Args:
        module: Model that is called with token ids.
        sites: Names or patterns of submodules as in `module.named_modules()`; `""` is the module's own output.
        vocabulary: Number of token types; by default the rows of the first `torch.nn.Embedding`.
        tokenizer: Tokenizer for corpora of text.

    Raises:
        UserError: No such submodule (with the near matches), an output that is not `[documents, tokens, dim]`, or no
            embedding to tell the vocabulary by.
    """

    def __init__(
        self,
        module: nn.Module,
        sites: str | int | Iterable[str | int] | None,
        vocabulary: int | None = None,
        tokenizer: object = None,
    ) -> None:
        names = [name for name, _ in module.named_modules()]
        if sites is None:
            raise UserError(
                "`sites` must name the submodules whose outputs are the states of a torch module, got None: "
                f"pass some of {', '.join(map(repr, names[1:7]))}."
            )
        sites = [sites] if isinstance(sites, str | int) else list(sites)
        for site in sites:
            if not isinstance(site, str):
                raise UserError(
                    f"`sites` must be names of submodules for a torch module, got {site!r}: "
                    f"pass some of {', '.join(map(repr, names[1:7]))}."
                )
        self.module = module
        self.sites = tuple(choose_sites(sites, names))
        if vocabulary is None:
            embeddings = [part for part in module.modules() if isinstance(part, nn.Embedding)]
            if not embeddings:
                raise UserError("`vocabulary` must be given for a module without torch.nn.Embedding, got None.")
            vocabulary = embeddings[0].num_embeddings
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer
        self.name = type(module).__name__

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The sites' outputs, `[documents, tokens, dim]` each."""
        documents, length = tokens.shape
        # With as many documents as tokens the two axes could not be told apart. One more document, then cut off, is
        # harmless; one more token might be more than the model has places for.
        wide = torch.cat([tokens, tokens[:1]]) if documents == length else tokens
        outputs: dict[str, object] = {}
        tensor = next(self.module.parameters(), None)
        with undisturbed(self.module), listening(self.module, self.sites, outputs):
            self.module(wide if tensor is None else wide.to(tensor.device))
        return {site: upright(site, outputs, wide.shape)[:documents] for site in self.sites}

    def randomised(self, seed: int) -> "ModuleEncoder | None":
        """The same sites of the module with random weights; None where it cannot be copied."""
        module = random_copy(self.module, seed)
        if module is None:
            return None
        other = copy.copy(self)
        other.module = module
        return other


def upright(site: str, outputs: dict[str, object], shape: tuple[int, int]) -> Tensor:
    """The output of a site with documents first."""
    if site not in outputs:
        raise UserError(f"`sites` has {site!r}, which the model never called: name a submodule its forward uses.")
    output = outputs[site]
    # A packed sequence is a tuple as well, but its first entry has neither documents nor tokens.
    while isinstance(output, tuple | list) and output and not isinstance(output, nn.utils.rnn.PackedSequence):
        output = output[0]
    if not isinstance(output, Tensor) or output.dim() != 3:
        got = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise UserError(
            f"`sites` has {site!r}, whose output must be [documents, tokens, dim] for tokens of shape "
            f"{tuple(shape)}, got {got}: name another submodule or wrap the model in an Encoder."
        )
    if tuple(output.shape[:2]) == tuple(shape[::-1]):
        return output.transpose(0, 1)
    return output


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every submodule back in its own mode, and torch's random state as before, after."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for part, training in modes:
            part.training = training


def keep(outputs: dict[str, object], site: str, part: nn.Module, inputs: object, output: object) -> None:
    """A forward hook, once the first two arguments are bound."""
    outputs[site] = output


@contextmanager
def listening(module: nn.Module, sites: Iterable[str], outputs: dict[str, object]) -> Iterator[None]:
    """Keep the output of each site; the hooks are gone after."""
    parts = dict(module.named_modules())
    handles = []
    try:
        for site in sites:
            handles.append(parts[site].register_forward_hook(partial(keep, outputs, site)))
        yield
    finally:
        for handle in handles:
            handle.remove()
