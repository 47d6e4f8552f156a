"""Which writes of a small transformer's blocks survive in its residual stream, and against random weights?

A pretrained model of five blocks reads stories. For each write of a token mixer or feed-forward part, and for token
identity, the table has bits, linear predictability, norm share and the coefficient that is retained in the stream at
every later depth, with intervals by document, and the same for the model with random weights. It could refute that
early writes are diluted only: a coefficient well below one shows that later writes erase them.

    python -m analyses.depth_survival --data ../shared/data

About 2 minutes of one core.
"""

import time
from dataclasses import dataclass
from functools import partial

import torch

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil import depth, load_corpus
from infodil.encoders import load_encoder

MODEL, CORPUS = "model-stories260k", "tinystories-sample"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    max_tokens: int = 100_000
    held_out_rows: int = 8192
    codes: tuple[int, ...] = (8, 8)
    seed: int = 0


SMOKE = Config(max_tokens=6000, held_out_rows=600, codes=(2, 2))


def measure(model, config, data):
    """A row for each write and depth of a model."""
    encoder = load_encoder(str(data / model), sites=("embedding", "layer.*", "layer.*.mixer"))
    corpus = load_corpus(str(data / CORPUS), max_length=512)
    start = time.process_time()
    report = depth.survival(
        encoder, corpus, max_tokens=config.max_tokens, held_out_rows=config.held_out_rows, codes=config.codes,
        seed=config.seed,
    )  # fmt: skip
    spent = time.process_time() - start
    forward = forward_seconds(encoder, report.corpus["tokens"], config.seed)
    row = {"model": model, "cpu_seconds": round(spent, 2), "forward_cpu_seconds": round(forward, 2)}
    return [row | each for each in report.rows]


@torch.no_grad()
def forward_seconds(encoder, tokens, seed):
    """Processor time of plain forward passes over as many tokens, in sequences of 512."""
    ids = torch.randint(encoder.vocabulary, (8, 512), generator=torch.Generator().manual_seed(seed))
    start = time.process_time()
    for _ in range(max(1, tokens // ids.numel())):
        encoder.module(input_ids=ids, use_cache=False)
    return time.process_time() - start


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    inputs = files_in(options.data, f"{MODEL}/model.safetensors", f"{CORPUS}/tinystories-2mib.txt.gz")
    with Study(__file__, options) as study:
        finished = study.run(partial(measure, data=options.data), [MODEL], config, inputs=inputs)
        study.write("depth_survival", finished.rows, config, finished)
    last = max(row["read"] for row in finished.rows)
    for row in finished.rows:
        if row["read"] == last:
            names = ("value_bits", "entropy_bits", "random_bits", "r2", "norm_share", "retained", "random_retained")
            numbers = {name: row.get(name) for name in names}
            words = (f"{name} {value:.2f}" for name, value in numbers.items() if value is not None)
            print(row["written"], ", ".join(words))
    print({(row["cpu_seconds"], row["forward_cpu_seconds"]) for row in finished.rows})


if __name__ == "__main__":
    main()
