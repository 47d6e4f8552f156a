"""Does a network that selects its layers' messages by the input lose less than one that adds them up?

Small transformers that differ only in how their stream accumulates what blocks write: a sum, an exponential average,
learned weights (a gate a layer, or DenseFormer's weight a pair of layers) and functions of the input (highway gates,
attention over depth). At 6, 12, 24 and 48 narrow blocks all have about 20,000 parameters beside token vectors and
positions, the rule's own counted, and see the same 526,336 bytes of stories in the same order: 20 bytes a parameter and
more. The peak rate of each rule is the best of the same grid at 12 blocks, on calibration stories and with another
seed. It could refute that only selection by the input keeps deep networks from diluting: weights that are fixed after
training would then do as well.

    python -m analyses.depth_trained --data ../shared/data

About 25 minutes of one core. The trained models stay in the folder of the cells, for `analyses.depth_trained_survival`.
"""

import time
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from safetensors.torch import save_file

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil.corpus import load_corpus
from infodil.lm import (
    LanguageModel,
    LanguageModelConfig,
    count_parameters,
    load_text,
    prepare_text,
    score_text,
    train_language_model,
)

CORPUS, FILE = "tinystories-sample", "tinystories-2mib.txt.gz"
RULES = ("sum", "ema", "dense", "attention", "gated", "highway")


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    text_tokens: int | None = None
    """Bytes read of the corpus; all by default."""
    shapes: tuple[tuple[int, int], ...] = ((6, 20), (12, 14), (24, 10), (48, 7))
    """Blocks, and the width that leaves the hidden units about twice as many."""
    block_parameters: int = 20_000
    """Parameters of blocks and rule together; hidden units are set to come nearest."""
    vocabulary: int = 256
    context: int = 64
    batch_size: int = 32
    steps: int = 257
    """Of 2,048 bytes: 20 bytes a parameter in the widest model, token vectors and positions counted."""
    rates: tuple[float, ...] = (4e-3, 8e-3, 16e-3)
    rate_blocks: int = 12
    rate_share: float = 0.5
    rate_seed: int = 100
    seeds: tuple[int, ...] = (0, 1, 2)
    held_out_tokens: int = 60_000


SMOKE = Config(
    text_tokens=60_000, shapes=((2, 8),), block_parameters=1500, steps=4, rates=(8e-3,), rate_blocks=2,
    seeds=(0, 1), held_out_tokens=2000,
)  # fmt: skip


def model_config(rule, blocks, config):
    """The model of a rule at a depth, its hidden units set to the parameters that all have."""
    dim = dict(config.shapes)[blocks]
    fields = {
        "vocabulary": config.vocabulary, "dim": dim, "layers": blocks, "context": config.context, "heads": 1,
        "accumulation": rule,
    }  # fmt: skip
    outside = (config.vocabulary + config.context + 2) * dim
    one, two = (count_parameters(LanguageModelConfig("attention", **fields, feed_forward=units)) for units in (1, 2))
    units = max(1, round((config.block_parameters + outside - one) / (two - one)) + 1)
    return LanguageModelConfig("attention", **fields, feed_forward=units)


def train(cell, config, folder):
    """Losses and gradient norms of one model, and its weights in a file; a rate is tried on calibration text alone."""
    text = load_text(folder / "text")
    built = model_config(cell["rule"], cell["blocks"], config)
    model = LanguageModel(built, seed=cell["seed"])
    calibration = text.splits["calibration"].tokens[: config.held_out_tokens]
    before = gradient_norms(model, calibration, config)
    start = time.process_time()
    training = train_language_model(
        model, text.splits["train"].tokens, calibration,
        tokens=max(1, round(config.steps * cell["share"])) * config.batch_size * config.context,
        window=config.context, batch_size=config.batch_size, peak_rate=cell["rate"], seed=cell["seed"], progress=False,
    )  # fmt: skip
    row = {
        "rule": cell["rule"], "blocks": cell["blocks"], "dim": built.dim, "hidden": built.feed_forward,
        "seed": cell["seed"], "peak_rate": cell["rate"], "tokens": training.tokens, "parameters": training.parameters,
        "rule_parameters": sum(weight.numel() for weight in model.accumulator.parameters()),
        "calibration_loss_nats": training.held_out_loss_nats,
        "cpu_seconds": round(time.process_time() - start, 1),
    }  # fmt: skip
    if cell["share"] < 1.0:
        return [row]
    loss = score_text(model, text.splits["test"], window=config.context)
    after = gradient_norms(model, calibration, config)
    save_file(model.state_dict(), folder / f"{cell['rule']}-{cell['blocks']}-{cell['seed']}.safetensors")
    documents = [
        {"document": number, "nats": nats, "predicted": predicted}
        for number, (nats, predicted) in enumerate(zip(loss.nats.tolist(), loss.tokens.tolist(), strict=True))
    ]
    gradients = [
        {"block": block, "norm_before": first, "norm_after": last}
        for block, (first, last) in enumerate(zip(before, after, strict=True), 1)
    ]
    return [row | {"test_loss_nats": loss.loss_nats, "documents": documents, "gradients": gradients}]


def gradient_norms(model, tokens, config):
    """Norm of the gradient of the mean loss with respect to the weights of each block."""
    rows = torch.from_numpy(tokens[: 16 * (config.context + 1)].astype(np.int64)).view(-1, config.context + 1)
    model.zero_grad()
    logits = model(rows[:, :-1])
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).backward()
    norms = [sum(float(weight.grad.square().sum()) for weight in block.parameters()) ** 0.5 for block in model.blocks]
    model.zero_grad()
    return norms


def choose_rates(run, rules, config):
    """The best peak rate of each rule on the calibration text, and what was tried."""
    cells = [
        {"rule": rule, "blocks": config.rate_blocks, "seed": config.rate_seed, "rate": rate, "share": config.rate_share}
        for rule in rules
        for rate in config.rates
    ]
    tried = run(train, cells)
    best = {
        rule: min((row for row in tried.rows if row["rule"] == rule), key=lambda row: row["calibration_loss_nats"])
        for rule in rules
    }
    rows = [row | {"chosen": row is best[row["rule"]]} for row in tried.rows]
    return {rule: row["peak_rate"] for rule, row in best.items()}, rows, tried


def main(arguments=None):
    parser = options_parser(__doc__, data=True)
    parser.add_argument("--rules", nargs="+", choices=RULES, default=RULES, help="rules that are trained")
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        inputs = {} if options.data is None else files_in(options.data, f"{CORPUS}/{FILE}")
        folder = study.folder(config, inputs)
        corpus = load_corpus("sample" if options.data is None else str(options.data / CORPUS), tokenizer="bytes")
        text = prepare_text(corpus, folder / "text", max_tokens=config.text_tokens, progress=False)

        def run(work, cells):
            return study.run(partial(work, folder=folder), cells, config, inputs=inputs)

        rates, tried, rate_cells = choose_rates(run, options.rules, config)
        cells = [
            {"rule": rule, "blocks": blocks, "seed": seed, "rate": rates[rule], "share": 1.0}
            for rule in options.rules
            for seed in config.seeds
            for blocks, _ in config.shapes
        ]
        trained = run(train, cells)
        record = asdict(config) | {"rules": list(options.rules), "text_sha256": text.provenance["sha256"]}
        lists = ("documents", "gradients")
        losses = [{name: row[name] for name in row if name not in lists} for row in trained.rows]
        study.write("depth_trained_rates", tried, record, rate_cells)
        study.write("depth_trained", losses, record, trained)
        for name in lists:
            keys = ("rule", "blocks", "seed")
            rows = [{key: row[key] for key in keys} | each for row in trained.rows for each in row[name]]
            study.write(f"depth_trained_{name}", rows, record, trained)
    for row in losses:
        print(row)


if __name__ == "__main__":
    main()
