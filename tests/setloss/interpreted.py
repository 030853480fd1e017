"""The kernel of the assignment beside SciPy: `TRITON_INTERPRET=1 python -m tests.setloss.interpreted`.

Outside pytest, because Triton decides when a kernel is defined whether it is interpreted. The interpreter takes some
milliseconds for each target. So most problems are small here, and `benchmarks/device.py` has the large ones.
"""

import torch
from scipy.optimize import linear_sum_assignment
from triton.runtime import interpreter

from setpiece.setloss.assignment import NO_FAULT
from setpiece.setloss.device_assignment import solve

# problems, most targets, queries, ties, dtype
GROUPS = (
    (600, 2, 7, False, torch.float32),
    (500, 2, 5, True, torch.float32),
    (300, 3, 2, False, torch.float32),  # more targets than queries in a quarter of them
    (150, 4, 3, True, torch.bfloat16),
    (200, 2, 33, False, torch.bfloat16),
    (150, 1, 300, False, torch.float32),
    (60, 2, 1, False, torch.float32),
    (25, 8, 20, False, torch.float64),
    (10, 12, 12, True, torch.float32),
    (3, 20, 14, False, torch.float32),
    (1, 100, 300, False, torch.float32),
    (1, 30, 20, True, torch.float32),
)


def random_costs(problems, targets, queries, ties, dtype, generator):
    if ties:
        return torch.randint(0, 4, (problems, targets, queries), generator=generator).to(dtype)
    return torch.randn(problems, targets, queries, generator=generator).to(dtype)


def require_optimal(cost, count, match):
    """Every problem has a match of SciPy's total cost."""
    for rows, n, chosen in zip(cost.double(), count.tolist(), match.tolist(), strict=True):
        pairs = [(t, q) for t, q in enumerate(chosen) if q >= 0]
        assert len({q for _, q in pairs}) == len(pairs) == min(n, rows.shape[1]), (n, chosen)
        assert all(t < n for t, _ in pairs), (n, chosen)
        best = rows[:n].numpy()[linear_sum_assignment(rows[:n].numpy())].sum()
        total = sum(rows[t, q].item() for t, q in pairs)
        assert abs(total - best) <= 1e-5 * max(1, abs(best)), (total, best, n, chosen)


def patch_once():
    """Let the interpreter replace Triton's language once: it does so at every minimum and every sum."""
    patch, done = interpreter._patch_lang, set()

    def once(function):
        if id(function.__globals__) not in done:
            done.add(id(function.__globals__))
            patch(function)
        return interpreter._LangPatchScope()  # has nothing to undo

    interpreter._patch_lang = once


def of_ragged_problems():
    generator = torch.Generator().manual_seed(0)
    for problems, targets, *rest in GROUPS:
        cost = random_costs(problems, targets, *rest, generator)
        count = torch.randint(0, targets + 1, (problems,), generator=generator)
        count[-1] = targets
        match, fault = solve(cost, count)
        assert fault.item() == NO_FAULT
        require_optimal(cost, count, match)
    assert sum(group[0] for group in GROUPS) == 2000


def of_shared_counts_and_padding():
    """Problem p has `count[p % B]` targets, and the rows after them are not read."""
    cost = torch.rand(6, 4, 5, generator=torch.Generator().manual_seed(1))
    count = torch.tensor([3, 0, 4])
    for problem in range(6):
        cost[problem, int(count[problem % 3]) :] = float("nan")
    match, fault = solve(cost, count)
    assert fault.item() == NO_FAULT
    require_optimal(cost, count.repeat(2), match)


def of_no_targets_or_no_queries():
    for shape in ((4, 0, 5), (4, 3, 0), (0, 3, 5)):
        match, fault = solve(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64))
        assert match.shape == shape[:2]
        assert (match == -1).all()
        assert fault.item() == NO_FAULT


def of_costs_that_are_not_finite():
    """The first of them is reported, and the other targets are matched as if theirs were not there."""
    for wrong in (float("nan"), float("inf"), -float("inf")):
        cost = torch.rand(4, 3, 5, generator=torch.Generator().manual_seed(2))
        cost[3, 0, 1] = cost[2, 1, 4] = cost[2, 1, 3] = cost[0, 2, 2] = wrong
        match, fault = solve(cost, torch.tensor([2, 3]))  # that of problem 0 is padding
        assert fault.item() == 2 * 5 + 3
        assert match[2, 1].item() == match[3, 0].item() == -1
        require_optimal(cost[2:3, :1], torch.tensor([1]), match[2:3, :1])
        require_optimal(cost[3:, 1:], torch.tensor([2]), match[3:, 1:])


if __name__ == "__main__":
    patch_once()
    of_ragged_problems()
    of_shared_counts_and_padding()
    of_no_targets_or_no_queries()
    of_costs_that_are_not_finite()
