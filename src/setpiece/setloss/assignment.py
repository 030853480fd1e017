"""The assignment problem: costs in, the optimal query of each target out.

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

import logging
import os
import shutil
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64, Num
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from setpiece.errors import NonFiniteCostError

__all__ = ["NO_FAULT", "assign", "assign_padded", "assign_rows", "has_kernel", "may_read", "to_queries"]

NO_FAULT = torch.iinfo(torch.int32).max  # larger than the place of any cost


def may_read(values: Tensor) -> bool:
    """Whether Python may read these values at once, so that work may depend on them.

    Not where they lie on another device: reading them would wait for it, once in each step, and forbid CUDA graphs. Nor
    while `torch.compile` looks on: there are no values yet. Then shapes have to be static, and what is wrong is
    reported by a tensor (`Losses.fault`).
    """
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


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
    counts = count.expand(problems).reshape(-1)
    if not may_read(cost):
        match, fault = assign_padded(cost.reshape(-1, T, Q), counts)
        if fault < NO_FAULT:  # which says no target
            assign(cost.cpu(), count.cpu())
        return match.reshape(*problems, T)
    present = torch.arange(T, device=count.device) < counts[:, None]  # (problems, T)
    match = torch.full(present.shape, -1, device=cost.device)
    try:
        match[present] = assign_rows(cost.reshape(*present.shape, Q)[present], counts.tolist())
    except NonFiniteCostError as error:
        row, query = error.index
        where = (*present.view(*problems, T).nonzero()[row].tolist(), query)
        raise NonFiniteCostError(f"The cost at {where} is not finite.", where) from error
    return match.reshape(*problems, T)


@torch.no_grad()
def assign_rows(cost: Float[Tensor, "rows Q"], counts: Sequence[int]) -> Int64[Tensor, " rows"]:
    """`assign` for problems without padding, whose rows follow each other. Every problem is solved here.

    Args:
        cost: the first `counts[0]` rows are the first problem's targets, and so on.
        counts: rows of each problem; they sum up to all rows.

    Returns:
        The query of every row, -1 for those left over.

    Raises:
        NonFiniteCostError: a cost is NaN or infinite; `index` is its row and query.

    Example:
        >>> assign_rows(torch.tensor([[3.0, 1.0], [1.0, 9.0], [5.0, 4.0]]), [2, 0, 1]).tolist()
        [1, 0, 1]
    """
    if not cost.sum().isfinite() and not cost.isfinite().all():  # the sum is cheaper, and NaN and infinity survive it
        row, query = (~cost.isfinite()).nonzero()[0].tolist()
        raise NonFiniteCostError(f"The cost of row {row} and query {query} is {cost[row, query]}.", (row, query))
    costs = cost.cpu().to(torch.promote_types(cost.dtype, torch.float32)).numpy()  # one transfer for all problems
    match = np.full(len(costs), -1, dtype=np.int64)
    start = 0
    # One after the other: threads (SciPy releases the interpreter lock) were slower, because each problem is short.
    for count in counts:
        targets, queries = linear_sum_assignment(costs[start : start + count])
        match[start + targets] = queries
        start += count
    return torch.from_numpy(match).to(cost.device)


@cache
def has_kernel() -> bool:
    """Whether the kernel can be compiled here: Triton is there, a C compiler, and Python's headers.

    Else SciPy solves the assignment, for which each step waits for the GPU; that is logged once.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    found = {"Triton": find_spec("triton"), "a C compiler": compiler, "Python's headers": headers}
    if lacking := [name for name, there in found.items() if not there]:
        message = "Without %s the assignment is solved on the CPU, and each step waits for it."
        logging.getLogger(__name__).warning(message, " and ".join(lacking))
    return not lacking


@torch.library.custom_op("setpiece::assign", mutates_args=(), schema="(Tensor cost, Tensor count) -> (Tensor, Tensor)")
def assign_padded(
    cost: Float[Tensor, "problems T Q"], count: Int64[Tensor, " images"]
) -> tuple[Int64[Tensor, "problems T"], Int32[Tensor, ""]]:
    """`assign` with static shapes: by SciPy, or on a GPU by a kernel of Triton, and then nothing waits for it.

    An operator of PyTorch, so that `torch.compile` and CUDA graphs take it as it is.

    Args:
        cost: row t is target t, column q is query q.
        count: rows of problem p that are real: `count[p % images]`.

    Returns:
        The query of every target, as of `assign`; and the smallest `p * Q + q` of a cost that is not finite, `NO_FAULT`
        where all are. A target with such a cost has no query.

    Example:
        >>> match, fault = assign_padded(torch.tensor([[[3.0, 1.0], [1.0, 9.0]]]), torch.tensor([1]))
        >>> match.tolist(), fault.item() == NO_FAULT
        ([[1, -1]], True)
    """
    if cost.device.type == "cuda" and has_kernel():
        from setpiece.setloss.device_assignment import solve

        return solve(cost, count)
    problems, T, _ = cost.shape
    counts = count.repeat(problems // max(1, len(count)))
    present = torch.arange(T, device=cost.device) < counts[:, None]  # (problems, T)
    wrong = ~cost.isfinite() & present[..., None]
    places = wrong.any(1).flatten().nonzero()  # p * Q + q
    fault = places.amin().int() if len(places) else cost.new_tensor(NO_FAULT, dtype=torch.int32)
    sound = present & ~wrong.any(-1)
    match = torch.full((problems, T), -1, device=cost.device)
    match[sound] = assign_rows(cost[sound], sound.sum(-1).tolist())
    return match, fault


@assign_padded.register_fake
def _(cost: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001 (it has the operator's arguments)
    return cost.new_empty(cost.shape[:2], dtype=torch.int64), cost.new_empty((), dtype=torch.int32)


def to_queries(
    values: Num[Tensor, "*problems T"], match: Int64[Tensor, "*problems T"], Q: int, fill: int
) -> Num[Tensor, "*problems Q"]:
    """Carry a number of each target to the query that it is matched with; `fill` for all other queries.

    Example:
        >>> to_queries(torch.tensor([7, 8, 9]), torch.tensor([3, 0, -1]), Q=4, fill=0).tolist()
        [8, 0, 0, 7]
    """
    slots = torch.where(match < 0, Q, match)  # a last slot takes those without a query, and is cut off
    return values.new_full((*match.shape[:-1], Q + 1), fill).scatter(-1, slots, values)[..., :Q]
