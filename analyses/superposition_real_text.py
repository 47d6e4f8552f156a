"""On real text, what does each probe of the ladder read of an EMA bank over a trained embedding?

The token vectors are SmolLM2-135M's (49,152 types, 576 dims), the state a bank of three EMA traces (alpha .5, .1, .02:
1,728 numbers) in float32, the text wikitext-2 (`--data` is the folder that holds `wikitext-2`). All probes read the
same states of the same documents; the decoder reads a sample of positions, as the report says. Three seeds draw splits,
calibration rows and training order anew. The multilayer perceptron is left out: on 22,000 training rows of 49,152
types its hidden layer adds nothing, and it answers as the linear probe does. It could refute that what a linear probe
does not read is lost. Five minutes of one idle core a seed.

    python -m analyses.superposition_real_text --data ../shared/data
"""

from dataclasses import dataclass
from functools import partial

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from analyses.recoverability_on_real_text import TITLES, WIKITEXT, smol_file
from infodil.encoders import TraceEncoder, load_encoder
from infodil.probes import Pursuit


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    model: str = "SmolLM2-135M"
    """Its token vectors and tokenizer; or a folder of the data."""
    alphas: tuple[float, ...] = (0.5, 0.1, 0.02)
    lags: tuple[int, ...] = (0, 2, 4, 8, 16)
    probes: tuple[str, ...] = ("gaussian", "linear", "pursuit")
    max_tokens: int = 32_000
    decoded_rows: int = 192
    seeds: tuple[int, ...] = (0, 1, 2)


SMOKE = Config(model="model-stories260k", lags=(0, 2), max_tokens=4000, decoded_rows=8, seeds=(0,))


def model_file(data, config):
    """File or folder of the model."""
    return smol_file() if config.model == Config.model else data / config.model


def measure(seed, config, data):
    """Rows of one seed."""
    decoder = Pursuit(max_rows=config.decoded_rows)  # a state among 49,152 types takes half a second
    probes = [decoder if probe == decoder.name else probe for probe in config.probes]
    model = load_encoder(str(model_file(data, config)))
    vectors = model.module.get_input_embeddings().weight.detach().float()
    encoder = TraceEncoder(len(vectors), config.alphas, embedding=vectors)
    corpus = infodil.load_corpus(data / WIKITEXT, separator=TITLES, tokenizer=model.tokenizer)
    report = infodil.recoverability(
        encoder, corpus, lags=config.lags, probes=probes, max_tokens=config.max_tokens, seed=seed, progress=False
    )
    print(report, "\n", flush=True)
    return [{"seed": seed, **row} for row in report.rows]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    file = model_file(options.data, config)
    inputs = {file.name: file / "model.safetensors" if file.is_dir() else file} | files_in(options.data, WIKITEXT)
    with Study(__file__, options) as study:
        finished = study.run(partial(measure, data=options.data), config.seeds, config, inputs=inputs)
        study.write("superposition_real_text", finished.rows, config, finished)
    for lag in config.lags:
        value = {
            probe: [row["value_bits"] for row in finished.rows if row["lag"] == lag and row["probe"] == probe]
            for probe in config.probes
        }
        print(lag, *(f"{probe} {sum(bits) / len(bits):.2f}" for probe, bits in value.items() if bits))


if __name__ == "__main__":
    main()
