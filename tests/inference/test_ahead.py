import threading

import pytest

from setpiece.inference.ahead import Ahead


def test_items_come_in_order_and_then_none():
    ahead = Ahead(iter(range(7)), most=2)
    assert [ahead.take(3) for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6], []]
    assert ahead.dropped == 0


def test_no_more_items_are_made_than_may_wait():
    made, third = [], threading.Event()

    def items():
        for number in range(100):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    ahead = Ahead(items(), most=2)
    assert third.wait(20)
    assert made == [0, 1, 2]  # two wait, and the third is in the thread's hand
    assert ahead.take(1) == [0]
    ahead.close()
    assert len(made) <= 5


def test_what_was_made_before_an_error_comes_before_it():
    ahead = Ahead((1 // number for number in (1, 1, 0, 1)), most=5)
    assert ahead.take(9) == [1, 1]
    with pytest.raises(ZeroDivisionError):
        ahead.take(9)


def test_of_what_nobody_waits_for_only_the_newest_is_kept():
    every = threading.Event()

    def items():
        yield from range(100)
        every.set()

    ahead = Ahead(items(), most=1, newest=True)
    assert every.wait(20)
    assert ahead.take(1) == [99]
    assert ahead.dropped == 99
    assert ahead.take(1) == []


def test_who_stops_waits_for_nothing_and_the_items_are_closed():
    closed, go_on = threading.Event(), threading.Event()

    def items():
        try:
            yield 0
            go_on.wait(20)
            yield 1
        finally:
            closed.set()

    ahead = Ahead(items(), most=1)
    assert ahead.take(1) == [0]
    assert ahead.take(1, stopped=lambda: True) == []
    go_on.set()
    ahead.close()
    assert closed.wait(20)
