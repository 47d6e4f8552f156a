"""Which tables of the paper are current, and which are stale, and why.

A table is *current* if it was made from a commit, nobody edited it since, the tables that it was made from are as they
were and current themselves, and the functions of this repository that were called to make it (`analyses.executed`; for
a benchmark, all modules that its script imports) have the code that they had. Docstrings and comments may differ. What
is not known is stale.

    python -m analyses.status            # the list
    python -m analyses.status --write    # and mark what is stale

Marks are in `paper_figures/data/status.json`, from which the figures say what is stale, and in the README and the pages
of the documentation: a dagger behind each command that made a stale table. `make results-status WRITE=1` writes the
claims and the page on performance as well.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analyses.engine import ROOT
from analyses.executed import changed_modules
from analyses.sources import digest
from analyses.studies import STUDIES
from infodil.checks import write_whole

__all__ = ["DAGGER", "Status", "documents", "mark_stale", "read_status", "status_of"]

STATUS = "status.json"
DAGGER = "†"
COMMAND = re.compile(rf"`((?:python -m )?analyses\.[^`]+)`(?: {DAGGER})?")
"""A command of a study as a page has it, with its mark."""

GENERATED = ("claims.md", "performance.md")
"""Pages that scripts write, marks included."""


@dataclass(frozen=True)
class Status:
    """One table.

    Args:
        name: Name of the table.
        script: Path of its script below the root, or nothing if it was not recorded.
        commit: Commit of its newest cell.
        reasons: Why it is stale; none if it is current.
        changed: Modules of which what was called has other code now; the script where its imports alone are known.
    """

    name: str
    script: str
    commit: str
    reasons: tuple[str, ...]
    changed: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One line: `current`, or `stale` and why."""
        return f"stale: {'; '.join(self.reasons)}" if self.reasons else "current"


def status_of(root: Path = ROOT, names: Sequence[str] | None = None) -> dict[str, Status]:
    """Status of tables in `paper_figures/data`, by name.

    Args:
        root: Root of the repository.
        names: Tables that are asked for; all if none is named. One that is not there has no status.
    """
    tables = _Tables(root)
    return {name: tables.status(name) for name in tables.names if names is None or name in names}


def read_status(root: Path = ROOT) -> dict[str, str]:
    """Verdict of each table as it was last written."""
    return json.loads((root / "paper_figures" / "data" / STATUS).read_text(encoding="utf-8"))


def documents(root: Path = ROOT) -> list[Path]:
    """The README and the pages of the documentation that people write."""
    return [root / "README.md", *(path for path in sorted((root / "docs").glob("*.md")) if path.name not in GENERATED)]


def mark_stale(text: str, verdicts: dict[str, str]) -> str:
    """A text in which each command of a study has a dagger behind it if a table that it makes is stale.

    Args:
        text: The README or a page of the documentation.
        verdicts: Verdict of each table.
    """
    studies = {f"analyses.{study.module}": study for study in STUDIES}

    def marked(match: re.Match) -> str:
        words = match[1].removeprefix("python -m ").split()
        study = studies.get(words[0])
        if study is None:
            return match[0]
        named = [name for name in study.tables if name in words]
        stale = any(verdicts.get(name, "stale") != "current" for name in named or study.tables)
        return f"`{match[1]}`{f' {DAGGER}' * stale}"

    return COMMAND.sub(marked, text)


class _Tables:
    """The committed tables and their records, each looked at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "paper_figures" / "data"
        self.known: dict[str, Status] = {}

    @cached_property
    def names(self) -> list[str]:
        return sorted(path.stem for path in self.data.glob("*.csv"))

    def status(self, name: str) -> Status:
        if name not in self.known:
            record = json.loads((self.data / f"{name}.json").read_text(encoding="utf-8"))
            changed = changed_modules(record.get("engine", {}), record.get("script", ""), self.root)
            reasons = ["it was made from a tree with changes"] if record.get("dirty", True) else []
            if record.get("sha256") not in (None, digest(self.data / f"{name}.csv")):
                reasons.append("it was edited after it was made")
            if "engine" not in record:
                reasons.append("the code that made it was not recorded")
            reasons += ["its code has changed"] if changed else []
            reasons += [f"{source} has changed" for source in self._changed_tables(record)]
            commit = str(record.get("commit"))[:7]
            self.known[name] = Status(name, record.get("script", ""), commit, tuple(reasons), changed)
        return self.known[name]

    def _changed_tables(self, record: dict) -> list[str]:
        """Tables among the inputs that are not what they were, or are stale themselves; other inputs lie elsewhere."""
        hashes = record.get("inputs", {})
        return [
            path.stem
            for path in (self.root / name for name in hashes)
            if path.parent == self.data and (path.stem not in self.names or self._is_changed(path, hashes))
        ]

    def _is_changed(self, path: Path, hashes: dict[str, str]) -> bool:
        was = hashes[path.relative_to(self.root).as_posix()]
        return digest(path) != was or bool(self.status(path.stem).reasons)


def main(arguments: list[str] | None = None) -> None:
    """Print the status of every table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write paper_figures/data/{STATUS}")
    options = parser.parse_args(arguments)
    tables = status_of()
    for status in tables.values():
        where = f" ({', '.join(status.changed)})" if status.changed else ""
        print(f"{status.name:32s} {status.commit:8s} {status.verdict}{where}")
    print(f"{sum(not status.reasons for status in tables.values())} of {len(tables)} tables are current")
    if options.write:
        verdicts = {name: status.verdict for name, status in tables.items()}
        write_whole(ROOT / "paper_figures" / "data" / STATUS, json.dumps(verdicts, indent=2) + "\n")
        for page in documents():
            write_whole(page, mark_stale(page.read_text(encoding="utf-8"), verdicts))


if __name__ == "__main__":
    main()
