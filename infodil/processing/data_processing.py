"""Does a chain of estimates respect the data-processing inequality? A verdict for each link, and bits made usable."""

__all__ = ["ChainCheck", "Link", "check_chain"]

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np
import pandas as pd
import torch
from jaxtyping import Shaped
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_between, check_confidence, check_seed, near_matches
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder import (
    HeldOut,
    certify,
    check_groups,
    check_states,
    check_tokens,
    choose_probe,
    cross_fit,
    hold_out,
    pool_rare,
)
from infodil.probes import AUTO, Probe
from infodil.processing.stages import jackknife_change, known_upper
from infodil.report import SavedResult
from infodil.statistics import mean_interval, read_array

if TYPE_CHECKING:
    import matplotlib.axes

HOLDS = "holds"
VIOLATED = "violated by more than its uncertainty"
OPEN = "cannot be told"

Verdict = Literal["holds", "violated by more than its uncertainty", "cannot be told"]
Estimator = Callable[..., Estimate]

CHAIN_COLUMNS = [
    *("stage", "value_bits", "low_bits", "high_bits", "kind", "upper_bits", "upper_method", "verdict"),
    *("usable_bits_change", "usable_change_low_bits", "usable_change_high_bits", "usable_bits_are"),
]


@dataclass(frozen=True)
class Link:
    """One step of the processing."""

    upstream: str
    downstream: str
    verdict: Verdict
    """Of the inequality I(X; downstream) <= I(X; upstream)."""
    usable_bits_change: Estimate
    """Downstream less upstream, on the same held-out rows: bits that the processing made or lost for the probes.

    Positive is no violation: a probe may be helped by what was there before."""
    estimate_change: Estimate | None
    """Downstream less upstream of an estimator that claims the information itself; None where bounds were compared."""

    @property
    def usable_bits_are(self) -> Literal["created", "lost", "neither"]:
        """What the interval of the change says."""
        if self.usable_bits_change.low_bits > 0.0:
            return "created"
        return "lost" if self.usable_bits_change.high_bits < 0.0 else "neither"


@dataclass(frozen=True, repr=False)
class ChainCheck(SavedResult):
    """Figures of each stage and verdict of each link; prints as a table."""

    names: tuple[str, ...]
    """The stages, upstream first."""
    estimates: tuple[Estimate, ...]
    """Figure of each stage."""
    upper_bounds: tuple[Estimate, ...]
    """The least upper bound known of each stage."""
    links: tuple[Link, ...]
    """Comparison of each stage with the next."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Verdicts of the links, in order."""
        return tuple(link.verdict for link in self.links)

    def to_frame(self) -> pd.DataFrame:
        """One row a stage; the verdict and the change are of the link that leads to it, and missing for the first."""
        rows = []
        for name, estimate, upper, link in self._stages():
            row = [name, estimate.value_bits, estimate.low_bits, estimate.high_bits, estimate.kind]
            row += [upper.high_bits, upper.method]
            if link is not None:
                change = link.usable_bits_change
                row += [link.verdict, change.value_bits, change.low_bits, change.high_bits, link.usable_bits_are]
            rows.append(row + [None] * (len(CHAIN_COLUMNS) - len(row)))
        return pd.DataFrame(rows, columns=CHAIN_COLUMNS)

    def plot(self, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """The bits of each stage with its interval and upper bound, and the verdict on each link.

        Args:
            ax: Axes to draw into; by default those of a new figure, which shows itself in a notebook.

        Returns:
            The axes.
        """
        from infodil.plots import chain_stages

        return chain_stages(self.to_frame(), ax=ax)

    def __str__(self) -> str:
        head = f"{'stage':<24} {'bits':>8} {'interval':>18} {'at most':>8}"
        lines = [f"{head}   usable bits      data-processing inequality"]
        for name, estimate, upper, link in self._stages():
            ends = f"[{estimate.low_bits:.3f}, {estimate.high_bits:.3f}]"
            line = f"{name[:24]:<24} {estimate.value_bits:>8.3f} {ends:>18} {upper.high_bits:>8.3f}"
            if link is not None:
                are = link.usable_bits_are if link.usable_bits_are in ("created", "lost") else ""
                line += f"   {link.usable_bits_change.value_bits:+.3f} {are:<9} {link.verdict}"
            lines.append(line)
        change = self.links[0].usable_bits_change
        lines.append(f"{change.samples:,} samples; each interval at {change.confidence:.1%}, for all links together")
        return "\n".join(lines)

    def _stages(self) -> Iterator[tuple[str, Estimate, Estimate, Link | None]]:
        """Each stage with the link that leads to it."""
        return zip(self.names, self.estimates, self.upper_bounds, (None, *self.links), strict=True)

    __repr__ = __str__


def check_chain(
    source: Shaped[ndarray, "..."] | Shaped[Tensor, "..."],
    stages: Iterable[Any],
    *,
    groups: Shaped[ndarray, "..."] | Shaped[Tensor, "..."] | None = None,
    seed: SupportsIndex = 0,
    confidence: float = 0.95,
    probe: str | Probe = AUTO,
    estimator: Estimator | None = None,
    upper: Mapping[str, Estimate | float] | None = None,
) -> ChainCheck:
    r"""Check of a chain of stages against :math:`I(X; g(H)) \le I(X; H)`, true of all that is computed from H alone.

    The inequality is about mutual information, so a violation says that a stage is not computed from the one before, or
    that an estimator is broken. Each stage has a figure from below (by default `infodil.mi.lower_bound`) and the least
    of what is known from above: the entropy of the source; for a stage of few values the corrected plug-in information
    of `infodil.mi.discrete_bounds`; `upper`; and the estimator's own interval where it claims the information itself.
    For the link from U to D:

    - *violated by more than its uncertainty*: the low end for D is above the high end for U; or an estimator of kind
      "estimate" gives D more than U, beyond the interval of their paired difference.
    - *holds*: the low end for U is at least the high end for D; or that paired difference is at most zero over all of
      its interval. It says that the figures show the inequality, not that the stages are a chain.
    - *cannot be told*: neither. Two lower bounds cannot be told apart: the one upstream may just be farther from the
      truth. No test can do without bounds from above, for stages that are not finite or a noise that is not known
      (Shah and Peters 2020).

    Usable bits are another question: what the probes get out of a stage may grow under processing (a nonlinear map
    helps a linear probe), which is no violation, and is given as bits created or lost for each link. They are read on
    the same held-out rows at each stage, by probes that were trained alike, and the difference is resampled by group.

    A correct chain with sound bounds is accused with probability `1 - confidence` at most, whatever the number of
    links: each interval has the level `1 - (1 - confidence) / links`, and each of the two ends that a link rests on
    fails with half of what is left. (Of an estimator of your own four ends are looked at, each with a quarter.) Its
    paired difference is taken with the delete-a-part jackknife and Student's t: where its bias differs between stages
    by more than this interval, it is the bias that is accused.

    Args:
        source: Integer tokens, `[samples]`.
        stages: `(name, states [samples, dim])`, upstream first, at least two; whole numbers are taken as numbers.
        groups: Document of each row; see `infodil.mi.lower_bound`.
        seed: The same seed gives the same answer.
        confidence: Least probability that a correct chain is not accused.
        probe: Strongest probe of those fitted, as in `infodil.mi.lower_bound`.
        estimator: Estimator to be tested in place of the built-in ones: called as `estimator(tokens, states,
            groups=groups, seed=seed, confidence=confidence)` it returns an `Estimate`, whose `kind` says what it
            claims.
        upper: Further upper bounds by name of the stage, in bits.

    Returns:
        The figures of each stage, and a verdict and the bits created or lost for each link.

    Raises:
        UserError: An argument is not as `infodil.mi.lower_bound` asks, there are fewer than two stages or two of one
            name, or an upper bound names no stage.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 2.8.1; Xu et al. (2020), A theory of usable
        information under computational constraints, section 3, for what may grow; Shah and Peters (2020), The hardness
        of conditional independence testing; Efron and Stein (1981), The jackknife estimate of variance.

    Example:
        >>> tokens = torch.arange(4).repeat(500)
        >>> one_hot, halved = torch.eye(4)[tokens], (tokens[:, None] // 2).double()
        >>> check = check_chain(tokens, [("one-hot", one_hot), ("halved", halved)])
        >>> check.verdicts, round(check.links[0].usable_bits_change.value_bits)
        (('holds',), -1)
    """
    choice = choose_probe(probe)
    seed = check_seed(seed)
    check_confidence(confidence)
    tokens, stages = check_tokens(source), check_stages(stages)
    names = tuple(str(name) for name, _ in stages)
    states = [check_stage(name, values, len(tokens)) for name, values in stages]
    group = check_groups(groups, len(tokens))
    bounds = check_upper(upper, names)

    level = 1.0 - (1.0 - confidence) / (len(stages) - 1) / (1 if estimator is None else 2)
    held = hold_out(tokens, first_numbers(states), group, seed)
    labels = pool_rare(tokens, held)
    with torch.no_grad():
        pilots = held.pilots() if choice.requested is None else []
        predicted = [cross_fit(labels, each, held.folds(), choice, seed, pilots) for each in states]
    certified = [certify(each, held, level) for each in predicted]
    known = [known_upper(tokens, each, held, seed, level) for each in states]
    uppers = [
        min([one, *bounds.get(name, [])], key=lambda each: each.high_bits)
        for name, one in zip(names, known, strict=True)
    ]

    def estimate(rows: ndarray) -> list[Estimate]:
        part = None if group is None else group[rows]
        return [
            estimator(tokens[rows], each.numpy()[rows], groups=part, seed=seed, confidence=level) for each in states
        ]

    estimates = certified if estimator is None else estimate(np.arange(len(tokens)))
    changes: list[Estimate | None] = [None] * (len(stages) - 1)
    if all(each.kind == "estimate" for each in estimates):
        changes = jackknife_change(estimates, estimate, held, level)
    links = []
    for place, change in enumerate(changes):
        up, down = place, place + 1
        verdict = judge(
            floor_of(estimates[up], certified[up]), min(uppers[up].high_bits, ceiling_of(estimates[up])),
            floor_of(estimates[down], certified[down]), min(uppers[down].high_bits, ceiling_of(estimates[down])),
            change,
        )  # fmt: skip
        usable = usable_change(predicted[up].gain, predicted[down].gain, held.select(predicted[down].rows), level)
        links.append(Link(names[up], names[down], verdict, usable, change))
    return ChainCheck(names, tuple(estimates), tuple(uppers), tuple(links))


def judge(up_low: float, up_high: float, down_low: float, down_high: float, change: Estimate | None) -> Verdict:
    """The verdict on one link, from the ends of what is claimed of both stages and of their difference, bits."""
    if down_low > up_high or (change is not None and change.low_bits > 0.0):
        return VIOLATED
    if up_low >= down_high or (change is not None and change.high_bits <= 0.0):
        return HOLDS
    return OPEN


def floor_of(estimate: Estimate, certified: Estimate) -> float:
    """The low end of what an estimate claims; where it is an upper bound, that of the probes."""
    return certified.low_bits if estimate.kind == "upper bound" else estimate.low_bits


def ceiling_of(estimate: Estimate) -> float:
    """The high end of what an estimate claims; a lower bound claims none."""
    return np.inf if estimate.kind == "lower bound" else estimate.high_bits


def usable_change(upstream: ndarray, downstream: ndarray, held: HeldOut, confidence: float) -> Estimate:
    """Bits that probes gain over the prior downstream less those upstream, row by row.

    Probes learn by chance, too, which rows that are drawn again do not show: where folds differ by more than that,
    the interval is Student's over folds.
    """
    change = downstream - upstream
    value = float(change.mean()) * BITS_PER_NAT
    reach = held.clusters(change).half_width(change, confidence) * BITS_PER_NAT
    fold = held.fold[held.cluster]
    centre, fold_low, fold_high = mean_interval([change[fold == each].mean() for each in np.unique(fold)], confidence)
    low = min(value - reach, value - (centre - fold_low) * BITS_PER_NAT)
    high = max(value + reach, value + (fold_high - centre) * BITS_PER_NAT)
    return Estimate(value, low, high, confidence, samples=len(change), method="usable bits, paired on held-out rows")


def first_numbers(states: Sequence[Tensor]) -> Tensor:
    """A few numbers of each stage side by side: what is looked at to see whether rows depend on each other."""
    few = max(1, 16 // len(states))
    return torch.cat([each[:, :few].double() for each in states], 1)


def check_stages(stages: Any) -> list[tuple[Any, Any]]:
    """The stages as a list; raise `UserError` unless they are at least two, of different names."""
    if not isinstance(stages, Iterable) or isinstance(stages, str | Mapping):
        raise UserError("`stages` must be pairs (name, states): pass a list of them, upstream first.")
    stages = list(stages)
    if any(not isinstance(stage, tuple | list) or len(stage) != 2 for stage in stages):
        raise UserError("`stages` must be pairs (name, states): pass a list of them, upstream first.")
    if len(stages) < 2:
        raise UserError(f"`stages` must be at least 2 to have a link, got {len(stages)}: pass them upstream first.")
    names = [str(name) for name, _ in stages]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"`stages` has {name!r} twice: name each stage once.")
    return stages


def check_stage(name: str, values: Any, samples: int) -> Tensor:
    """The states of one stage; a complaint names the stage."""
    try:
        numbers = read_array("states", values)[0]
        return check_states(numbers if numbers.dtype.kind == "f" else numbers.astype(float), samples)
    except UserError as error:
        raise UserError(str(error).replace("`states`", f"`stages` {name!r}", 1)) from None


def check_upper(upper: Mapping[str, Estimate | float] | None, names: Sequence[str]) -> dict[str, list[Estimate]]:
    """The upper bounds by stage, as estimates."""
    found = {}
    for name, bound in (upper or {}).items():
        if name not in names:
            raise UserError(f"`upper` has {name!r}, which is no stage{near_matches(name, names)}")
        if isinstance(bound, Estimate) and bound.kind == "lower bound":
            raise UserError(f"`upper` has a lower bound for {name!r}: pass an upper one.")
        if not isinstance(bound, Estimate):
            check_between(f"upper[{name!r}]", bound, 0.0, float("inf"))
            bound = Estimate(float(bound), float(bound), float(bound), kind="upper bound", method="given")
        found[name] = [bound]
    return found
