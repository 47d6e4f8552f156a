"""Linear memory capacity of a recurrence, in closed form."""

__all__ = ["linear_memory_capacity"]

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from infodil.checks import UserError, check_whole

LEAST_DRIVE = 1e-10
"""Share of the largest drive below which an eigenvector does not feel the input at all."""


def linear_memory_capacity(
    recurrence: Float[ndarray, "numbers numbers"], inputs: Float[ndarray, "rows"], lags: int = 100
) -> Float[ndarray, "lags"]:
    r"""Squared correlation between each past input and its best linear read-out from the state.

    .. math:: h_t = A h_{t-1} + b\, u_t, \qquad
              \mathrm{MC}_k = b^\top (A^\top)^k \Sigma^{-1} A^k b, \quad \Sigma = \sum_k A^k b\, b^\top (A^\top)^k

    for independent inputs. Over all lags the capacities sum to the rank of the controllability matrix
    :math:`[b, Ab, A^2 b, \ldots]`. That matrix has no rank to speak of in floating point, and neither it nor
    :math:`\Sigma` is formed here: the capacities depend on the eigenvalues alone, and
    :math:`\mathrm{MC}_k = \sum_n |\phi_n(k)|^2` for the impulse responses :math:`\phi_n` of a chain of all-pass filters
    with these poles, which are orthonormal as they are (Takenaka-Malmquist functions).

    Args:
        recurrence: Matrix A, with eigenvalues inside the unit circle.
        inputs: Vector b.
        lags: Number of lags, from 0.

    Returns:
        Capacity of each lag, between 0 and 1.

    Raises:
        UserError: Matrices that do not fit, or a recurrence that does not forget.

    Reference:
        Jaeger (2001), Short term memory in echo state networks, proposition 2; Ballarin, Grigoryeva and Ortega (2024),
        Memory of recurrent networks: do we compute it right?, arXiv 2305.01457; Ninness and Gustafsson (1997), A
        unifying construction of orthonormal bases for system identification, equation 3.

    Example:
        >>> linear_memory_capacity(np.diag([0.5]), np.ones(1), lags=3).round(4).tolist()  # (1 - a)^2k (1 - (1 - a)^2)
        [0.75, 0.1875, 0.0469]
    """
    matrix, drive = np.asarray(recurrence, dtype=np.float64), np.asarray(inputs, dtype=np.float64)
    check_whole("lags", lags, 1, "pass the number of lags")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or drive.shape != matrix.shape[:1]:
        raise UserError(
            f"`inputs` must have one number for each row of a square `recurrence`, got shapes {list(drive.shape)} and "
            f"{list(matrix.shape)}."
        )
    poles, left = np.linalg.eig(matrix.T)
    if not (np.abs(poles) < 1.0).all():
        largest = np.abs(poles).max()
        raise UserError(
            f"`recurrence` must forget, got an eigenvalue of absolute value {largest:.3f}: scale it below 1."
        )
    felt = np.abs(left.T @ drive)
    poles = poles[felt > LEAST_DRIVE * felt.max()]
    capacity, signal = np.zeros(lags), np.zeros(lags, dtype=complex)
    signal[0] = 1.0
    for pole in poles:
        response, state = np.empty(lags, dtype=complex), 0.0
        for lag in range(lags):
            state = pole * state + signal[lag]
            response[lag] = state
        capacity += (1.0 - abs(pole) ** 2) * np.abs(response) ** 2
        # All-pass (z^-1 - conj(p)) / (1 - p z^-1): what this pole leaves for the next.
        signal = np.concatenate([[0.0], response[:-1]]) - np.conj(pole) * response
    return capacity
