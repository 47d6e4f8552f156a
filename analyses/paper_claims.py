"""The claims of arXiv 2604.08556, and what the committed tables say of each.

Every number of a finding comes from rows of a table; what the paper says, its figures among them, is quoted as it says
it. `analyses.claims` writes them down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Finding"]

Rows = Sequence[Mapping[str, str]]
Tables = Callable[[str], Rows]
"""From the name of a table to its rows, every value as it is spelled."""

HOLDS, IN_PART, CONTRADICTED, OPEN, NOT_TESTED = (
    "holds",
    "holds in part",
    "contradicted",
    "cannot be told",
    "not tested",
)
VERDICTS = {
    HOLDS: "the interval agrees with the paper's figure or lies beyond it",
    IN_PART: "one half of the claim is borne out and the other is not",
    CONTRADICTED: "the interval excludes what the paper says",
    OPEN: "the interval allows both",
    NOT_TESTED: "nothing was run at the claim's scale",
}
"""Every verdict and what it means."""

WIDEST_SHARE = 0.1
"""Width of an interval of shares beyond which agreement says nothing: ten points."""

PAPER_MILLIONS = 100.0
"""Millions of parameters from which a language model is of the paper's scale, 130M."""


@dataclass(frozen=True)
class Finding:
    """What was measured for one claim.

    Args:
        value: The number that decides.
        low: Lower end of its interval, or None where it is a count.
        high: Upper end of its interval, or None where it is a count.
        unit: One of `share`, `bits`, `nats`, `ratio` and `count`.
        of: What stands behind the number in a table, such as what it is a share of.
        measured: What the number is, and what else is to be known, without a full stop.
        on: Text, size and seeds.
        verdict: One of `VERDICTS`.
    """

    value: float
    low: float | None
    high: float | None
    unit: str
    of: str
    measured: str
    on: str
    verdict: str

    @property
    def spelled(self) -> str:
        """The number with its unit and interval, and what it is of."""
        digits, factor, unit = {
            "share": (1, 100, "%"), "bits": (2, 1, " bits"), "nats": (3, 1, " nats"), "ratio": (2, 1, ""),
            "count": (0, 1, ""),
        }[self.unit]  # fmt: skip
        words = [f"{factor * self.value:.{digits}f}{unit}"]
        if self.low is not None and self.high is not None:
            words.append(f"[{factor * self.low:.{digits}f}, {factor * self.high:.{digits}f}]")
        return " ".join([*words, *filter(None, [self.of])])


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Args:
        name: A short name.
        says: What the paper says, in a sentence.
        tables: Tables that decide.
        study: Script and words that make them, behind `python -m`.
        would_change: What would change the verdict.
        finding: From tables to what was measured.
    """

    name: str
    says: str
    tables: tuple[str, ...]
    study: str
    would_change: str
    finding: Callable[[Tables], Finding]


def select(rows: Rows, **values: str) -> list[Mapping[str, str]]:
    """The rows with these values."""
    found = [row for row in rows if all(row[name] == value for name, value in values.items())]
    if not found:
        raise LookupError(f"no row has {values}")
    return found


def reaches(low: float, high: float, figure: float) -> str:
    """Verdict on a share that the paper gives: an interval that holds it, or lies above it, and is narrow, agrees."""
    if high < figure:
        return CONTRADICTED
    return HOLDS if low >= figure or high - low <= WIDEST_SHARE else OPEN


def exceeds(low: float, high: float, figure: float) -> str:
    """Verdict on a claim that a figure is exceeded."""
    return HOLDS if low > figure else CONTRADICTED if high < figure else OPEN


def percent(value: object) -> str:
    """A share for a sentence."""
    return f"{100 * float(str(value)):.0f}%"


def role_row(tables: Tables, **values: str) -> Mapping[str, str]:
    """One row of the table of roles, of units that were named by the role that most of their tokens have."""
    (row,) = select(tables("roles_table"), group=values.pop("group", "arguments"), **values)
    return row


def hebbian(tables: Tables, group: str, text: str, column: str, figure: float, verdict: Callable) -> Finding:
    """Hebbian learning without labels on the headline text: its accuracy, or its ratio to the BiGRU's."""
    row = role_row(tables, study="headline", text=text, group=group, condition="Hebbian", naming="many_to_one")
    rival = role_row(tables, study="headline", text=text, group=group, condition="BiGRU")
    prefix = "ratio_" if column == "ratio" else ""
    value, low, high = (float(row[f"{prefix}{name}"]) for name in ("mean", "low", "high"))
    tokens = group if group == "arguments" else f"{group} tokens"
    measured = f"accuracy {percent(row['mean'])} on {tokens}, where the BiGRU has {percent(rival['mean'])}"
    on = f"grammar {text}, {int(row['sentences']):,} sentences, {row['seeds']} seeds"
    of = "of the BiGRU's" if prefix else "right"
    return Finding(value, low, high, "share", of, measured, on, verdict(low, high, figure))


def roles(tables: Tables) -> Finding:
    return hebbian(tables, "arguments", "A", "ratio", 0.96, reaches)


def structure_roles(tables: Tables) -> Finding:
    return hebbian(tables, "structure-dependent", "A", "ratio", 1.0, exceeds)


def deep_roles(tables: Tables) -> Finding:
    return hebbian(tables, "arguments", "A deep", "accuracy", 0.84, reaches)


def transferred_roles(tables: Tables) -> Finding:
    study = {"study": "transfer", "text": "B", "condition": "Hebbian", "naming": "many_to_one"}
    row, renamed = (role_row(tables, **study, named_on=text) for text in ("A", "B"))
    value, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    measured = f"accuracy on arguments of a verb-final grammar; {percent(renamed['mean'])} with units named anew there"
    on = f"learned on grammar A, {int(row['sentences']):,} sentences, {row['seeds']} seeds"
    return Finding(value, low, high, "share", "right", measured, on, reaches(low, high, 0.618))


def token_identity(tables: Tables) -> Finding:
    rows = tables("superposition_real_text")
    lag = max((row["lag"] for row in rows), key=int)
    decoder = select(rows, probe="pursuit", lag=lag)
    linear = fmean(float(row["value_bits"]) for row in select(rows, probe="linear", lag=lag))
    value, ceiling = (fmean(float(row[name]) for row in decoder) for name in ("value_bits", "ceiling_bits"))
    low, high = min(float(row["low_bits"]) for row in decoder), max(float(row["high_bits"]) for row in decoder)
    half = [float(row["ceiling_bits"]) / 2 for row in decoder]
    above = all(float(row["low_bits"]) > least for row, least in zip(decoder, half, strict=True))
    below = all(float(row["upper_bits"]) < least for row, least in zip(decoder, half, strict=True))
    measured = f"the token {lag} back, read by the superposition decoder; a linear probe reads {linear:.2f}"
    on = f"EMA bank over a pretrained embedding, WikiText-2, float32, {len(decoder)} seeds"
    verdict = CONTRADICTED if above else HOLDS if below else OPEN
    return Finding(value, low, high, "bits", f"of {ceiling:.2f}", measured, on, verdict)


def structure_or_content(tables: Tables) -> Finding:
    rows = select(tables("structure_and_content"), sees="words so far")

    def bits(encoder: str, **about: str) -> tuple[float, float, float, float]:
        found = [row for row in select(rows, encoder=encoder, **about) if row["by"] == "lower_bound"]
        values = [[float(row[name]) for row in found] for name in ("value_bits", "low_bits", "high_bits")]
        ceiling = fmean(float(row["ceiling_bits"]) for row in found)
        return fmean(values[0]), min(values[1]), max(values[2]), ceiling

    role, role_low, _, most = bits("traces", about="role beyond the word")
    value, low, high, _ = bits("traces", about="word", lag="2")
    model, model_low, model_high, _ = bits("GRU language model", about="word", lag="2")
    structure, content_lost = role_low > most / 2, high < model_low
    kept = low > model_high
    verdict = HOLDS if structure and content_lost else IN_PART if structure and kept else OPEN
    measured = (
        f"the word two back in traces, of which a GRU language model holds {model:.2f} bits; of the role beyond the "
        f"word the traces hold {role:.2f} of at most {most:.2f} bits"
    )
    seeds = len({row["seed"] for row in rows})
    return Finding(
        value, low, high, "bits", f"of content, {role:.2f} of structure", measured, f"grammar A, {seeds} seeds", verdict
    )


def perplexity(tables: Tables) -> Finding:
    rows = select(tables("lm_budgets_ratio"), family="ema_tokens", text="c4")
    # As `lm_verdicts` chooses: a larger model that has seen fewer tokens is no better trained.
    row = max(rows, key=lambda row: (float(row["tokens_per_parameter"]), int(row["seeds"]), millions(row["size"])))
    value, low, high = (float(row[f"{name}_per_token"]) for name in ("ratio", "low", "high"))
    measured = "perplexity a token with traces of token vectors alone, over that of attention of equal size and text"
    seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != '1')}"
    on = f"C4, {row['size'].upper()} parameters, {row['tokens_per_parameter']} tokens a parameter, {seeds}"
    verdict = reaches_eight(low, high) if millions(row["size"]) >= PAPER_MILLIONS else NOT_TESTED
    return Finding(value, low, high, "ratio", "of attention's", measured, on, verdict)


def millions(size: str) -> float:
    """Parameters of a size such as `130m`, in millions."""
    return float(size.removesuffix("m"))


def reaches_eight(low: float, high: float) -> str:
    """Verdict on a perplexity eight times that of attention."""
    return HOLDS if low <= 8.0 <= high else CONTRADICTED


def predictor(tables: Tables) -> Finding:
    (row,) = select(tables("ema_predictor_ablation"), way="end to end", predictor="history_attention")
    value, low, high = (float(row[f"{name}_nats"]) for name in ("difference", "low", "high"))
    margin = float(row["margin_nats"])
    # A difference that is there, and may be within what counts as the same, contradicts nothing yet.
    beyond = low > margin or high < -margin
    verdict = HOLDS if row["verdict"].startswith("identical") else CONTRADICTED if beyond else OPEN
    measured = f"loss with attention over all traces less the linear predictor's (the same: within {margin:g})"
    on = f"C4, {int(row['parameters']) / 1e6:.1f}M parameters, {int(row['tokens']):,} tokens, {row['seeds']} seeds"
    return Finding(value, low, high, "nats", "", measured, on, verdict)


def gap(tables: Tables) -> Finding:
    rows = tables("ema_gap_decomposition")
    whole, lost = (select(rows, seed="all", term=term)[0] for term in ("gap", "lost"))
    certified = max(float(row["low_bits"]) for row in select(rows, term="lost_at_least"))
    value, low, high = (float(lost[f"{name}_bits"]) for name in ("value", "low", "high"))
    total = float(whole["value_bits"])
    verdict = HOLDS if certified > 0.9 * total else CONTRADICTED if high < 0.9 * total else OPEN
    measured = (
        f"bits a token at most lost in the traces, of a gap of {total:.2f} to an LSTM; {certified:.2f} are certified "
        "as lost, for a stronger probe may recover the rest"
    )
    seeds = len({row["seed"] for row in rows} - {"all"})
    on = f"{lost['text']}, frozen models, {seeds} seeds"
    return Finding(value, low, high, "bits", "at most lost", measured, on, verdict)


def data_processing(tables: Tables) -> Finding:
    rows = [row for row in tables("processing_chain") if row["verdict"]]
    chains = [row for row in rows if row["chain"] != "layers"]
    violated, held, layers = (
        sum(row["verdict"].startswith(word) for row in part)
        for word, part in (("violated", chains), ("holds", chains), ("violated", rows))
    )
    verdict = CONTRADICTED if violated else HOLDS if held else OPEN
    measured = (
        f"of the links of true chains {held} are shown to hold, and the rest is open; "
        f"layers of a transformer are no chain for one position, and {layers - violated} of their links violate it"
    )
    seeds = len({row["seed"] for row in rows})
    on = f"an EMA trace made poorer, {seeds} seeds"
    return Finding(violated, None, None, "count", f"of {len(chains)} links violate it", measured, on, verdict)


def first_message(tables: Tables, rule: str) -> list[Mapping[str, str]]:
    """The first layer's message in the last stream, at float32, by depth."""
    rows = select(tables("depth_sweep"), precision="float32", rule=rule, written="1")
    return sorted((row for row in rows if row["read"] == row["depth"]), key=lambda row: int(row["depth"]))


def depth_dilution(tables: Tables) -> Finding:
    rows = first_message(tables, "ema")
    diluted = [
        row for row in rows
        if float(row["linear_bits"]) < 0.1 * float(row["entropy_bits"])
        and float(row["low_bits"]) > 0.5 * float(row["entropy_bits"])
    ]  # fmt: skip
    lost = [row for row in rows if float(row["upper_bits"]) < 0.5 * float(row["entropy_bits"])]
    row = (diluted or rows)[-1]
    verdict = IN_PART if diluted and lost else CONTRADICTED if diluted else HOLDS if lost else OPEN
    measured = (
        f"the first message under {row['depth']} layers of EMA, read by a decoder that knows the codebooks; a linear "
        f"probe reads {abs(float(row['linear_bits'])):.2f}"
    )
    if lost:
        measured += f"; at {lost[0]['depth']} layers any probe has at most {float(lost[0]['upper_bits']):.2f}"
    value, low, high = (float(row[f"{name}_bits"]) for name in ("value", "low", "high"))
    of = f"of {float(row['entropy_bits']):.0f}"
    return Finding(value, low, high, "bits", of, measured, "synthetic messages of 64 numbers, float32", verdict)


def selection(tables: Tables) -> Finding:
    rows = select(tables("ema_language_model_ratio"), text="c4-sample")
    most = max((float(row["parameters"]), float(row["tokens"])) for row in rows)
    rows = [row for row in rows if most[0] * 0.9 < float(row["parameters"]) and float(row["tokens"]) == most[1]]
    (fixed,) = select(rows, family="spen")
    best = min((row for row in rows if row["family"] != "spen"), key=lambda row: float(row["ratio"]))
    value, low, high = (float(best[name]) for name in ("ratio", "low", "high"))
    ahead, fixed_kept = high < float(fixed["low"]), depth_dilution(tables).verdict in (IN_PART, CONTRADICTED)
    verdict = (
        IN_PART if ahead and fixed_kept else HOLDS if ahead else CONTRADICTED if low > float(fixed["high"]) else OPEN
    )
    measured = (
        f"perplexity of the best learned recurrence ({best['family'].upper()}) over attention's; fixed traces "
        f"{float(fixed['ratio']):.2f}; attention is undertrained so far; a decoder reads fixed accumulation, too"
    )
    on = f"C4, {float(best['parameters']) / 1e6:.1f}M parameters, {int(best['tokens']):,} tokens, {best['seeds']} seeds"
    return Finding(value, low, high, "ratio", "of attention's", measured, on, verdict)


ROLES = ("roles_table",)
CLAIMS = (
    Claim(
        "roles without labels",
        "Traces with Hebbian learning and no labels reach 96% of a supervised BiGRU on grammatical roles.",
        ROLES, "analyses.grammatical_roles headline",
        "The paper's own grammar, which may differ from ours; labels that no word predicts.", roles,
    ),
    Claim(
        "structure-dependent roles", "They surpass the BiGRU on roles that structure alone decides.",
        ROLES, "analyses.grammatical_roles headline",
        "A ratio above 1 on structure-dependent tokens, at any size of the training text.", structure_roles,
    ),
    Claim(
        "deeper embedding", "They name 84% of the roles at an embedding deeper than any they learned from.",
        ROLES, "analyses.grammatical_roles headline", "An interval below 84%.", deep_roles,
    ),
    Claim(
        "transfer", "What they learned carries over to a grammar of another order at 61.8%.",
        ROLES, "analyses.grammatical_roles transfer",
        "A second grammar closer to the first; ours puts the verb last.", transferred_roles,
    ),
    Claim(
        "token identity", "EMA traces destroy the identity of tokens.",
        ("superposition_real_text",), "analyses.superposition_real_text",
        "A coarser precision, which ends every horizon (figure 3); unknown token vectors.", token_identity,
    ),
    Claim(
        "structure, not content", "Traces keep structure and not content.",
        ("structure_and_content",), "analyses.structure_and_content",
        "Real text in place of a grammar; states of a coarser precision.", structure_or_content,
    ),
    Claim(
        "perplexity 260", "A 130M language model whose only context is EMA has perplexity 260 on C4, 8 times GPT-2's.",
        ("lm_budgets_ratio",), "analyses.lm_budgets",
        "A run at 130M parameters and 8 billion tokens, which has not been made.", perplexity,
    ),
    Claim(
        "predictor swap", "Full softmax attention in place of the linear predictor leaves the loss identical.",
        ("ema_predictor_ablation",), "analyses.ema_language_model",
        "An interval within the margin or beyond it, at this size or a larger one.", predictor,
    ),
    Claim(
        "gap in the traces", "The whole gap to other models lies in what the traces have lost.",
        ("ema_gap_decomposition",), "analyses.ema_language_model",
        "A lower bound on what is lost near the gap, or a probe of the traces that closes it.", gap,
    ),
    Claim(
        "data processing", "No later predictor recovers what was discarded, by the data-processing inequality.",
        ("processing_chain",), "analyses.processing_chain",
        "Nothing: it is a theorem on mutual information. Usable bits may rise all the same.", data_processing,
    ),
    Claim(
        "dilution over depth", "Fixed accumulation over depth, too, dilutes early messages irreversibly.",
        ("depth_sweep",), "analyses.depth_sweep",
        "Learned messages, which need not be told apart as random ones are; a coarser precision.", depth_dilution,
    ),
    Claim(
        "learned selection", "Only learned, input-dependent selection resolves the dilution.",
        ("ema_language_model_ratio", "depth_sweep"), "analyses.ema_language_model",
        "Fixed traces level with learned recurrences at larger budgets.", selection,
    ),
)  # fmt: skip
"""Claims in the order of the paper's abstract."""
