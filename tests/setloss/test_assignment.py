import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from setpiece.errors import NonFiniteCostError
from setpiece.setloss import assign, assignment

from .oracle import brute_force


def total(cost, queries):
    return sum(cost[t, q].item() for t, q in enumerate(queries.tolist()) if q >= 0)


def assert_valid(queries, count, Q):
    chosen = queries[queries >= 0].tolist()
    assert len(chosen) == len(set(chosen)) == min(count, Q)
    assert all(q < Q for q in chosen)
    assert (queries[count:] == -1).all()


@pytest.mark.parametrize(("T", "Q"), list(itertools.product(range(7), range(1, 7))))
@pytest.mark.parametrize("ties", [False, True])
def test_the_match_is_the_optimum_over_all_permutations(T, Q, ties):
    generator = torch.Generator().manual_seed(100 * T + Q)
    cost = torch.randint(0, 3, (T, Q), generator=generator).double() if ties else torch.randn(T, Q, generator=generator)
    queries = assign(cost.to(torch.float32), torch.tensor(T))
    assert_valid(queries, T, Q)
    assert total(cost, queries) == pytest.approx(brute_force(cost.tolist()), abs=1e-5)


def test_totals_equal_scipys_on_ten_thousand_rectangular_problems():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 13, (10_000,), generator=generator)
    cost = torch.randn(10_000, 12, 8, generator=generator, dtype=torch.float64)
    queries = assign(cost, counts)
    for problem in range(10_000):
        rows = cost[problem, : counts[problem]]
        assert_valid(queries[problem], int(counts[problem]), 8)
        reference = rows.numpy()[linear_sum_assignment(rows.numpy())].sum()
        assert total(rows, queries[problem]) == pytest.approx(reference, abs=1e-9)


@given(st.integers(0, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_the_total_does_not_depend_on_the_order_of_targets_or_queries(T, Q, seed):
    generator = torch.Generator().manual_seed(seed)
    cost = torch.randn(T, Q, generator=generator)
    rows, columns = torch.randperm(T, generator=generator), torch.randperm(Q, generator=generator)
    count = torch.tensor(T)
    shuffled = cost[rows][:, columns]
    assert total(cost, assign(cost, count)) == pytest.approx(total(shuffled, assign(shuffled, count)), abs=1e-5)


def test_padding_is_never_read():
    cost = torch.tensor([[[1.0, 0.0], [float("nan"), float("inf")]]])
    assert assign(cost, torch.tensor([1])).tolist() == [[1, -1]]


def test_counts_broadcast_over_layers_and_no_targets_is_no_match():
    assert assign(torch.zeros(6, 2, 0, 5), torch.tensor([0, 0])).shape == (6, 2, 0)
    assert (assign(torch.zeros(6, 2, 3, 5), torch.tensor([0, 0])) == -1).all()
    match = assign(torch.rand(6, 2, 3, 5), torch.tensor([1, 3]))
    assert (match[:, 0, 1:] == -1).all()
    assert (match[:, 1] >= 0).all()


def test_many_problems_at_once_equal_each_problem_alone():
    cost = torch.randn(64, 20, 200, generator=torch.Generator().manual_seed(1))
    count = torch.full((64,), 20)
    together = assign(cost, count)
    alone = torch.stack([assign(cost[i], count[i]) for i in range(64)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_cost_that_is_not_finite_is_an_error_that_says_where(wrong):
    cost = torch.rand(2, 3, 4, 5)
    cost[1, 2, 3, :] = wrong
    with pytest.raises(NonFiniteCostError) as caught:
        assign(cost, torch.full((2, 3), 4))
    assert caught.value.index == (1, 2, 3, 0)


def test_a_single_infinite_cost_is_an_error_even_where_a_match_could_avoid_it():
    cost = torch.tensor([[1.0, float("inf")], [1.0, 2.0]])
    with pytest.raises(NonFiniteCostError):
        assign(cost, torch.tensor(2))


def test_what_a_gpu_lacks_to_compile_the_kernel_is_said_once(monkeypatch, caplog):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(assignment.shutil, "which", lambda _: None)
    assignment.has_kernel.cache_clear()
    assert not assignment.has_kernel()
    assert not assignment.has_kernel()
    assignment.has_kernel.cache_clear()
    assert [record.message for record in caplog.records] == [
        "Without a C compiler the assignment is solved on the CPU, and each step waits for it."
    ]
