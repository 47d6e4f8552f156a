"""What the finished cells of `analyses.lm_budgets` say of the paper's claims on language models, sentence by sentence.

Four tables from that one: perplexity of every family over the stronger attention's at each size and budget; where in
the text the difference lies (position, recall, frequency, kind of byte); the scaling law of each family and the ratio
that it predicts; and the verdicts, each with its interval, the conditions it holds under and what would change it. All
of it is computed from the table, and changes as cells are added.

    python -m analyses.lm_verdicts
"""

import itertools
import math
from dataclasses import asdict, dataclass

import numpy as np

from analyses.cells import Finished, Study, options_parser
from analyses.lm_compare import baselines, difference_of, points_of, where_rows
from analyses.lm_scaling import Cells, ScalingLaw, fit_law, held_out_errors, predict_ratio
from analyses.provenance import read_table, table_files
from infodil.checks import UserError

TABLE = "lm_budgets"
RESULT = "c4"
"""The text that the paper's perplexity is of."""
MEANINGS = {"ema_tokens": "traces of token vectors", "ema_stream": "traces of the stream"}


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    margin_nats: float = 0.02
    """Losses of a byte that differ by less are the same."""
    bytes_per_token: float = 4.4
    """Of English web text in GPT-2's tokens: what turns a ratio per byte into one per token."""
    paper_ratio: float = 8.0
    """Perplexity of the paper's model over GPT-2's."""
    scales: tuple[tuple[float, float], ...] = ((1e6, 2e7), (1e7, 2e8), (1e8, 2e9), (130e6, 8e9))
    """Parameters and tokens of which the ratio is predicted; the last is the paper's model."""
    draws: int = 200
    made_up: bool = False
    """Whether the cells are those of a law that is known, to try the script: no table is read."""
    recall: int = 5
    """Depth from which a byte counts as recalled: most of a word stands before it as it did before."""


# Tables


def ratio_rows(points, stronger, config):
    """Perplexity of each family over the stronger attention's."""
    rows = []
    for point, families in points.items():
        base = stronger.get(point[:-1])
        for family, runs in families.items():
            if base is None or family in ("attention", "rotary") or not set(runs) & set(families.get(base, {})):
                continue
            found, seeds = difference_of(runs, families[base], config.margin_nats)
            size, budget, vocabulary, context, text = point
            per_token = config.bytes_per_token if vocabulary == 256 else 1.0
            rows.append(
                {"family": family, "baseline": base, "size": size, "tokens_per_parameter": budget}
                | {"vocabulary": vocabulary, "context": context, "text": text, "seeds": seeds}
                | {"difference_nats": found.value_nats, "low_nats": found.low_nats, "high_nats": found.high_nats}
                | {"verdict": found.verdict, "ratio_per_symbol": np.exp(found.value_nats)}
                | {
                    f"{name}_per_token": np.exp(per_token * value)
                    for name, value in (
                        ("ratio", found.value_nats), ("low", found.low_nats), ("high", found.high_nats)
                    )
                }
            )  # fmt: skip
    return rows


def cells_of(rows, family):
    """Cells of a family on the text of the results, at bytes and the shorter context."""
    kept = [
        row for row in rows
        if (row["family"], row["text"], row["vocabulary"], row["context"]) == (family, RESULT, 256, 128)
    ]  # fmt: skip
    names = [f"{row['size']}-{row['seed']}" for row in kept]
    columns = ("own_parameters", "tokens", "loss_nats")
    return Cells(np.array(names), *(np.array([float(row[name]) for row in kept]) for name in columns))


def scaling_rows(rows, config):
    """The law of each family, its error on the largest size, and the ratios that pairs of laws predict."""
    table, laws = [], {}
    families = sorted({row["family"] for row in rows})
    for family in families:
        cells = cells_of(rows, family)
        row = {"family": family, "cells": len(cells.losses)}
        try:
            laws[family] = fit_law(cells)
            row |= asdict(laws[family]) | {"verdict": "fitted"}
            row["held_out_error_nats"] = float(np.abs(held_out_errors(cells)).max())
        except UserError as error:
            row["verdict"] = f"{row.get('verdict', '')} {error}".strip()
        table.append(row)
    pairs = [(family, base) for family in MEANINGS for base in ("attention", "rotary") if {family, base} <= set(laws)]
    for family, base in pairs:
        first, second = (cells_of(rows, name) for name in (family, base))
        most = min(first.parameters.max(), second.parameters.max()), min(first.tokens.max(), second.tokens.max())
        for parameters, tokens in config.scales:
            ends = predict_ratio(first, second, parameters, tokens, draws=config.draws)
            named = dict(zip(("ratio", "low", "high"), (end**config.bytes_per_token for end in ends), strict=True))
            beyond = parameters > most[0] or tokens * config.bytes_per_token > most[1]
            table.append(
                {"family": family, "baseline": base, "parameters": parameters, "training_tokens": tokens}
                | {f"{name}_per_token": value for name, value in named.items()}
                | {"verdict": "extrapolation" if beyond else "within the cells"}
            )
    return table


# Verdicts


def largest(ratios, family):
    """The row of the largest budget, of the size with most seeds, on the text of the results."""
    rows = [row for row in ratios if row["family"] == family and row["text"] == RESULT and row["vocabulary"] == 256]
    return max(rows, key=lambda row: (row["tokens_per_parameter"], row["seeds"], row["size"]), default=None)


def conditions(row):
    """Where a number was measured."""
    return (
        f"{row['size']} parameters without token vectors, {row['tokens_per_parameter']} tokens a parameter, "
        f"{'bytes' if row['vocabulary'] == 256 else row['vocabulary']}, context {row['context']}, {row['seeds']} "
        f"seed{'s' * (row['seeds'] > 1)}, {row['text']}, against {row['baseline']}"
    )


def perplexity_verdict(ratios, scaling, config):
    """Perplexity eight times that of attention."""
    rows = []
    for family, meaning in MEANINGS.items():
        row = largest(ratios, family)
        if row is None:
            continue
        low, high = row["low_per_token"], row["high_per_token"]
        reached = low > 1 and high >= config.paper_ratio
        predicted = [one for one in scaling if one["family"] == family and "ratio_per_token" in one]
        far = predicted[-1] if predicted else None
        told = (
            f"extrapolated to 130M and 8 billion tokens {far['ratio_per_token']:.2f} [{far['low_per_token']:.2f}, "
            f"{far['high_per_token']:.2f}]"
            if far
            else "too few cells for a scaling law"
        )
        rows.append(
            {"claim": "perplexity 8 times attention's", "about": meaning}
            | {"verdict": "supported" if reached else "out of reach here"}
            | {"value": row["ratio_per_token"], "low": low, "high": high}
            | {"unit": f"ratio per token of {config.bytes_per_token} bytes", "conditions": f"{conditions(row)}; {told}"}
            | {"would_change": "cells of 1M parameters and more: the ratio's slope in budget decides what lies at 130M"}
        )
    return rows


def traced_verdict(ratios, config):
    """Whether it matters what is traced."""
    rows = [largest(ratios, family) for family in MEANINGS]
    if None in rows or rows[0]["tokens_per_parameter"] != rows[1]["tokens_per_parameter"]:
        return []
    tokens, stream = rows
    behind = [row["low_nats"] > 0 for row in rows]
    same = [row["verdict"].startswith("identical") for row in rows]
    verdict = (
        "supported" if all(behind)
        else "contradicted" if not any(behind) and any(same)
        else "depends on what is traced" if any(behind)
        else "cannot be told"
    )  # fmt: skip
    return [
        {"claim": "a model whose only context is EMA traces loses to attention", "about": "both kinds of trace"}
        | {"verdict": verdict, "value": tokens["difference_nats"]}
        | {"low": tokens["low_nats"], "high": tokens["high_nats"], "unit": "nats a byte, token vectors traced"}
        | {
            "conditions": f"{conditions(tokens)}; stream traced: {stream['difference_nats']:+.3f} "
            f"[{stream['low_nats']:.3f}, {stream['high_nats']:.3f}], {stream['verdict']}"
        }
        | {"would_change": "more seeds where an interval holds zero; larger budgets where attention still gains"}
    ]  # fmt: skip


def recall_verdict(where, config):
    """Whether the gap lies on what must be recalled."""
    wanted = ("recall", "all", "ema_tokens")
    rows = [row for row in where if (row["scheme"], row["text"], row["family"]) == wanted]
    if not rows:
        return []
    most = max(int(row["tokens_per_parameter"]) for row in rows)
    row = max((row for row in rows if row["tokens_per_parameter"] == most), key=lambda row: (row["seeds"], row["size"]))
    own, share = row["share_of_tokens"], row["share_of_gap"]
    told = "no gap" if share is None else f"{share:.0%} of the gap"
    rest = max(row["rest_nats"], 0.0)
    twice, less = row["least_nats"] > 2 * rest, row["most_nats"] <= rest
    verdict = "supported" if twice else "contradicted" if less else "cannot be told"
    return [
        {"claim": "traces lose which token it was: the gap lies on recalled tokens", "about": "traces of token vectors"}
        | {"verdict": verdict, "value": row["gap_nats"], "low": row["least_nats"], "high": row["most_nats"]}
        | {"unit": f"nats a recalled byte, against {row['rest_nats']:+.3f} on the rest; range of seeds"}
        | {"conditions": f"{conditions(row)}; {told} on {own:.0%} of the bytes"}
        | {"would_change": "a vocabulary of byte pairs, where a recalled token is a word and seldom guessed"}
    ]


OPEN = (
    ("attention in place of the linear predictor leaves the loss as it is", "linear, MLP and attention predictors"),
    ("no predictor downstream can recover what the traces lost", "the superposition decoder's tokens"),
)
"""Claims of which no cell has been run at these budgets."""


def verdict_rows(ratios, scaling, where, config):
    """All verdicts."""
    rows = [
        *perplexity_verdict(ratios, scaling, config),
        *traced_verdict(ratios, config),
        *recall_verdict(where, config),
        *(
            {"claim": claim, "about": about, "verdict": "out of reach here", "conditions": "no cell at these budgets"}
            | {"would_change": "cells with that predictor at 20 tokens a parameter and more"}
            for claim, about in OPEN
        ),
    ]
    return [row | {"command": "python -m analyses.lm_verdicts"} for row in rows]


def numbers(row):
    """A row with its numbers as numbers."""
    whole = {name: int(row[name]) for name in ("tokens_per_parameter", "seed", "vocabulary", "context")}
    return row | whole


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = Config(draws=3, scales=((1e6, 2e7),), made_up=True) if options.smoke else Config()
    inputs = {} if options.smoke else table_files(TABLE)
    with Study(__file__, options) as study:
        finished = study.run(tables, [{"all": "cells"}], config, inputs=inputs)
        (made,) = finished.rows
        for name, rows in made.items():
            study.write(name, rows, config, Finished(rows, finished.origins, finished.inputs))
        for row in made["lm_verdicts"]:
            print(f"{row['claim']} ({row['about']}): {row['verdict']}. {row['conditions']}")


def tables(cell, config):
    """Every table by its name."""
    rows = made_up_rows() if config.made_up else [numbers(row) for row in read_table(*table_files(TABLE).values())]
    stronger = baselines(rows)
    rows = [row for row in rows if row["seed"] < 100]
    points = points_of(rows)
    ratios = ratio_rows(points, stronger, config)
    where = where_rows(points, stronger, config.recall)
    scaling = scaling_rows(rows, config)
    return [
        {
            "lm_budgets_ratio": plain(ratios), "lm_budgets_where": plain(where), "lm_budgets_scaling": plain(scaling),
            "lm_verdicts": plain(verdict_rows(ratios, scaling, where, config)),
        }
    ]  # fmt: skip


def made_up_rows():
    """Rows of three families, sizes and budgets by known laws, each text of two documents."""
    rows = []
    families = {"ema_tokens": 2.2, "ema_stream": 2.0, "rotary": 1.9}
    grid = itertools.product(families, ((1e5, "0.1m"), (2e5, "0.2m"), (4e5, "0.4m")), (1, 5, 20), ("c4", "novels"))
    for family, (parameters, size), budget, text in grid:
        law = ScalingLaw(math.log(families[family]), math.log(30.0), 0.4, math.log(40.0), 0.35)
        loss = float(law.predict(parameters, budget * parameters))
        halves = f"{5 * loss - 1} {5 * loss + 1}"
        rows.append(
            {"family": family, "size": size, "tokens_per_parameter": budget, "seed": 0, "vocabulary": 256}
            | {"context": 128, "own_parameters": parameters, "tokens": budget * parameters, "text": text}
            | {"loss_nats": loss, "document_tokens": "5 5", "document_nats": halves}
            | {"depth_tokens": "5 0 0 0 0 5", "depth_nats": f"{5 * loss - 1} 0 0 0 0 {5 * loss + 1}"}
        )
    return rows


def plain(rows):
    """Rows as JSON has them."""
    return [{name: value.item() if hasattr(value, "item") else value for name, value in row.items()} for row in rows]


if __name__ == "__main__":
    main()
