"""Does the memory of a measurement grow with the corpus?

Peak resident memory of `recoverability` on 500 thousand and on 2 million tokens, each in a process of its own, on
synthetic token documents read from a file. It could refute "constant memory in the corpus". About six minutes.

    python -m analyses.benchmarks.peak_memory
"""

import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import infodil
from analyses.cells import Study, options_parser
from analyses.engine import ROOT
from infodil.sources import iid

ALONE = """
import json, sys
from pathlib import Path
from analyses.benchmarks.peak_memory import Config, peak_of

path, tokens, config = sys.argv[1:]
print(peak_of(Path(path), int(tokens), Config(**json.loads(config))))
"""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    tokens: tuple[int, ...] = (500_000, 2_000_000)
    document: int = 400
    vocabulary: int = 2048
    dim: int = 64
    lags: tuple[int, ...] = (0, 1, 4, 16)
    seed: int = 0


SMOKE = Config(tokens=(4000, 8000), document=40, vocabulary=16, dim=4, lags=(0, 1))


def write_corpus(path, tokens, config):
    """Documents of so many tokens in all, in JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for part in range(tokens // config.document // 100):
            source = iid(config.vocabulary, documents=100, tokens=config.document, distribution="zipf", seed=part)
            file.writelines(json.dumps({"text": row.tolist()}) + "\n" for row in source.tokens)


def peak_of(path, tokens, config):
    """Peak resident memory in MiB of one measurement, in this process."""
    corpus = infodil.load_corpus(path, vocabulary=config.vocabulary)
    infodil.recoverability(
        "ema", corpus, lags=config.lags, max_tokens=tokens, dim=config.dim, seed=config.seed, progress=False
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(tokens, config):
    """One row: a measurement of so many tokens, in a process that starts with nothing of this one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        write_corpus(path, tokens, config)
        command = [sys.executable, "-c", ALONE, str(path), str(tokens), json.dumps(asdict(config))]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [{"tokens": tokens, "peak_mebibytes": float(answer.stdout.split()[-1])}]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, config.tokens, config)
        least = finished.rows[0]["peak_mebibytes"]
        rows = [row | {"ratio": row["peak_mebibytes"] / least} for row in finished.rows]
        print(*rows, sep="\n")
        study.write("benchmark_peak_memory", rows, config, finished)


if __name__ == "__main__":
    main()
