"""A passage of the test split, for the reader of the report: how well each earlier token is read at each position."""

__all__ = ["make_text_view"]

from typing import Any

import numpy as np
import torch

from infodil.estimate import BITS_PER_NAT
from infodil.ladder.fit import labels_of
from infodil.ladder.labels import LagLabels
from infodil.ladder.state_stream import StateStream
from infodil.ladder.stream_select import FittedLadder
from infodil.probes import ClassMap, log_predictive, predictive_logits


def make_text_view(
    stream: StateStream,
    targets: LagLabels,
    climbed: FittedLadder,
    classes: ClassMap,
    longest: int = 160,
) -> tuple[list[int], list[dict]]:
    """Types of a passage of the test split, and for each site how well each earlier token is read at each position.

    The passage opens the first sequence of the split (documents stand in random order) that is long enough, or the
    longest there is.
    """
    lengths = stream.split.lengths
    enough = np.flatnonzero(lengths >= longest)
    sequence = int(enough[0]) if len(enough) else int(np.argmax(lengths))
    begin, whole = int(stream.split.starts[sequence]), int(lengths[sequence])
    length = min(longest, whole)
    index, position = begin + np.arange(length), np.arange(length)
    # The whole sequence is encoded, so that the passage is observed as it was in the test.
    tokens = torch.from_numpy(stream.split.tokens[begin : begin + whole].astype(np.int64))
    encoded = stream.encoded(tokens[None], list(climbed.fitted))
    types = targets.types(index, position)
    sites = []
    for site, rungs in climbed.fitted.items():
        chosen = climbed.strongest(site)
        states = stream.quantize(site, encoded[site][0], torch.tensor([begin]), torch.tensor([whole]))[:length]
        prepared: dict[str, Any] = {}
        rows_of = {"bits": [], "probability": [], "rank": []}
        for target in range(1, targets.number):
            there = np.flatnonzero(types[target] >= 0)
            label = types[target, there]
            true = torch.from_numpy(label).to(stream.device)
            rung = climbed.answers[site][chosen][target]
            fit = rungs[rung]
            reader, smoothing = fit.reader, fit.smoothings[target]
            if rung not in prepared:
                prepared[rung] = reader.prepare(stream.view(site, stream.placed(states), reader.raw))
            scores = reader.scores(prepared[rung][torch.from_numpy(there).to(stream.device)], target)
            temperature, base = reader.temperatures[target], classes.class_log_prior
            log_q = log_predictive(
                base, scores, temperature, smoothing, labels_of(classes, label)
            ) + classes.log_within(true)
            greater, _ = classes.ranks(predictive_logits(base, scores, temperature), true)
            bits = (log_q - classes.log_prior[true]) * BITS_PER_NAT
            for name, values in (("bits", bits), ("probability", log_q.exp()), ("rank", (greater + 1).long())):
                row: list[float | int | None] = [None] * length
                for place, value in zip(there.tolist(), values.tolist(), strict=True):
                    row[place] = float(f"{value:.4g}") if name != "rank" else value
                rows_of[name].append(row)
        sites.append({"site": site, "probe": chosen, **rows_of})
    return tokens[:length].tolist(), sites
