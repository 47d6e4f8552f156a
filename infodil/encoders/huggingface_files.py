"""Models of transformers from an id, a folder or a GGUF file."""

__all__ = ["load_huggingface"]

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from infodil.checks import UserError, is_there
from infodil.encoders.huggingface import HuggingFaceEncoder


def load_huggingface(
    model: str | Path,
    sites: str | int | Iterable[str | int] | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
    device_map: str | dict[str, str | int] | None = None,
    **options: object,
) -> HuggingFaceEncoder:
    """Load a causal language model and its tokenizer by id, local folder, or GGUF file.

    Args:
        model: A model id, a folder that transformers can load, a `.gguf` file or a folder that holds just one.
        sites: Names, patterns or numbers as in `HuggingFaceEncoder`.
        device: Device that the model runs on.
        dtype: Type of the weights; float32 by default.
        trust_remote_code: Whether code from a model repository may run.
        device_map: Devices that the parts of a model lie on that is larger than one of them, or `auto`, as transformers
            takes it; by default the whole model lies on `device`.
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
    place, gguf = locate(Path(model)) if is_there(model) else (str(model), None)
    if gguf is not None:
        options["gguf_file"] = gguf
    try:
        loaded, found = model_class(transformers, place, trust_remote_code, options).from_pretrained(
            place, dtype=dtype or torch.float32, trust_remote_code=trust_remote_code, output_loading_info=True,
            device_map=device_map, **options,
        )  # fmt: skip
    except Exception as error:  # a foreign library on foreign files: whatever it raises, the model cannot be used
        raise UserError(
            f"`model` {str(model)!r} cannot be loaded ({first_sentence(error)}): pass a built-in name, the id of a "
            "causal language model, a folder that it was saved to, or a GGUF file."
        ) from None
    missing = sorted(found["missing_keys"])
    if missing:
        raise UserError(
            f"`model` {str(model)!r} has no weights for {len(missing)} of its parameters ({missing[0]!r}, ...), which "
            "would be random: pass a complete copy, or a configuration that fits the weights."
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code, **options)
    except Exception:
        tokenizer = None  # a corpus of token ids needs none; a corpus of text will say that it does
    loaded.eval()
    if device_map is None:
        loaded.to(device)
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


def model_class(transformers: ModuleType, place: str, trust_remote_code: bool, options: Mapping[str, object]) -> Any:
    """The class that loads a model whole: a causal language model, an encoder-decoder, or a multimodal model."""
    causal = transformers.AutoModelForCausalLM
    try:
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code, **options)
    except Exception:  # whatever is wrong with it, loading says so
        return causal
    if getattr(config, "is_encoder_decoder", False):
        return transformers.AutoModelForSeq2SeqLM
    others = (causal, transformers.AutoModelForImageTextToText)
    return next((each for each in others if type(config) in each._model_mapping), causal)
