"""The terms of a report and of its columns, each with one sentence that a page shows where the term stands."""

__all__ = ["COLUMN_TERMS", "GLOSSARY", "definition"]

GLOSSARY = {
    "site": "A place in the model whose numbers are read: an embedding, the stream after a block, a recurrent state.",
    "kind of site": "What the numbers are: an embedding, the residual stream, what a token mixer writes, a recurrent "
    "or convolution state, a trace, the output of a module, or recorded states.",
    "kind of token": "What the hidden token is: a band of frequency, how it is written, or a name of the user's own. "
    "Rows by kind average to the whole row, weighted by their test positions.",
    "lag": "The number of steps back: at lag 3 a probe predicts the token three steps before the state's position.",
    "probe": "A predictor of the past token from the state, trained on some documents and tested on others.",
    "selected probe": "The probe that predicts best on the calibration documents; test documents take no part in it.",
    "bits": "The mutual information that the probe proves: the entropy of the token less the probe's cross-entropy, on "
    "test documents. A lower bound; below zero it says no more than 'at least nothing'.",
    "interval": "Where the value lies at the stated confidence, each interval for itself, by resampling documents.",
    "recoverable bits": "The sum of the bits over the measured lags; not a joint quantity.",
    "ceiling": "The entropy of a token: no probe of any state can recover more bits than this.",
    "share of ceiling": "The recoverable bits as a part of the sum of the ceilings.",
    "half-life": "The lag within which half of the bits at the shortest lag are lost; '>' means not within the lags "
    "that were measured.",
    "beyond context": "The bits that the state adds to what the tokens between then and now already tell about the "
    "token, by a context model: an estimate, not a bound.",
    "context": "The bits that the tokens after a token tell about it, without the state, by the better context model.",
    "context model": "What guesses a token from those after it: a backward n-gram, a backward language model, or a "
    "function of the user's own; the one that predicts the calibration documents better.",
    "whole past": "What the state holds of the tokens at all measured lags together: the sum of the bits where tokens "
    "were declared independent, a lower bound; else the sum of the bits beyond context, an estimate.",
    "upper bound": "The least of the bounds from above that hold for any probe: the entropy of a token, the budget of "
    "the state at its precision, the genie bound, the exact posterior.",
    "width": "The upper bound less the bits: what no probe here could decide.",
    "budget": "A bound on what the state holds of the whole past together, at the stated precision.",
    "genie bound": "What the state could tell about one token if every other token were known.",
    "usable": "The bits beyond the unigram prior of the training documents (Xu et al. 2020).",
    "top-1": "How often the probe's first guess is the token.",
    "top-5": "How often the token is among the probe's first five guesses.",
    "shuffled": "The bits of the same probe after tokens were shuffled among documents: the truth is zero, and what is "
    "read measures the error of the procedure.",
    "random weights": "The bits of the control probe in the same model with its weights drawn anew: what the "
    "architecture gives without training.",
    "precision": "The format that the states were rounded to, or the noise that was added, before they were read.",
    "test positions": "The number of positions of the test documents that the value is a mean of.",
    "train positions": "The number of positions of the training documents that the probe learned from.",
    "dim": "The number of numbers that a site has at each position, and before it of the sketch that was read of them.",
    "effective rank": "The exponential of the entropy of the normalised singular values of the states (Roy and "
    "Vetterli 2007): in how many directions they vary alike.",
    "bits per number": "The whole past, or in a row the bits, over the numbers of the state.",
    "bits per stored bit": "The same over the bits that the model stores the state in: numbers times the size of their "
    "type.",
    "lags": "The number of lags that were measured.",
    "difference": "The bits in one report less those in the first, with an interval that treats both as independent.",
}
"""Term to definition."""

COLUMN_TERMS = {
    "site": "site",
    "kind_of_site": "kind of site",
    "lag": "lag",
    "probe": "probe",
    "value_bits": "bits",
    "beyond_context_bits": "beyond context",
    "context_bits": "context",
    "context_model": "context model",
    "ceiling_bits": "ceiling",
    "upper_bits": "upper bound",
    "width_bits": "width",
    "genie_bits": "genie bound",
    "usable_bits": "usable",
    "top1": "top-1",
    "top5": "top-5",
    "shuffled_bits": "shuffled",
    "random_weights_bits": "random weights",
    "samples": "test positions",
    "train_samples": "train positions",
    "chosen": "selected probe",
}
"""Columns of the table of rows, in order, with the term that each shows."""


def definition(heading: str) -> str:
    """The definition of the term that a heading names; empty where the heading names none.

    Args:
        heading: A heading, which may have its unit after a comma or on a second line.

    Returns:
        The sentence.
    """
    words = " ".join(heading.split())
    candidates = (words, words.partition(",")[0], words.rsplit(" ", 1)[0])
    return next((GLOSSARY[term] for term in candidates if term in GLOSSARY), "")
