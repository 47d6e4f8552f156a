"""Does the package keep anyone waiting?

`import infodil` with all its public names beyond `import torch`, and `infodil --help`, each the median of fresh
interpreters, warm. A minute.

    python -m analyses.benchmarks.import_time
"""

import inspect
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from analyses.cells import Study, options_parser
from analyses.engine import ROOT


def torch():
    import torch  # noqa: F401


def torch_and_infodil():
    import torch  # noqa: F401

    import infodil  # noqa: F401


def torch_and_every_public_name():
    import torch  # noqa: F401

    from infodil import (  # noqa: F401
        Corpus,
        Encoder,
        Estimate,
        RecoverabilityReport,
        load_corpus,
        load_encoder,
        load_report,
        recoverability,
    )


def infodil_help():
    import sys

    import infodil.cli

    sys.argv = ["infodil", "--help"]
    infodil.cli.main()


CODE = {
    "torch": torch,
    "torch and infodil": torch_and_infodil,
    "torch and every public name": torch_and_every_public_name,
    "infodil --help": infodil_help,
}
"""What is timed; written as functions, so that what they import is known to be the engine of this study."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    repeats: int = 9


SMOKE = Config(repeats=1)


def seconds(function):
    """Time of a function's body in a fresh interpreter."""
    code = f"{inspect.getsource(function)}\n{function.__name__}()"
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - begin


def measure(repeats, config):
    """A row for each command."""
    for function in CODE.values():
        seconds(function)
    # Rounds, not blocks: a busy minute then falls on all alike.
    taken = [{name: seconds(function) for name, function in CODE.items()} for _ in range(repeats)]
    rows = []
    for name in CODE:
        median = statistics.median(round_[name] for round_ in taken)
        beyond = statistics.median(round_[name] - round_["torch"] for round_ in taken)
        rows.append({"what": name, "seconds": median, "seconds_beyond_torch": beyond if "torch" in name else ""})
        print(rows[-1], flush=True)
    return rows


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, [config.repeats], config)
        study.write("benchmark_import_time", finished.rows, config, finished)


if __name__ == "__main__":
    main()
