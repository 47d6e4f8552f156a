"""The page of speed and memory, from the committed tables of the benchmarks.

    python -m analyses.performance

`make results-status WRITE=1` runs it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from analyses.engine import ROOT
from analyses.provenance import read_record, read_table
from analyses.status import DAGGER, read_status
from analyses.studies import STUDIES, StudyCommand
from infodil.checks import write_whole

__all__ = ["page"]

Rows = Sequence[Mapping[str, str]]


def span(values: Iterable[float], digits: int = 2) -> str:
    """The least and the greatest value, or one where they are spelled alike."""
    least, most = (f"{end:,.{digits}f}" for end in minmax(values))
    return least if least == most else f"{least} to {most}"


def minmax(values: Iterable[float]) -> tuple[float, float]:
    """The least and the greatest."""
    known = list(values)
    return min(known), max(known)


def column(rows: Rows, name: str) -> list[float]:
    """The numbers of a column, where there are some."""
    return [float(row[name]) for row in rows if row[name]]


def gaussian_probe(rows: Rows) -> list[str]:
    return [
        f"The closed-form Gaussian probe takes {span(column(rows, 'gaussian_seconds'))} s, end to end, where "
        f"scikit-learn's LogisticRegression with its defaults takes {span(column(rows, 'logistic_seconds'), 0)} s "
        f"({span(column(rows, 'ratio'), 0)} times as long): 300 classes, 384 dims, 16,000 positions, "
        f"{len(rows)} seeds.",
        f"Held-out loss: {span(column(rows, 'gaussian_loss_nats'))} nats; the peer "
        f"{span(column(rows, 'logistic_loss_nats'))}, and {span(column(rows, 'tuned_logistic_loss_nats'))} with its C "
        "tuned on the calibration rows.",
    ]


def linear_probe(rows: Rows) -> list[str]:
    loop, job, small = ([row for row in rows if row["part"] == part] for part in ("loop", "job", "small"))
    return [
        f"The training loop of the linear probe runs at {span(column(loop, 'gflops'), 0)} Gflop/s, "
        f"{100 * max(column(loop, 'share_of_peak')):.0f}% of the best matrix products of the same run "
        f"({loop[0]['classes']} classes, 768 dims).",
        "16 lags x 8 sites, 768 dims, 8,192 types, 200,000 positions: about "
        f"{max(column(job, 'linear_seconds')) / 60:.0f} minutes; {job[0]['fits']} fits of LogisticRegression would "
        f"take {max(column(job, 'ratio')):.0f} times as long (both scaled up from a part).",
        f"A job that both finish ({span(map(int, column(small, 'classes')), 0)} classes, 128 dims, 12,000 positions): "
        f"{span(column(small, 'linear_seconds'))} s, {span(column(small, 'ratio'), 0)} times faster; held-out loss "
        f"{span(column(small, 'linear_loss_nats'))} nats against {span(column(small, 'peer_loss_nats'))} (defaults) "
        f"and {span(column(small, 'tuned_peer_loss_nats'))} (C tuned, to convergence).",
    ]  # fmt: skip


def plain_loops(rows: Rows) -> list[str]:
    lines = []
    for probe, words in (("linear", "linear probe"), ("mlp", "multilayer perceptron")):
        gains = [float(row[f"plain_{probe}_nats"]) - float(row[f"{probe}_nats"]) for row in rows]
        times = [float(row[f"{probe}_seconds"]) / float(row[f"plain_{probe}_seconds"]) for row in rows]
        lines.append(
            f"The {words} against a plain AdamW loop on {len(rows)} tasks: held-out loss lower by "
            f"{span(gains, 3)} nats, at {span(times, 1)} times its CPU time."
        )
    return lines


def ema_scan(rows: Rows) -> list[str]:
    bank = [row for row in rows if row["method"] == "ema_bank"]
    per_scale = [
        f"{row['scales']} of {row['documents']} x {int(row['tokens']):,} x {row['dim']}: "
        f"{float(row['copies_per_scale']):.2f}"
        for row in bank
    ]
    return ["`traces.ema_bank`, in copies of its input a scale (`x.clone()` is 1): " + "; ".join(per_scale) + "."]


def peak_memory(rows: Rows) -> list[str]:
    sizes = [f"{float(row['peak_mebibytes']):,.0f} MiB for {int(row['tokens']):,} tokens" for row in rows]
    return [f"Peak memory of `recoverability`: {', '.join(sizes)}."]


def import_time(rows: Rows) -> list[str]:
    seconds = {row["what"]: float(row["seconds"]) for row in rows}
    bare, whole = (seconds[name] - seconds["torch"] for name in ("torch and infodil", "torch and every public name"))
    return [
        f"`import infodil` beyond `import torch`: {max(0.0, bare):.2f} s, with every public name {whole:.2f} s; "
        f"`infodil --help`: {seconds['infodil --help']:.2f} s."
    ]


def recurrent_overhead(rows: Rows) -> list[str]:
    routes: dict[str, list[str]] = {}
    for row in rows:
        routes.setdefault(row["route"], []).append(f"{row['cell'].replace('_', '.')} {float(row['ratio']):.1f}")
    return [
        f"Recurrent states of every layer at every position by {route}, in processor time of a bare forward pass (tiny "
        f"random models, 8 documents of 64 tokens): {', '.join(named)}."
        for route, named in routes.items()
    ]


PARTS: dict[str, Callable[[Rows], list[str]]] = {
    "benchmark_gaussian_probe": gaussian_probe,
    "benchmark_linear_probe": linear_probe,
    "benchmark_plain_loops": plain_loops,
    "benchmark_ema_scan": ema_scan,
    "benchmark_peak_memory": peak_memory,
    "benchmark_recurrent_overhead": recurrent_overhead,
    "benchmark_import_time": import_time,
}
"""Sentences on each benchmark from the rows of its table."""


def page(root: Path = ROOT) -> str:
    """The page of the documentation.

    Args:
        root: Root of the repository.
    """
    data, verdicts = root / "paper_figures" / "data", read_status(root)
    lines = [
        "<!-- Written by `python -m analyses.performance`: change the tables or that script, not this page. -->",
        "# Performance",
        "",
        "All numbers come from the committed tables of the benchmarks. Behind each stands what it cost to measure, on",
        f"which machine, and the command. {DAGGER}: the code has changed since, or what made the table is not known.",
    ]
    for name, sentences in PARTS.items():
        study = next(study for study in STUDIES if name in study.tables)
        lines += ["", *(f"- {sentence}" for sentence in sentences(read_table(data / f"{name}.csv")))]
        lines += ["", _origin(read_record(data / f"{name}.json"), study, verdicts[name] != "current")]
    return "\n".join(lines) + "\n"


def _origin(record: Mapping, study: StudyCommand, stale: bool) -> str:
    """Cost, machine, date and command."""
    seconds = record.get("seconds")
    cost = f"{seconds / 60:.0f} minutes" if seconds else f"about {study.minutes} minute{'s' * (study.minutes != 1)}"
    command = " ".join(["python -m", *study.command()])
    mark = f" {DAGGER}" if stale else ""
    threads = f"{record['threads']} thread{'s' * (record['threads'] != 1)}"
    return f"*{cost}; {record['device']}, {threads}, {record['date'][:10]}:* `{command}`{mark}"


def main() -> None:
    """Write the page."""
    write_whole(ROOT / "docs" / "performance.md", page())
    print("written: performance.md")


if __name__ == "__main__":
    main()
