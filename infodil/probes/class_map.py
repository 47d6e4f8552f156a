"""The map from types to the classes that probes tell apart, and the smoothed unigram prior."""

__all__ = ["ClassMap", "fit_class_map", "most_classes"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

MIN_OCCURRENCES = 5
"""A type seen less often in training has no usable class mean: the prior speaks for it."""

MOST_CLASSES = 4096
"""Types modelled one by one whatever memory they take, the most frequent first."""

CEILING_CLASSES = 55_000
"""Classes at most: four class numbers must fit 63 bits (`BackwardNgram`)."""

TRAINING_BYTES = 3 * 10**9
"""Memory of the weights of softmax heads, their gradient and the two moments of Adam, all sites together."""

MANY_CLASSES = 1024
"""Classes from which on their number is made a multiple of `CLASS_MULTIPLE`."""

CLASS_MULTIPLE = 8
"""What the number of many classes is a multiple of: at others matrix products are slower, on a GPU by several times. A
few of the rarest types go into the pool for it."""

PSEUDO_COUNTS = (1e-3, 1e-2, 0.1, 0.5, 1.0)
"""Additive smoothing tried on the calibration split."""


@dataclass(frozen=True)
class ClassMap:
    """A partition of the vocabulary: the types modelled one by one, and one pool for the types seen too rarely.

    Inside the pool a probe predicts by the prior: `q(type | state) = q(pool | state) p(type) / p(pool)`, so every
    probe is a normalised distribution over the whole vocabulary and contains the prior. This is a frequency-adaptive
    output of two levels: weights are spent where rows are, and the tail, which has too few rows for weights of its
    own (fewer than five each, or beyond what memory allows), costs one class.

    Reference:
        Morin and Bengio (2005), Hierarchical probabilistic neural network language model; Grave et al. (2017),
        Efficient softmax approximation for GPUs, whose tail clusters are this pool with weights inside.
    """

    of_type: Int[Tensor, "vocabulary"]
    """The class of each type; the pool, where there is one, is the last class."""
    log_prior: Float[Tensor, "vocabulary"]
    """Smoothed unigram log-probability of each type, nats."""
    class_log_prior: Float[Tensor, "classes"]
    """The same summed over each class, nats."""
    pool: Float[Tensor, "pooled"]
    """Log-probability of each pooled type within the pool, ascending, nats."""

    @property
    def number(self) -> int:
        """Number of classes, the pool included."""
        return len(self.class_log_prior)

    @property
    def modelled(self) -> int:
        """Number of types that are modelled one by one."""
        return self.number - (len(self.pool) > 0)

    def log_within(self, types: Int[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
        """Log-probability of each type within its class, nats: zero for a type that is modelled."""
        return self.log_prior[types] - self.class_log_prior[self.of_type[types]]

    def ranks(
        self, logits: Float[Tensor, "rows classes"], types: Int[Tensor, "rows"]
    ) -> tuple[Float[Tensor, "rows"], Float[Tensor, "rows"]]:
        """How many types are likelier than the true one, and how many (itself included) are as likely.

        Args:
            logits: Class log-probabilities up to a constant of the row.
            types: The true types.
        """
        label = self.of_type[types][:, None]
        true = logits.gather(1, label) + self.log_within(types)[:, None]
        modelled = logits[:, : self.modelled]
        # Counted in int32, which takes a sixth of the time of torch's own choice, int64.
        greater = (modelled > true).sum(1, dtype=torch.int32)
        equal = (modelled >= true).sum(1, dtype=torch.int32) - greater
        if len(self.pool):
            within = (true - logits[:, self.modelled :]).squeeze(1)
            # A pooled type's own threshold is recomputed exactly: rounding must not rank it below its equals.
            within = torch.where(label.squeeze(1) == self.modelled, self.log_within(types), within).contiguous()
            above = len(self.pool) - torch.searchsorted(self.pool, within, right=True)
            as_likely = len(self.pool) - torch.searchsorted(self.pool, within) - above
            greater, equal = greater + above, equal + as_likely
        return greater.float(), equal.clamp(min=1).float()


def most_classes(targets: int, dim: int) -> int:
    """Number of types to model one by one at most, so that a softmax head of each target can be trained.

    Args:
        targets: Number of heads.
        dim: Numbers in a state, or in the states of all sites together where they are trained side by side.

    Returns:
        What fits into 3 GB (sixteen bytes for each target, number and class), but 4,096 at least and 55,000 at most.

    Example:
        >>> most_classes(17, 128), most_classes(17, 768), most_classes(17, 8 * 768)
        (55000, 14361, 4096)
    """
    return min(CEILING_CLASSES, max(MOST_CLASSES, TRAINING_BYTES // (16 * targets * dim)))


def fit_class_map(
    train_counts: Int[Tensor, "vocabulary"],
    calibration_counts: Int[Tensor, "vocabulary"],
    *,
    fewest: int = MIN_OCCURRENCES,
    most: int = MOST_CLASSES,
) -> ClassMap:
    """A class map whose types are chosen by training counts and whose prior is smoothed by the calibration split.

    `p(x) = (n_x + a) / (N + a vocabulary)`, with the `a` of least calibration cross-entropy (Lidstone smoothing).

    Args:
        train_counts: Occurrences of each type in the training split.
        calibration_counts: Occurrences of each type in the calibration split.
        fewest: Training occurrences from which on a type is modelled.
        most: Types modelled at most, the most frequent first.

    Returns:
        The map and the smoothed prior.

    Reference:
        Lidstone (1920), Note on the general case of the Bayes-Laplace formula for inductive probabilities.
    """
    counts = train_counts.double()
    trials = [torch.log((counts + a) / (counts + a).sum()) for a in PSEUDO_COUNTS]
    losses = [-(calibration_counts * trial).sum() for trial in trials]
    log_prior = trials[int(torch.stack(losses).argmin())]

    order = torch.argsort(train_counts, descending=True, stable=True)
    frequent = order[: min(most, int((train_counts >= fewest).sum()))]
    number = len(frequent) + (len(frequent) < len(counts))
    if len(frequent) >= MANY_CLASSES and number % CLASS_MULTIPLE:
        frequent = frequent[: number // CLASS_MULTIPLE * CLASS_MULTIPLE - 1]
    rare = torch.ones(len(counts), dtype=torch.bool)
    rare[frequent] = False
    of_type = torch.full((len(counts),), len(frequent))
    of_type[frequent] = torch.arange(len(frequent))
    class_log_prior = log_prior[frequent]
    pool = torch.empty(0, dtype=torch.float64)
    if rare.any():
        pooled = torch.logsumexp(log_prior[rare], 0, keepdim=True)
        class_log_prior = torch.cat([class_log_prior, pooled])
        pool = torch.sort((log_prior.float() - pooled.float())[rare].float()).values
    return ClassMap(of_type, log_prior.float(), class_log_prior.float(), pool.float())
