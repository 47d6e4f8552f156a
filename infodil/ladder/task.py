"""The prediction task of a report: labels of each split, the classes told apart, and a model of the context."""

__all__ = ["LagTask", "check_counts", "count_labels", "make_labels"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError
from infodil.corpus import Tokens
from infodil.ladder.calibration import CALIBRATION_ROWS
from infodil.ladder.labels import LagLabels, positions
from infodil.probes import CONTEXT_TOKENS, BackwardNgram, ClassMap, ContextModel, fit_class_map, most_classes

FEWEST_TEST_TOKENS = 32
"""Fewer test tokens than this give no interval worth its name."""


@dataclass(frozen=True, eq=False)
class LagTask:
    """Labels, classes and context of the tokens at some lags; target 0 is the control of shuffled documents."""

    lags: tuple[int, ...]
    labels: Mapping[str, LagLabels]
    """By split."""
    counts: Mapping[str, Int[ndarray, "targets vocabulary"]]
    """Number of labels of each type, by split."""
    classes: ClassMap
    contexts: Mapping[str, ContextModel]
    """What predicts a token from the tokens after it, without a state, by name."""
    calibration_rows: Int[ndarray, "rows"]
    """Positions of the calibration split on which every choice is made."""

    @classmethod
    def fit(
        cls,
        tokens: Tokens,
        labels: Mapping[str, LagLabels],
        counts: Mapping[str, Int[ndarray, "targets vocabulary"]],
        *,
        dim: int,
        device: torch.device,
        generator: np.random.Generator,
    ) -> "LagTask":
        """Choose classes, calibration rows and the length of the context on the training and calibration splits.

        Args:
            tokens: The corpus.
            labels: Labels of each split.
            counts: Number of labels of each type, by split.
            dim: Numbers in a state, all sites together: what softmax heads cost.
            device: Device of the probes.
            generator: Source of the calibration rows.
        """
        lags = labels["train"].lags
        classes = fit_class_map(
            torch.from_numpy(counts["train"][0]),
            torch.from_numpy(counts["calibration"][0]),
            most=most_classes(1 + len(lags), dim),
        )
        classes = replace(classes, **{field.name: getattr(classes, field.name).to(device) for field in fields(classes)})
        rows = pick_calibration(labels["calibration"], generator)
        context = fit_context(classes, labels["train"], labels["calibration"], rows)
        return cls(lags, labels, counts, classes, {context.name: context}, rows)

    @property
    def targets(self) -> int:
        """Number of targets, the control included."""
        return 1 + len(self.lags)

    @property
    def modelled_share(self) -> float:
        """Share of the training tokens whose type is a class of its own."""
        counts = self.counts["train"][0]
        return float(counts[self.classes.of_type.cpu().numpy() < self.classes.modelled].sum() / counts.sum())

    def class_labels(
        self, split: str, index: Int[ndarray, "rows"], position: Int[ndarray, "rows"]
    ) -> Int[Tensor, "targets rows"]:
        """The class at each lag of some positions, on the device of the probes; -1 where there is none."""
        return labels_of(self.classes, self.labels[split].types(index, position))

    def begin_contexts(self, split: str, index: Int[ndarray, "rows"]) -> dict[str, Any]:
        """What the predictions of each context model share at some positions, whatever the lag."""
        newest = self.labels[split].newest(index)
        return {name: context.begin(newest) for name, context in self.contexts.items()}

    def context_log_probs(
        self, begun: Mapping[str, Any], rows: Int[ndarray, "some"], lag: int
    ) -> dict[str, Float[Tensor, "some classes"]]:
        """Log-probability of each class at a lag, given the tokens between it and the state, nats, by context model.

        Args:
            begun: What `begin_contexts` gave.
            rows: Those of its positions that have the lag behind them.
            lag: Number of steps back.
        """
        return {name: context.predict(begun[name], rows, lag) for name, context in self.contexts.items()}


def make_labels(tokens: Tokens, lags: tuple[int, ...], generator: np.random.Generator) -> dict[str, LagLabels]:
    """Labels of each split.

    Args:
        tokens: The corpus.
        lags: Lags in ascending order.
        generator: Source of the rotations of the control.

    Returns:
        Labels by split.
    """
    return {split: LagLabels.of(tokens.splits[split], lags, generator) for split in ("train", "calibration", "test")}


def count_labels(
    tokens: Tokens, labels: Mapping[str, LagLabels], vocabulary: int
) -> dict[str, Int[ndarray, "targets vocabulary"]]:
    """Number of labels of each type, by split.

    Args:
        tokens: The corpus.
        labels: Labels by split.
        vocabulary: Number of types.

    Returns:
        Counts `[targets, vocabulary]` by split.

    Raises:
        UserError: A lag that occurs in no document, too few test tokens, or tokens of one type only.
    """
    counts = {split: split_labels.counts(vocabulary) for split, split_labels in labels.items()}
    check_counts(counts, labels["train"].lags, tokens)
    return counts


def check_counts(counts: Mapping[str, ndarray], lags: Sequence[int], tokens: Tokens) -> None:
    """Raise `UserError` unless every lag occurs in every split and there are two types to tell apart."""
    for split, count in counts.items():
        seen = count.sum(1)
        for target, lag in enumerate(lags, start=1):
            if seen[target] < 2:
                longest = int(tokens.splits[split].lengths.max())
                raise UserError(
                    f"`lags` has {lag}, which is never observed: the longest {split} sequence has {longest} tokens; "
                    "pass smaller lags, longer documents, a larger max_length or pack=True."
                )
    held_out = int(counts["test"][0].sum())
    if held_out < FEWEST_TEST_TOKENS:
        raise UserError(f"`corpus` leaves {held_out} test tokens, too few for an interval: pass more text.")
    types = int((counts["train"][0] > 0).sum())
    if types < 2:
        raise UserError(f"`corpus` has {types} distinct training token: a probe needs at least two classes.")


def pick_calibration(labels: LagLabels, generator: np.random.Generator) -> Int[ndarray, "rows"]:
    """Random positions of the calibration split, half of them with every lag before them where there are so many."""
    place = positions(labels.split)
    deep = generator.permutation(np.flatnonzero(place >= labels.lags[-1]))
    chosen = deep[: CALIBRATION_ROWS // 2]
    rest = np.setdiff1d(generator.permutation(len(place))[: 2 * CALIBRATION_ROWS], chosen)
    rest = generator.permutation(rest)[: CALIBRATION_ROWS - len(chosen)]
    return np.sort(np.concatenate([chosen, rest]))


def fit_context(
    classes: ClassMap, train: LagLabels, calibration: LagLabels, rows: Int[ndarray, "rows"]
) -> BackwardNgram:
    """The backward n-gram, its length chosen on calibration positions that have all following tokens."""
    context = BackwardNgram(classes)
    context.fit(train.split.tokens, train.remaining())
    tokens, remaining = calibration.split.tokens, calibration.remaining()
    hidden = rows[remaining[rows] >= CONTEXT_TOKENS]
    if len(hidden):
        following = tokens[hidden[:, None] + np.arange(1, CONTEXT_TOKENS + 1)]
        context.choose(labels_of(classes, following), labels_of(classes, tokens[hidden]))
    return context


def labels_of(classes: ClassMap, types: Int[ndarray, "*shape"]) -> Int[Tensor, "*shape"]:
    """The class of each type on the device of the probes; -1 stays -1."""
    known = torch.from_numpy(np.asarray(types, dtype=np.int64)).to(classes.of_type.device)
    return torch.where(known >= 0, classes.of_type[known.clamp(min=0)], -1)
