"""Options of the superposition decoder, step by step."""

__all__ = ["DecoderOptions"]

from dataclasses import dataclass


@dataclass(frozen=True)
class DecoderOptions:
    """Tuning constants of matching pursuit, lag belief propagation, joint lag search and the final posterior."""

    candidates: int = 8
    """Types named for each lag; the prior covers the rest."""
    smoothing: float = 1e-3
    """Mass kept for the prior at every lag, so that a type that no step found keeps a probability."""

    false_alarm: float = 0.05
    """Matching pursuit: chance that a step over pure noise takes a type that is absent."""
    step_share: float = 0.5
    """Matching pursuit: share of the largest correlation from which types are taken in the same step."""
    chance_correlations: float = 1.2
    """Matching pursuit: the same share in units of the correlation of token vectors by chance, where that is larger."""
    max_step_types: int = 16
    """Matching pursuit: types taken in one step at most."""
    exhaustive_dims: int = 256
    """Matching pursuit: dims up to which it goes on below the noise threshold, in case everything can be explained."""
    residual_floors: float = 30.0
    """Matching pursuit: residual, in units of the states' own error, below which everything counts as explained."""
    refinements: int = 6
    """Matching pursuit: steps of iterative refinement of the last least-squares fit."""

    window_errors: float = 5.0
    """Lag beliefs: standard errors by which a sum of weights may miss a coefficient."""
    rare_tokens: float = 0.05
    """Lag beliefs: expected number of deep lags of a type below which they are enumerated one by one."""
    max_sets: int = 256
    """Lag beliefs: sets of one size kept for one token; where more fit, a Gaussian stands for that size."""
    rounds: int = 12
    """Lag beliefs: rounds of messages, enough for damped messages to settle on the cases that can be settled."""
    damping: float = 0.5
    """Lag beliefs: share of a new message; loopy propagation oscillates without damping."""

    table_step: float = 0.5
    """Deep-lag residual: step of its density table in units of the smallest error."""
    max_table_steps: int = 2048
    """Deep-lag residual: steps of the table at most; it is coarser where more would be needed."""
    table_deviations: float = 8.0
    """Deep-lag residual: standard deviations that the table reaches beyond the mean."""
    min_followed: float = 0.05
    """Deep-lag residual: weight, in errors, below which a lag adds its mean only."""
    stray_share: float = 0.02
    """Deep-lag residual: share of coefficients with an error `stray_errors` times larger, as codes are not exact."""
    stray_errors: float = 20.0
    """Deep-lag residual: factor of those larger errors."""
    min_density: float = 1e-14
    """Deep-lag residual: density, as a share of the largest, that the Fourier transform still resolves."""

    settled: float = 0.02
    """Lag assignment: distance of a belief from 0 or 1 within which a token needs no joint search."""
    sharp_errors: float = 3.0
    """Lag assignment: difference of neighbouring weights, in errors, from which lags are told apart."""
    shown_errors: float = 2.0
    """Lag assignment: weight, in errors, from which a lag shows at all."""
    present_errors: float = 4.0
    """Lag assignment: residual of a coefficient, in errors, from which its token is at a further lag too."""
    max_lags: int = 256
    """Lag assignment: lags told apart one by one at most; sets of three are listed, which grow with the cube."""
    few_tokens: int = 8
    """Lag assignment: number of tokens up to which the joint search always runs: loopy beliefs may settle on one of
    several divisions that fit alike."""
    belief_share: float = 0.05
    """Lag assignment: weight of the beliefs beside the joint search, which keeps only the best divisions it met."""

    max_joint_tokens: int = 20
    """Joint lag search: open tokens beyond which the coefficients leave too much open for a search."""
    max_divisions: int = 4096
    """Joint lag search: divisions kept in the beam."""
    max_joint_sets: int = 20_000
    """Joint lag search: sets of lags listed for one token at most."""
    max_single_divisions: int = 16
    """Joint lag search: divisions extended one by one where the sets of all together cannot be listed."""
    max_loss_nats: float = 25.0
    """Joint lag search and lag beliefs: loss against the best beyond which divisions and sets are dropped."""
    max_half_sums: int = 1 << 17
    """Subset sums: sums listed for each half of the lags."""
    max_matches: int = 1 << 16
    """Subset sums: matching subsets beyond which none are listed."""
