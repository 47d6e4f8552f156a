"""Figure 17: what trained recurrent states keep beyond what later tokens tell, beside traces of as many numbers.

Data of `python -m analyses.trained_states` and, for c, `python -m analyses.whole_past`. Lines are bits beyond context
of the token k steps back with their 95% intervals; zero and below means: not more than the later tokens tell. d: the
whole past, the sum over all lags, an estimate.
"""

from style import BLUE, BROWN, GREEN, GREY, INK, ORANGE, PINK, SKY, Paper, curve, label_ends, lag_axis, styled, title

PANELS = {
    "a": ("RWKV-5.2, 730K parameters, bytes of the web", {
        ("rwkv5", "layer.1.recurrent"): ("state 1", SKY, "v"),
        ("rwkv5", "layer.7.recurrent"): ("state 7", BLUE, "o"),
        ("rwkv5", "layer.12.recurrent"): ("state 12", GREEN, "^"),
        ("rwkv5", "layer.7.conv"): ("shifts 7", GREY, "X"),
        ("rwkv5", "layer.7.mixer"): ("mixer 7", PINK, "D"),
        ("rwkv5", "layer.7"): ("stream 7", INK, "P"),
        ("web trace", None): ("8 traces", ORANGE, "s"),
        ("small web trace", None): ("2 traces", BROWN, "s"),
    }),
    "b": ("character LSTM, Shakespeare", {
        ("lstm", "lstm.cell.1"): ("cell 1", SKY, "v"),
        ("lstm", "lstm.cell.2"): ("cell 2", BLUE, "o"),
        ("lstm", "lstm.hidden.1"): ("hidden 1", GREEN, "^"),
        ("lstm", "lstm.hidden.2"): ("hidden 2", PINK, "D"),
        ("characters trace", None): ("traces", ORANGE, "s"),
    }),
    "c": ("GRU with a gated memory, stories", {
        ("gru", "state"): ("both", BLUE, "o"),
        ("gru", "hidden"): ("hidden", GREEN, "^"),
        ("gru", "memory"): ("memory", SKY, "v"),
        ("gru", "ln_f"): ("output", PINK, "D"),
        ("ema", None): ("trace", ORANGE, "s"),
        ("small ema", None): ("small trace", BROWN, "s"),
    }),
}  # fmt: skip
"""Words, and of each line its name, colour and marker, by cell and site; a cell with one site needs no name of it."""
SHOWN = "beyond_context_bits"


@styled
def draw():
    paper = Paper("fig17_trained_states", 5.2)
    states, stories = paper.read("trained_states"), paper.read("whole_past")
    stories = stories[stories["token_kind"] == "all"]
    axes = paper.figure.subplots(2, 2)
    totals = []
    for (letter, (words, lines)), ax in zip(PANELS.items(), axes.flat, strict=False):
        frame, ends = (stories if letter == "c" else states), {}
        for (cell, site), (name, colour, marker) in lines.items():
            part = frame[(frame["cell"] == cell) & ((frame["site"] == site) | (site is None))].sort_values("lag")
            low, high = (SHOWN.replace("_bits", f"_{end}_bits") for end in ("low", "high"))
            curve(ax, part["lag"], part, (SHOWN, low, high), color=colour, marker=marker)
            ends[name] = (part["lag"].iloc[-1], part[SHOWN].iloc[-1], colour)
            totals.append((f"{letter}: {name}", colour, marker, part.iloc[0]))
        lag_axis(ax, part["lag"])
        ax.axhline(0.0, color=INK, linewidth=0.5)
        ax.set_xlim(-0.1, part["lag"].max() * 1.1)
        ax.set_ylabel("bits beyond context" if letter != "b" else "")
        title(ax, letter, words)
        label_ends(ax, ends, 0.1)
    axes[0, 0].set_xlabel("")
    whole_past(axes[1, 1], totals)
    return paper


def whole_past(ax, totals):
    """Whole past of each state, with its numbers."""
    for place, (_, colour, marker, row) in enumerate(reversed(totals)):
        low, high = row["whole_past_low_bits"], row["whole_past_high_bits"]
        ax.plot([low, high], [place, place], color=colour, lw=1.0)
        ax.plot(row["whole_past_bits"], place, color=colour, marker=marker, mew=0)
        ax.text(
            1.02, place, f"{row['dim']:.0f}", fontsize=6, color=GREY, va="center", transform=ax.get_yaxis_transform()
        )
    ax.set_yticks(range(len(totals)), [name for name, *_ in reversed(totals)], fontsize=6)
    ax.set_xlim(left=0)
    ax.set_xlabel("whole past (bits); right: numbers of the state")
    title(ax, "d", "all lags together")


if __name__ == "__main__":
    draw().save()
