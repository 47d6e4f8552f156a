"""Causal language models of Hugging Face transformers: residual stream, mixers and recurrent states at every depth."""

__all__ = ["HuggingFaceEncoder"]

import copy
from collections.abc import Iterable
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.layout import READINGS, Layout, find_layout
from infodil.encoders.mixers import find_mixers
from infodil.encoders.recurrent import RecurrentStates, find_recurrent_states
from infodil.encoders.sites import choose_by_depth
from infodil.encoders.undisturbed import check_weights, undisturbed

DEPTHS = ("num_decoder_layers", "decoder_layers", "num_hidden_layers")
"""Where configurations say how deep a decoder is."""


class HuggingFaceEncoder(Encoder):
    """States of a causal language model of transformers, block by block; the language-model head is never run.

    Of a multimodal model the text model is read. Of an encoder-decoder the decoder is read alone, without a source; to
    read it with one, name its submodules: `load_encoder(model, sites="decoder.block.*", inputs="decoder_input_ids",
    forward_options={"input_ids": source})`.

    Sites, for block N from 1:

    * `embedding`: what the first block reads.
    * `layer.N`: the residual stream that the block leaves, before any final normalisation.
    * `layer.N.mixer`: what its token mixer (attention, a recurrence, or both side by side) gives.
    * `layer.N.recurrent`, `layer.N.conv`: the state of a recurrence and the window of a short convolution after each
      token, every number in a row, as the model itself keeps them; `layer.N.recurrent.<part>` where it keeps several
      tensors, `layer.N.recurrent.head.M` for each head of a state that has heads. A self-test compares them with the
      model's own when the encoder is made.

    In a pattern, `*` stands for one part of a name: `layer.*` is the stream, `layer.*.recurrent` all recurrent states.
    `*` alone stands for every depth of the stream, `**` for every site.

    Args:
        model: Causal language model of transformers.
        sites: Names, patterns, or numbers of depths; by default the embedding, the middle and the last layer, and for a
            recurrent model the embedding and the stream, mixer and recurrent state of the first, the middle and the
            last recurrent layer.
        tokenizer: Tokenizer for corpora of text.
        name: Name of the model in reports.

    Raises:
        UserError: A name or pattern matches nothing, or the self-test of the recurrent states fails.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: str | int | Iterable[str | int] | None = None,
        *,
        tokenizer: object = None,
        name: str | None = None,
    ) -> None:
        check_weights(model)
        self.module = find_decoder(model)
        self.vocabulary = model.get_input_embeddings().weight.shape[0]
        longest = getattr(text_config(self.module), "max_position_embeddings", None)
        self.longest = longest if longest is not None and longest > 0 else None
        self.tokenizer = tokenizer
        self.name = name or type(model).__name__
        if is_encoder_decoder(model):
            self.name += " (its decoder, without a source)"
        self.layouts: dict[str, Layout] = {}
        self.blocks = find_blocks(self.module)
        self.mixers = find_mixers(self.module, self.blocks)
        self.states = find_recurrent_states(self.module, self.blocks)
        self.sites = tuple(self.choose(sites))
        if self.states is not None:
            self.memory_sites, self.route = self.states.memory_sites, self.states.route
        if self.states is not None and any(map(is_state, self.sites)):
            self.states.self_test(self.vocabulary)

    def choose(self, wanted: str | int | Iterable[str | int] | None) -> list[str]:
        """The sites that are wanted; numbers count depths, from the embedding on."""
        depths = ["embedding", *(f"layer.{number + 1}" for number in range(len(self.blocks)))]
        if wanted is None:
            wanted = default_sites(depths, self.states)
        return choose_by_depth(wanted, depths, self.offered())

    def offered(self) -> list[str]:
        """Names of all sites, block by block."""
        names = ["embedding"]
        for block in range(len(self.blocks)):
            names.append(f"layer.{block + 1}")
            names += [f"layer.{block + 1}.mixer"] * (block in self.mixers)
            names += self.states.sites_of(block) if self.states is not None and block in self.states.shapes else []
        return names

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The states at each site, `[documents, tokens, numbers]`."""
        device = next(self.module.parameters()).device
        kept = [site for site in self.sites if is_state(site)]
        found = self.states.encode(tokens.to(device), kept) if kept else {}
        if len(kept) < len(self.sites):
            found |= self.read_stream(tokens.to(device))
        return {site: self.in_rows(site, found[site]) for site in self.sites}

    def in_rows(self, site: str, state: Tensor) -> Tensor:
        """A state `[documents, tokens, numbers]` of a stream that has further axes, or these in another order."""
        if state.dim() == 3 and site not in self.layouts:
            return state
        if site not in self.layouts:
            readings = [self.read_stream(torch.zeros(size, dtype=torch.long)) for size in READINGS]
            layout = find_layout([[tuple(reading[site].shape)] for reading in readings], READINGS)
            if layout is None:
                return state  # `check_states` says what is wrong with it
            self.layouts[site] = layout[0]
        return self.layouts[site].states([state])

    def read_stream(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The embedding, streams and mixers that are wanted, by one pass."""
        tokens = tokens.to(next(self.module.parameters()).device)
        found: dict[str, Tensor] = {}
        handles = []
        try:
            for site in self.sites:
                if site == "embedding":
                    read = partial(keep_read, found, site)
                    handles.append(self.blocks[0].register_forward_pre_hook(read, with_kwargs=True))
                    continue
                block, _, part = site.removeprefix("layer.").partition(".")
                if not part:
                    handles.append(self.blocks[int(block) - 1].register_forward_hook(partial(keep_left, found, site)))
                elif part == "mixer":
                    for mixer, factor in self.mixers[int(block) - 1]:
                        handles.append(mixer.register_forward_hook(partial(add_left, found, site, factor)))
            with undisturbed(self.module):
                self.module(input_ids=tokens, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def kind_of_site(self, site: str) -> str:
        """`embedding`, `residual`, `mixer`, `recurrent` or `conv`, by the name."""
        if site == "embedding":
            return "embedding"
        parts = site.split(".")
        return parts[2] if len(parts) > 2 else "residual"

    def randomised(self, seed: int) -> "HuggingFaceEncoder | None":
        """The same sites of a model made anew from the same configuration; None where that cannot be done."""
        parameter = next(self.module.parameters())
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                module = type(self.module)(copy.deepcopy(self.module.config))
        except Exception:  # a foreign library: whatever it raises, there is no such control
            return None
        other = copy.copy(self)
        other.module = like(self.module, module.eval().to(parameter.dtype))
        other.blocks = find_blocks(module)
        other.mixers = find_mixers(module, other.blocks)
        other.states = find_recurrent_states(module, other.blocks)
        return other


def like(model: nn.Module, other: nn.Module) -> nn.Module:
    """Another model of the same parts, put on the devices of the first."""
    places = getattr(model, "hf_device_map", None)
    if places is None:
        return other.to(next(model.parameters()).device)
    import accelerate

    return accelerate.dispatch_model(other, places, force_hooks=True)


def is_state(site: str) -> bool:
    """Whether a site is a recurrent state or the window of a convolution."""
    return site.split(".")[2:3] in (["recurrent"], ["conv"])


def default_sites(depths: list[str], states: RecurrentStates | None) -> list[str]:
    """Sites that are read where none are named."""
    blocks = [] if states is None else [block for block in states.shapes if states.has_memory(block)]
    if not blocks:
        return [depths[depth] for depth in sorted({0, len(depths) // 2, len(depths) - 1})]
    chosen = sorted({blocks[0], blocks[len(blocks) // 2], blocks[-1]})
    return ["embedding"] + [f"layer.{block + 1}{part}" for block in chosen for part in ("", ".mixer", ".recurrent")]


def keep_read(found: dict[str, Tensor], site: str, block: nn.Module, inputs: tuple, named: dict) -> None:
    """A hook before a block: the stream that it reads."""
    found[site] = copied(inputs[0] if inputs else named["hidden_states"])


def keep_left(found: dict[str, Tensor], site: str, block: nn.Module, inputs: object, output: object) -> None:
    """A hook after a block: the stream that it leaves."""
    found[site] = copied(output)


def add_left(
    found: dict[str, Tensor], site: str, factor: float, mixer: nn.Module, inputs: object, output: object
) -> None:
    """A hook after a mixer: what it gives, added to what a mixer beside it gave."""
    left = factor * copied(output)
    found[site] = found[site] + left if site in found else left


def copied(output: object) -> Tensor:
    """A copy of a tensor, or of the first entry of a tuple: later blocks may add to it in place."""
    return (output[0] if isinstance(output, tuple) else output).detach().clone()


def is_encoder_decoder(model: nn.Module) -> bool:
    """Whether a model has an encoder beside its decoder; its decoder alone has none."""
    return bool(getattr(model.config, "is_encoder_decoder", False)) and find_decoder(model) is not model


def find_decoder(model: nn.Module) -> nn.Module:
    """The part that reads the tokens: the text model of a multimodal model, the decoder of an encoder-decoder.

    A decoder is run alone: its attention to a source is left out, as transformers itself runs it as a language model.
    """
    base = getattr(model, "base_model", model)
    parts = text_config(model) is not model.config or getattr(model.config, "is_encoder_decoder", False)
    if not parts or not hasattr(model, "get_decoder"):
        return base
    decoder = model.get_decoder()
    return getattr(decoder, "base_model", decoder)


def text_config(model: nn.Module) -> object:
    """The configuration of what reads the tokens."""
    return getattr(model.config, "get_text_config", lambda: model.config)()


def find_blocks(module: nn.Module) -> nn.ModuleList:
    """The list of decoder blocks: the one as long as the configuration says the model is deep."""
    config = text_config(module)
    depths = [getattr(config, name, None) for name in DEPTHS]
    depth = next((depth for depth in depths if depth is not None), None)
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList) and len(part) == depth]
    if not lists:
        raise UserError(
            f"`model` of type {type(module).__name__} has no list of {depth} blocks: "
            "pass it as a torch module with `sites`."
        )
    return lists[0]
