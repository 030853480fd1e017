import pytest

from setpiece.training import neighbours
from setpiece.training.neighbours import Neighbours


@pytest.mark.parametrize(
    ("seconds", "busy", "own", "used"), [(10, 18, 9, 0.9), (10, 9, 9, 0.0), (10, 9, 9.1, 0.0), (10, 90, 9, 2.0)]
)
def test_what_is_busy_and_not_our_own_is_of_other_programs(seconds, busy, own, used, monkeypatch):
    clock = {"monotonic": 100.0, "busy": 1000.0, "own": 50.0}
    monkeypatch.setattr(neighbours.time, "monotonic", lambda: clock["monotonic"])
    monkeypatch.setattr(neighbours, "_busy_seconds", lambda: clock["busy"])
    monkeypatch.setattr(neighbours, "_own_seconds", lambda: clock["own"])
    monkeypatch.setattr(neighbours.os, "cpu_count", lambda: 2)
    measured = Neighbours()
    clock.update(monotonic=100.0 + seconds, busy=1000.0 + busy, own=50.0 + own)
    assert measured.used() == pytest.approx(used)
    if used < 0.3:
        assert measured.note() == measured.sentence() == ""
    else:
        assert measured.note() == f"other programs use {used:.1f} of 2 cores"
        assert measured.sentence().startswith(f"Other programs used {used:.1f} of the 2 cores")


def test_the_operating_system_s_counters_are_read():
    measured = Neighbours()
    sum(range(200_000))
    assert 0 <= measured.used() <= measured.cores
