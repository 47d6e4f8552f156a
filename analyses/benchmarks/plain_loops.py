"""Do the linear probe and the perceptron read as much as the training loops a competent user writes, at no more CPU?

The loops are `torch.nn.Linear` and a perceptron with one hidden layer of 512, trained by AdamW with a warm-up and a
cosine, on the same standardized states, rows and split; the epoch is chosen on the same calibration rows. The linear
loop is run at two learning rates, and the better one on the calibration rows is kept and charged alone. The probes are
charged with the Gaussian solution that they start from, the perceptron with the linear probe too.

Tasks differ in corpus (independent tokens, a Markov chain, Shakespeare by word and documentation by piece), encoder
(one trace, a random GRU), dims, classes and rows. Every loss is the cross-entropy of the test rows.

About ten minutes of one core.

    python -m analyses.benchmarks.plain_loops --data ../shared/data
"""

import functools
import gzip
import math
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil.corpus import load_corpus
from infodil.encoders import load_encoder
from infodil.probes import PROBES, Calibration, ProbeSpec, Standardizer, cross_entropy_nats, fit_class_map
from infodil.sources import iid, markov

SHAKESPEARE = "tinyshakespeare/input.txt.gz"
DOCUMENT_TOKENS = 200


@dataclass(frozen=True)
class Task:
    """One set of states and the token to be read from them."""

    corpus: str
    encoder: str
    types: int
    dim: int
    lag: int
    train_rows: int
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    tasks: tuple[Task, ...] = (
        Task("shakespeare", "ema", 300, 256, 1, 40_000),
        Task("shakespeare", "gru", 300, 96, 1, 40_000),
        Task("documentation", "gru", 1000, 96, 1, 40_000),
        Task("documentation", "ema", 1000, 64, 2, 40_000),
        Task("zipf", "ema", 300, 128, 2, 12_000),
        Task("zipf", "gru", 1000, 128, 2, 100_000),
        Task("markov", "gru", 100, 32, 2, 40_000),
    )
    alpha: float = 0.3
    calibration_rows: int = 4096
    test_rows: int = 12_000
    linear_rates: tuple[float, ...] = (3e-3, 1e-2)
    linear_rows: int = 512
    linear_epochs: int = 10
    perceptron_rate: float = 3e-3
    perceptron_rows: int = 256
    perceptron_epochs: int = 5
    width: int = 512


SMOKE = Config(
    tasks=(Task("zipf", "ema", 20, 8, 1, 1000), Task("markov", "gru", 12, 8, 1, 1000)),
    calibration_rows=300, test_rows=500, linear_epochs=2, perceptron_epochs=1, width=16,
)  # fmt: skip


def token_stream(task, rows, data):
    """Token ids of a corpus, `rows` of them at the least, the rarest types as one."""
    documents = -(-rows // (DOCUMENT_TOKENS - task.lag))
    if task.corpus == "zipf":
        return iid(task.types, documents=documents, tokens=DOCUMENT_TOKENS, distribution="zipf", seed=task.seed).tokens
    if task.corpus == "markov":
        return markov(vocabulary=task.types, documents=documents, tokens=DOCUMENT_TOKENS, seed=task.seed).tokens
    if task.corpus == "shakespeare":
        with gzip.open(data, "rt", encoding="utf-8") as file:
            words = re.findall(r"[a-z']+|[^\sa-z]", file.read().lower())
        known = {word: number for number, (word, _) in enumerate(Counter(words).most_common(task.types - 1))}
        ids = torch.tensor([known.get(word, task.types - 1) for word in words])
    else:
        with load_corpus("sample").tokenize("bpe", max_tokens=2 * rows, seed=task.seed) as tokens:
            ids = torch.from_numpy(np.concatenate([np.asarray(split.tokens) for split in tokens.splits.values()]))
        order = torch.bincount(ids).argsort(descending=True)
        ids = order.argsort()[ids].clamp(max=task.types - 1)
    return ids[: len(ids) // DOCUMENT_TOKENS * DOCUMENT_TOKENS].view(-1, DOCUMENT_TOKENS)[:documents]


def make_parts(task, config, data):
    """Standardized states and classes of the training, calibration and test rows, and the classes."""
    sizes = (task.train_rows, config.calibration_rows, config.test_rows)
    tokens = token_stream(task, sum(sizes), data).long()
    options = {"alpha": config.alpha} if task.encoder == "ema" else {}
    encoder = load_encoder(task.encoder, vocabulary=task.types, dim=task.dim, seed=task.seed, **options)
    states = torch.cat([next(iter(encoder.encode(part).values()))[:, task.lag :] for part in tokens.split(64)])
    states, labels = states.flatten(0, 1), tokens[:, : DOCUMENT_TOKENS - task.lag].flatten()
    if len(labels) < sum(sizes):
        raise ValueError(f"{task.corpus} has {len(labels)} rows of {sum(sizes)}")
    ends = np.cumsum(sizes)
    spans = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    counts = [torch.bincount(labels[span], minlength=task.types) for span in spans[:2]]
    classes = fit_class_map(*counts)
    states = Standardizer.of(states[: task.train_rows]).apply(states)
    return [(states[span], classes.of_type[labels[span]]) for span in spans], classes


def run_probes(parts, classes, task):
    """Seconds of CPU and test loss of each probe, the seconds of those below it included."""
    (train, labels), (held, held_labels), (test, test_labels) = parts
    row, base, begin = {}, None, time.process_time()
    for name in ("gaussian", "linear", "mlp"):
        spec = ProbeSpec(train.shape[1], 1, classes, len(train), torch.device("cpu"), task.seed)
        fit = PROBES[name].start_fit(spec, base)
        for number in range(fit.passes):
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(number))
            for rows in order.split(8000):
                fit.update(train[rows], labels[None, rows])
            fit.end_pass(Calibration(held, held_labels[None]))
        seconds, base = time.process_time() - begin, fit
        logits = classes.class_log_prior + fit.temperatures[0] * fit.scores(fit.prepare(test), 0)
        row |= {f"{name}_seconds": seconds, f"{name}_nats": cross_entropy_nats(logits, test_labels)}
        begin = time.process_time() - seconds  # the test is not charged
    return row


def run_loop(parts, model, rate, step_rows, epochs, seed):
    """Seconds of CPU, calibration loss and test loss at the best epoch."""
    (train, labels), (held, held_labels), (test, test_labels) = parts
    begin, spared, best = time.process_time(), 0.0, (math.inf, math.inf)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * -(-len(train) // step_rows)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(train), generator=generator).split(step_rows):
            with torch.enable_grad():
                loss = nn.functional.cross_entropy(model(train[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        calibration = cross_entropy_nats(model(held), held_labels)
        pause = time.process_time()
        best = min(best, (calibration, cross_entropy_nats(model(test), test_labels)))
        spared += time.process_time() - pause
    return time.process_time() - begin - spared, *best


@torch.no_grad()
def measure(cell, config, data=None):
    """All four of one task."""
    task = Task(**cell)
    parts, classes = make_parts(task, config, data)
    row = asdict(task) | {"classes": classes.number} | run_probes(parts, classes, task)
    trials = []
    for rate in config.linear_rates:
        torch.manual_seed(task.seed)
        model = nn.Linear(task.dim, classes.number)
        trials.append((run_loop(parts, model, rate, config.linear_rows, config.linear_epochs, task.seed), rate))
    (seconds, _, loss), rate = min(trials, key=lambda trial: trial[0][1])
    row |= {"plain_linear_seconds": seconds, "plain_linear_nats": loss, "plain_linear_rate": rate}
    torch.manual_seed(task.seed)
    model = nn.Sequential(nn.Linear(task.dim, config.width), nn.GELU(), nn.Linear(config.width, classes.number))
    seconds, _, loss = run_loop(
        parts, model, config.perceptron_rate, config.perceptron_rows, config.perceptron_epochs, task.seed
    )
    row |= {"plain_mlp_seconds": seconds, "plain_mlp_nats": loss}
    return [row]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        inputs = {} if options.smoke else files_in(options.data, SHAKESPEARE)
        path = next(iter(inputs.values()), None)
        cells = [asdict(task) for task in config.tasks]
        finished = study.run(functools.partial(measure, data=path), cells, config, inputs=inputs)
        study.write("benchmark_plain_loops", finished.rows, config, finished)


if __name__ == "__main__":
    main()
