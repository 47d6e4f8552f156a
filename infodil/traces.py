r"""Exponential moving averages over time: scans, weights, inversion, and how far back rounding lets them reach.

One trace of decay \(1-\alpha\) is the simplest fixed memory there is: no gate, no learned weight. With one-hot tokens
it is the fixed-size ordinally-forgetting encoding (FOFE) of Zhang et al. (2015, arXiv 1505.01504); banks of traces are
the states of *EMA Is Not All You Need* (2026, arXiv 2604.08556).
"""

import math
from collections.abc import Collection, Iterator
from numbers import Real
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_between, check_not_empty, check_whole

__all__ = ["ema", "ema_bank", "weights", "invert", "horizon", "half_life"]

# A chunk of tokens is one matrix product; short chunks waste fewer products with the zeros above the diagonal.
CHUNK_TOKENS = 16

# A block is many chunks at once. A larger one waits less for the other threads, which is most of the time where the
# cores are shared (measured: a quarter of these sizes takes 1.5 times as long there, and no less on idle cores); a
# smaller one needs less room beside the result, and less arithmetic between its chunks.
CHUNKS_PER_BLOCK = {"cpu": 128, "accelerator": 256}
ELEMENTS_PER_BLOCK = {"cpu": 2**22, "accelerator": 2**25}


def ema(
    x: Float[Tensor, "*batch tokens dim"], alpha: float | int, initial: Float[Tensor, "*batch dim"] | None = None
) -> Float[Tensor, "*batch tokens dim"]:
    r"""Exponential moving average of each feature along the tokens.

    .. math:: h_t = (1-\alpha)\, h_{t-1} + \alpha\, x_t, \qquad h_{-1} = \text{initial or } 0

    Differentiable in `x` and `initial`. Half precision is accumulated in float32. A value that is not finite spoils
    the whole chunk of 16 tokens around it, earlier tokens included. On CUDA, tensor-float products
    (`torch.set_float32_matmul_precision("high")`) round the trace to about three digits.

    Args:
        x: One vector per token.
        alpha: Weight of the newest token, in (0, 1].
        initial: The state before the first token, such as the last state of the chunk before.

    Returns:
        The state after each token, in the dtype and on the device of `x`.

    Raises:
        UserError: `alpha` outside (0, 1], `x` of fewer than two axes or not floating point, `initial` of another shape.

    References:
        Zhang et al., The fixed-size ordinally-forgetting encoding method (2015), https://arxiv.org/abs/1505.01504
        Singh, EMA Is Not All You Need (2026), https://arxiv.org/abs/2604.08556

    Example:
        >>> x = torch.tensor([[4.0], [0.0], [8.0]])
        >>> ema(x, 0.5).flatten().tolist()
        [2.0, 1.0, 4.5]
        >>> ema(x[2:], 0.5, initial=torch.tensor([1.0])).flatten().tolist()  # the third step alone
        [4.5]
    """
    _check_sequence("x", x)
    _check_alpha("alpha", alpha)
    _check_initial(initial, (*x.shape[:-2], x.shape[-1]))
    return _bank(x, (float(alpha),), None if initial is None else initial.unsqueeze(-2)).squeeze(-2)


def ema_bank(
    x: Float[Tensor, "*batch tokens dim"],
    alphas: Collection[float | int],
    initial: Float[Tensor, "*batch scales dim"] | None = None,
) -> Float[Tensor, "*batch tokens scales dim"]:
    r"""Exponential moving averages of the same sequence at several time scales, in one pass over it.

    .. math:: h_{t,s} = (1-\alpha_s)\, h_{t-1,s} + \alpha_s\, x_t

    Args:
        x: One vector per token.
        alphas: Weight of the newest token in each trace, each in (0, 1].
        initial: The states before the first token; zero where not given.

    Returns:
        The states after each token, scales in the order of `alphas`; precision and gradients as in `ema`.

    Raises:
        UserError: as `ema`, and where `alphas` is empty.

    Reference:
        Singh, EMA Is Not All You Need (2026), https://arxiv.org/abs/2604.08556

    Example:
        >>> x = torch.tensor([[8.0], [0.0]])
        >>> ema_bank(x, [0.5, 0.25]).squeeze(-1).tolist()  # two tokens, two scales
        [[4.0, 2.0], [2.0, 1.5]]
    """
    _check_sequence("x", x)
    check_not_empty("alphas", alphas, "pass at least one weight, such as alphas=(0.5, 0.1)")
    for scale, alpha in enumerate(alphas):
        _check_alpha(f"alphas[{scale}]", alpha)
    _check_initial(initial, (*x.shape[:-2], len(alphas), x.shape[-1]))
    return _bank(x, tuple(float(alpha) for alpha in alphas), initial)


def weights(alpha: float | int, tokens: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "tokens"]:
    r"""Weight of the token at each lag in the trace: the impulse response of `ema`.

    .. math:: w_k = \alpha (1-\alpha)^k, \qquad k = 0 \dots \text{tokens} - 1

    Args:
        alpha: Weight of the newest token, in (0, 1].
        tokens: Number of lags.
        dtype: Dtype of the result.

    Returns:
        Weights of lags 0 to `tokens - 1`.

    Raises:
        UserError: `alpha` outside (0, 1], `tokens` not a whole number of at least 0, `dtype` not floating point.

    Reference:
        Zhang et al. (2015), https://arxiv.org/abs/1505.01504, equation 1, with the newest token weighted by alpha.

    Example:
        >>> weights(0.5, 3).tolist()
        [0.5, 0.25, 0.125]
    """
    _check_alpha("alpha", alpha)
    check_whole("tokens", tokens, 0, "pass the number of lags, 0 or more")
    _check_dtype("dtype", dtype)
    return (alpha * _decay(float(alpha), torch.arange(tokens, dtype=torch.float64))).to(dtype)


def invert(
    h: Float[Tensor, "*batch tokens dim"], alpha: float | int, initial: Float[Tensor, "*batch dim"] | None = None
) -> Float[Tensor, "*batch tokens dim"]:
    r"""The sequence whose `ema` is `h`: a whole history of traces hides nothing.

    .. math:: x_t = \frac{h_t - (1-\alpha)\, h_{t-1}}{\alpha} = h_t + \frac{1-\alpha}{\alpha}\,(h_t - h_{t-1})

    The rounding of `h` comes back divided by alpha: about `2 / alpha` units in the last place of `h`.

    Args:
        h: Traces at every position.
        alpha: Weight of the newest token, in (0, 1].
        initial: State before the first token; zero by default.

    Returns:
        The inputs, in the shape of `h`.

    Raises:
        UserError: as `ema`.

    Reference:
        The recurrence of `ema` solved for its input; the second form is exact at alpha = 1 and subtracts near
        neighbours before anything is rounded.

    Example:
        >>> invert(torch.tensor([[2.0], [1.0], [4.5]]), 0.5).flatten().tolist()
        [4.0, 0.0, 8.0]
    """
    _check_sequence("h", h)
    _check_alpha("alpha", alpha)
    _check_initial(initial, (*h.shape[:-2], h.shape[-1]))
    wide = h.to(_accumulator(h.dtype))
    first = torch.zeros_like(wide[..., :1, :]) if initial is None else initial.to(wide).unsqueeze(-2)
    before = torch.cat([first, wide], dim=-2)[..., : h.shape[-2], :]  # as long as `h` even where that is 0 tokens
    return (wide + (1 - alpha) / alpha * (wide - before)).to(h.dtype)


def horizon(alpha: float | int, dtype: torch.dtype) -> int:
    r"""The last lag whose weight still reaches the rounding of the newest token's weight.

    Relative to the newest token the token at lag k weighs `(1-alpha)**k`. A float of p significant bits rounds to
    within the unit roundoff `2**-p`, half a unit in the last place of 1, so the answer is the greatest k with
    `(1-alpha)**k >= 2**-p`. Beyond it, a token of the same size as the newest one cannot move a state stored in `dtype`
    by even half a unit. It may still have left a mark: it was rounded into the states before.

    .. math:: k = \left\lfloor \frac{p}{-\log_2 (1-\alpha)} \right\rfloor, \qquad
              p = 8 \text{ (bfloat16)},\ 11 \text{ (float16)},\ 24 \text{ (float32)},\ 53 \text{ (float64)}

    Args:
        alpha: Weight of the newest token, in (0, 1].
        dtype: Dtype in which the state is stored.

    Returns:
        A lag, zero at `alpha = 1`.

    Raises:
        UserError: `alpha` outside (0, 1], `dtype` not floating point.

    Reference:
        Higham, Accuracy and Stability of Numerical Algorithms (2002), section 2.1, for the unit roundoff.

    Example:
        >>> [horizon(0.5, dtype) for dtype in (torch.bfloat16, torch.float32, torch.float64)]
        [8, 24, 53]
    """
    _check_alpha("alpha", alpha)
    _check_dtype("dtype", dtype)
    bits = 1 - round(math.log2(torch.finfo(dtype).eps))
    return 0 if alpha == 1 else math.floor(bits / -_log2_decay(alpha))


def half_life(alpha: float | int) -> float:
    r"""Number of tokens after which a token's weight has halved.

    .. math:: \frac{-1}{\log_2 (1-\alpha)}

    Args:
        alpha: Weight of the newest token, in (0, 1].

    Returns:
        A number of tokens, zero at `alpha = 1`.

    Raises:
        UserError: `alpha` outside (0, 1].

    Reference:
        The weights of Zhang et al. (2015), https://arxiv.org/abs/1505.01504, solved for one half.

    Example:
        >>> half_life(0.5), round(half_life(0.02), 1)
        (1.0, 34.3)
    """
    _check_alpha("alpha", alpha)
    return 0.0 if alpha == 1 else -1 / _log2_decay(alpha)


def _check_alpha(argument: str, alpha: object) -> None:
    # A tensor is refused rather than read: a learned alpha would silently get no gradient.
    if not isinstance(alpha, Real):
        raise UserError(f"`{argument}` must be a number, got {type(alpha).__name__}: pass a float such as 0.1.")
    check_between(argument, float(alpha), 0.0, 1.0, open_low=True)


def _check_dtype(argument: str, dtype: torch.dtype) -> None:
    if not dtype.is_floating_point:
        raise UserError(f"`{argument}` must be a floating dtype, got {dtype}: pass one such as torch.float32.")


def _check_sequence(argument: str, x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise UserError(f"`{argument}` must be a tensor, got {type(x).__name__}: convert it with torch.as_tensor.")
    if x.ndim < 2:
        raise UserError(
            f"`{argument}` must have at least the axes [tokens, dim], got shape {list(x.shape)}: "
            "add the axis that is missing."
        )
    if not x.is_floating_point():
        raise UserError(f"`{argument}` must be floating point, got {x.dtype}: convert it with .float().")


def _check_initial(initial: Tensor | None, shape: tuple[int, ...]) -> None:
    if initial is not None and tuple(initial.shape) != shape:
        raise UserError(
            f"`initial` must have shape {list(shape)}, got {list(initial.shape)}: "
            "pass one state per sequence, such as the last one."
        )


def _accumulator(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _log2_decay(alpha: float) -> float:
    # log1p keeps every digit of a small alpha, which 1 - alpha would round away; base 2 keeps powers of 2 exact.
    return math.log1p(-alpha) / math.log(2)


def _decay(alpha: float, lags: Tensor) -> Tensor:
    """`(1-alpha)**lags` in float64, zero for negative lags: what a later token weighs in an earlier state."""
    present = (lags == 0).double() if alpha == 1 else torch.exp2(lags * _log2_decay(alpha))
    return torch.where(lags >= 0, present, 0.0)


def _bank(x: Tensor, alphas: tuple[float, ...], initial: Tensor | None) -> Tensor:
    tokens, dim = x.shape[-2:]
    documents = math.prod(x.shape[:-2])  # spelled out: a reshape to -1 cannot be inferred where an axis is empty
    flat = x.reshape(documents, tokens, dim)
    first = None if initial is None else initial.reshape(documents, len(alphas), dim)
    return _Scan.apply(flat, first, alphas).reshape(*x.shape[:-1], len(alphas), dim)


class _Scan(torch.autograd.Function):
    """The scan is linear, so its gradient is the same scan run from the last token to the first."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, initial: Tensor | None, alphas: tuple[float, ...]) -> Tensor:
        ctx.alphas = alphas
        ctx.initial_dtype = None if initial is None else initial.dtype
        # Autocast would run the products in half precision, whatever the dtype of `x` promises.
        with torch.autocast(x.device.type if x.device.type != "meta" else "cpu", enabled=False):
            return _scan(x, initial, alphas)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        towards_x = gradient.new_zeros(gradient.shape[0], gradient.shape[1], gradient.shape[3])
        towards_initial = []
        for scale, alpha in enumerate(ctx.alphas):
            back = _Scan.apply(gradient[:, :, scale].flip(1), None, (alpha,)).squeeze(2).flip(1)
            towards_x = towards_x + back
            towards_initial.append(back[:, :1].sum(1) * ((1 - alpha) / alpha))
        if ctx.initial_dtype is None:
            return towards_x, None, None
        return towards_x, torch.stack(towards_initial, dim=1).to(ctx.initial_dtype), None


def _scan(
    x: Float[Tensor, "documents tokens dim"],
    initial: Float[Tensor, "documents scales dim"] | None,
    alphas: tuple[float, ...],
) -> Float[Tensor, "documents tokens scales dim"]:
    """All traces, block by block; nothing loops over tokens, and every block is written straight into the result."""
    documents, tokens, dim = x.shape
    out = x.new_empty(documents, tokens, len(alphas), dim)
    if out.numel() == 0:
        return out

    # The state between blocks is float64: rounding it would add up over the 1 / alpha tokens that it lives.
    # Metal has no float64.
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    state = x.new_zeros(documents, len(alphas), dim, dtype=exact) if initial is None else initial.to(x.device, exact)
    kind = "cpu" if x.device.type == "cpu" else "accelerator"
    chunks_per_block = min(CHUNKS_PER_BLOCK[kind], max(1, ELEMENTS_PER_BLOCK[kind] // (CHUNK_TOKENS * dim)))
    spans = list(_spans(tokens, chunks_per_block))
    shapes = {(chunk, chunks) for _, chunk, chunks in spans}
    operators = {shape: _operators(alphas, *shape, _accumulator(x.dtype), x.device) for shape in shapes}
    # Short documents share a block. Long ones do not: part of several documents is not one piece of memory.
    together = max(1, ELEMENTS_PER_BLOCK[kind] // (tokens * dim))

    for low in range(0, documents, together):
        here = slice(low, low + together)
        carried = state[here]
        for start, chunk, chunks in spans:
            there = slice(start, start + chunk * chunks)
            block = x[here, there].unflatten(1, (chunks, chunk))
            carried = _block(block, carried, *operators[chunk, chunks], out=out[here, there])
    return out


def _spans(tokens: int, chunks_per_block: int) -> Iterator[tuple[int, int, int]]:
    """Where each block starts, and how it is cut: `(start, tokens in a chunk, chunks)`."""
    start = 0
    while tokens - start >= CHUNK_TOKENS:
        chunks = min((tokens - start) // CHUNK_TOKENS, chunks_per_block)
        yield start, CHUNK_TOKENS, chunks
        start += chunks * CHUNK_TOKENS
    if start < tokens:
        yield start, tokens - start, 1


def _operators(
    alphas: tuple[float, ...], chunk: int, chunks: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The scan of one block as matrices, from powers taken in float64.

    `within` takes the tokens of a chunk and the states before it to all states of the chunk; `ends` takes the tokens to
    what they add to its last state; `across` takes the state before the block and those ends to the state before each
    chunk, and in its last row to what the block adds; `fade` is what is left of the state before the block.
    """
    scales = len(alphas)
    step, place = torch.arange(chunk, dtype=torch.float64), torch.arange(chunks + 1, dtype=torch.float64)
    lags, jumps = step[:, None] - step, chunk * (place[:, None] - place)
    tokens = torch.stack([alpha * _decay(alpha, lags) for alpha in alphas], dim=1)
    states = torch.stack([_decay(alpha, step + 1) for alpha in alphas], dim=1).unsqueeze(-1) * torch.eye(scales)
    within = torch.cat([tokens, states], dim=-1).reshape(chunk * scales, chunk + scales)
    across = torch.stack([_decay(alpha, jumps) for alpha in alphas])
    across[:, -1, 0] = 0
    fade = torch.stack([_decay(alpha, jumps[-1:, :1]) for alpha in alphas]).reshape(scales, 1)
    exact = torch.float32 if device.type == "mps" else torch.float64
    narrow = [matrix.to(dtype).to(device) for matrix in (within, tokens[-1], across)]
    return narrow[0], narrow[1], narrow[2], fade.to(exact).to(device)


def _block(
    x: Float[Tensor, "documents chunks chunk dim"],
    carried: Float[Tensor, "documents scales dim"],
    within: Float[Tensor, "rows columns"],
    ends: Float[Tensor, "scales chunk"],
    across: Float[Tensor, "scales places places"],
    fade: Float[Tensor, "scales 1"],
    out: Float[Tensor, "documents tokens scales dim"],
) -> Float[Tensor, "documents scales dim"]:
    """Write the states of one block to `out`; the state after its last token comes back."""
    documents, chunks, chunk, dim = x.shape
    scales = carried.shape[1]
    # The states before a chunk ride along as extra rows of its tokens, so that one product does both and `out`, the
    # only large thing, is written once and never read.
    rows = x.new_empty(documents, chunks, chunk + scales, dim, dtype=within.dtype)
    rows[:, :, :chunk] = x
    batch = rows.view(documents * chunks, chunk + scales, dim)

    summary = rows.new_empty(documents, scales, chunks + 1, dim)
    summary[:, :, 0] = carried
    added = torch.bmm(ends.expand(len(batch), -1, -1), batch[:, :chunk])
    summary[:, :, 1:] = added.view(documents, chunks, scales, dim).transpose(1, 2)
    before = torch.matmul(across, summary)
    rows[:, :, chunk:] = before[:, :, :-1].transpose(1, 2)

    matrices = within.expand(len(batch), -1, -1)
    if out.is_contiguous() and out.dtype == rows.dtype:
        torch.bmm(matrices, batch, out=out.view(documents * chunks, chunk * scales, dim))
    else:
        out.copy_(torch.bmm(matrices, batch).view(out.shape))
    return fade * carried + before[:, :, -1]
