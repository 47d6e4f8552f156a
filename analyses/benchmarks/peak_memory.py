"""Does the memory of a measurement grow with the corpus?

Peak resident memory of `recoverability` on 500 thousand and on 2 million tokens, each in a process of its own, on
synthetic token documents read from a file. It could refute "constant memory in the corpus". About six minutes.

    python -m analyses.benchmarks.peak_memory
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from analyses.provenance import write_results


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    tokens: tuple[int, ...] = (500_000, 2_000_000)
    document: int = 400
    vocabulary: int = 2048
    dim: int = 64
    lags: tuple[int, ...] = (0, 1, 4, 16)
    seed: int = 0


def write_corpus(path, config):
    """As many documents as the longest run reads, in JSON lines."""
    from infodil.sources import iid

    with path.open("w", encoding="utf-8") as file:
        for part in range(max(config.tokens) // config.document // 100):
            source = iid(config.vocabulary, documents=100, tokens=config.document, distribution="zipf", seed=part)
            file.writelines(json.dumps({"text": row.tolist()}) + "\n" for row in source.tokens)


def measure(path, tokens, config):
    """One run, in this process."""
    import infodil

    corpus = infodil.load_corpus(path, vocabulary=config.vocabulary)
    infodil.recoverability(
        "ema", corpus, lags=config.lags, max_tokens=tokens, dim=config.dim, seed=config.seed, progress=False
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = Config()
    if options.run:
        print(measure(Path(options.run[0]), int(options.run[1]), config))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        write_corpus(path, config)
        for tokens in config.tokens:
            command = [sys.executable, "-m", "analyses.benchmarks.peak_memory", "--run", str(path), str(tokens)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append({"tokens": tokens, "peak_mebibytes": float(answer.stdout.split()[-1])})
            rows[-1]["ratio"] = rows[-1]["peak_mebibytes"] / rows[0]["peak_mebibytes"]
            print(rows[-1], flush=True)
    write_results("benchmark_peak_memory", rows, asdict(config))


if __name__ == "__main__":
    main()
