"""The assignment problem by itself: it knows costs and counts, and nothing of boxes or classes.

Given a cost `c[t, q]` for every target t and query q, choose x[t, q] in {0, 1} to

    minimise    Σ_t Σ_q c[t, q] x[t, q]
    subject to  Σ_q x[t, q] <= 1 for every t,   Σ_t x[t, q] <= 1 for every q,
                Σ_t Σ_q x[t, q] = min(T, Q).

Worked example, two targets (rows) and two queries (columns):

    c = [[1, 2],
         [2, 4]]

has two permutations: the diagonal costs 1 + 4 = 5, the other 2 + 2 = 4. The optimum gives target 0 its second
choice; taking the cheapest pair first (greedy) would end with 5.

    >>> assign(torch.tensor([[1.0, 2.0], [2.0, 4.0]]), torch.tensor(2)).tolist()
    [1, 0]

References:
    Kuhn, The Hungarian method for the assignment problem, 1955.
    Jonker & Volgenant, A shortest augmenting path algorithm, 1987.
    Crouse, On implementing 2D rectangular assignment algorithms, 2016 (what SciPy implements).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from setpiece.errors import NonFiniteCostError


@torch.no_grad()
def assign(cost: Float[Tensor, "*problems T Q"], count: Int64[Tensor, "*#problems"]) -> Int64[Tensor, "*problems T"]:
    """The optimal query of each target, for every problem in the leading dimensions.

    Args:
        cost: finite, any range; row t is target t, column q is query q.
        count: how many rows of each problem are real, in [0, T]; the others are never read. Broadcasts.

    Returns:
        The query in [0, Q) of every target; -1 for padding and, where count > Q, for the targets left over.

    Raises:
        NonFiniteCostError: a cost within `count` is NaN or infinite.

    Example:
        >>> cost = torch.tensor([[[3.0, 1.0], [1.0, 9.0]], [[5.0, 4.0], [0.0, 0.0]]])
        >>> assign(cost, torch.tensor([2, 1])).tolist()
        [[1, 0], [1, -1]]
    """
    *problems, T, Q = cost.shape
    costs = cost.detach().cpu().reshape(math.prod(problems), T, Q).numpy()  # one transfer for all problems
    counts = count.cpu().expand(problems).reshape(-1).tolist()
    suspicious = not cost.sum().isfinite()  # NaN and infinity survive a sum; if they lie in padding, all is well
    match = np.full((len(counts), T), -1, dtype=np.int64)
    # One after the other: on threads (SciPy lets go of the interpreter lock) these short solves took longer.
    for problem, real in enumerate(counts):
        rows = costs[problem, :real]
        if suspicious and not np.isfinite(rows).all():
            raise _not_finite(problem, rows, problems)
        targets, queries = linear_sum_assignment(rows)
        match[problem, targets] = queries
    return torch.from_numpy(match).reshape(*problems, T).to(cost.device)


def _not_finite(problem: int, rows: np.ndarray, problems: list[int]) -> NonFiniteCostError:
    target, query = np.argwhere(~np.isfinite(rows))[0]
    index = tuple(int(i) for i in (*np.unravel_index(problem, problems), target, query))
    return NonFiniteCostError(f"The cost at {index} is {rows[target, query]}.", index)
