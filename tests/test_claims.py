"""Claims are computed from tables: what is shown is what the tables say now, and a stale table is refused or marked."""

import csv
import json

import pytest

from analyses import claims, performance
from analyses.engine import ROOT
from analyses.paper_claims import CLAIMS, VERDICTS, exceeds, perplexity, predictor, reaches
from analyses.provenance import read_table
from infodil.cli import main

CSV = ROOT / "paper_figures" / "claims.csv"


def committed(name):
    return read_table(ROOT / "paper_figures" / "data" / f"{name}.csv")


def test_what_is_shown_is_what_the_tables_say():
    way_out = "run `make results-status WRITE=1` and commit what it wrote"
    rows = claims.claim_rows()
    assert claims.claims_table(rows) == CSV.read_text(encoding="utf-8"), way_out
    assert claims.page(rows) == (ROOT / "docs" / "claims.md").read_text(encoding="utf-8"), way_out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert claims.short_table(rows) in readme and claims.with_table(readme, rows) == readme, way_out
    assert performance.page() == (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), way_out


def test_every_claim_has_all_that_a_reader_asks_for():
    for row in claims.claim_rows():
        assert row["verdict"] in VERDICTS
        assert all(row[name] for name in ("paper_says", "result", "measured", "on", "would_change", "command"))
        assert row["low"] or row["unit"] == "count"
        if row["low"]:
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_a_stale_table_is_refused_or_marked_everywhere(monkeypatch, capsys):
    monkeypatch.setattr(claims, "read_status", lambda root: {name: "current" for name in tables() - {"depth_sweep"}})
    before = CSV.stat().st_mtime_ns
    with pytest.raises(SystemExit, match="dilution over depth, learned selection; run `make results`"):
        claims.main([])
    assert CSV.stat().st_mtime_ns == before
    rows = claims.claim_rows()
    assert claims.stale_claims(rows) == ["dilution over depth", "learned selection"]
    assert claims.short_table(rows).count("†") == 2
    page = claims.page(rows)
    assert "`python -m analyses.depth_sweep` †" in page and "`python -m analyses.structure_and_content`," in page


def tables():
    return {name for claim in CLAIMS for name in claim.tables}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.97, 0.99, "holds"), (0.95, 0.99, "holds"), (0.80, 0.99, "cannot be told"), (0.90, 0.95, "contradicted")],
)
def test_a_figure_is_reached_where_a_narrow_interval_holds_it_or_lies_above(low, high, verdict):
    assert reaches(low, high, 0.96) == verdict


def test_more_is_more_only_beyond_the_interval():
    assert [exceeds(*ends, 1.0) for ends in ((1.01, 1.1), (0.9, 1.1), (0.8, 0.9))] == [
        "holds", "cannot be told", "contradicted",
    ]  # fmt: skip


def test_verdicts_follow_the_rows():
    rows = [dict(row) for row in committed("lm_budgets_ratio")]
    assert perplexity(lambda name: rows).verdict == "not tested"
    eight = {"size": "130m", "ratio_per_token": "8.1", "low_per_token": "7.8", "high_per_token": "8.4"}
    large = [row | eight for row in rows]
    assert perplexity(lambda name: large).verdict == "holds"
    assert perplexity(lambda name: [row | {"high_per_token": "7.9"} for row in large]).verdict == "contradicted"
    rows = [dict(row) for row in committed("ema_predictor_ablation")]
    same = [row | {"verdict": "identical within 0.02 nats"} for row in rows]
    assert predictor(lambda name: same).verdict == "holds"
    for low, high, verdict in (
        (-0.1, 0.1, "cannot be told"),
        (-0.033, -0.012, "cannot be told"),  # there is a difference, and it may be within what counts as the same
        (-0.033, -0.021, "contradicted"),
    ):
        found = [row | {"verdict": "different", "low_nats": str(low), "high_nats": str(high)} for row in rows]
        assert predictor(lambda name, found=found: found).verdict == verdict


def test_the_command_prints_the_table_or_json(capsys):
    with CSV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert main(["claims", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert main(["claims"]) == 0
    printed = capsys.readouterr().out
    flat = " ".join(printed.split())
    for row in rows:
        mark = " †" * bool(row["stale"])
        assert f"{row['verdict']}{mark}: {row['result']}" in flat and row["paper_says"] in flat
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.statistical
def test_figures_are_redrawn_by_name(tmp_path, capsys):
    assert main(["figures", "fig9", "--out", str(tmp_path / "here")]) == 0
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert names == {f"fig9_superposition_real_text.{kind}" for kind in ("pdf", "png")}
    assert main(["figures", "fig1_demo_stats", "--out", str(tmp_path)]) == 2
    assert "'fig1_demo_states'?" in capsys.readouterr().err
