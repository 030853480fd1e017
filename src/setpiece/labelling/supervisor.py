"""The server's side of the trainer: it is started, told of new labels, listened to, and started again when it dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from setpiece.errors import UsageError

__all__ = ["Plan", "Supervisor"]

LONGEST_LINE = 2**26  # bytes of an event
MOST_DEATHS = 3  # in a row, without an event in between that says that a whole work was done
LAST_SECONDS = 3.0  # that a trainer has to end by itself


@runtime_checkable
class Listener(Protocol):
    """Who hears what the trainer tells."""

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event came."""

    def died(self, how: str, *, again: bool) -> None:
        """The trainer ended by itself; whether it is started again."""


class Plan:
    """How trainers are started.

    Args:
        folder: of the labels.
        photos: the folder of photos.
        model: a preset.
        size: input size in pixels; the preset's own where None.
        seconds: of a round of training; chosen by the number of images where None.
    """

    def __init__(
        self, folder: Path, photos: Path, model: str, size: int | None = None, seconds: float | None = None
    ) -> None:
        self.folder = folder
        self.command = [sys.executable, "-m", "setpiece.labelling.trainer", str(folder), str(photos), "--model", model]
        self.command += [] if size is None else ["--size", str(size)]
        self.command += [] if seconds is None else ["--seconds", str(seconds)]


class Supervisor:
    """One trainer at a time.

    Args:
        plan: how it is started.
        listener: hears what it tells.
        status: what it has to know when it starts: the command that `tell` would send.
    """

    def __init__(self, plan: Plan, listener: Listener, status: Callable[[], Mapping[str, Any]]) -> None:
        self._plan, self._listener, self._status = plan, listener, status
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._orders: dict[str, Mapping[str, Any]] = {}  # that are not done: they are given again to the next one
        self._answers: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """Of the trainer; None where none runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def start(self) -> None:
        """Start the trainer, and keep one running."""
        self._task = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """End it, and wait until it is gone."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()  # which is its sign to end
            try:
                await asyncio.wait_for(process.wait(), LAST_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command. What a trainer misses that is not there, the next one learns at its start."""
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def order(self, command: Mapping[str, Any]) -> None:
        """Send a command that is sent again to the next trainer where this one dies before the work is done.

        It takes the place of one of the same name that is not done.

        Raises:
            UsageError: there is no trainer any more.
        """
        if self._task is None or self._task.done():
            raise UsageError("There is no trainer any more: end setpiece label, and start it again.")
        self._orders[command["command"]] = command
        self.tell(command)

    async def ask(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a command, and wait for its answer.

        Raises:
            UsageError: it was asked already and not answered, or the trainer does not run, or ends meanwhile.
        """
        name = command["command"]
        if self.pid is None:
            raise UsageError("The trainer does not run: try again when it does.")
        if name in self._answers:
            raise UsageError(f"The {name} before this one is not done yet: wait for it.")
        future = self._answers[name] = asyncio.get_running_loop().create_future()
        self.tell(command)
        try:
            return await future
        finally:
            del self._answers[name]

    def refuse(self, said: str) -> None:
        """Tell all who wait for an answer why there will be none."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(UsageError(said))

    async def _keep(self) -> None:
        log = self._plan.folder / "training" / "trainer.log"
        while self._deaths < MOST_DEATHS:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as errors:
                self._process = await asyncio.create_subprocess_exec(
                    *self._plan.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    limit=LONGEST_LINE,
                    start_new_session=True,  # Ctrl-C in a terminal is for the server, which ends this one
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},
                )
            self.tell(self._status())
            for order in self._orders.values():
                self.tell(order)
            await self._listen(self._process)
            code = await self._process.wait()
            self._deaths += 1
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}, see {log}"
            self.refuse(f"The trainer ended ({how}): try again.")
            self._listener.died(how, again=self._deaths < MOST_DEATHS)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            try:
                event = json.loads(line)
            except ValueError:  # it was killed within a line, or a library printed something
                continue
            if not isinstance(event, dict) or "event" not in event:
                continue
            order = self._orders.get(event["event"])
            if order is not None and order.get("id") != event.get("id"):  # it is of an earlier order
                continue
            if order is not None and event.get("finished"):
                del self._orders[event["event"]]
            if event.get("state") == "idle" or (event.get("finished") and (order or event["event"] == "rounds")):
                self._deaths = 0
            answer = self._answers.get(event["event"])
            if answer is not None and not answer.done():
                answer.set_result(event)
            self._listener.hear(event)
