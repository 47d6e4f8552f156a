"""Does the package keep anyone waiting?

`import infodil` with all its public names beyond `import torch`, and `infodil --help`, each the median of fresh
interpreters, warm. A minute.

    python -m analyses.benchmarks.import_time
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from analyses.provenance import write_results

CODE = {
    "torch": "import torch",
    "torch and infodil": "import torch, infodil",
    "torch and every public name": "import torch, infodil; [getattr(infodil, name) for name in infodil.__all__]",
    "infodil --help": "import infodil.cli, sys; sys.argv = ['infodil', '--help']; infodil.cli.main()",
}


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    repeats: int = 9


def seconds(code):
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return time.perf_counter() - begin


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    config = Config()
    for code in CODE.values():
        seconds(code)
    # Rounds, not blocks: a busy minute then falls on all alike.
    taken = [{name: seconds(code) for name, code in CODE.items()} for _ in range(config.repeats)]
    rows = []
    for name in CODE:
        median = statistics.median(round_[name] for round_ in taken)
        beyond = statistics.median(round_[name] - round_["torch"] for round_ in taken)
        rows.append({"what": name, "seconds": median, "seconds_beyond_torch": beyond if "torch" in name else ""})
        print(rows[-1], flush=True)
    write_results("benchmark_import_time", rows, asdict(config))


if __name__ == "__main__":
    main()
