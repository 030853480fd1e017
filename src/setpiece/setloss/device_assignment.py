"""The assignment problem on a GPU: every problem by one program of a Triton kernel, from start to end.

This module needs Triton. It is imported where costs lie on a GPU, and nowhere else.

The algorithm is SciPy's (Crouse 2016). Targets enter one after the other. Each searches the shortest augmenting path
to a free query, over reduced costs `c[t, q] - u[t] - v[q]`, which are never negative. Three things are different, so
that a program keeps all of its state in registers, of one column for each query:

- The dual u of a matched target is not stored: its pair (t, q) is tight, so `u[t] = c[t, q] - v[q]`.
- A path is remembered by its queries alone. The target before a query is the one that holds the previous query.
- Where all queries are taken and targets are left (T > Q), a path may also end by leaving a target of it without a
  query. All such targets have the same dual, which is the largest u at the time when the last query is taken. So no
  problem is transposed, and none is padded with queries that do not exist.

References:
    Jonker & Volgenant, A shortest augmenting path algorithm, 1987.
    Crouse, On implementing 2D rectangular assignment algorithms, 2016.
"""

from __future__ import annotations

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from setpiece.setloss.assignment import NO_FAULT

__all__ = ["block_of", "solve", "solver_kernel", "warps_of"]

COLUMNS_PER_WARP = 512  # 16 for each of the 32 threads


def block_of(Q: int) -> int:
    """The power of two that the kernel is compiled for; everything else is read on the device."""
    return max(16, triton.next_power_of_2(Q))


def warps_of(block: int) -> int:
    """Warps of a program. One exchanges its minima without a barrier; several hold more queries in registers."""
    return max(1, block // COLUMNS_PER_WARP)


def solve(
    cost: Float[Tensor, "problems T Q"], count: Int64[Tensor, " images"]
) -> tuple[Int64[Tensor, "problems T"], Int32[Tensor, ""]]:
    """The optimal query of each target, and the first cost that is not finite. Nothing waits for the device.

    Args:
        cost: any range. Computed in float64 where it is, else in float32.
        count: how many rows of problem p are real: `count[p % images]`.

    Returns:
        As `assign_padded`. A target with a cost that is not finite has no query.
    """
    problems, T, Q = cost.shape
    match = torch.full((problems, T), -1, device=cost.device)
    fault = torch.full((), NO_FAULT, dtype=torch.int32, device=cost.device)
    if cost.numel():
        block = block_of(Q)
        problem = (cost.contiguous(), count.contiguous(), match, fault, len(count), T, Q)
        with torch.cuda.device_of(cost):  # Triton launches on the current device
            solver_kernel[(problems,)](*problem, BLOCK=block, num_warps=warps_of(block))
    return match, fault


@no_type_check  # the shape checks of the tests would wrap what Triton reads as source
@triton.jit(do_not_specialize=["images", "T", "Q"])
def solver_kernel(costs, counts, matches, fault, images, T, Q, BLOCK: tl.constexpr):
    """Solve one problem. `BLOCK` is at least Q; a tensor of that length has a number for each query."""
    problem = tl.program_id(0)
    costs += problem.to(tl.int64) * T * Q
    query = tl.arange(0, BLOCK)
    real = query < Q
    number: tl.constexpr = tl.float64 if costs.dtype.element_ty == tl.float64 else tl.float32
    infinity = tl.full([], float("inf"), number)
    v = tl.full([BLOCK], 0, number)
    holder = tl.full([BLOCK], -1, tl.int32)  # the target that has the query
    taken = tl.full([], 0, tl.int32)  # queries
    most = tl.full([], 0, number)  # the dual of targets without a query

    count = tl.load(counts + problem % images).to(tl.int32)
    for target in range(count):
        c = tl.load(costs + target * Q + query, mask=real, other=0).to(number)
        wrong = real & ~(tl.abs(c) < infinity)
        first_wrong = tl.min(tl.where(wrong, query, BLOCK), axis=0)
        if first_wrong < BLOCK:
            tl.atomic_min(fault, problem * Q + first_wrong)
        else:
            distance = tl.full([BLOCK], float("inf"), number)
            before = tl.full([BLOCK], -1, tl.int32)  # the previous query of the path
            unseen = real
            lowest = tl.full([], 0, number)
            u = tl.full([], 0, number)
            last = tl.full([], -1, tl.int32)
            leaving = infinity  # the shortest path that ends with a target without a query
            leaves = tl.full([], -1, tl.int32)  # the query that this target has; -1 for the entering target
            searching = target >= 0
            while searching:
                through = c + (lowest - u) - v
                shorter = unseen & (through < distance)
                distance = tl.where(shorter, through, distance)
                before = tl.where(shorter, last, before)
                if (taken == Q) & (lowest + (most - u) < leaving):
                    leaving = lowest + (most - u)
                    leaves = last
                lowest, nearest = tl.min(tl.where(unseen, distance, infinity), axis=0, return_indices=True)
                at = query == nearest
                held_by = tl.sum(tl.where(at, holder, 0), axis=0)
                if leaving <= lowest:
                    lowest = leaving
                    last = leaves
                    searching = target < 0
                else:
                    last = nearest.to(tl.int32)
                    searching = held_by >= 0
                    if searching:
                        unseen = unseen & ~at
                        c = tl.load(costs + held_by * Q + query, mask=real, other=0).to(number)
                        u = tl.sum(tl.where(at, c - v, 0), axis=0)
                    else:
                        taken += 1
            v = tl.where(real & ~unseen, v - (lowest - distance), v)
            while last >= 0:
                at = query == last
                previous = tl.sum(tl.where(at, before, 0), axis=0)
                takes_over = tl.sum(tl.where(query == previous, holder, 0), axis=0)
                holder = tl.where(at, tl.where(previous >= 0, takes_over, target), holder)
                last = previous
            if (taken == Q) & (leaving == infinity):  # all queries are taken from now on
                own = tl.load(costs + holder * Q + query, mask=real, other=0).to(number)
                most = tl.max(tl.where(real, own - v, -infinity), axis=0)
    tl.store(matches + problem.to(tl.int64) * T + holder, query.to(tl.int64), mask=holder >= 0)
