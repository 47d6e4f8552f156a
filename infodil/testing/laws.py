"""Laws that every causal state obeys, checked on drawn inputs, the first that is broken told in one sentence."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from infodil.checks import check_between, check_whole

__all__ = ["check_encoder", "check_trace"]

Sites = dict[str, Tensor]


@runtime_checkable
class _Encoder(Protocol):
    vocabulary: int

    def encode(self, tokens: Tensor) -> Sites: ...


def check_encoder(
    encoder: _Encoder,
    *,
    documents: int = 3,
    tokens: int = 16,
    seed: int = 0,
    device: str | torch.device = "cpu",
    tolerance: float | None = None,
) -> None:
    r"""Raise unless `encoder` gives causal states that belong to one document and one call.

    The laws, in this order: the *shape* is `[documents, tokens, dim]` at the same sites every time; states are
    *finite*; the tokens passed in are *not changed*; the same call gives the same states (*determinism*), also after
    another call (*independence of calls*); a document has the same states alone as in a batch (*batch invariance*);
    later tokens do not move earlier states (*causality*); the states of a prefix are the prefix of the states (*prefix
    invariance*).

    Two computations of one number are held equal when they differ by at most `tolerance` times the largest absolute
    state of their site. By default that is the square root of the dtype's epsilon: rounding in another order may cost
    half of the digits, while a leak, unless it is very weak, reaches the leading ones.

    Args:
        encoder: Anything with `vocabulary` and `encode(tokens) -> {site: states}`; put it in evaluation mode first.
        documents: Number of documents encoded at once, 2 or more.
        tokens: Their length, 2 or more.
        seed: Seed of the random tokens.
        device: Where the tokens are made.
        tolerance: Largest difference allowed, relative to the largest state of the site.

    Raises:
        AssertionError: one sentence with the law, the site, the place, the size of the violation and its usual cause.
        UserError: fewer than 2 documents or tokens, or a negative tolerance.

    Reference:
        The definition of an encoder: the state at t is a function of tokens up to and including t, and of nothing else.

    Example:
        >>> from types import SimpleNamespace
        >>> table = torch.randn(7, 4)
        >>> check_encoder(SimpleNamespace(vocabulary=7, encode=lambda tokens: {"sum": table[tokens].cumsum(1)}))
    """
    _check_sizes(documents, tokens, tolerance)
    generator = torch.Generator().manual_seed(seed)
    vocabulary = int(encoder.vocabulary)

    def draw() -> Tensor:
        return torch.randint(vocabulary, (documents, tokens), generator=generator).to(device)

    def change(batch: Tensor) -> Tensor:  # every token becomes another one, where the vocabulary has another
        moved = torch.randint(1, max(vocabulary, 2), batch.shape, generator=generator).to(device)
        return (batch + moved) % vocabulary

    _check_laws(encoder.encode, draw, change, tolerance, axes=3)


def check_trace(
    fn: Callable[..., Tensor],
    *,
    documents: int = 3,
    tokens: int = 24,
    dim: int = 5,
    linear: bool = True,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64),
    seed: int = 0,
    device: str | torch.device = "cpu",
    tolerance: float | None = None,
) -> None:
    r"""Raise unless `fn: [documents, tokens, dim] -> [documents, tokens, ...]` is a causal trace.

    The laws of `check_encoder`; the *dtype* of the input is kept; with `linear`, `fn(a x + b y) = a fn(x) + b fn(y)`;
    and where `fn` takes the keyword `initial`, running two halves with the last state handed over equals one run
    (*chunk invariance*).

    Args:
        fn: The trace; other arguments are bound before, such as `lambda x, initial=None: ema(x, 0.1, initial)`.
        documents: Number of sequences at once, 2 or more.
        tokens: Their length, 2 or more.
        dim: Features of a token.
        linear: Whether linearity is one of the laws.
        dtypes: Every law is checked in each of them.
        seed: Seed of the random sequences.
        device: Where they are made.
        tolerance: Largest change, as a share of the states, that counts as rounding; see `check_encoder`.

    Raises:
        AssertionError: one sentence with the law, the place, the size of the violation and its usual cause.
        UserError: as `check_encoder`, and for fewer than 1 `dim`.

    Reference:
        The axioms of a causal linear filter; Oppenheim & Schafer, Discrete-Time Signal Processing (2010), section 2.2.

    Example:
        >>> from infodil.traces import ema
        >>> check_trace(lambda x, initial=None: ema(x, 0.1, initial))
    """
    _check_sizes(documents, tokens, tolerance)
    check_whole("dim", dim, 1, "pass the number of features of a token")
    for dtype in dtypes:
        generator = torch.Generator().manual_seed(seed)

        def draw(dtype: torch.dtype = dtype, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(documents, tokens, dim, generator=generator, dtype=torch.float64).to(device, dtype)

        def run(x: Tensor) -> Sites:
            return {"trace": fn(x)}

        _check_laws(run, draw, lambda x, draw=draw: x + draw()[: x.shape[0], : x.shape[1]], tolerance, axes=2)
        x, y = draw(), draw()
        states = fn(x)
        assert states.dtype == dtype, (
            f"dtype is not kept at site 'trace': {dtype} went in and {states.dtype} came out; "
            "usual cause: a constant of another dtype inside the trace."
        )
        if linear:
            both = {"trace": 2 * fn(x) - 3 * fn(y)}
            cause = "an offset, a normalisation or a non-linearity (pass linear=False if it is meant)"
            _same("linearity", run(2 * x - 3 * y), both, "at 2 x - 3 y instead of 2 fn(x) - 3 fn(y)", cause, tolerance)
        if "initial" in inspect.signature(fn).parameters:
            cut = tokens // 2
            later = {"trace": fn(x[:, cut:], initial=states[:, cut - 1])}
            cause = "the last state is not all that the trace carries, or `initial` is weighted like a token"
            words = f"when the first {cut} tokens are handed over as `initial`"
            _same("chunk invariance", later, {"trace": states[:, cut:]}, words, cause, tolerance, offset=cut)


def _check_sizes(documents: int, tokens: int, tolerance: float | None) -> None:
    check_whole("documents", documents, 2, "pass 2 or more, so that one could leak into another")
    check_whole("tokens", tokens, 2, "pass 2 or more, so that a later token could leak into an earlier state")
    if tolerance is not None:
        check_between("tolerance", tolerance, 0.0, 1.0)


def _check_laws(
    run: Callable[[Tensor], Sites],
    draw: Callable[[], Tensor],
    change: Callable[[Tensor], Tensor],
    tolerance: float | None,
    axes: int,
) -> None:
    """The laws that traces and encoders share. The order matters: each law is tested once the simpler ones hold."""
    batch, other = draw(), draw()
    kept = batch.clone()
    tokens = batch.shape[1]

    def encode(given: Tensor) -> Sites:
        with torch.no_grad():
            sites = run(given)
        _check_sites(sites, given, first, axes)
        # A copy: an encoder that hands out its own buffer would otherwise rewrite the states it gave before.
        return {site: states.clone() for site, states in sites.items()}

    first: Sites | None = None
    first = encode(batch)
    _check_finite(first)
    assert torch.equal(batch, kept), (
        f"the input is changed: {_count(batch != kept)} of its values differ after the call; "
        "usual cause: an in-place operation (+=, masked_fill_, sort(out=...)) on the tokens passed in."
    )
    cause = "dropout left on (call .eval()), an unseeded random number, or a state kept from the call before"
    _same("determinism", encode(batch), first, "when the same input is encoded again", cause, tolerance)
    encode(other)
    cause = "a cache or a running statistic that is kept from one call to the next"
    _same("independence of calls", encode(batch), first, "after another batch was encoded", cause, tolerance)

    cause = "statistics over the batch, padding, or a recurrent state that documents share"
    for document in range(len(batch)):
        alone, expected = encode(batch[document : document + 1].clone()), _part(first, slice(document, document + 1))
        _same("batch invariance", alone, expected, "when encoded alone", cause, tolerance, document=document)

    cause = "attention without a causal mask, a centred convolution, or a normalisation over tokens"
    for cut in sorted({1, tokens // 2, tokens - 1}):
        future = torch.cat([batch[:, :cut], change(batch[:, cut:])], dim=1)
        states, expected = _part(encode(future), slice(None), cut), _part(first, slice(None), cut)
        _same("causality", states, expected, f"when tokens from {cut} on are changed", cause, tolerance)

    cause = "a normalisation by the length, positions counted from the end, or padding that is read"
    for cut in sorted({1, tokens // 2, tokens - 1}):
        states, expected = encode(batch[:, :cut].clone()), _part(first, slice(None), cut)
        _same("prefix invariance", states, expected, f"when only the first {cut} tokens are encoded", cause, tolerance)


def _check_sites(sites: Any, given: Tensor, first: Sites | None, axes: int) -> None:
    """Raise unless the result is a dictionary of states of the right shape, at the same sites as the first call."""
    assert isinstance(sites, dict) and sites, (
        f"shape is broken: encode must return a dictionary of at least one site, got {type(sites).__name__} "
        f"{sites if sites == {} else ''}".rstrip()
        + "; usual cause: the states are returned bare."
    )
    assert first is None or set(sites) == set(first), (
        f"shape is broken: the sites were {sorted(first)} at first and {sorted(sites)} for an input of shape "
        f"{list(given.shape)}; usual cause: a site that is only filled when its layer runs."
    )
    for site, states in sites.items():
        features = ["dim" if axes == 3 else "..."] if first is None else list(first[site].shape[2:])
        right = (
            isinstance(states, Tensor)
            and states.shape[:2] == given.shape[:2]
            and (states.ndim == 3 if axes == 3 else states.ndim >= 2)
            and (first is None or states.shape[2:] == first[site].shape[2:])
        )
        got = list(states.shape) if isinstance(states, Tensor) else type(states).__name__
        assert right, (
            f"shape is broken at site {site!r}: an input of shape {list(given.shape)} must give states of shape "
            f"{list(given.shape[:2]) + features}, got {got}; usual cause: the axes are swapped, flattened or trimmed."
        )
        assert states.is_floating_point(), (
            f"shape is broken at site {site!r}: states must be floating point, got {states.dtype}; "
            "usual cause: token ids returned in place of vectors."
        )


def _check_finite(sites: Sites) -> None:
    for site, states in sites.items():
        wrong = ~torch.isfinite(states)
        if wrong.any():
            document, token = wrong.nonzero()[0, :2].tolist()
            raise AssertionError(
                f"states are not finite at site {site!r}: {_count(wrong)} values are NaN or infinite, the first in "
                f"document {document}, token {token}; usual cause: a division by zero, the log of zero, or an overflow "
                "in half precision."
            )


def _same(
    law: str,
    got: Sites,
    expected: Sites,
    words: str,
    cause: str,
    tolerance: float | None,
    *,
    document: int = 0,
    offset: int = 0,
) -> None:
    """Raise unless two computations of the same states agree; `document` and `offset` place the first of them."""
    for site, states in got.items():
        if states.shape != expected[site].shape:
            raise AssertionError(
                f"{law} is broken at site {site!r}: the shape {list(expected[site].shape)} became {list(states.shape)} "
                f"{words}; usual cause: {cause}."
            )
        if states.numel() == 0:
            continue
        allowed = torch.finfo(states.dtype).eps ** 0.5 if tolerance is None else tolerance
        scale = expected[site].abs().max().double().item()
        gap = (states.double() - expected[site].double()).abs().nan_to_num(torch.inf)
        gap = gap.reshape(*states.shape[:2], -1).amax(dim=2)
        worst = gap.max().item()
        if worst > allowed * scale:
            place = int(gap.argmax())
            row, token = divmod(place, gap.shape[1])
            share = (
                f"{worst / scale:.2g} of the largest state, {allowed:.2g} allowed"
                if scale
                else "where all should be zero"
            )
            raise AssertionError(
                f"{law} is broken at site {site!r}: document {row + document}, token {token + offset} differs by "
                f"{worst:.3g} ({share}) {words}; usual cause: {cause}."
            )


def _part(sites: Sites, documents: slice, tokens: int | None = None) -> Sites:
    return {site: states[documents, :tokens] for site, states in sites.items()}


def _count(mask: Tensor) -> str:
    return f"{int(mask.sum()):,} of {mask.numel():,}"
