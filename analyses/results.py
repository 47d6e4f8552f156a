"""Run every study whose tables are stale, the quickest first; what was run before with the same code is not run again.

    python -m analyses.results --data ../shared/data                      # all that is stale
    python -m analyses.results --data ../shared/data sandwich demo_states # some
    python -m analyses.results --data ../shared/data --list

Each study runs as a process of its own, as a person would start it. A study that fails does not keep the others from
running; the exit status says so at the end.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from analyses.engine import ROOT
from analyses.status import status_of
from analyses.studies import STUDIES, StudyCommand


def main(arguments: list[str] | None = None) -> None:
    """Run the studies that are asked for, or those with a stale table."""
    names = [study.module for study in STUDIES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="all that have a stale table if none is named")
    parser.add_argument("--data", type=Path, help="folder with the corpora and models")
    parser.add_argument("--n-jobs", type=int, default=1, help="cells of a study that run at once")
    parser.add_argument("--list", action="store_true", help="print the commands and run nothing")
    options = parser.parse_args(arguments)
    if set(options.studies) - set(names):
        parser.error(f"no such study; these are known: {', '.join(names)}")
    failed = []
    for study in STUDIES:
        if options.list:
            print(f"{study.minutes:4d} min  python -m {' '.join(study.command(options.data))}")
        elif study.module in options.studies or (not options.studies and is_due(study)):
            command = [*study.command(options.data), "--n-jobs", str(options.n_jobs)]
            print(f"python -m {' '.join(command)}", flush=True)
            if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode:
                failed.append(study.module)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def is_due(study: StudyCommand) -> bool:
    """Whether a table of a study is stale or missing, on a machine that can run the study."""
    if study.gpu and not has_gpu():
        return False
    tables = status_of(names=study.tables)
    return any(name not in tables or tables[name].reasons for name in study.tables)


def has_gpu() -> bool:
    """Whether torch finds a GPU; the list of commands does without torch."""
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    main()
