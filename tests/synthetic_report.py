"""A report with figures that look measured, for tests of what shows it. Deterministic; measures nothing."""

import math
import random

from infodil.report import RecoverabilityReport

LAGS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128]
CEILING = 9.3
STRENGTH = {"prior": 0.0, "gaussian": 0.7, "linear": 1.0}
TEXT = (
    "The state of the model keeps some of the past and forgets the rest ; which part it keeps is a question .".split()
)


def synthetic_report(sites=("embedding", "layer.0", "layer.1"), lags=LAGS, tokens=None, seed=0, **changes):
    """A report whose sites forget at different speeds; `changes` replace whole fields."""
    rng = random.Random(seed)
    rows = [row(site, place, lag, probe, rng) for place, site in enumerate(sites) for lag in lags for probe in STRENGTH]
    content = {
        "rows": tuple(rows),
        "summary": tuple(summary(site, [r for r in rows if r["site"] == site and r["chosen"]]) for site in sites),
        "model": {"name": "ema", "vocabulary": 4096, "parameters": 12345, "sha256": "ab" * 32},
        "corpus": {"name": "sample", "documents": 7600, "tokens": 1_500_000, "sha256": "cd" * 32},
        "config": {"precision": "float32", "confidence": 0.95, "lags": list(lags), "seed": 0, "tokenizer": "words"},
        "provenance": {"versions": {"infodil": "0.1.0", "torch": "2.9.0"}, "device": "cpu", "date": "2026-01-01"},
        "warnings": ("The longest lag is seen in 41 documents only: its interval is wide and may cover too seldom.",),
        "text_view": text_view(sites, tokens or [word + " " for word in TEXT], rng),
    }
    return RecoverabilityReport(**{**content, **changes})


def row(site, place, lag, probe, rng):
    half = 3.0 + 4.0 * place
    value = STRENGTH[probe] * CEILING * 0.8 * 0.5 ** (lag / half) + rng.gauss(0, 0.02) * (probe != "prior")
    width = 0.05 + 0.01 * math.log1p(lag)
    return {
        "site": site, "kind_of_site": "residual", "lag": lag, "probe": probe,
        "value_bits": value, "low_bits": value - width, "high_bits": value + width, "kind": "lower bound",
        "top1": 0.05 + 0.9 * max(value, 0) / CEILING, "top5": 0.15 + 0.8 * max(value, 0) / CEILING,
        "ceiling_bits": CEILING, "ceiling_low_bits": CEILING - 0.1, "ceiling_high_bits": CEILING + 0.1,
        "beyond_context_bits": 0.4 * value, "beyond_context_low_bits": 0.4 * value - width,
        "beyond_context_high_bits": 0.4 * value + width, "usable_bits": value + 0.05,
        "random_weights_bits": 0.3 * value, "random_weights_low_bits": 0.3 * value - width,
        "random_weights_high_bits": 0.3 * value + width,
        "shuffled_bits": rng.gauss(0, 0.004), "shuffled_low_bits": -0.011, "shuffled_high_bits": 0.011,
        "samples": 20000 - 40 * lag, "train_samples": 80000 - 160 * lag, "chosen": probe == "linear",
    }  # fmt: skip


def summary(site, chosen):
    total = sum(r["value_bits"] for r in chosen)
    ceiling = sum(r["ceiling_bits"] for r in chosen)
    beyond = sum(r["beyond_context_bits"] for r in chosen)
    half = next((r["lag"] for r in chosen if r["value_bits"] < chosen[0]["value_bits"] / 2), None)
    low, high = total - 0.6, total + 0.6
    return {
        "site": site, "kind_of_site": "residual", "dim": 128, "lags": len(chosen),
        "recoverable_bits": total, "recoverable_low_bits": low, "recoverable_high_bits": high,
        "share_of_ceiling": total / ceiling, "share_low": low / ceiling, "share_high": high / ceiling,
        "half_life_tokens": half, "half_life_low_tokens": half and half - 0.5,
        "half_life_high_tokens": half and half + 0.8, "beyond_context_bits": beyond,
        "beyond_context_low_bits": beyond - 0.5, "beyond_context_high_bits": beyond + 0.5,
    }  # fmt: skip


def text_view(sites, tokens, rng, lags=range(13)):
    surprisal = [rng.uniform(3, 12) for _ in tokens]
    views = []
    for place, site in enumerate(sites):
        bits = [
            [
                surprisal[t - lag] * 0.5 ** (lag / (2 + 3 * place)) * rng.uniform(0.4, 1) if t >= lag else None
                for t in range(len(tokens))
            ]
            for lag in lags
        ]
        probability = [
            [None if b is None else 2 ** (b - surprisal[t - lag]) for t, b in enumerate(line)]
            for lag, line in zip(lags, bits, strict=True)
        ]
        rank = [[None if p is None else max(1, round(1 / p)) for p in line] for line in probability]
        views.append({"site": site, "probe": "linear", "bits": bits, "probability": probability, "rank": rank})
    return {"tokens": list(tokens), "lags": list(lags), "sites": views}
