"""Tables of the study of the EMA language model: losses, ratios, their trend, and the gap, from what its cells kept.

Losses are in nats a token; floating-point operations are those of matrix products.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import t as student
from torch.utils.flop_counter import FlopCounterMode

from infodil.estimate import BITS_PER_NAT
from infodil.lm import LanguageModel, TextLoss, named_config
from infodil.processing import compare_losses

TERMS = {"gap": ("model", "reference"), "underfit": ("model", "refitted"), "held": ("refitted", "stronger"),
         "lost": ("stronger", "reference")}  # fmt: skip
"""Each term is the loss of the first less that of the second."""


def as_lists(loss):
    """A loss as JSON has it."""
    return {name: values.tolist() for name, values in vars(loss).items() if values is not None}


def as_loss(lists):
    """The loss again."""
    return TextLoss(**{name: np.array(values) for name, values in lists.items()})


def flops_per_token(family, size, vocabulary, window):
    """Floating-point operations of the matrix products, forward and backward, for a training token.

    Of dense products, as they are run: the sparse feed-forward layer could leave most of its second product out.
    """
    built = named_config(family, size, vocabulary=vocabulary, context=window)
    model = LanguageModel(built, device="meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, window, dtype=torch.long, device="meta")).sum().backward()
    return counter.get_total_flops() / window


def loss_rows(rows, vocabulary, window):
    """One row a model and held-out text."""
    flops = {
        pair: flops_per_token(*pair, vocabulary, window) for pair in {(row["family"], row["size"]) for row in rows}
    }
    table = []
    for row in rows:
        shared = {name: value for name, value in row.items() if name != "losses"}
        shared["training_flops_per_token"] = flops[row["family"], row["size"]]
        shared["tokens_per_second"] = row["tokens"] / row["training_seconds"]
        for text, lists in row["losses"].items():
            loss = as_loss(lists)
            numbers = {name: getattr(loss, name) for name in ("loss_nats", "perplexity", "bits_per_byte")}
            counts = {"documents": len(loss.tokens), "held_out_tokens": int(loss.tokens.sum())}
            table.append(shared | {"text": text} | numbers | counts)
    return table


class Point(NamedTuple):
    """Where losses are compared."""

    family: str
    size: str
    parameters: int
    tokens: int
    text: str


def compare(rows, margin_nats):
    """Loss of every family less attention's at the same size, budget and text, paired by seed and document."""
    losses = {}
    for row in rows:
        for text, lists in row["losses"].items():
            point = Point(row["family"], row["size"], row["parameters"], row["tokens"], text)
            losses.setdefault(point, []).append(as_loss(lists))
    attention = {(at.size, at.tokens, at.text): some for at, some in losses.items() if at.family == "attention"}
    return {
        at: compare_losses(some, attention[at.size, at.tokens, at.text], margin_nats=margin_nats)
        for at, some in losses.items()
        if at.family != "attention"
    }


def ratio_rows(differences):
    """Perplexity over attention's, with intervals over documents and seeds."""
    return [
        at._asdict()
        | {
            "seeds": len(difference.seed_values_nats),
            "ratio": math.exp(difference.value_nats),
            "low": math.exp(difference.low_nats),
            "high": math.exp(difference.high_nats),
            "difference_nats": difference.value_nats,
            "seed_values_nats": spaced(difference.seed_values_nats),
            "verdict": difference.verdict,
        }
        for at, difference in differences.items()
    ]


def trend_rows(differences):
    """What a doubling of tokens or of parameters multiplies the ratio of traces to attention by.

    Least squares of the log ratio, `a + b log2(tokens) + c log2(parameters)` over all sizes or without the last term at
    one, for each seed; the interval is Student's over seeds, on these documents. `misfit_nats` is how far the measured
    log ratios, means over seeds, lie from the line: a trend that bends has more than the seeds explain.
    """
    rows = []
    for text in sorted({at.text for at in differences}):
        mine = {at: difference for at, difference in differences.items() if (at.family, at.text) == ("spen", text)}
        sizes = sorted({at.size for at in mine})
        for among in (sizes, *([size] for size in sizes)):
            some = {at: difference for at, difference in mine.items() if at.size in among}
            varied = ("tokens", "parameters") if len(among) > 1 else ("tokens",)
            columns = [np.log2([getattr(at, name) for at in some]) for name in varied]
            inputs = np.column_stack([*columns, np.ones(len(some))])
            values = np.array([difference.seed_values_nats for difference in some.values()])  # [points, seeds]
            solved = np.linalg.lstsq(inputs, values)[0]
            misfit = float(np.sqrt(np.mean((values - inputs @ solved).mean(1) ** 2)))
            shared = {"text": text, "sizes": " ".join(among), "seeds": values.shape[1], "points": len(some)}
            rows += [
                shared | {"effect": f"each doubling of {name}"} | over_seeds(slopes) | {"misfit_nats": misfit}
                for name, slopes in zip(varied, solved, strict=False)
            ]
    return rows


def over_seeds(slopes):
    """The factor that slopes of a logarithm stand for, with Student's 95% interval of their mean."""
    reach = student.ppf(0.975, len(slopes) - 1) * slopes.std(ddof=1) / math.sqrt(len(slopes))
    ends = {"ratio_factor": 0.0, "low": -reach, "high": reach}
    return {name: math.exp(slopes.mean() + shift) for name, shift in ends.items()}


def gap_rows(cells, margin_nats):
    """The terms of every seed, with intervals over documents, and of all seeds, with intervals over both."""
    rows = []
    for cell in cells:
        losses = {f"{name}_loss_nats": as_loss(lists).loss_nats for name, lists in cell["losses"].items()}
        rows += [{"seed": cell["seed"], "reference": cell["reference"], **row, **losses} for row in cell["rows"]]
    for term, sides in TERMS.items():
        first, second = ([as_loss(cell["losses"][side]) for cell in cells] for side in sides)
        difference = compare_losses(first, second, margin_nats=margin_nats)
        one_seed = next(row for row in cells[0]["rows"] if row["term"] == term)
        bits = difference.estimate
        rows.append(
            {"seed": "all", "reference": cells[0]["reference"], "term": term, "meaning": one_seed["meaning"]}
            | {name: getattr(bits, name) for name in ("value_bits", "low_bits", "high_bits")}
            | {"value_nats": difference.value_nats, "kind": one_seed["kind"]}
            | {"seed_values_bits": spaced(BITS_PER_NAT * value for value in difference.seed_values_nats)}
        )
    return rows


def spaced(values):
    """Numbers in one field."""
    return " ".join(f"{value:.4f}" for value in values)
