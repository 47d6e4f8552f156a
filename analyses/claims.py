"""Each claim of the paper with what was measured, from the committed tables: a CSV, a page, and a part of the README.

    python -m analyses.claims               # refused where a table is stale
    python -m analyses.claims --stale-ok    # written all the same, and marked wherever the claim is shown

`make results-status WRITE=1` runs the second one, `infodil claims` prints what it wrote.
"""

import argparse
import csv
import io
import re
import sys
from pathlib import Path

from analyses.engine import ROOT
from analyses.paper_claims import CLAIMS, VERDICTS, Claim
from analyses.provenance import read_table
from analyses.status import DAGGER, read_status
from analyses.studies import STUDIES
from infodil.checks import write_whole

__all__ = ["claim_rows", "claims_table", "page", "short_table", "stale_claims", "with_table"]

PART = re.compile(r"(<!-- claims, written by analyses\.claims -->\n).*?(<!-- end of claims -->)", re.DOTALL)
"""The part of the README that is written here."""


def claim_rows(root: Path = ROOT) -> list[dict[str, str]]:
    """One row for each claim.

    Args:
        root: Root of the repository.
    """
    verdicts = read_status(root)
    data = root / "paper_figures" / "data"
    return [_row(claim, verdicts, data) for claim in CLAIMS]


def _row(claim: Claim, verdicts: dict[str, str], data: Path) -> dict[str, str]:
    finding = claim.finding(lambda name: read_table(data / f"{name}.csv"))
    stale = [f"{name} is {verdict}" for name in claim.tables if (verdict := verdicts.get(name, "stale")) != "current"]
    return {
        "claim": claim.name,
        "paper_says": claim.says,
        "result": finding.spelled,
        "measured": finding.measured,
        "on": finding.on,
        "value": repr(finding.value),
        "low": "" if finding.low is None else repr(finding.low),
        "high": "" if finding.high is None else repr(finding.high),
        "unit": finding.unit,
        "verdict": finding.verdict,
        "would_change": claim.would_change,
        "command": _command(claim),
        "tables": " ".join(claim.tables),
        "stale": "; ".join(stale),
    }


def _command(claim: Claim) -> str:
    """What is typed to measure anew, with the folder of data where it is needed."""
    study = next(study for study in STUDIES if f"analyses.{study.module}" == claim.study.split()[0])
    return f"python -m {claim.study}{' --data FOLDER' * study.data}"


def stale_claims(rows: list[dict[str, str]]) -> list[str]:
    """Names of the claims with a stale table."""
    return [row["claim"] for row in rows if row["stale"]]


def claims_table(rows: list[dict[str, str]]) -> str:
    """The CSV."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def short_table(rows: list[dict[str, str]]) -> str:
    """The table of the README: claim, result, verdict."""
    lines = ["| claim of the paper | measured here | verdict |", "| --- | --- | --- |"]
    lines += [f"| {row['claim']} | {row['result']} | {_verdict(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def with_table(readme: str, rows: list[dict[str, str]]) -> str:
    """The README with its table written anew."""
    return PART.sub(lambda match: f"{match[1]}{short_table(rows)}{match[2]}", readme)


def page(rows: list[dict[str, str]]) -> str:
    """The page of the documentation."""
    lines = [
        "<!-- Written by `python -m analyses.claims`: change the tables or that script, not this page. -->",
        "# Claims of the paper",
        "",
        "infodil grew out of *EMA Is Not All You Need* (Singh 2026, [arXiv 2604.08556](https://arxiv.org/abs/2604.08556)).",
        "Each of its claims stands here beside what was measured. Numbers and verdicts are computed from the committed",
        "tables of `paper_figures/data/`; `infodil claims` prints the same, `infodil claims --json` as JSON.",
        "",
        *_table(short_table(rows)),
        "",
        "Verdicts: " + "; ".join(f"*{name}*, {meaning}" for name, meaning in VERDICTS.items()) + ".",
    ]
    if stale_claims(rows):
        lines += ["", f"{DAGGER}: the code has changed since the table was made, or what made it was not recorded."]
    for row in rows:
        lines += [
            "",
            f"## {row['claim'].capitalize()}",
            "",
            f"**The paper:** {row['paper_says']}",
            "",
            f"**Measured:** {row['result']}: {row['measured']}. On: {row['on']}.",
            "",
            f"**Verdict:** {_verdict(row)}. **What would change it:** {row['would_change']}",
            "",
            f"`{row['command']}`{f' {DAGGER}' * bool(row['stale'])}, tables: {row['tables'].replace(' ', ', ')}",
        ]
    return "\n".join(lines) + "\n"


def _table(text: str) -> list[str]:
    return text.rstrip("\n").split("\n")


def _verdict(row: dict[str, str]) -> str:
    return f"{row['verdict']}{f' {DAGGER}' * bool(row['stale'])}"


def main(arguments: list[str] | None = None) -> None:
    """Write the table, the page and the part of the README, unless a table is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stale-ok", action="store_true", help="write claims with stale tables, and mark them")
    options = parser.parse_args(arguments)
    rows = claim_rows()
    stale = stale_claims(rows)
    if stale and not options.stale_ok:
        sys.exit(f"stale tables behind: {', '.join(stale)}; run `make results`, or pass --stale-ok to mark them.")
    readme = ROOT / "README.md"
    write_whole(ROOT / "paper_figures" / "claims.csv", claims_table(rows))
    write_whole(ROOT / "docs" / "claims.md", page(rows))
    write_whole(readme, with_table(readme.read_text(encoding="utf-8"), rows))
    print(f"{len(rows)} claims written, {len(stale)} of them marked as stale")


if __name__ == "__main__":
    main()
