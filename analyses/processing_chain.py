"""Where do chains of processing lose bits of a token, where do they make bits usable, and does the inequality stand?

Two families, at lags 0, 1 and 4. *A trace*: independent Zipf tokens (64 types), an EMA of alpha 0.3 in 32 dims, then
noise, projection to 8 and 2 dims, and the sign of one number; and the same trace rounded to bfloat16 and to int8. *A
model*: the stories of a small transformer through its embedding and layers, at one position. There a layer is computed
from the one before at that position *and* at earlier ones, so that for older tokens the stages are no chain, and the
check should say so; for the newest token (lag 0), which the embedding determines, it must not. It could refute that
the check tells the two apart. Three seeds; five minutes on one core.

    python -m analyses.processing_chain --data ../shared/data
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil.corpus import load_corpus
from infodil.encoders import load_encoder
from infodil.precision import Quantizer
from infodil.processing import check_chain
from infodil.sources import iid
from infodil.traces import ema


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    lags: tuple[int, ...] = (0, 1, 4)
    types: int = 64
    dim: int = 32
    alpha: float = 0.3
    noise: float = 0.3
    dims: tuple[int, ...] = (8, 2)
    documents: int = 150
    tokens: int = 100
    before: int = 40
    story_tokens: int = 35_000
    seeds: tuple[int, ...] = (0, 1, 2)
    probe: str = "linear"
    model: str = "model-stories260k"
    corpus: str = "tinystories-sample/tinystories-2mib.txt.gz"


SMOKE = Config(lags=(1,), types=8, dim=4, dims=(2,), documents=30, tokens=20, before=10, story_tokens=1500, seeds=(0,))


def trace_chains(config, seed):
    """Tokens at each lag, the chains of states, and documents."""
    generator = torch.Generator().manual_seed(seed)
    drawn = iid(config.types, config.documents, config.before + config.tokens, distribution="zipf", seed=seed).tokens
    book = torch.randn(config.types, config.dim, generator=generator)
    book /= book.norm(dim=1, keepdim=True)
    state = ema(book[drawn], config.alpha)[:, config.before :].flatten(0, 1)
    noisy = state + config.noise * state.std() * torch.randn(state.shape, generator=generator)
    steps = [("trace", state), ("noise", noisy)]
    for dims in config.dims:
        last = steps[-1][1]
        turn = torch.linalg.qr(torch.randn(last.shape[1], dims, generator=generator))[0]
        steps.append((f"{dims} dims", last @ turn))
    steps.append(("a sign", (steps[-1][1][:, :1] > 0).double()))
    rounded = [("trace", state)]
    for precision in ("bfloat16", "int8"):
        rounded.append((precision, Quantizer.of(precision, rounded[-1][1]).quantize(rounded[-1][1])))
    tokens = {lag: drawn[:, config.before - lag : drawn.shape[1] - lag].flatten() for lag in config.lags}
    documents = torch.arange(config.documents).repeat_interleave(config.tokens)
    return tokens, {"lossy": steps, "rounded": rounded}, documents


def model_chain(data, config, seed):
    """The same of a model: every site, the embedding first; a third of the documents for each seed."""
    encoder = load_encoder(data / config.model, sites="*")
    corpus = load_corpus(data / config.corpus)
    with corpus.tokenize(encoder.tokenizer, max_tokens=4 * config.story_tokens, seed=0) as read:
        split = read.splits["train"]
        blocks, tokens, documents = [], [], []
        deepest = max(config.lags)
        for batch in split.batches(8):
            document = split.document[np.searchsorted(split.starts, batch.starts.numpy())]
            keep = torch.from_numpy(document % len(config.seeds) == seed) & (batch.lengths > deepest)
            if not keep.any():
                continue
            ids, lengths = batch.tokens[keep], batch.lengths[keep]
            with torch.no_grad():
                states = encoder.encode(ids)
            for row, length in enumerate(lengths.tolist()):
                blocks.append({site: values[row, deepest:length].float().clone() for site, values in states.items()})
                tokens.append(torch.stack([ids[row, deepest - lag : length - lag] for lag in config.lags]))
                documents.append(torch.full((length - deepest,), int(document[keep.numpy()][row])))
    stages = [(site, torch.cat([part[site] for part in blocks])) for site in blocks[0]]
    tokens = torch.cat(tokens, 1)
    return dict(zip(config.lags, tokens, strict=True)), {"layers": stages}, torch.cat(documents)


def check(tokens, stages, documents, lag, seed, probe, name):
    """One row a stage."""
    checked = check_chain(tokens, stages, groups=documents, seed=seed, probe=probe)
    print(f"{name}, lag {lag}, seed {seed}\n{checked}\n", flush=True)
    rows = checked.to_frame().astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    where = {"chain": name, "lag": lag, "seed": seed, "samples": len(tokens)}
    return [where | {"place": place} | row for place, row in enumerate(rows)]


def measure(cell, config, data):
    """Rows of all chains of one family and seed."""
    family, seed = cell
    make = {"trace": trace_chains, "model": partial(model_chain, data)}[family]
    tokens, chains, documents = make(config, seed)
    return [
        row
        for name, stages in chains.items()
        for lag in config.lags
        for row in check(tokens[lag], stages, documents, lag, seed, config.probe, name)
    ]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    model = [f"{config.model}/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")]
    inputs = files_in(options.data, config.corpus, *model)
    cells = [(family, seed) for seed in config.seeds for family in ("trace", "model")]
    with Study(__file__, options) as study:
        finished = study.run(partial(measure, data=options.data), cells, config, inputs=inputs)
        study.write("processing_chain", finished.rows, config, finished)


if __name__ == "__main__":
    main()
