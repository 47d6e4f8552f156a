"""Recurrences with fixed weights: averages, projections on polynomials, a random reservoir, a shift register."""

__all__ = ["FOFE", "LMU", "EMABank", "EchoState", "HiPPO", "ShiftRegister"]

import math

import torch
from jaxtyping import Float
from scipy.linalg import expm
from torch import Tensor, nn

from infodil.encoders.reference.cell import Cell, scan
from infodil.traces import ema, ema_bank

Inputs = Float[Tensor, "documents tokens dim"]
States = Float[Tensor, "documents tokens numbers"]


class EMABank(Cell):
    """Exponential averages of token vectors at four rates.

    Reference:
        Singh (2026), EMA Is Not All You Need, arXiv 2604.08556.
    """

    alphas = (0.5, 0.2, 0.05, 0.02)
    kind = "trace"

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.inputs = nn.Linear(dim, self.numbers // len(self.alphas), bias=False)

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The traces."""
        states = ema_bank(self.inputs(x), self.alphas).flatten(2)
        return states, states


class FOFE(Cell):
    r"""Fixed-size ordinally forgetting encoding, :math:`s_t = a\, s_{t-1} + e_t`: an average times a constant.

    Reference:
        Zhang et al. (2015), arXiv 1505.01504, equation 1.
    """

    forgetting = 0.9
    kind = "trace"

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.inputs = nn.Linear(dim, self.numbers, bias=False)

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The sums."""
        alpha = 1.0 - self.forgetting
        states = ema(self.inputs(x), alpha) / alpha
        return states, states


class LMU(Cell):
    r"""Legendre memory: each channel projected on the Legendre polynomials of its last :math:`\theta` tokens.

    :math:`\theta\, \dot m = A m + B u` with :math:`A_{ij} = (2i+1)(-1\ \text{if}\ i<j\ \text{else}\ (-1)^{i-j+1})` and
    :math:`B_i = (2i+1)(-1)^i`, held constant over each token.

    Reference:
        Voelker, Kajic and Eliasmith (2019), Legendre Memory Units, equations 1 to 3.
    """

    theta = 32.0
    """Tokens of the window."""

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.inputs = nn.Linear(dim, side, bias=False)
        step, drive = self.discrete(side, self.theta)
        self.register_buffer("step", step.float())
        self.register_buffer("drive", drive.float())

    @staticmethod
    def discrete(order: int, theta: float) -> tuple[Float[Tensor, "order order"], Float[Tensor, "order"]]:
        """The matrices of one token, float64.

        Args:
            order: Number of polynomials.
            theta: Tokens of the window.
        """
        i = torch.arange(order, dtype=torch.float64)
        sign = torch.where(i[:, None] < i, -torch.ones(()).double(), (-1.0) ** (i[:, None] - i + 1))
        whole = torch.zeros(order + 1, order + 1, dtype=torch.float64)
        whole[:order, :order], whole[:order, order] = (2 * i + 1)[:, None] * sign, (2 * i + 1) * (-1.0) ** i
        held = torch.from_numpy(expm(whole.numpy() / theta))
        return held[:order, :order], held[:order, order]

    @staticmethod
    def delayed(share: float, order: int) -> Float[Tensor, "order"]:
        """Weights that read the input of so long ago from the state, as a share of the window.

        Args:
            share: Delay over the length of the window, 0 to 1.
            order: Number of polynomials.
        """
        legendre = torch.special.legendre_polynomial_p
        return torch.stack([legendre(torch.tensor(2.0 * share - 1.0).double(), n) for n in range(order)])

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The coefficients of every channel."""
        u = self.inputs(x)[..., None] * self.drive
        states = scan(lambda m, drive: m @ self.step.T + drive, torch.zeros_like(u[:, 0]), u).flatten(2)
        return states, states


class HiPPO(Cell):
    r"""HiPPO-LegS: each channel projected on the Legendre polynomials of all of its past, stretched as it grows.

    :math:`\dot c = -A c / t + B u / t` with :math:`A_{nk} = \sqrt{(2n+1)(2k+1)}` below the diagonal and n + 1 on it,
    and :math:`B_n = \sqrt{2n+1}`, by the bilinear rule.

    Reference:
        Gu et al. (2020), HiPPO, arXiv 2008.07669, theorem 2 and appendix B.3.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.inputs = nn.Linear(dim, side, bias=False)
        n = torch.arange(side, dtype=torch.float64)
        root = (2 * n + 1).sqrt()
        self.register_buffer("spread", (torch.tril(torch.outer(root, root), -1) + torch.diag(n + 1)))
        self.register_buffer("drive", root)

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The coefficients of every channel."""
        u, c = self.inputs(x), x.new_zeros(len(x), self.spread.shape[0], self.spread.shape[0])
        eye, found = torch.eye(len(self.drive), dtype=torch.float64, device=x.device), []
        for token in range(1, x.shape[1] + 1):
            half = self.spread / (2.0 * token)
            step = torch.linalg.solve(eye + half, torch.cat([eye - half, self.drive[:, None] / token], 1)).to(x.dtype)
            c = c @ step[:, :-1].T + u[:, token - 1, :, None] * step[:, -1]
            found.append(c)
        states = torch.stack(found, 1).flatten(2)
        return states, states


class EchoState(Cell):
    r"""Leaky echo-state network: :math:`h_t = (1-a)\, h_{t-1} + a \tanh(W h_{t-1} + U x_t)` with W and U drawn once.

    Reference:
        Jaeger (2001), The echo state approach; Jaeger et al. (2007), for the leak.
    """

    leak, radius = 0.5, 0.95
    """Share of the new state, and the largest absolute eigenvalue of W."""

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.register_buffer("recurrence", torch.empty(self.numbers, self.numbers))
        self.register_buffer("inputs", torch.empty(self.numbers, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the reservoir anew."""
        self.recurrence.copy_(torch.randn(self.recurrence.shape))
        self.recurrence.mul_(self.radius / torch.linalg.eigvals(self.recurrence).abs().max())
        self.inputs.copy_(torch.randn(self.inputs.shape) / math.sqrt(self.inputs.shape[1]))

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The state of the reservoir."""

        def step(h: Tensor, drive: Tensor) -> Tensor:
            return (1.0 - self.leak) * h + self.leak * torch.tanh(h @ self.recurrence.T + drive)

        states = scan(step, x.new_zeros(len(x), self.numbers), x @ self.inputs.T)
        return states, states


class ShiftRegister(Cell):
    """The last few token vectors side by side, newest first, zeros before the document begins."""

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.window = side // 2
        self.inputs = nn.Linear(dim, 2 * side, bias=False)

    def forward(self, x: Inputs) -> tuple[States, States]:
        """The window."""
        padded = nn.functional.pad(self.inputs(x), (0, 0, self.window - 1, 0))
        states = padded.unfold(1, self.window, 1).flip(3).transpose(2, 3).flatten(2)
        return states, states
