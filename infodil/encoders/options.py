"""The options of a model that is made from its name, checked before any work begins."""

__all__ = ["check_model_options"]

import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from infodil.checks import UserError, near_matches
from infodil.encoder import EncodesTokens
from infodil.encoders.huggingface_files import load_huggingface
from infodil.encoders.loading import ENCODERS, MODULE_OPTIONS, check_options

CALL_ARGUMENTS = ("vocabulary", "model", "sites", "seed", "device", "dtype", "name")
"""Parameters of an encoder that are no options: the call that makes it fills them."""


def check_model_options(model: object, options: Mapping[str, object], arguments: Collection[str] = ()) -> None:
    """Raise `UserError` for a keyword that is neither an argument of the call nor an option of the model.

    Args:
        model: What the caller passed as the model.
        options: Keywords that the call itself does not have.
        arguments: Arguments that the call does have, for the message.

    Raises:
        UserError: A keyword that is misspelt, or is an option of another model.
    """
    if not isinstance(model, str | Path):
        check_options(model, options, () if isinstance(model, EncodesTokens) else MODULE_OPTIONS)
        return
    known = option_names(ENCODERS.get(str(model), load_huggingface))
    for name in options:
        if name not in known:
            hint = near_matches(name, [*arguments, *known])
            raise UserError(f"`{name}` is neither an argument of this call nor an option of the model {model!r}{hint}")


def option_names(make: Callable[..., object]) -> tuple[str, ...]:
    """Names of the options of a function or class that makes an encoder.

    A function that passes further options on, passes them to the class that it returns, after as many positional
    arguments as it has itself.
    """
    parameters = list(inspect.signature(make).parameters.values())
    names = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    returned = inspect.signature(make, eval_str=True).return_annotation
    if any(each.kind == each.VAR_KEYWORD for each in parameters) and inspect.isclass(returned):
        filled = sum(each.kind == each.POSITIONAL_OR_KEYWORD for each in parameters)
        names += list(inspect.signature(returned).parameters)[filled:]
    return tuple(name for name in dict.fromkeys(names) if name not in CALL_ARGUMENTS)
