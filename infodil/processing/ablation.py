"""Does a stronger predictor of the same traces lower the loss? The paper's ablation, with a verdict."""

__all__ = ["PredictorAblation", "ablate_predictor"]

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from infodil.checks import UserError, check_not_empty, check_one_of, check_whole, write_whole
from infodil.corpus import Split, Tokens
from infodil.lm import (
    LOOKS_AT,
    PREDICTORS,
    SIZES,
    LanguageModel,
    RunText,
    TextLoss,
    load_checkpoint,
    named_config,
    score_text,
    train_language_model,
)
from infodil.processing.frozen_heads import TracePredictor
from infodil.processing.pages import ablation_page
from infodil.processing.paired_losses import LossDifference, compare_losses
from infodil.report import SavedResult

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

WAYS = {"end to end": "the whole model is trained with it", "frozen traces": "it alone reads traces of a trained model"}


@dataclasses.dataclass(frozen=True)
class PredictorAblation(SavedResult):
    """Losses of every predictor, and how each differs from the baseline."""

    losses: dict[tuple[str, str], tuple[TextLoss, ...]] = dataclasses.field(repr=False)
    """Way (`end to end`, `frozen traces`) and predictor -> one loss a seed."""
    differences: dict[tuple[str, str], LossDifference]
    """Way and predictor -> its loss less that of the baseline, paired by document and seed."""
    parameters: dict[tuple[str, str], int]
    """Of the trained part."""
    looks_at: dict[str, str]
    """Over what each predictor may look."""
    baseline: str
    seeds: tuple[int, ...]
    tokens: int
    """Training tokens of each run."""

    def rows(self) -> list[dict[str, Any]]:
        """One row a way and predictor, tidy."""
        rows = []
        for (way, predictor), losses in self.losses.items():
            difference = self.differences.get((way, predictor))
            row = {
                "way": way,
                "predictor": predictor,
                "looks_at": self.looks_at[predictor],
                "parameters": self.parameters[way, predictor],
                "tokens": self.tokens,
                "seeds": len(losses),
                "loss_nats": float(np.mean([loss.loss_nats for loss in losses])),
            }
            if difference is not None:
                row |= {
                    "difference_nats": difference.value_nats,
                    "low_nats": difference.low_nats,
                    "high_nats": difference.high_nats,
                    "document_low_nats": difference.document_low_nats,
                    "document_high_nats": difference.document_high_nats,
                    "seed_values_nats": " ".join(f"{value:.4f}" for value in difference.seed_values_nats),
                    "margin_nats": difference.margin_nats,
                    "verdict": difference.verdict,
                    "documents": difference.documents,
                    "falls_short": falls_short(predictor, self.baseline, difference),
                }
            rows.append(row)
        return rows

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def plot(self, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """The differences of loss with their intervals.

        Args:
            ax: Axes to draw into; by default those of a new figure, which shows itself in a notebook.

        Returns:
            The axes.
        """
        from infodil.plots import difference_intervals

        return difference_intervals(self.to_frame(), ax=ax)

    def to_html(self, path: str | Path, *, lead: str = "predictors of the same traces") -> Path:
        """Write the losses and verdicts as one page that opens without a network.

        Args:
            path: The file.
            lead: What was trained.
        """
        return write_whole(path, ablation_page(self, WAYS, lead))

    def __str__(self) -> str:
        lines = [f"Loss in nats a token, and less that of {self.baseline!r} ({len(self.seeds)} seeds)"]
        for row in self.rows():
            difference = self.differences.get((row["way"], row["predictor"]))
            told = "baseline" if difference is None else str(difference)
            lines.append(f"{row['way']:14} {row['predictor']:18} {row['loss_nats']:.3f}  {told}")
            lines.append(f"{'':14} looks at {row['looks_at']}")
            if row.get("falls_short"):
                lines.append(f"{'':14} and does worse: unfitted at this budget, not a sign that less is there")
        return "\n".join(lines)


def ablate_predictor(
    text: Any,
    *,
    size: str = "1m",
    predictors: Iterable[str] = PREDICTORS,
    ways: Sequence[str] = tuple(WAYS),
    baseline: str = "linear",
    tokens: int = 400_000,
    seeds: Sequence[int] = (0, 1, 2),
    margin_nats: float | int = 0.02,
    confidence: float | int = 0.95,
    batch_size: int = 8,
    peak_rate: float | int | None = None,
    test: Split | None = None,
    folder: str | Path | None = None,
    device: str = "cpu",
    progress: bool = True,
    **changes: Any,
) -> PredictorAblation:
    """Train the EMA language model with predictors of rising power, end to end and on the frozen traces of one model.

    All runs see the same windows in the same order (seed by seed) and models have equal parameters; on frozen traces,
    those of the first block of the baseline's model of each seed, what is trained is the predictor, a mix and an output
    matrix. A predictor over past traces is not bounded by what one trace holds, as their history determines every
    token; `looks_at` says over what each may look.

    Args:
        text: `Tokens` or a `RunText`.
        size: Size of the models, one of `SIZES`.
        predictors: Predictors to compare, of `PREDICTORS`.
        ways: What is trained: `end to end`, `frozen traces`, or both.
        baseline: Predictor that the others are compared with.
        tokens: Training tokens of each run.
        seeds: Seeds of weights and windows, one for each run.
        margin_nats: The largest difference that counts as none.
        confidence: Confidence level of intervals and tests.
        batch_size: Rows in a step.
        peak_rate: Highest learning rate of every run; by default that of the size.
        test: Split on which losses are compared; by default the test split of the text.
        folder: Folder of checkpoints and losses; what it has already is not run again.
        device: Device of the training.
        progress: Whether bars are shown.
        changes: Values of other fields of `LanguageModelConfig`, such as `context` or `layers`.

    Returns:
        Losses and their differences from the baseline.

    Raises:
        UserError: A name is unknown, or the text is too short.

    Reference:
        Singh (2026), arXiv 2604.08556, whose abstract reports the same loss for a linear predictor and full softmax
        attention over the traces; Schuirmann (1987) for the equivalence test.
    """
    chosen = list(dict.fromkeys([baseline, *predictors]))
    for name in chosen:
        check_one_of("predictors", name, PREDICTORS)
    check_one_of("size", size, SIZES)
    check_not_empty("ways", ways, "pass 'end to end', 'frozen traces' or both")
    for way in ways:
        check_one_of("ways", way, WAYS)
    check_not_empty("seeds", seeds, "pass at least one, better three")
    check_whole("tokens", tokens, 1, "pass the training tokens of each run")
    if not isinstance(text, Tokens | RunText):
        raise UserError(f"`text` must be tokenised, got {type(text).__name__}: pass what `prepare_text` gives.")
    test = text.splits["test"] if test is None else test
    losses: dict[tuple[str, str], list[TextLoss]] = {}
    parameters: dict[tuple[str, str], int] = {}
    rate = SIZES[size].peak_rate if peak_rate is None else peak_rate
    options = {"tokens": tokens, "batch_size": batch_size, "peak_rate": rate, "progress": progress}
    for seed in seeds:
        base = None
        for predictor in chosen:
            built = named_config("spen", size, vocabulary=text.vocabulary, predictor=predictor, **changes)
            runs: list[tuple[str, nn.Module]] = []
            if "end to end" in ways or predictor == baseline:
                model = LanguageModel(built, seed=seed).to(device)
                runs.append(("end to end", model))
                base = model if predictor == baseline else base
            if "frozen traces" in ways:
                runs.append(("frozen traces", None))
            for way, module in runs:
                # Made once the baseline is trained.
                module = TracePredictor(base, predictor, seed=seed) if module is None else module
                place = None if folder is None else Path(folder) / f"{way.split()[0]}-{predictor}-{seed}"
                name = f"{predictor}, {way}, seed {seed}"
                loss = trained_loss(module, text, test, built.context, seed, place, name, options)
                losses.setdefault((way, predictor), []).append(loss)
                parameters[way, predictor] = sum(weight.numel() for weight in module.parameters())
    losses = {key: tuple(value) for key, value in sorted(losses.items(), key=order(chosen)) if key[0] in ways}
    differences = {
        (way, predictor): compare_losses(found, losses[way, baseline], margin_nats=margin_nats, confidence=confidence)
        for (way, predictor), found in losses.items()
        if predictor != baseline
    }
    told = {name: LOOKS_AT[name].format(**dataclasses.asdict(built)) for name in chosen}
    return PredictorAblation(losses, differences, parameters, told, baseline, tuple(seeds), tokens)


def falls_short(predictor: str, baseline: str, difference: LossDifference) -> bool:
    """Whether a predictor that reads at least the same traces does worse beyond its interval: a fit, not a finding."""
    rising = PREDICTORS[:-1]  # the control reads no trace
    stronger = predictor in rising and baseline in rising and rising.index(predictor) > rising.index(baseline)
    return stronger and difference.low_nats > 0


def order(chosen: Sequence[str]) -> Any:
    """A key that puts ways together, and predictors in their order."""
    return lambda item: (list(WAYS).index(item[0][0]), chosen.index(item[0][1]))


def trained_loss(
    module: nn.Module,
    text: Any,
    test: Split,
    window: int,
    seed: int,
    folder: Path | None,
    words: str,
    options: dict[str, Any],
) -> TextLoss:
    """Train in place and score, or read both back where that was done before."""
    checkpoint = None if folder is None else folder / "checkpoint.safetensors"
    record = None if folder is None else folder / "documents.json"
    if record is not None and record.exists():
        load_checkpoint(checkpoint).restore(module)
        module.eval()
        return TextLoss(*(np.array(values) for values in json.loads(record.read_text(encoding="utf-8")).values()))
    train, calibration = (text.splits[side].tokens for side in ("train", "calibration"))
    train_language_model(
        module, train, calibration[: 50 * window + 1], window=window, seed=seed, checkpoint=checkpoint, words=words,
        **options,
    )  # fmt: skip
    loss = score_text(module, test, window=window)
    if record is not None:
        write_whole(record, json.dumps({"nats": loss.nats.tolist(), "tokens": loss.tokens.tolist()}))
    return loss
