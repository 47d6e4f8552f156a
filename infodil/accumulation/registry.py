"""Names of accumulation rules. A new rule is a class and a line."""

__all__ = ["RULES", "make_rule"]

from infodil.accumulation.attention import Attention
from infodil.accumulation.averages import EMA, EMABank
from infodil.accumulation.gates import Gated, Highway
from infodil.accumulation.learned import Dense, Hyper
from infodil.accumulation.rule import Rule
from infodil.accumulation.sums import DeepNorm, Scaled, Sum
from infodil.checks import UserError, check_one_of

RULES: dict[str, type[Rule]] = {
    rule.name: rule for rule in (Sum, Scaled, DeepNorm, EMA, EMABank, Gated, Dense, Hyper, Highway, Attention)
}
"""Name to accumulation rule: those of fixed weights first, then learned ones, then functions of the messages."""


def make_rule(rule: "str | Rule", **options: object) -> Rule:
    """An accumulation rule with its options.

    Args:
        rule: A name in `RULES`, or a rule.
        options: Fields of the rule's class, for a name.

    Returns:
        The rule.

    Raises:
        UserError: The name or an option is unknown, or an option is out of range.

    Example:
        >>> make_rule("ema", alpha=0.5)
        EMA(alpha=0.5)
    """
    if isinstance(rule, Rule):
        if options:
            raise UserError(f"`rule` is already made, got options {sorted(options)} too: pass its name beside options.")
        return rule
    check_one_of("rule", rule, RULES)
    known = RULES[rule].options()
    for name in options:
        check_one_of(f"option of rule {rule!r}", name, known or ["none"])
    return RULES[rule](**options)
