"""How do the losses of language models with EMA traces, attention and gates fall with parameters and tokens?

The claim of arXiv 2604.08556 is about models that have learned: attention begins to learn at several tokens a
parameter. A cell is one model at one budget (`analyses.lm_cells`); this script runs the cells that are missing, in the
order of the plan, until they are done or the time that it was given is over, and writes the table of all that are
finished. Rows of the committed table count as finished as long as code, numbers and texts of the cells are the same:
a later session, on another machine, only adds. What the cells say is in `analyses.lm_verdicts`.

    python -m analyses.lm_budgets --data ../shared/data --minutes 60
    python -m analyses.lm_budgets --plan            # the cells in order, and what each decides

The plan is a design and no grid: about 38 core-hours, the stages in the order in which they decide sentences. One idle
core trains about 45,000 bytes a second at 0.1M parameters: a run to 20 tokens a parameter takes a minute at 0.1M, 4 at
0.2M, a quarter of an hour at 0.4M and an hour at 0.8M. Left out: LSTM, gated linear and learned positions at large
sizes, byte pairs beyond one seed at 4,096, and 3M parameters, which want an accelerator.
"""

import json
import time
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from analyses import lm_cells
from analyses.cells import Finished, Study, options_parser
from analyses.engine import Engine
from analyses.lm_cells import FAMILIES, FILES, SIZES, Cell, Config, OutOfTimeError, train
from analyses.provenance import files_in, read_table

TABLE = "lm_budgets"
MODEL = "attention blocks budget config cross_entropy feed_forward gated_linear model predictors recurrent scans spen"
ROOMS = (
    *("analyses/lm_cells", "analyses/lm_token_losses"),
    *(f"infodil/lm/{name}." for name in (*MODEL.split(), "scoring", "training")),
)
"""The code that decides a row: a change elsewhere leaves finished cells as they are. Not in it are how files become
bytes, for the hashes of the files are, and the weights of a trace, a formula that tests hold fast."""
RATES = (4e-3, 8e-3, 16e-3)
"""Peak rates tried for each family at the smallest size; at another width the best one is multiplied by the ratio of
the widths (Yang et al. 2022, arXiv 2203.03466, of matrices under Adam)."""
RATE_SIZE, RATE_BUDGET, RATE_SEED = "0.1m", 2, 100
TUNED_ON = ("novels", "wikipedia", "wikitext-2-validation", "sample")
"""Texts on which rates are chosen; C4 and the test part of WikiText-2 are for results alone."""
SPEED = 45_000 * 100_000
"""Bytes a second times parameters, of one idle core."""


@dataclass(frozen=True)
class Stage:
    """Cells that decide a sentence.

    Args:
        name: Name of the stage.
        decides: The sentence.
        families: Families.
        sizes: Names of sizes.
        budgets: Tokens a parameter.
        seeds: Seeds.
        vocabulary: Types of token.
        context: Tokens that a model reads.
    """

    name: str
    decides: str
    families: tuple[str, ...]
    sizes: tuple[str, ...]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...] = (0,)
    vocabulary: int = 256
    context: int = 128

    def cells(self, rates):
        """Cells at the rate of each family, budgets of one run after one another."""
        return [
            Cell(family, size, budget, seed, rate_at(rates[family], size), self.vocabulary, self.context)
            for seed in self.seeds
            for size in self.sizes
            for family in self.families
            if family in rates
            for budget in self.budgets
        ]


MAIN = ("ema_tokens", "ema_stream", "rotary", "attention")
ALL = tuple(FAMILIES)
STAGES = (
    Stage("small", "whether traces or attention lead before attention is trained", MAIN[:3], ("0.1m",), (1, 5)),
    Stage("twenty", "whether they do at 20 tokens a parameter", MAIN[:3], ("0.1m",), (20,)),
    Stage("positions", "which attention is the stronger one", MAIN, ("0.1m",), (1, 5, 20)),
    Stage("again", "whether the order survives other seeds", MAIN[:3], ("0.1m",), (1, 5), (1, 2)),
    Stage("families", "how far gates come", ALL, ("0.1m",), (1, 5, 20)),
    Stage("seeds", "whether it does at 20 tokens a parameter", MAIN, ("0.1m",), (1, 5, 20), (1, 2)),
    Stage("smaller", "the slope in parameters", MAIN, ("0.05m",), (1, 5, 20)),
    Stage("twice", "whether the order survives twice the parameters", MAIN, ("0.2m",), (1, 5, 20)),
    Stage("long", "where the curves go once attention is trained", MAIN, ("0.1m", "0.2m"), (100,)),
    Stage("gates", "whether gates close the gap at 100 tokens a parameter", ALL, ("0.1m", "0.2m"), (100,)),
    Stage("middle", "three seeds at the two middle sizes", ALL, ("0.2m", "0.4m"), (1, 5, 20), (0, 1, 2)),
    Stage("pairs", "whether a larger vocabulary changes the order", MAIN, ("0.2m", "0.4m"), (1, 5, 20), (0, 1, 2), 512),
    Stage("words", "the same at the vocabulary of the claim", MAIN, ("0.2m", "0.4m", "0.8m"), (1, 5, 20), (0,), 4096),
    Stage("context", "whether a longer context widens the gap", MAIN, ("0.2m", "0.4m"), (5, 20), (0,), 256, 512),
    Stage("larger", "the exponent of parameters", MAIN[:3], ("0.8m", "1.6m"), (1, 5, 20)),
)
"""In order of priority."""


def rate_at(rate, size):
    """The rate of a family at another width."""
    return rate * SIZES[RATE_SIZE][1] / SIZES[size][1]


def rate_cells(families=ALL):
    """One run of each family at each rate."""
    return [Cell(family, RATE_SIZE, RATE_BUDGET, RATE_SEED, rate) for family in families for rate in RATES]


def best_rates(rows):
    """The rate of each family with the least mean loss over the texts that rates are chosen on."""
    rates = {}
    for family in FAMILIES:
        losses = {}
        for row in rows:
            if row["family"] == family and int(row["seed"]) == RATE_SEED and row["text"] in TUNED_ON:
                losses.setdefault(float(row["peak_rate"]), []).append(float(row["loss_nats"]))
        if len(losses) == len(RATES):
            rates[family] = min(losses, key=lambda rate: np.mean(losses[rate]))
    return rates


def planned(rates, stages=STAGES):
    """Every cell in order of priority, each once; a family whose rate is not known yet has the cells that tell it."""
    cells = []
    for stage in stages:
        cells += [*rate_cells(stage.families), *stage.cells(rates)]
    return list(dict.fromkeys(cells))


def cell_of(row):
    """The cell of a row."""
    kinds = Cell.__annotations__
    return Cell(**{name: kind(row[name]) for name, kind in kinds.items()})


class Results:
    """Rows of all finished cells: of the committed table, if it is of the same cells, and of this machine.

    Args:
        study: The study.
        config: Numbers of all cells.
        inputs: Files that are read.
        data: Folder of the corpora.
        stop: Function that says whether the time is over.
    """

    def __init__(self, study, config, inputs, data, stop):
        self.study, self.config, self.inputs = study, config, inputs
        self.folder = study.folder(config, inputs)
        # Half-trained cells go on with the very code that they were begun with; finished ones need their rooms alone.
        begun = self.folder / Engine.of(lm_cells.__file__, study.root).code[:12]
        self.work = partial(train, data=data, folder=begun, out_of_time=stop)
        self.rows, self.added = {}, []
        self.record = {} if study.smoke else committed(study, config, inputs)
        for row in self.record.get("table", []):
            self.rows.setdefault(cell_of(row), []).append(row)

    def missing(self, stages):
        """Cells of the plan that are not finished, in its order."""
        rows = [row for rows in self.rows.values() for row in rows]
        return [cell for cell in planned(best_rates(rows), stages) if cell not in self.rows]

    def run(self, cell):
        """Run a cell that is missing."""
        done = self.study.run(self.work, [asdict(cell)], self.config, inputs=self.inputs)
        self.rows[cell] = done.rows
        self.added.append(done)

    def write(self):
        """Write the table, unless nothing was added."""
        if not self.added:
            return
        finished = sum(self.added, Finished([], self.earlier(), {}))
        order = sorted(self.rows, key=lambda cell: tuple(map(str, asdict(cell).values())))
        rows = [row for cell in order for row in self.rows[cell]]
        self.study.write(TABLE, rows, self.config, finished)

    def earlier(self):
        """Origins of the rows of the committed table: one for each commit."""
        last = {name: self.record.get(name) for name in ORIGIN}
        seconds = self.record.get("seconds", 0.0)
        commits = self.record.get("commits", [])
        return [last | {"commit": commit, "seconds": seconds / len(commits)} for commit in commits]


def committed(study, config, inputs):
    """The committed table and its record, if its cells had the same code, numbers and texts."""
    path = study.root / "paper_figures" / "data" / f"{TABLE}.json"
    if not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    now = study.key(config, inputs)
    same = study.is_current(record) and record["config"] == now["config"]
    if not same or record["inputs"] != now["inputs"] or record["dirty"]:
        return {}
    return record | {"table": read_table(path.with_suffix(".csv"))}


ORIGIN = ("commit", "dirty", "engine", "versions", "device", "threads", "date")
TRIAL = (Stage("trial", "nothing", MAIN[:1], ("0.05m",), (1, 2)),)
SMOKE = Config(token_share=0.001, batch_size=2, checkpoint_every=2, opening=40, novel_opening=40, documents=3)


def main(arguments=None):
    parser = options_parser(__doc__, data=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="time after which no more is trained")
    parser.add_argument("--plan", action="store_true", help="print the cells in order, and run none")
    options = parser.parse_args(arguments)
    if options.plan:
        print_plan()
        return
    config = SMOKE if options.smoke else Config()
    deadline = time.monotonic() + 60 * options.minutes
    inputs = {} if options.data is None else files_in(options.data, *FILES.values())
    stages = TRIAL if options.smoke else STAGES
    with Study(lm_cells.__file__, options, rooms=ROOMS) as study:
        results = Results(study, config, inputs, options.data, lambda: time.monotonic() > deadline)
        try:
            while missing := results.missing(stages):
                if time.monotonic() > deadline:
                    raise OutOfTimeError
                results.run(missing[0])
        except OutOfTimeError:
            print("out of time: the same command goes on")
        results.write()


def print_plan():
    """Each stage, what it decides, and its cost."""
    hours = sum(cell.tokens * SIZES[cell.size][0] for cell in rate_cells()) / SPEED / 3600
    print(f"rates: {hours:.2f} core-hours, the peak rate of each family")
    for stage in STAGES:
        cells = stage.cells(dict.fromkeys(FAMILIES, RATES[0]))
        longest = {cell.run: max(one.tokens for one in cells if one.run == cell.run) for cell in cells}
        work = sum(1.3 * tokens * SIZES[run.rsplit("-", 5)[1]][0] for run, tokens in longest.items())
        print(f"{stage.name}: {len(cells)} cells, {work / SPEED / 3600:.2f} core-hours: {stage.decides}")


if __name__ == "__main__":
    main()
