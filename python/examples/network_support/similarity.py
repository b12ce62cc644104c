"""What vectors of texts say about which texts are alike."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_correlation(vectors: Tensor, reference: Tensor) -> float:
    """Spearman's, of the similarities of all pairs; vectors [texts, values] of length 1."""
    first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
    ranks = torch.stack([(v.double() @ v.double().t())[first, second].argsort().argsort()
                         for v in (vectors, reference)])
    return torch.corrcoef(ranks.double())[0, 1].item()


def neighbours_alike(vectors: Tensor, labels: Tensor) -> float:
    """Percent of texts whose nearest neighbour is of the same category."""
    similarities = (vectors @ vectors.t()).fill_diagonal_(-2.0)
    return 100.0 * (labels[similarities.argmax(dim=1)] == labels).double().mean().item()
