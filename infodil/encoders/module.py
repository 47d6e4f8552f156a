"""Any torch module that reads token ids: the outputs of the submodules named by `sites` are the states."""

__all__ = ["ModuleEncoder"]

import copy
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.checks import UserError, check_not_empty
from infodil.encoder import Encoder, random_copy
from infodil.encoders.layout import READINGS, Layout, find_layout
from infodil.encoders.recording import Recording, entries_of
from infodil.encoders.rnn_states import listen_to_rnns
from infodil.encoders.sites import choose_sites
from infodil.encoders.undisturbed import check_weights, undisturbed

STATE = re.compile(r"\.(hidden|cell)\.\d+$")
"""End of the name of a state of a recurrent module of torch."""


@dataclass(frozen=True)
class Source:
    """Where the states of a site come from."""

    part: str
    """Submodule, or name given to `record`."""
    path: str
    """Entry of its output; empty for the output itself."""
    layout: Layout
    call: int | None
    """Number of the call, from 0; None where all calls are stacked, one for each token."""


class ModuleEncoder(Encoder):
    """Outputs of named submodules of a torch module, read through forward hooks; the module is left as it was.

    The module is called in evaluation mode, without gradients, on the device it is on. Two small readings at the start
    show which axes of an output are documents and tokens: tokens first, channels first and further axes are turned and
    flattened, complex numbers become two, and a submodule that is called once for each token is stacked over time. A
    submodule that is called several times has a site `name#1`, `name#2`, ... for each call. An output that is a tuple,
    dictionary or dataclass is read at its one entry that holds states, or at the one that `sites` names: `block[1]`,
    `block[state]`. Outputs are copied as they are given: what later modules do in place does not reach them.

    A `torch.nn.LSTM` called `rnn` also has the sites `rnn.hidden.N` and `rnn.cell.N`, the states of layer N (from 1)
    after each token; a `GRU` or `RNN` has `rnn.hidden.N`. Of a module that reads in two directions there are none.

    Args:
        module: Model that is called with token ids `[documents, tokens]`.
        sites: Names or patterns of submodules as in `module.named_modules()` (`""` is the module's own output), with an
            entry in brackets where there are several, or names that the module's own forward gave to
            `infodil.encoders.record`. Submodules that match a pattern and are never called are left out.
        vocabulary: Number of token types; by default the rows of the `torch.nn.Embedding` that is called with the ids.
        tokenizer: Tokenizer for corpora of text.
        inputs: Name of the argument for token ids; by default they are the first positional argument.
        forward_options: Further arguments of the module's forward, by name.
        prefix: Beginning of the names of all sites, such as `model.`: the submodule of this name is called in place of
            the module, so that a head outside it is not run.

    Raises:
        UserError: No such submodule (with the near matches), one that is never called, an output that holds no state of
            each document and token or several of them, no embedding to tell the vocabulary by, or a forward that fails.
    """

    def __init__(
        self,
        module: nn.Module,
        sites: str | int | Iterable[str | int] | None,
        vocabulary: int | None = None,
        tokenizer: object = None,
        *,
        inputs: str | None = None,
        forward_options: Mapping[str, Any] | None = None,
        prefix: str = "",
    ) -> None:
        module = uncompiled(module)
        wanted = check_names(module, sites)
        check_weights(module)
        self.module, self.tokenizer, self.name = module, tokenizer, type(module).__name__
        self.inputs, self.forward_options = inputs, dict(forward_options or {})
        self.called = prefix.rstrip(".")
        self.vocabulary = vocabulary or guess_vocabulary(module)
        parts = dict(module.named_modules())
        readings = [self.read_outline(parts, *size) for size in READINGS]
        if vocabulary is None:
            self.vocabulary = readings[0].vocabulary or self.vocabulary
        self.sources = find_sources(wanted, list(parts), [reading.shapes for reading in readings])
        self.sites = tuple(self.sources)

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The sites' outputs, `[documents, tokens, dim]` each."""
        needed = {source.part for source in self.sources.values()}
        paths = {part: {s.path for s in self.sources.values() if s.part == part} for part in needed}

        def keep(part: str, output: Any) -> dict[str, Tensor]:
            entries = entries_of(output)
            return {path: entries[path].detach().clone() for path in paths.get(part, ()) if path in entries}

        recording = Recording(keep)
        parts = dict(self.module.named_modules())
        heard = recording.listening({name: parts[name] for name in needed if name in parts})
        with undisturbed(self.module), heard, listen_to_rnns(recording, parts, needed):
            self.call(tokens)
        return {site: self.states_of(site, source, recording) for site, source in self.sources.items()}

    def states_of(self, site: str, source: Source, recording: Recording) -> Tensor:
        """The states of one site from what was recorded."""
        calls = [call.get(source.path) for call in recording.calls.get(source.part, [])]
        calls = calls if source.call is None else calls[source.call : source.call + 1]
        if not calls or any(call is None for call in calls):
            raise UserError(
                f"`sites` has {site!r}, which the model did not give for these tokens: name a submodule that every "
                "forward uses."
            )
        return source.layout.states(calls)

    def call(self, tokens: Tensor) -> None:
        """Run the module on token ids."""
        tensor = next(self.module.parameters(), None)
        tokens = tokens if tensor is None else tokens.to(tensor.device)
        called = self.module.get_submodule(self.called)
        if self.inputs is None:
            called(tokens, **self.forward_options)
        else:
            called(**{self.inputs: tokens}, **self.forward_options)

    @torch.no_grad()
    def read_outline(self, parts: dict[str, nn.Module], documents: int, tokens: int) -> "Outline":
        """The shapes of all that a forward pass gives, on token ids 0 and 1."""
        outline = Outline(torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1], [1, 1, 0, 0, 0]])[:documents, :tokens])
        recording = Recording(outline.keep)
        embeddings = [part for part in parts.values() if isinstance(part, nn.Embedding)]
        handles = [part.register_forward_pre_hook(outline.hear_ids) for part in embeddings]
        try:
            with undisturbed(self.module), recording.listening(parts), listen_to_rnns(recording, parts):
                self.call(outline.tokens)
        except UserError:
            raise
        except Exception as error:  # the user's own code: whatever it raises, its states cannot be read
            lines = str(error).strip().splitlines() or [""]
            raise UserError(
                f"`model` failed on token ids of shape {(documents, tokens)} ({type(error).__name__}: "
                f"{lines[0].rstrip('.')}): pass inputs= with the name of its argument for token ids, forward_options= "
                "with what else it needs, or an encoder of your own."
            ) from error
        finally:
            for handle in handles:
                handle.remove()
        outline.shapes = recording.calls
        return outline

    def kind_of_site(self, site: str) -> str:
        """`recurrent` for the layers of torch's recurrent modules, else `module`."""
        return "recurrent" if STATE.search(self.sources[site].part) else "module"

    def randomised(self, seed: int) -> "ModuleEncoder | None":
        """The same sites of the module with random weights; None where it cannot be copied."""
        module = random_copy(self.module, seed)
        if module is None:
            return None
        other = copy.copy(self)
        other.module = module
        return other


class Outline:
    """The shapes of a reading, and the vocabulary of the embedding that is called with the ids."""

    def __init__(self, tokens: Int[Tensor, "documents tokens"]) -> None:
        self.tokens = tokens
        self.vocabulary: int | None = None
        self.shapes: dict[str, list[Any]] = {}

    def keep(self, name: str, output: Any) -> dict[str, tuple[int, ...]] | str:
        """Path to shape of the tensors of an output; the name of its type where it has none."""
        shapes = {path: tuple(tensor.shape) for path, tensor in entries_of(output).items()}
        return shapes or type(output).__name__

    def hear_ids(self, part: nn.Embedding, inputs: tuple) -> None:
        """A hook before an embedding: whether it is called with the token ids."""
        ids = inputs[0] if inputs and self.vocabulary is None else None  # positions may be looked up by them later
        if isinstance(ids, Tensor) and ids.numel() == self.tokens.numel():
            ids = ids.detach().cpu().long()
            if any(torch.equal(ids.flatten(), each.flatten()) for each in (self.tokens, self.tokens.T)):
                self.vocabulary = part.num_embeddings


def uncompiled(module: nn.Module) -> nn.Module:
    """The module behind `torch.compile`, whose submodules keep their own names and can be listened to."""
    inner = vars(module).get("_modules", {}).get("_orig_mod")
    return module if inner is None else inner


def check_names(module: nn.Module, sites: Any) -> list[str]:
    """Names and patterns of submodules as a list; `UserError` for anything else."""
    names = [name for name, _ in module.named_modules()]
    some = f"pass some of {', '.join(map(repr, names[1:7]))}."
    if sites is None:
        raise UserError(
            f"`sites` must name the submodules whose outputs are the states of a torch module, got None: {some}"
        )
    wanted = [sites] if isinstance(sites, str | int | slice) else list(sites)
    check_not_empty("sites", wanted, "pass at least one name, or leave it out for all that the model offers")
    for site in wanted:
        if not isinstance(site, str):
            raise UserError(f"`sites` must be names of submodules for a torch module, got {site!r}: {some}")
    return wanted


def guess_vocabulary(module: nn.Module) -> int:
    """The rows of the smallest `torch.nn.Embedding`, all of whose ids any model of the module can read."""
    sizes = [part.num_embeddings for part in module.modules() if isinstance(part, nn.Embedding)]
    if not sizes:
        raise UserError("`vocabulary` must be given for a module without torch.nn.Embedding, got None.")
    return sizes[0]


def find_sources(
    wanted: Sequence[str], parts: Sequence[str], readings: Sequence[dict[str, list[Any]]]
) -> dict[str, Source]:
    """The site names that are wanted, in the order of the module, and where each comes from."""
    recorded = [name for name in readings[0] if name not in parts]
    offered = [*parts, *recorded]
    sources: dict[str, Source] = {}
    for site in wanted:
        name, path = split_entry(site, offered)
        matches = choose_sites([name], offered)
        exact = name in offered
        for part in matches:
            if not all(part in reading for reading in readings):
                if exact:
                    raise UserError(
                        f"`sites` has {part!r}, which the model never called: name a submodule its forward uses."
                    )
                continue
            sources |= sources_of(part, path, [reading[part] for reading in readings], strict=exact)
        if not any(source.part in matches for source in sources.values()):
            raise UserError(
                f"`sites` has {site!r}, which matches no submodule that the model calls: name one that it does."
            )
    order = {part: number for number, part in enumerate(offered)}
    return dict(sorted(sources.items(), key=lambda item: order[item[1].part]))


def split_entry(site: str, offered: Sequence[str]) -> tuple[str, str]:
    """The name of a submodule and the entry of its output: `block[1]` is `block` and `[1]`."""
    if site in offered:
        return site, ""
    match = re.fullmatch(r"(.*?)((?:\[[^\[\]]+\])+)", site)
    if match is None or fnmatch.filter(offered, site):
        return site, ""
    return match[1], re.sub(r"\[['\"](.*?)['\"]\]", r"[\1]", match[2])


def sources_of(part: str, path: str, readings: Sequence[list[Any]], strict: bool) -> dict[str, Source]:
    """The sites of one submodule: its output, or one entry of it, at each call."""
    first = readings[0][0]
    entries = list(first) if isinstance(first, dict) else []
    if path and path not in entries:
        known = ", ".join(repr(f"{part}{entry}") for entry in entries) or "none"
        raise UserError(f"`sites` has {part + path!r}, and the entries of this output are {known}: name one of them.")
    found = {}
    for entry in [path] if path else entries:
        shapes = [[call.get(entry) for call in calls if isinstance(call, dict)] for calls in readings]
        if all(shapes) and all(None not in calls for calls in shapes):
            layout = find_layout(shapes, READINGS)
            if layout is not None:
                found[entry] = layout
    if not found:
        if not strict:
            return {}
        got = f"shape {first[path or entries[0]]}" if entries else first
        raise UserError(
            f"`sites` has {part + path!r}, whose output must be [documents, tokens, dim] for tokens of shape "
            f"{READINGS[0]}, got {got}: name another submodule or wrap the model in an Encoder."
        )
    if len(found) > 1:
        known = ", ".join(repr(f"{part}{entry}") for entry in found)
        raise UserError(f"`sites` has {part!r}, whose output holds several states: name one, of {known}.")
    ((entry, (layout, calls)),) = found.items()
    name = part + path
    if layout.tokens is None or calls == 1:
        return {name: Source(part, entry, layout, None if layout.tokens is None else 0)}
    return {f"{name}#{call + 1}": Source(part, entry, layout, call) for call in range(calls)}
