"""The closed-form Gaussian reader: class means and one shared covariance, from sums of one pass."""

__all__ = ["ClassSums", "GaussianReader"]

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.reader import Calibration, FramedReader, LinearScores, Setting, fit_temperature

SHRINKAGES = (1e-6, 1e-3, 1e-2, 0.1, 0.3)
"""Shares of a sphere mixed into the within-class covariance (Friedman 1989), tried on the calibration split."""

SHRINKAGE_ROWS = 512
"""Calibration rows that choose the shrinkage; the temperature, chosen last, sees all of them."""

with warnings.catch_warnings():
    # torch says once in a process that sparse tensors are young; said here, it reaches no user.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], size=(1, 1), check_invariants=False)


class ClassSums:
    """Additive sums over rows: class counts and means for each target, and second moments shared by all of them.

    A target at lag k leaves out the rows with fewer than k predecessors. Rows are therefore put into buckets by how
    many targets have a label for them, each row's outer product is added once, to its bucket, and the second moment
    of a target is a sum of buckets: exact for every lag at the price of one.

    Targets must be nested (a row with a label for one target has one for every earlier target), as lags in
    ascending order are.
    """

    def __init__(self, dim: int, targets: int, classes: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros(targets, classes, dtype=torch.float64, device=device)
        self.sums = torch.zeros(targets, classes, dim, device=device)
        self.moments = torch.zeros(targets + 1, dim, dim, dtype=torch.float64, device=device)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Add rows; a label of -1 is no label."""
        buckets = (labels >= 0).sum(0)
        for bucket, size in enumerate(torch.bincount(buckets, minlength=len(labels) + 1).tolist()):
            if size:
                rows = states if size == len(states) else states[buckets == bucket]
                self.moments[bucket] += rows.T @ rows
        for target, label in enumerate(labels):
            order = torch.argsort(label, stable=True)
            edges = torch.searchsorted(label[order], torch.arange(self.counts.shape[1] + 1, device=label.device))
            self.counts[target] += edges.diff().double()
            # A sparse product adds the rows of each class several times faster than index_add_, in a fixed order.
            chosen = order[edges[0] :]
            member = torch.sparse_csr_tensor(
                edges - edges[0],
                chosen,
                torch.ones(len(chosen), dtype=states.dtype, device=states.device),
                size=(len(edges) - 1, len(label)),
                check_invariants=False,
            )
            self.sums[target] += member @ states

    def merge(self, other: "ClassSums") -> None:
        """Add the sums of rows seen elsewhere."""
        self.counts += other.counts
        self.sums += other.sums
        self.moments += other.moments

    def compute(self, target: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Class counts, centre, class means less the centre, and total covariance of one target, float64."""
        counts = self.counts[target]
        rows = counts.sum().clamp(min=1.0)
        sums = self.sums[target].double()
        centre = sums.sum(0) / rows
        means = sums / counts.clamp(min=1.0)[:, None] - centre
        means[counts == 0] = 0.0
        total = self.moments[target + 1 :].sum(0) / rows - torch.outer(centre, centre)
        return counts, centre, means, total


class GaussianReader(FramedReader):
    r"""Linear discriminant analysis with shrunk covariance and shrunk means, weighed by a temperature.

    The within-class covariance :math:`W = T - B` is exact from the sums. In the basis that makes
    :math:`W_\lambda = (1-\lambda) W + \lambda\,\mathrm{tr}(T)/\mathrm{dim}\; I` the identity, the mean of a class with
    :math:`n_c` rows is shrunk along axis j by :math:`n_c b_j / (1 + n_c b_j)`, its posterior mean when class means
    have variance :math:`b_j` there, and the evidence for class c is :math:`m_c^\top z - |m_c|^2 / 2`.

    Reference:
        Fisher (1936) and Rao (1948) for the discriminant; Friedman (1989), Regularized Discriminant Analysis, for
        the shrunk covariance; Efron and Morris (1973) for the shrunk means.
    """

    name = "gaussian"
    passes = 1

    def __init__(self, setting: Setting, weaker: object = None) -> None:
        del weaker  # closed form: nothing to start from
        self.setting = setting
        self.collected: ClassSums | None = ClassSums(
            setting.dim, setting.targets, setting.classes.number, setting.device
        )
        self.temperatures: list[float] = []

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Add training rows."""
        self.collected.update(states, labels)

    def end_pass(self, calibration: Calibration) -> None:
        """Solve every target in closed form; shrinkage and temperature by calibration cross-entropy."""
        setting, base = self.setting, self.setting.classes.class_log_prior
        weight = torch.zeros(setting.targets, setting.dim, setting.classes.number, device=setting.device)
        bias = torch.zeros(setting.targets, setting.classes.number, device=setting.device)
        for target in range(setting.targets):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            states, labels = calibration.states[rows], labels[rows]
            few = slice(0, SHRINKAGE_ROWS)
            trials = []
            for direction, offset in solutions(*self.collected.compute(target)):
                evidence = torch.addmm(offset, states[few], direction)
                trials.append((fit_temperature(base, evidence, labels[few], 0.0)[1], direction, offset))
            _, weight[target], bias[target] = min(trials, key=lambda trial: trial[0])
            evidence = torch.addmm(bias[target], states, weight[target])
            self.temperatures.append(fit_temperature(base, evidence, labels)[0])
        self.linear = LinearScores(weight, bias)
        # The covariance of all rows is kept for readers that start here; the sums have done their work.
        self.total = self.collected.compute(0)[3]
        self.collected = None

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class, nats before the temperature."""
        return self.linear.scores(states, target)


def solutions(counts: Tensor, centre: Tensor, means: Tensor, total: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each shrinkage: the direction of evidence `[dim, classes]` and its offset `[classes]`, float32.

    One eigendecomposition of the within-class covariance serves every shrinkage.
    """
    rows, present = counts.sum().clamp(min=1.0), (counts > 0).sum()
    between = (means * (counts / rows)[:, None]).T @ means
    freedom = rows / (rows - present).clamp(min=1.0)
    spread, axes = torch.linalg.eigh((total - between) * freedom)
    scale = total.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny)
    # What was to be subtracted has been, in float64; the products that follow are float32 like the states.
    spun, axes, counts, centre = (means @ axes).float(), axes.float(), counts.float()[:, None], centre.float()
    found = []
    for shrinkage in SHRINKAGES:
        stretch = ((1.0 - shrinkage) * spread.clamp(min=0.0) + shrinkage * scale).rsqrt().float()
        white = spun * stretch
        # Sampling alone spreads the means by about classes / rows along each whitened axis.
        signal = ((white**2 * (counts / rows)).sum(0) - present / rows).clamp(min=0.0).float()
        known = counts * signal
        white = white * (known / (1.0 + known))
        direction = axes @ (white * stretch).T
        found.append((direction, -0.5 * (white**2).sum(1) - centre @ direction))
    return found
