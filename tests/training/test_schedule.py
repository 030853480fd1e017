import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpiece.training.schedule import Stopwatch, image_scale, learning_rate_factor

share = st.floats(0, 1)


@given(st.integers(0, 10_000), share, st.integers(0, 1000))
def test_the_factor_is_positive_and_at_most_one(step, progress, warmup_steps):
    assert 0 < learning_rate_factor(step, progress, warmup_steps) <= 1


@given(share, share)
def test_without_warm_up_the_factor_never_rises(a, b):
    low, high = sorted((a, b))
    assert learning_rate_factor(0, low, 0) >= learning_rate_factor(0, high, 0)


def test_warm_up_rises_by_steps_and_never_takes_more_than_a_twentieth_of_the_run():
    assert learning_rate_factor(0, 0.0, 100) == pytest.approx(0.01)
    assert learning_rate_factor(49, 0.001, 100) == pytest.approx(0.5)
    assert learning_rate_factor(0, 0.05, 100_000) == 1.0


@given(share, share, st.floats(0.01, 1))
def test_images_only_grow_and_end_at_their_full_size(a, b, first):
    low, high = sorted((a, b))
    assert first <= image_scale(low, first) <= image_scale(high, first) <= image_scale(1.0, first) == 1


def test_it_is_constant_and_then_falls_to_one_hundredth_whatever_the_length():
    assert [learning_rate_factor(500, p, 0) for p in (0.0, 0.25, 0.5)] == [1, 1, 1]
    assert learning_rate_factor(500, 1.0, 0) == pytest.approx(0.01)


def test_the_stopwatch_stands_still_while_paused(monkeypatch):
    now = iter([10.0, 13.0, 20.0, 21.0])
    monkeypatch.setattr("setpiece.training.schedule.time.perf_counter", lambda: next(now))
    watch = Stopwatch(seconds=1.0)
    watch.start()
    watch.pause()
    assert watch.elapsed == 4.0
    watch.start()
    assert watch.elapsed == 5.0
