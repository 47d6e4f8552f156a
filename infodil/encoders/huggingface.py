"""Causal language models of Hugging Face transformers: the residual stream at every depth.

States that live in a recurrent cache (Mamba, RWKV, gated delta nets) are another family of sites, for a file of their
own beside this one: what is shared is `undisturbed` and the naming of sites by depth.
"""

__all__ = ["HuggingFaceEncoder", "load_huggingface"]

import copy
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.module import undisturbed
from infodil.encoders.sites import choose_sites


class HuggingFaceEncoder(Encoder):
    """Residual stream of a causal language model of transformers, by depth.

    Sites are `embedding` (what the first block reads) and `layer.1` to `layer.N` (what each block leaves, before
    any final normalisation). The language-model head is never run.

    Args:
        model: Causal language model of transformers.
        sites: Names, patterns or numbers; by default the embedding, the middle and the last layer.
        tokenizer: Tokenizer for corpora of text.
        name: Name of the model in reports.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: str | int | Iterable[str | int] | None = None,
        *,
        tokenizer: object = None,
        name: str | None = None,
    ) -> None:
        self.module = getattr(model, "base_model", model)
        config = getattr(model.config, "get_text_config", lambda: model.config)()
        self.vocabulary = model.get_input_embeddings().weight.shape[0]
        self.longest = getattr(config, "max_position_embeddings", None)
        self.tokenizer = tokenizer
        self.name = name or type(model).__name__
        self.blocks = find_blocks(self.module, config)
        offered = ["embedding", *(f"layer.{number + 1}" for number in range(len(self.blocks)))]
        if sites is None:
            sites = sorted({0, (len(offered)) // 2, len(offered) - 1})
        self.sites = tuple(choose_sites(sites, offered))

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Tensor]:
        """The stream at each site, `[documents, tokens, dim]`."""
        found: dict[str, Tensor] = {}
        handles = []
        try:
            for site in self.sites:
                if site == "embedding":
                    read = partial(keep_read, found, site)
                    handles.append(self.blocks[0].register_forward_pre_hook(read, with_kwargs=True))
                else:
                    block = self.blocks[int(site.removeprefix("layer.")) - 1]
                    handles.append(block.register_forward_hook(partial(keep_left, found, site)))
            with undisturbed(self.module):
                device = next(self.module.parameters()).device
                self.module(input_ids=tokens.to(device), use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return {site: found[site] for site in self.sites}

    def kind_of_site(self, site: str) -> str:
        """`embedding`, or the `residual` stream."""
        return "embedding" if site == "embedding" else "residual"

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
        other.module = module.eval().to(parameter.device, parameter.dtype)
        config = getattr(module.config, "get_text_config", lambda: module.config)()
        other.blocks = find_blocks(module, config)
        return other


def keep_read(found: dict[str, Tensor], site: str, block: nn.Module, inputs: tuple, named: dict) -> None:
    """A hook before a block: the stream that it reads."""
    found[site] = inputs[0] if inputs else named["hidden_states"]


def keep_left(found: dict[str, Tensor], site: str, block: nn.Module, inputs: object, output: object) -> None:
    """A hook after a block: the stream that it leaves."""
    found[site] = output[0] if isinstance(output, tuple) else output


def find_blocks(module: nn.Module, config: object) -> nn.ModuleList:
    """The list of decoder blocks: the one as long as the configuration says the model is deep."""
    depth = getattr(config, "num_hidden_layers", None)
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList) and len(part) == depth]
    if not lists:
        raise UserError(
            f"`model` of type {type(module).__name__} has no list of {depth} blocks: "
            "pass it as a torch module with `sites`."
        )
    return lists[0]


def load_huggingface(
    model: str | Path,
    sites: str | int | Iterable[str | int] | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
    **options: object,
) -> HuggingFaceEncoder:
    """Load a causal language model and its tokenizer by id, local folder, or GGUF file.

    Args:
        model: A model id, a folder that transformers can load, a `.gguf` file or a folder that holds just one.
        sites: Names, patterns or numbers as in `HuggingFaceEncoder`.
        device: Device that the model runs on.
        dtype: Type of the weights; float32 by default.
        trust_remote_code: Whether code from a model repository may run.
        options: Further arguments of transformers (`revision`, `subfolder`, ...).

    Raises:
        UserError: transformers is not installed, or the model cannot be found or loaded.
    """
    try:
        import transformers
    except ImportError:
        raise UserError(
            f"`model` is {str(model)!r}, which needs transformers: install infodil[hf], or pass a built-in name."
        ) from None
    place, gguf = locate(Path(model)) if Path(model).exists() else (str(model), None)
    if gguf is not None:
        options["gguf_file"] = gguf
    try:
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            place, dtype=dtype or torch.float32, trust_remote_code=trust_remote_code, **options
        )
    except Exception as error:  # a foreign library on foreign files: whatever it raises, the model cannot be used
        raise UserError(
            f"`model` {str(model)!r} cannot be loaded ({first_sentence(error)}): pass a built-in name, the id of a "
            "causal language model, a folder that it was saved to, or a GGUF file."
        ) from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code, **options)
    except Exception:
        tokenizer = None  # a corpus of token ids needs none; a corpus of text will say that it does
    loaded.eval().to(device)
    return HuggingFaceEncoder(loaded, sites, tokenizer=tokenizer, name=Path(model).name if gguf else str(model))


def locate(path: Path) -> tuple[str, str | None]:
    """Folder and GGUF file name of a local model."""
    if path.is_file():
        return str(path.parent), path.name
    files = sorted(path.glob("*.gguf"))
    return str(path), files[0].name if len(files) == 1 and not (path / "config.json").exists() else None


def first_sentence(error: Exception) -> str:
    """What went wrong, without the advice that follows in transformers' messages."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
