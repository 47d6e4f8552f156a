"""Weights and streams of an accumulation rule."""

__all__ = ["accumulate", "weights"]

from jaxtyping import Float
from torch import Tensor

from infodil.accumulation.registry import make_rule
from infodil.accumulation.rule import Rule, check_layers, check_messages


def weights(rule: str | Rule, layers: int, **options: object) -> Float[Tensor, "layers layers"]:
    r"""Weight of each layer's message in the stream after each layer: :math:`W` in :math:`h_L = \sum_l W_{L,l}\, v_l`.

    Args:
        rule: A name in `RULES`, or a rule.
        layers: Number of layers.
        options: Options of the rule, such as `alpha=0.1`.

    Returns:
        Row L, from 0, has the weights in the stream after layer L; float64.

    Raises:
        UserError: The rule or an option is unknown, an option is out of range, or the weights of the rule are not
            fixed.

    Example:
        >>> weights("ema", 3, alpha=0.5).tolist()
        [[0.5, 0.0, 0.0], [0.25, 0.5, 0.0], [0.125, 0.25, 0.5]]
    """
    check_layers(layers)
    return make_rule(rule, **options).weights(layers)


def accumulate(messages: Tensor, rule: str | Rule, **options: object) -> Float[Tensor, "rows layers dim"]:
    r"""The stream after each layer: :math:`h_L = \sum_{l \le L} W_{L,l}\, v_l`.

    Args:
        messages: The message of each layer, `[rows, layers, dim]`.
        rule: A name in `RULES`, or a rule.
        options: Options of the rule, such as `alpha=0.1`.

    Returns:
        The stream after each layer, in the dtype and on the device of the messages.

    Raises:
        UserError: The messages are malformed, the rule or an option is unknown, or an option is out of range.

    Example:
        >>> import torch
        >>> accumulate(torch.tensor([[[1.0], [2.0], [3.0]]]), "sum").flatten().tolist()
        [1.0, 3.0, 6.0]
    """
    check_messages(messages)
    return make_rule(rule, **options).accumulate(messages)
