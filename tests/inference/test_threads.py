import threading

import pytest
import torch

from setpiece.inference.threads import in_threads

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    return request.param


@pytest.mark.usefixtures("threads")
def test_results_come_in_the_order_of_the_items():
    assert list(in_threads(lambda x: x * x, range(20), CPU)) == [x * x for x in range(20)]
    assert list(in_threads(str, [], CPU)) == []


def test_calls_run_beside_each_other_on_a_cpu_and_not_elsewhere(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    together = threading.Barrier(2, timeout=20)
    assert len(list(in_threads(lambda _: together.wait(), range(4), CPU))) == 4
    for items, device in ((range(4), torch.device("cuda")), (range(1), CPU)):
        names = set(in_threads(lambda _: threading.current_thread().name, items, device))
        assert names == {threading.current_thread().name}


def test_items_are_not_read_far_ahead(threads):
    read = []
    results = in_threads(lambda x: x, (read.append(x) or x for x in range(100)), CPU)
    next(results)
    assert len(read) <= threads + 1


@pytest.mark.usefixtures("threads")
def test_an_error_is_raised_in_its_place():
    results = in_threads(lambda x: 1 // x, [1, 0, 1], CPU)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
