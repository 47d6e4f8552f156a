"""Losses of families side by side: paired by seed and document, and by class of token, from the table of cells."""

import numpy as np

from infodil.lm import TextLoss
from infodil.processing import compare_losses

__all__ = ["baselines", "difference_of", "points_of", "where_rows"]

TUNED_ON = ("novels", "wikipedia", "wikitext-2-validation")
"""Texts on which the stronger of the two kinds of attention is chosen."""
POINT = ("size", "tokens_per_parameter", "vocabulary", "context")
SCHEMES = {
    "position": tuple(f"{place}/16" for place in range(1, 17)),
    "depth": ("not recalled", "1", "2", "3 to 4", "5 to 8", "9 and more"),
    "frequency": ("1 to 4", "5 to 16", "17 to 64", "65 to 1024", "1025 and more"),
    "kind": ("first letter", "second or third letter", "later letter", "space", "other"),
}
"""Names of the classes of each scheme, in the order of the table's sums."""
LEAST_DEPTHS = (0, 1, 2, 3, 5, 9)


def points_of(rows):
    """Rows by point and text, family and seed."""
    points = {}
    for row in rows:
        at = (*(row[name] for name in POINT), row["text"])
        points.setdefault(at, {}).setdefault(row["family"], {})[row["seed"]] = row
    return points


def baselines(rows):
    """The stronger of learned and rotary positions at each point, by its mean loss on texts that are no result."""
    losses = {}
    for row in rows:
        if row["family"] in ("attention", "rotary") and row["text"] in TUNED_ON and row["seed"] == 0:
            at = tuple(row[name] for name in POINT)
            losses.setdefault(at, {}).setdefault(row["family"], []).append(float(row["loss_nats"]))
    return {at: min(found, key=lambda family: np.mean(found[family])) for at, found in losses.items()}


def difference_of(first, second, margin_nats):
    """Difference of two families over the seeds that both have, and how many these are."""
    seeds = sorted(set(first) & set(second))
    losses = [[loss_of(runs[seed]) for seed in seeds] for runs in (first, second)]
    return compare_losses(*losses, margin_nats=margin_nats), len(seeds)


def loss_of(row):
    """Losses by document."""
    return TextLoss(sums(row, "document_nats"), sums(row, "document_tokens").astype(np.int64))


def sums(row, name):
    """Numbers of one field."""
    return np.array(row[name].split(), dtype=float)


def where_rows(points, stronger, recall):
    """Gap to the stronger attention by class of token, of each text and of all together."""
    rows = []
    for at in dict.fromkeys(point[:-1] for point in points):
        base = stronger.get(at)
        texts = {point[-1]: families for point, families in points.items() if point[:-1] == at}
        families = sorted(set.intersection(*(set(found) for found in texts.values())) - {"attention", "rotary"})
        for family in families if base is not None else ():
            shared = [set(found[family]) & set(found.get(base, {})) for found in texts.values()]
            seeds = sorted(set.intersection(*shared))
            if not seeds:
                continue
            common = {"family": family, "baseline": base, "seeds": len(seeds)} | dict(zip(POINT, at, strict=True))
            for text in ("all", *texts):
                named = list(texts) if text == "all" else [text]
                rows += [common | {"text": text} | row for row in class_rows(texts, named, family, base, seeds, recall)]
    return rows


def class_rows(texts, named, family, base, seeds, recall):
    """One row for each class of every scheme, and one for recalled against the rest."""
    rows = []
    for scheme, classes in SCHEMES.items():
        if not texts[named[0]][base][seeds[0]].get(f"{scheme}_nats"):
            continue  # kinds are of bytes alone
        tokens = sum(sums(texts[text][base][seeds[0]], f"{scheme}_tokens") for text in named)
        gaps = np.array([
            sum(
                sums(texts[text][family][seed], f"{scheme}_nats") - sums(texts[text][base][seed], f"{scheme}_nats")
                for text in named
            )
            for seed in seeds
        ])  # fmt: skip
        for place, name in enumerate(classes):
            if tokens[place]:
                rows.append(gap_row(scheme, name, gaps, tokens, np.arange(len(classes)) == place))
        if scheme == "depth":
            rows.append(gap_row("recall", f"{recall} and more", gaps, tokens, np.array(LEAST_DEPTHS) >= recall))
    return rows


def gap_row(scheme, name, gaps, tokens, inside):
    """Gap of the tokens inside a class and of the rest, mean over seeds."""
    own, rest = tokens[inside].sum(), tokens[~inside].sum()
    by_seed = gaps[:, inside].sum(1) / max(own, 1)
    inner, whole = gaps[:, inside].sum(1).mean(), gaps.sum(1).mean()
    return {
        "scheme": scheme, "class": name, "share_of_tokens": own / tokens.sum(),
        "gap_nats": by_seed.mean(), "least_nats": by_seed.min(), "most_nats": by_seed.max(),
        "rest_nats": gaps[:, ~inside].sum(1).mean() / max(rest, 1), "share_of_gap": inner / whole if whole else None,
    }  # fmt: skip
