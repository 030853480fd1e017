"""The server's side of the trainer, with stand-ins for the trainer."""

from __future__ import annotations

import asyncio
import sys

import pytest

from setpiece.labelling.supervisor import MOST_DEATHS, Plan, Supervisor

from ..coroutines import run

TELL = "import json, sys\ndef tell(**event): print(json.dumps(event), flush=True)\n"


class Listener:
    """Keeps what it hears."""

    def __init__(self):
        self.heard, self.deaths = [], []

    def hear(self, event):
        self.heard.append(event)

    def died(self, how, *, again):
        assert how
        self.deaths.append(again)


def supervised(tmp_path, script, until, orders=()):
    """What a listener heard of a stand-in, once something is true."""
    plan, listener = Plan(tmp_path, tmp_path, "sprint-n"), Listener()
    plan.command = [sys.executable, "-c", TELL + script]

    async def supervise():
        supervisor = Supervisor(plan, listener, lambda: {"command": "labels"})
        supervisor.start()
        for order in orders:
            supervisor.order(order)
        while not until(listener):
            await asyncio.sleep(0.01)
        await supervisor.end()

    run(asyncio.wait_for(supervise(), 60))
    return listener


@pytest.mark.parametrize(
    "told", ['event="state", state="predicting"', 'event="suggestions", image=1', 'event="rounds", rounds=[]']
)
def test_a_trainer_that_dies_before_a_work_is_whole_is_given_up(tmp_path, told):
    listener = supervised(tmp_path, f"tell({told}); sys.exit(1)", lambda it: it.deaths.count(False))
    assert listener.deaths == [True] * (MOST_DEATHS - 1) + [False]


@pytest.mark.parametrize("told", ['event="state", state="idle"', 'event="rounds", rounds=[], finished=True'])
def test_a_trainer_that_dies_after_work_is_started_again(tmp_path, told):
    listener = supervised(tmp_path, f"tell({told}); sys.exit(1)", lambda it: len(it.deaths) > MOST_DEATHS)
    assert all(listener.deaths)


def test_how_an_earlier_training_ended_is_not_taken_for_the_end_of_the_one_that_was_ordered(tmp_path):
    script = """
tell(event="final", id="old", state="done", finished=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["command"] == "final":
        tell(event="final", id=command["id"], state="done", finished=True)
"""
    order = {"command": "final", "minutes": 1, "id": "new"}
    listener = supervised(tmp_path, script, lambda it: it.heard, [order])
    assert [event["id"] for event in listener.heard] == ["new"]
