"""Checkpoints as safetensors: weights, the optimizer's moments, the step and a hash of them all; never pickle."""

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infodil.checks import UserError, write_whole

FORMAT = "infodil language model 2"


@dataclass(frozen=True)
class Checkpoint:
    """State of a training run: weights, optimizer, step and configuration, enough to go on or to use the model."""

    step: int
    """Steps done."""
    record: dict[str, Any]
    """What made the model and the run, as JSON holds it."""
    model: dict[str, Tensor] = field(repr=False)
    optimizer: dict[str, dict[str, Tensor]] = field(repr=False)
    """Parameter name -> moments and step count of AdamW."""
    seconds: float = 0.0
    """Time that the training of all these steps took, over all runs that it was done in."""

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Put the weights into a model, and the moments into an optimizer of its parameters.

        Raises:
            UserError: The model has other parameters than the one saved.
        """
        self.check(model)
        model.load_state_dict(self.model)
        if optimizer is None:
            return
        names = {parameter: name for name, parameter in model.named_parameters()}
        order = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
        state = {place: dict(self.optimizer[name]) for place, name in enumerate(order) if name in self.optimizer}
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

    def check(self, model: nn.Module) -> None:
        """Raise `UserError` unless a model has the parameters that were saved, by name and shape."""
        own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        if own != {name: tuple(tensor.shape) for name, tensor in self.model.items()}:
            odd = sorted(set(own.items()) ^ {(name, tuple(tensor.shape)) for name, tensor in self.model.items()})
            raise UserError(
                f"`checkpoint` is of another model ({odd[0][0]} differs): pass the configuration it was trained with."
            )


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    record: dict[str, Any],
    seconds: float | int = 0.0,
) -> Path:
    """A checkpoint file, written under a temporary name and renamed: a kill in between leaves the one before.

    Args:
        path: File to write.
        model: Model whose weights are kept.
        optimizer: Optimizer of the model's parameters, whose moments are kept.
        step: Number of steps done.
        record: Configuration of model and run, as JSON can hold it.
        seconds: Time that the training took so far.

    Returns:
        The path.
    """
    from safetensors.torch import save

    names = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for parameter, state in optimizer.state.items():
        tensors |= {f"optimizer.{kind}.{names[parameter]}": value for kind, value in state.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "step": str(step), "record": json.dumps(record), "seconds": repr(float(seconds))}
    return write_whole(path, save(tensors, metadata=header | {"sha256": digest(header, tensors)}))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """A checkpoint, every byte of its header and tensors checked.

    Args:
        path: File that `save_checkpoint` wrote.

    Returns:
        The checkpoint.

    Raises:
        UserError: There is no such file, it is of another kind, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(f"`checkpoint` {str(path)!r} is not there: pass the folder of a run, or train one.")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error).splitlines()[0]) from None
    if header.get("format") != FORMAT:
        raise UserError(
            f"`checkpoint` {path.name!r} is not one of infodil's: pass the file that `infodil lm train` wrote."
        )
    if digest(header, tensors) != header.get("sha256"):
        raise damaged(path, "its content is not what was written")
    model = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    optimizer: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, kind, parameter = name.split(".", 2)
            optimizer.setdefault(parameter, {})[kind] = tensor
    return Checkpoint(int(header["step"]), json.loads(header["record"]), model, optimizer, float(header["seconds"]))


def damaged(path: Path, why: str) -> UserError:
    """The sentence for a file that cannot be trusted."""
    return UserError(
        f"`checkpoint` {path.name!r} is damaged ({why.rstrip('.')}): use a copy, or remove it to train anew."
    )


def digest(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """A hash of the header, and of the names, types, shapes and bytes of the tensors."""
    total = hashlib.sha256()
    for name, value in sorted(header.items()):
        if name != "sha256":
            total.update(f"{name} {len(value)} {value}".encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
