"""Word vectors learned from raw text by counting, the classical way."""

__all__ = ["ppmi_vectors"]

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infodil.checks import check_whole

MOST_COMPANIONS = 1000


def ppmi_vectors(
    words: Int64[Tensor, "documents tokens"], vocabulary: int, *, dim: int = 32, window: int = 2
) -> Float[Tensor, "vocabulary dim"]:
    """Positive pointwise mutual information with the words around, reduced by singular values.

    Each place of the window is counted apart; the 1,000 most frequent words count as company.

    Args:
        words: Word ids, padded with -1.
        vocabulary: How many word ids.
        dim: Numbers in a vector.
        window: Words on either side.

    Raises:
        UserError: A count is below 1.

    Reference:
        Bullinaria and Levy (2007), Behavior Research Methods 39; Levy, Goldberg and Dagan (2015), TACL 3, for the
        square root of the singular values.

    Example:
        >>> ppmi_vectors(torch.tensor([[0, 1, 2], [0, 1, 2]]), 3, dim=2).shape
        torch.Size([3, 2])
    """
    check_whole("dim", dim, 1, "pass how many numbers in a vector")
    check_whole("window", window, 1, "pass how many words on either side")
    frequency = torch.bincount(words[words >= 0], minlength=vocabulary)
    company = torch.full((vocabulary + 1,), -1)
    kept = min(MOST_COMPANIONS, vocabulary)
    company[frequency.topk(kept).indices] = torch.arange(kept)
    parts = []
    for offset in (step for step in range(-window, window + 1) if step):
        moved = torch.nn.functional.pad(words, (max(0, -offset), max(0, offset)), value=-1)
        beside = company[moved[:, max(0, offset) : max(0, offset) + words.shape[1]]]
        both = (words >= 0) & (beside >= 0)
        counts = torch.bincount(words[both] * kept + beside[both], minlength=vocabulary * kept)
        joint = counts.view(vocabulary, kept).double() / max(1, int(counts.sum()))
        expected = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
        parts.append(torch.where(joint > 0, (joint / expected).log(), 0.0).clamp(min=0))
    matrix = torch.cat(parts, dim=1)
    # The sketch is random; one draw for all, so that the same text always has the same vectors.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        left, strength, _ = torch.svd_lowrank(matrix, q=min(dim + 10, *matrix.shape), niter=4)
    vectors = (left * strength.sqrt())[:, :dim].float()
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)
