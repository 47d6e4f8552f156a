r"""RWKV-5.2 models of their authors' own format, which transformers does not read: states of every block.

Each head keeps a matrix :math:`S_t = \mathrm{diag}(w) S_{t-1} + k_t v_t^\top` and reads
:math:`r_t^\top (S_{t-1} + \mathrm{diag}(u) k_t v_t^\top)`.

Reference:
    Peng et al. (2024), Eagle and Finch, arXiv 2404.05892, section 4.
"""

__all__ = ["RWKV5", "RWKV5Encoder", "is_rwkv5", "load_rwkv5"]

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.sites import choose_by_depth

KIND = "RWKV-5"


class RWKV5(nn.Module):
    """RWKV-5.2 language model; parameters have the names of its authors.

    Args:
        vocabulary: Number of token types.
        dim: Width of the stream.
        layers: Number of blocks.
        heads: Heads of each block.
        inner: Width of the feed-forward part.
    """

    def __init__(self, vocabulary: int, dim: int, layers: int, heads: int, inner: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocabulary, dim)
        self.blocks = nn.ModuleList([Block(dim, heads, inner) for _ in range(layers)])
        self.blocks[0].ln0 = nn.LayerNorm(dim)
        self.ln_out = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary, bias=False)

    def states(
        self, tokens: Int[Tensor, "documents tokens"], wanted: Iterable[str] = ()
    ) -> tuple[Float[Tensor, "documents tokens dim"], dict[str, Tensor]]:
        """The last stream, and the wanted ones of all sites."""
        wanted, found = set(wanted), {}
        stream = self.blocks[0].ln0(self.emb(tokens))
        found["embedding"] = stream
        for number, block in enumerate(self.blocks, start=1):
            name = f"layer.{number}"
            stream, parts = block(stream, any(site.startswith(f"{name}.recurrent") for site in wanted))
            found |= {name: stream} | {f"{name}.{part}": state for part, state in parts.items()}
            found = {site: state for site, state in found.items() if site in wanted}
        return stream, found

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        return self.head(self.ln_out(self.states(tokens)[0]))


class Block(nn.Module):
    """Time mixing and channel mixing, each added to the stream."""

    def __init__(self, dim: int, heads: int, inner: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.att, self.ffn = TimeMix(dim, heads), ChannelMix(dim, inner)

    def forward(self, stream: Float[Tensor, "documents tokens dim"], memory: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The stream after the block, and its other sites, the recurrent ones only where asked for."""
        first = self.ln1(stream)
        mixed, matrices = self.att(first, memory)
        stream = stream + mixed
        second = self.ln2(stream)
        parts = {"mixer": mixed, "conv": torch.cat([first, second], 2), "conv.attention": first}
        parts["conv.feed_forward"] = second
        if memory:
            parts["recurrent"] = matrices.flatten(2)
            parts |= {f"recurrent.head.{head + 1}": each.flatten(2) for head, each in enumerate(matrices.unbind(2))}
        return stream + self.ffn(second), parts


class TimeMix(nn.Module):
    """Linear attention with a decay for each row of a head's matrix."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in "rkvg":
            setattr(self, f"time_mix_{name}", nn.Parameter(torch.full((dim,), 0.5)))
        self.time_decay = nn.Parameter(torch.full((heads, dim // heads, 1), 0.9))
        self.time_faaaa = nn.Parameter(torch.zeros(heads, dim // heads, 1))
        self.receptance, self.key, self.value, self.gate, self.output = (
            nn.Linear(dim, dim, bias=False) for _ in range(5)
        )
        self.ln_x = nn.GroupNorm(heads, dim, eps=1e-5)

    def forward(self, inputs: Float[Tensor, "documents tokens dim"], memory: bool) -> tuple[Tensor, Tensor | None]:
        """What is written to the stream, and the matrices after every token where asked for."""
        before = shifted(inputs)
        r, k, v, g = (
            layer(inputs * share + before * (1.0 - share))
            for layer, share in (
                (self.receptance, self.time_mix_r),
                (self.key, self.time_mix_k),
                (self.value, self.time_mix_v),
                (self.gate, self.time_mix_g),
            )
        )
        r, k, v = (each.unflatten(2, (self.heads, -1)) for each in (r, k, v))
        documents, tokens, heads, size = k.shape
        state = k.new_zeros(documents, heads, size, size)
        kept = k.new_empty(documents, tokens, heads, size, size) if memory else None
        outputs = torch.empty_like(v)
        for t in range(tokens):
            new = k[:, t, :, :, None] * v[:, t, :, None, :]
            outputs[:, t] = (r[:, t, :, None, :] @ (state + self.time_faaaa * new)).squeeze(2)
            state = state * self.time_decay + new
            if memory:
                kept[:, t] = state
        normed = self.ln_x(outputs.flatten(0, 1).flatten(1)).unflatten(0, (documents, tokens))
        return self.output(normed * nn.functional.silu(g)), kept


class ChannelMix(nn.Module):
    """Squared rectifier with a gate."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.time_mix_k, self.time_mix_r = (nn.Parameter(torch.full((dim,), 0.5)) for _ in range(2))
        self.key, self.value = nn.Linear(dim, inner, bias=False), nn.Linear(inner, dim, bias=False)
        self.receptance = nn.Linear(dim, dim, bias=False)

    def forward(self, inputs: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "documents tokens dim"]:
        """What is written to the stream."""
        before = shifted(inputs)
        k = self.key(inputs * self.time_mix_k + before * (1.0 - self.time_mix_k))
        r = self.receptance(inputs * self.time_mix_r + before * (1.0 - self.time_mix_r))
        return torch.sigmoid(r) * self.value(torch.relu(k).square())


def shifted(inputs: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "documents tokens dim"]:
    """The input before each, zero before the first."""
    return nn.functional.pad(inputs, (0, 0, 1, -1))


class RWKV5Encoder(Encoder):
    """Stream, mixer, matrices and token shifts of an RWKV-5.2 model, named as those of a Hugging Face model are.

    Args:
        module: The model.
        sites: Names, patterns, or numbers of depths; by default the embedding, and stream, mixer and recurrent state of
            the first, the middle and the last block.
        tokenizer: Tokenizer for corpora of text.
        name: Name of the model in reports.
    """

    route = "one pass"

    def __init__(
        self,
        module: RWKV5,
        sites: str | int | Iterable[str | int] | None = None,
        *,
        tokenizer: object = None,
        name: str | None = None,
    ) -> None:
        self.module, self.tokenizer, self.name = module, tokenizer, name or type(module).__name__
        self.vocabulary = module.emb.num_embeddings
        self.memory_sites = tuple(f"layer.{number + 1}.recurrent" for number in range(len(module.blocks)))
        depths = ["embedding", *(f"layer.{number + 1}" for number in range(len(module.blocks)))]
        heads = [f"recurrent.head.{head + 1}" for head in range(module.blocks[0].att.heads)]
        parts = ["mixer", "recurrent", *heads, "conv", "conv.attention", "conv.feed_forward"]
        offered = ["embedding"]
        for depth in depths[1:]:
            offered += [depth, *(f"{depth}.{part}" for part in parts)]
        if sites is None:
            chosen = [depths[1], depths[1 + len(module.blocks) // 2], depths[-1]]
            sites = ["embedding", *(f"{depth}{part}" for depth in chosen for part in ("", ".mixer", ".recurrent"))]
        self.sites = tuple(choose_by_depth(sites, depths, offered))

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The states at each site, `[documents, tokens, numbers]`."""
        states = self.module.states(tokens.to(self.module.emb.weight.device), self.sites)[1]
        return {site: states[site] for site in self.sites}

    def kind_of_site(self, site: str) -> str:
        """`embedding`, `residual`, `mixer`, `recurrent` or `conv`, by the name."""
        parts = site.split(".")
        return "embedding" if site == "embedding" else parts[2] if len(parts) > 2 else "residual"


def is_rwkv5(folder: Path) -> bool:
    """Whether a folder holds an RWKV-5 model in its authors' format."""
    file = folder / "config.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("kind", "")).startswith(KIND)
    except (OSError, ValueError, AttributeError):
        return False


def load_rwkv5(
    folder: Path,
    sites: str | int | Iterable[str | int] | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> RWKV5Encoder:
    """Load a model from a folder of `config.json` and `model.safetensors`.

    Args:
        folder: Folder with both files.
        sites: Names, patterns or numbers as in `RWKV5Encoder`.
        device: Device that the model runs on.
        dtype: Type of the weights; float32 by default.

    Raises:
        UserError: A file is missing or broken, or its tensors do not fit.
    """
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = [int(config[name]) for name in ("vocab_size", "n_embd", "n_layer", "n_head", "ffn_size")]
        module = RWKV5(*sizes)
        tensors = load_file(folder / "model.safetensors")
        own = module.state_dict()
        module.load_state_dict({name: tensor for name, tensor in tensors.items() if name in own})
    except Exception as error:  # foreign files: whatever is wrong with them, the model cannot be used
        raise UserError(
            f"`model` {str(folder)!r} cannot be loaded ({str(error).splitlines()[0]}): pass a folder with the "
            "config.json and model.safetensors of an RWKV-5 model."
        ) from None
    bytes_ = "bytes" if config.get("unit") == "byte" else None
    return RWKV5Encoder(
        module.eval().to(device, dtype or torch.float32), sites, tokenizer=bytes_, name=Path(folder).name
    )
