"""Which states hold structure, and which hold content: bits about roles beside bits about past words, for each encoder.

Sentences of grammar A; states that see the words so far, and states that see the whole sentence: multi-timescale traces
of word vectors learned without labels, what the Hebbian learner expects from them, language models, a GRU with random
weights, and a BiGRU trained on every role. Structure: bits about the role of the newest word, and bits beyond what
that word tells, I(role; state | word), by the exact I(role; word) of the grammar and below an exact ceiling. Content:
bits about the word so many steps back. All are lower bounds by one estimator, with intervals over sentences; for the
states that see the words so far, content is measured by `infodil.recoverability` as well, which takes no others. It
could refute that traces trade content for structure (Singh 2026). Fifteen minutes on one idle core.

    python -m analyses.structure_and_content
"""

import dataclasses
from dataclasses import dataclass
from functools import partial

import torch

import infodil
from analyses.cells import Study, options_parser
from infodil.lm import LanguageModel, LanguageModelConfig, train_language_model
from infodil.mi import lower_bound
from infodil.roles import Architecture, grammar
from infodil.roles.learners import train_bigru
from infodil.roles.study import GRU_TOKENS, Trial, gru_states, hebbian_learner, trace_states
from infodil.roles.texts import role_information, word_ceiling
from infodil.sources import entropy_bits

WINDOW = 32
"""Tokens that the attention language model reads at once: more than the longest sentence has."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    training: int = 4000
    sentences: int = 800
    lags: tuple[int, ...] = (1, 2, 4)
    seeds: tuple[int, ...] = (0, 1, 2)
    probe: str = "auto"
    """Of every lower bound."""
    probes: tuple[str, ...] = ("gaussian", "linear")
    """Of `recoverability`."""
    steps: int = 800
    """Of the BiGRU."""
    tokens: int = GRU_TOKENS
    """Of the attention language model, as of the others."""
    encoders: tuple[str, ...] = ()
    """All if none is named."""


SMOKE = Config(
    training=60, sentences=60, lags=(1,), seeds=(0,), probe="gaussian", probes=("gaussian",), steps=2, tokens=1000,
    encoders=("word alone", "supervised BiGRU"),
)  # fmt: skip


def word_alone(trial, config):
    """The newest word, and nothing else."""
    return lambda text: torch.nn.functional.one_hot(text.words[text.present], len(text.vocabulary)).float()


def traces(trial, config, backward):
    """The vector of the newest word and the traces around it."""
    return trace_states(dataclasses.replace(trial, architecture=Architecture(hidden=0, backward=backward)))


def expected(trial, config):
    """What the Hebbian learner expects in the place of the newest word, beside that word's vector."""
    learner = hebbian_learner(trial, Architecture(restarts=1))
    return lambda text: torch.cat([learner.word_states(text.words), learner.expected_states(text.words)], dim=1)


def gru(trial, config, both, trained):
    """Language models that are GRUs, one for each direction; with random weights where not trained."""
    states = gru_states(trial, trained)
    return states if both else lambda text: states(text).chunk(2, dim=1)[0]


def attention(trial, config):
    """A transformer that learned to predict words, after its last block."""
    shape = LanguageModelConfig(
        "attention", len(trial.train.vocabulary), dim=64, layers=2, context=WINDOW, feed_forward=256
    )
    model = LanguageModel(shape, seed=trial.seed)
    flat = [text.words[text.present].numpy() for text in (trial.train, trial.validation)]
    train_language_model(
        model, *flat, tokens=config.tokens, window=WINDOW, batch_size=32, seed=trial.seed, progress=False
    )
    return lambda text: model.encode(text.words.clamp(min=0))["block.2"][text.present]


def bigru(trial, config):
    """The supervised rival, trained on the role of every word of the training text."""
    model, _ = train_bigru(trial.train, trial.validation, steps=config.steps, seed=trial.seed)
    return lambda text: model.states(text.words)[text.present]


FORWARD = {
    "word alone": word_alone,
    "traces": partial(traces, backward=False),
    "GRU language model": partial(gru, both=False, trained=True),
    "random GRU": partial(gru, both=False, trained=False),
    "attention language model": attention,
}
BOTH_WAYS = {
    "traces, both ways": partial(traces, backward=True),
    "Hebbian expectation, both ways": expected,
    "GRU language models, both ways": partial(gru, both=True, trained=True),
    "supervised BiGRU": bigru,
}
ENCODERS = FORWARD | BOTH_WAYS
"""Name to what makes, of a trial, a function from a text to the state at each of its words."""


class StatesEncoder:
    """States that see the words so far as an `infodil.Encoder`."""

    def __init__(self, read, like, site):
        self.read, self.like, self.sites, self.vocabulary = read, like, (site,), len(like.vocabulary)

    @torch.no_grad()
    def encode(self, tokens):
        text = dataclasses.replace(self.like, words=tokens, categories=tokens, roles=tokens, depth=tokens)
        return {self.sites[0]: self.read(text).view(*tokens.shape, -1)}


def measure(cell, config):
    """Rows of one encoder and seed."""
    encoder, seed = cell
    of = grammar("A")
    train = of.sample(config.training, seed=3 * seed)
    trial = Trial(train, of.sample(max(2, config.training // 10), seed=3 * seed + 1), seed)
    text = of.sample(config.sentences, seed=3 * seed + 2)
    read = ENCODERS[encoder](trial, config)
    with torch.no_grad():
        states = read(text)
    rows = [
        *structure(of, text, states, None if encoder in BOTH_WAYS else 0, config),
        *content(text, states, config),
    ]
    if encoder in FORWARD:
        rows += recovered(StatesEncoder(read, text, encoder), text, seed, config)
    sees = "sentence" if encoder in BOTH_WAYS else "words so far"
    return [{"encoder": encoder, "sees": sees, "dim": states.shape[1], "seed": seed, **row} for row in rows]


def structure(of, text, states, ahead, config):
    """Bits about the role, and beyond the word, below what the words that are seen tell of it exactly."""
    document, _ = text.present.nonzero(as_tuple=True)
    roles, both = text.roles[text.present], torch.cat([states, word_alone(None, config)(text)], dim=1)
    known = role_information(of)
    most = known.role_bits - word_ceiling(of, ahead).remaining_bits
    for about, seen, less in (("role", states, 0.0), ("role beyond the word", both, known.word_bits)):
        estimate = lower_bound(roles, seen, probe=config.probe, groups=document)
        yield {"about": about, "lag": "", "by": "lower_bound", **values(estimate, less), "ceiling_bits": most - less}


def content(text, states, config):
    """Bits about the words before, below the plug-in entropy of a word."""
    document, place = text.present.nonzero(as_tuple=True)
    for lag in config.lags:
        back = place >= lag
        tokens = text.words[document[back], place[back] - lag]
        estimate = lower_bound(tokens, states[back], probe=config.probe, groups=document[back])
        ceiling = entropy_bits(torch.bincount(tokens).double().numpy() / len(tokens))
        yield {"about": "word", "lag": lag, "by": "lower_bound", **values(estimate), "ceiling_bits": ceiling}


def values(estimate, less=0.0):
    """Columns of an estimate."""
    ends = {end: getattr(estimate, end) - less for end in ("value_bits", "low_bits", "high_bits")}
    return {**ends, "samples": estimate.samples}


def recovered(encoder, text, seed, config):
    """Bits about earlier words by `infodil.recoverability`: each lag's probe is selected on the calibration split."""
    sentences = [words[words >= 0].numpy() for words in text.words]
    report = infodil.recoverability(
        encoder, sentences, lags=config.lags, probes=config.probes, seed=seed, controls=False, progress=False
    )
    fields = ("lag", "value_bits", "low_bits", "high_bits", "samples", "ceiling_bits")
    for row in report.rows:
        if row["chosen"]:
            yield {"about": "word", "by": "recoverability", **{field: row[field] for field in fields}}


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(encoder, seed) for seed in config.seeds for encoder in config.encoders or ENCODERS]
    with Study(__file__, options) as study:
        finished = study.run(measure, cells, config)
        study.write("structure_and_content", finished.rows, config, finished)
    for row in finished.rows:
        value = f"{row['value_bits']:.3f} [{row['low_bits']:.3f}, {row['high_bits']:.3f}]"
        ceiling = f"of {row['ceiling_bits']:.3f}"
        print(row["encoder"], row["seed"], row["about"], row["lag"], row["by"], value, ceiling, sep="\t")


if __name__ == "__main__":
    main()
