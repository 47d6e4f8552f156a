"""The demonstration: six states side by side on the built-in text, two of them of models trained on the spot."""

__all__ = ["demo", "training_lines"]

import dataclasses
from collections.abc import Callable, Sequence
from itertools import islice

from infodil.corpus import load_corpus, train_bpe
from infodil.encoders import CombinedEncoder, LanguageModelEncoder, TraceEncoder, attention, gru
from infodil.estimate import BITS_PER_NAT
from infodil.lm import Training, train_language_model
from infodil.measure import recoverability
from infodil.report import RecoverabilityReport

VOCABULARY = 512
TOKENIZER_TEXTS = 1500
CORPUS_TOKENS = 240_000
MAX_LENGTH = 128
"""The window the two models are trained on: no state is measured beyond it."""

PARAMETERS = 322_000
TRAINING_TOKENS = 400_000
LAGS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def demo(
    *,
    seed: int = 0,
    progress: bool = True,
    corpus_tokens: int = CORPUS_TOKENS,
    training_tokens: int = TRAINING_TOKENS,
    lags: Sequence[int] = LAGS,
) -> RecoverabilityReport:
    """The report of one EMA trace, a bank of three, and a GRU and causal attention before and after training.

    The two language models have equal parameter budgets and see the same number of training tokens; they are trained
    on the training split only, so that the test split is new to them too. All six are read in the same passes on
    the same documents.

    Args:
        seed: Seed of everything random.
        progress: Whether progress bars are drawn.
        corpus_tokens: Number of tokens measured, over all splits.
        training_tokens: Number of tokens that each of the two language models is trained on.
        lags: Lags measured.

    Returns:
        The report, whose `model["trained"]` says how the two models were trained.
    """
    corpus = load_corpus("sample", max_length=MAX_LENGTH)
    tokenizer = train_bpe(islice(corpus.documents(), TOKENIZER_TEXTS), VOCABULARY)
    corpus = dataclasses.replace(corpus, tokenizer=tokenizer)
    encoders = {
        "EMA": TraceEncoder(VOCABULARY, (0.1,), dim=128, seed=seed),
        "EMA bank": TraceEncoder(VOCABULARY, (0.5, 0.1, 0.02), dim=48, seed=seed),
        "GRU": within_budget(gru, seed=seed),
        "GRU random": within_budget(gru, seed=seed),
        "attention": within_budget(attention, layers=2, every_block=False, seed=seed),
        "attention random": within_budget(attention, layers=2, every_block=False, seed=seed),
    }
    trained: dict[str, Training] = {}
    with corpus.tokenize(max_tokens=corpus_tokens, seed=seed, progress=progress) as tokens:
        for name in ("GRU", "attention"):
            trained[name] = train_language_model(
                encoders[name].module,
                tokens.splits["train"].tokens,
                tokens.splits["calibration"].tokens,
                tokens=training_tokens,
                seed=seed,
                progress=progress,
                words=f"training {name}",
            )
    report = recoverability(
        CombinedEncoder(encoders),
        corpus,
        lags=lags,
        max_tokens=corpus_tokens,
        seed=seed,
        progress=progress,
    )
    training = {name: dataclasses.asdict(result) for name, result in trained.items()}
    model = report.model | {"name": "demo", "trained": training}
    return dataclasses.replace(report, model=model)


def training_lines(report: RecoverabilityReport) -> str:
    """One line for each trained model, above the table."""
    return "".join(
        f"{name}: {training['parameters']:,} parameters, {training['tokens']:,} training tokens, "
        f"{training['held_out_loss_nats'] * BITS_PER_NAT:.2f} bits a token held out\n"
        for name, training in report.model["trained"].items()
    )


def within_budget(make: Callable[..., LanguageModelEncoder], **options: object) -> LanguageModelEncoder:
    """The widest language model of its kind with at most `PARAMETERS` parameters."""
    model = None
    for dim in range(16, 1024, 8):
        wider = make(VOCABULARY, dim, **options)
        if sum(parameter.numel() for parameter in wider.module.parameters()) > PARAMETERS:
            break
        model = wider
    return model
