"""Slow twins of `infodil.traces`, written as their definitions read: one step at a time, in float64."""

import torch


def ema_loop(x, alphas, initial=None):
    """`[..., tokens, scales, dim]` in float64: the recurrence itself."""
    alpha = torch.tensor(alphas, dtype=torch.float64).unsqueeze(-1)
    state = (
        torch.zeros(*x.shape[:-2], len(alphas), x.shape[-1], dtype=torch.float64)
        if initial is None
        else initial.double()
    )
    states = [state.unsqueeze(-3)[..., :0, :, :]]  # nothing yet, but of the right shape where there are no tokens
    for x_t in x.double().unbind(-2):
        state = state + alpha * (x_t.unsqueeze(-2) - state)
        states.append(state.unsqueeze(-3))
    return torch.cat(states, dim=-3)


def ema_convolution(x, w):
    """`h_t = sum_k w_k x_{t-k}` in float64, one state at a time."""
    x = x.double()
    states = [torch.einsum("k,...kd->...d", w[: t + 1].flip(0), x[..., : t + 1, :]) for t in range(x.shape[-2])]
    return torch.stack(states, dim=-2)


def horizon_by_counting(alpha, bits):
    """The last lag whose weight is at least 2**-bits of the newest one's, by multiplying."""
    lag, weight = 0, 1.0
    while weight * (1 - alpha) >= 2.0**-bits:
        lag, weight = lag + 1, weight * (1 - alpha)
    return lag
