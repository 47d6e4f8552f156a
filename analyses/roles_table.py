"""What do the studies of roles come to? One table of every condition, text and group of tokens, with floor and ceiling.

Means over seeds with intervals that stay within 0 and 1 (Student's, of logits); where the BiGRU has learned the same,
the ratio to it, taken seed by seed; on the grammars, the exact accuracy of the best guess from the word alone and from
all words of the sentence. It reads what the studies wrote and runs none of them.

    python -m analyses.roles_table
"""

from dataclasses import dataclass

from analyses.cells import Study, options_parser
from analyses.provenance import read_table, table_files
from infodil.roles.study import summarise
from infodil.statistics import share_interval

KEYS = ("text", "group", "sentences", "condition", "naming", "named_on")
SHOWN = ("all", "arguments", "structure-dependent", "held-out", "embedded")


@dataclass(frozen=True)
class Config:
    """Every choice that matters."""

    studies: tuple[str, ...] = ("headline", "sizes", "transfer", "verb_final", "rivals", "treebank")
    bounds: str = "ceilings"


def over_seeds(rows):
    """One row for each key: mean, interval, and both for the ratio to the BiGRU where there is one."""
    found, known = {}, {}
    for row in rows:
        key = tuple(row.get(name, "") for name in KEYS)
        found.setdefault(key, {})[row["seed"]] = float(row["accuracy"])
        known.setdefault(key, []).append(row)
    answer = []
    for key, values in found.items():
        shares = share_interval([*values.values()], [int(row["tokens"]) for row in known[key]], 0.95)
        one = dict(zip(KEYS, key, strict=True)) | {"seeds": len(values)} | spread("", shares)
        rival = found.get((*key[:3], "BiGRU", "supervised", key[5]))
        if rival and rival is not values and rival.keys() >= values.keys() and min(rival.values()) > 0:
            one |= spread("ratio_", summarise([values[seed] / rival[seed] for seed in values]))
        if known[key][0].get("units"):
            one["units"] = known[key][0]["units"]
            one |= {
                name: sum(float(row[name]) for row in known[key]) / len(known[key]) for name in ("v_measure", "chance")
            }
        answer.append(one)
    return answer


def spread(prefix, interval):
    """Mean and interval as columns."""
    return dict(zip((f"{prefix}mean", f"{prefix}low", f"{prefix}high"), interval, strict=True))


def show(rows):
    """Print the groups that matter most, in percent."""
    for row in sorted(over_seeds(rows), key=lambda row: tuple(map(str, (row[name] for name in KEYS)))):
        if row["group"] in SHOWN:
            words = [f"{100 * row['mean']:.2f} [{100 * row['low']:.2f}, {100 * row['high']:.2f}]"]
            if "ratio_mean" in row:
                ends = f"[{100 * row['ratio_low']:.2f}, {100 * row['ratio_high']:.2f}]"
                words.append(f"ratio to the BiGRU {100 * row['ratio_mean']:.2f} {ends}")
            print(*(row[name] for name in KEYS), *words, sep="\t")


def rows_of(name):
    """The rows of a study as they were written."""
    (table,) = table_files(f"roles_{name}").values()
    return read_table(table)


def summary(study, config):
    """Rows of one study, each with the exact floor and ceiling where they are known."""
    bounds = {(row["text"], row["group"], row["sees"]): row["accuracy"] for row in rows_of(config.bounds)}
    rows = []
    for row in over_seeds(rows_of(study)):
        floor, ceiling = (bounds.get((row["text"], row["group"], sees), "") for sees in ("word", "words, sentence"))
        rows.append({"study": study, **row, "floor": floor, "ceiling": ceiling})
    return rows


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = Config()
    tables = table_files(*(f"roles_{name}" for name in (*config.studies, config.bounds)))
    with Study(__file__, options) as study:
        finished = study.run(summary, config.studies, config, inputs=tables)
        study.write("roles_table", finished.rows, config, finished)


if __name__ == "__main__":
    main()
