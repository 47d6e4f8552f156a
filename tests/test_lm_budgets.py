"""Cells of the study of budgets come to the same row however often they are killed; verdicts follow from their rows."""

import argparse
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses import lm_cells
from analyses.cells import Study
from analyses.engine import Engine
from analyses.lm_budgets import RATE_SEED, RATES, ROOMS, STAGES, Results, best_rates, planned
from analyses.lm_cells import FAMILIES, Cell, Config, OutOfTimeError, configured, own_parameters, train
from analyses.lm_compare import baselines, points_of, where_rows
from analyses.lm_token_losses import recall_depths
from analyses.lm_verdicts import Config as VerdictConfig
from analyses.lm_verdicts import perplexity_verdict, ratio_rows, recall_verdict, traced_verdict

SMALL = Config(token_share=0.01, batch_size=2, checkpoint_every=2, opening=60, documents=4)


# Cells


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=14))
def test_the_depth_of_recall_is_that_of_the_longest_equal_past(tokens):
    def depth(place, before):
        back = 0
        while back < before and tokens[before - 1 - back] == tokens[place - 1 - back]:
            back += 1
        return back

    expected = [
        max((depth(place, before) for before in range(1, place) if tokens[before] == tokens[place]), default=0)
        for place in range(1, len(tokens))
    ]
    assert recall_depths(np.array([tokens]))[0].tolist() == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_families_have_equal_parameters_without_token_vectors(family):
    cell = Cell(family, "0.1m", 1, 0, 1e-2)
    assert own_parameters(configured(cell)) == pytest.approx(100_000, rel=0.003)


@pytest.mark.statistical
def test_a_killed_cell_comes_to_the_same_row(tmp_path):
    small, large = (asdict(Cell("ema_tokens", "0.05m", budget, 0, 1e-2)) for budget in (2, 4))
    whole = train(large, SMALL, None, tmp_path / "whole", lambda: False)
    train(small, SMALL, None, tmp_path / "killed", lambda: False)  # the larger budget goes on from this one's trunk
    with pytest.raises(OutOfTimeError):
        train(large, SMALL, None, tmp_path / "killed", lambda: True)
    assert train(large, SMALL, None, tmp_path / "killed", lambda: False) == whole
    (row,) = whole
    for scheme in ("document", "position", "depth", "frequency", "kind"):
        assert sum(map(int, row[f"{scheme}_tokens"].split())) == row["scored_tokens"]
        total = sum(map(float, row[f"{scheme}_nats"].split()))
        assert total == pytest.approx(row["loss_nats"] * row["scored_tokens"], abs=0.1)


# The plan


def row_of(family, loss, seed=0, text="c4", budget=20, rate=8e-3, **changes):
    """A row of the table with four documents of ten bytes, the first half of the bytes recalled."""
    documents = " ".join(f"{10 * loss + shift:.2f}" for shift in (-1, 0, 0, 1))
    row = {
        "family": family, "size": "0.1m", "tokens_per_parameter": budget, "seed": seed, "peak_rate": rate,
        "vocabulary": 256, "context": 128, "own_parameters": 100_000, "tokens": budget * 100_000, "text": text,
        "loss_nats": loss, "document_tokens": "10 10 10 10", "document_nats": documents,
        "depth_tokens": "20 0 0 0 10 10", "depth_nats": f"{20 * loss} 0 0 0 {10 * loss} {10 * loss}",
        "position_tokens": " ".join(["2.5"] * 16), "position_nats": " ".join([f"{2.5 * loss}"] * 16),
    }  # fmt: skip
    return row | changes


def test_rates_of_a_family_come_before_its_cells():
    assert {cell.seed for cell in planned({})} == {RATE_SEED}
    rows = [
        row_of("rotary", 2.0 + abs(place - 1), RATE_SEED, "wikipedia", rate=rate) for place, rate in enumerate(RATES)
    ]
    assert best_rates(rows) == {"rotary": RATES[1]}
    assert best_rates(rows[:2]) == {}
    cells = [cell for cell in planned({"rotary": RATES[1]}) if cell.seed != RATE_SEED]
    assert {cell.family for cell in cells} == {"rotary"}
    assert {cell.peak_rate for cell in cells if cell.size == "0.8m"} == {RATES[1] / 2}  # twice as wide
    everything = planned(dict.fromkeys(FAMILIES, RATES[0]))
    assert len(set(everything)) == len(everything)
    assert {cell.vocabulary for cell in everything} == {stage.vocabulary for stage in STAGES}


def test_a_change_outside_of_its_rooms_leaves_the_cells(tmp_path):
    (tmp_path / "infodil" / "lm").mkdir(parents=True)
    files = {"__init__.py": "", "lm/__init__.py": "import infodil.other\n", "other.py": "A = 1\n"}
    for name, code in files.items():
        (tmp_path / "infodil" / name).write_text(code)
    (tmp_path / "study.py").write_text("import infodil.lm\n")
    whole, narrow = (Engine.of("study.py", tmp_path, rooms) for rooms in ((), ("infodil/lm/", "study")))
    (tmp_path / "infodil" / "other.py").write_text("A = 2\n")
    assert Engine.of("study.py", tmp_path).code != whole.code
    assert Engine.of("study.py", tmp_path, narrow.rooms).code == narrow.code
    (tmp_path / "infodil" / "lm" / "__init__.py").write_text("import infodil.other\nB = 1\n")
    assert Engine.of("study.py", tmp_path, narrow.rooms).code != narrow.code


# Verdicts


def points_with(**losses):
    rows = [row_of(family, loss, seed) for family, loss in losses.items() for seed in (0, 1)]
    rows += [row_of(family, 2.0 + place, text="novels") for place, family in enumerate(("rotary", "attention"))]
    stronger = baselines(rows)
    return points_of([row for row in rows if row["text"] == "c4"]), stronger


def test_the_stronger_attention_is_the_one_compared_with():
    points, stronger = points_with(ema_tokens=2.5, rotary=2.4, attention=2.2)
    assert set(stronger.values()) == {"rotary"}  # by the texts that are no result
    (row,) = ratio_rows(points, stronger, VerdictConfig())
    assert (row["baseline"], row["seeds"]) == ("rotary", 2)
    assert row["difference_nats"] == pytest.approx(0.1)
    assert row["ratio_per_token"] == pytest.approx(np.exp(0.44))


@pytest.mark.parametrize(
    ("tokens", "stream", "verdict"),
    [(2.5, 2.4, "depends on what is traced"), (2.5, 2.5, "supported"), (2.4, 2.4, "contradicted")],
)
def test_the_verdict_on_what_is_traced(tokens, stream, verdict):
    points, stronger = points_with(ema_tokens=tokens, ema_stream=stream, rotary=2.4, attention=2.6)
    ratios = ratio_rows(points, stronger, VerdictConfig())
    (row,) = traced_verdict(ratios, VerdictConfig())
    assert row["verdict"] == verdict
    assert row["low"] <= row["value"] <= row["high"]


def test_the_paper_s_ratio_is_out_of_reach_until_it_is_met():
    for loss, verdict in ((2.5, "out of reach here"), (2.4 + np.log(8.1) / 4.4, "supported")):
        points, stronger = points_with(ema_tokens=loss, rotary=2.4, attention=2.6)
        ratios = ratio_rows(points, stronger, VerdictConfig())
        (row,) = perplexity_verdict(ratios, [], VerdictConfig())
        assert row["verdict"] == verdict
        assert "too few cells for a scaling law" in row["conditions"]


def test_the_verdict_on_recall():
    for recalled, verdict in ((3.0, "supported"), (2.4, "contradicted")):
        points, stronger = points_with(ema_tokens=2.4, rotary=2.4, attention=2.6)
        for runs in points.values():
            for row in runs["ema_tokens"].values():
                row["depth_nats"] = f"{20 * 2.41} 0 0 0 {10 * recalled} {10 * recalled}"
        where = where_rows(points, stronger, 5)
        (row,) = recall_verdict(where, VerdictConfig())
        assert row["verdict"] == verdict
        assert row["value"] == pytest.approx(recalled - 2.4)


@pytest.mark.statistical
def test_finished_cells_are_taken_from_the_table_and_only_missing_ones_run(tmp_path):
    options = argparse.Namespace(smoke=True, out=tmp_path, n_jobs=1, data=None)
    with Study(lm_cells.__file__, options, rooms=ROOMS) as study:
        results = Results(study, SMALL, {}, None, lambda: False)
        rows = [row_of("ema_tokens", 2.0, RATE_SEED, "sample", 2, rate) | {"size": "0.1m"} for rate in RATES]
        results.rows = {cell: [row] for cell, row in zip(planned({})[: len(RATES)], rows, strict=True)}
        missing = results.missing(STAGES[:1])
        assert missing[0].seed == RATE_SEED and missing[0].family == "ema_stream"
        assert [cell.family for cell in missing if cell.seed != RATE_SEED] == ["ema_tokens"] * 2
