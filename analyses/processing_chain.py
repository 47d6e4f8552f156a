"""Where do chains of processing lose bits of a token, where do they make bits usable, and does the inequality stand?

Two families, at lags 0, 1 and 4. *A trace*: independent Zipf tokens (64 types), an EMA of alpha 0.3 in 32 dims, then
noise, projection to 8 and 2 dims, and the sign of one number; and the same trace rounded to bfloat16 and to int8. *A
model*: the stories of a small transformer through its embedding and layers, at one position. There a layer is computed
from the one before at that position *and* at earlier ones, so that for older tokens the stages are no chain, and the
check should say so; for the newest token (lag 0), which the embedding determines, it must not. It could refute that
the check tells the two apart. Three seeds; five minutes on one core.

    python -m analyses.processing_chain --data ../shared/data
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from analyses.provenance import write_results
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
    encoder = load_encoder(data / "model-stories260k", sites="*")
    corpus = load_corpus(data / "tinystories-sample" / "tinystories-2mib.txt.gz")
    with corpus.tokenize(encoder.tokenizer, max_tokens=4 * config.story_tokens, seed=0) as read:
        split = read.splits["train"]
        found, tokens, documents = [], [], []
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
                found.append({site: values[row, deepest:length].float().clone() for site, values in states.items()})
                tokens.append(torch.stack([ids[row, deepest - lag : length - lag] for lag in config.lags]))
                documents.append(torch.full((length - deepest,), int(document[keep.numpy()][row])))
    stages = [(site, torch.cat([part[site] for part in found])) for site in found[0]]
    tokens = torch.cat(tokens, 1)
    return dict(zip(config.lags, tokens, strict=True)), {"layers": stages}, torch.cat(documents)


def check(name, tokens, stages, documents, lag, seed, probe):
    """One row a stage."""
    found = check_chain(tokens, stages, groups=documents, seed=seed, probe=probe)
    print(f"{name}, lag {lag}, seed {seed}\n{found}\n", flush=True)
    rows = found.to_frame().astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    where = {"chain": name, "lag": lag, "seed": seed, "samples": len(tokens)}
    return [where | {"place": place} | row for place, row in enumerate(rows)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config, rows = Config(), []
    for seed in config.seeds:
        for tokens, chains, documents in (trace_chains(config, seed), model_chain(options.data, config, seed)):
            for name, stages in chains.items():
                for lag in config.lags:
                    rows += check(name, tokens[lag], stages, documents, lag, seed, config.probe)
    write_results("processing_chain", rows, asdict(config))


if __name__ == "__main__":
    main()
