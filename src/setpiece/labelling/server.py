"""The process that serves the page: its lock, its socket, its trainer, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from setpiece.errors import SetpieceError, UsageError
from setpiece.labelling.app import DOWNLOAD, create_app
from setpiece.labelling.final import final_view
from setpiece.labelling.guards import Guards
from setpiece.labelling.session import Session, Suggestions
from setpiece.labelling.source import open_source
from setpiece.labelling.store import Store, last_address, locked
from setpiece.labelling.supervisor import Plan, Supervisor
from setpiece.serving.address import address_of, bind, is_loopback

__all__ = ["Settings", "serve"]

LOOK_SECONDS = 3.0  # between looks at the folder of photos
MODELS = (  # names of the presets, which could only be asked for by importing torch
    "detr-r50", "detr-r50-dc5", "detr-r101", "detr-r101-dc5", "detr-tiny", "sprint-n", "sprint-s", "sprint-m",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What to label, and how.

    Attributes:
        photos: a folder of photos, or a data set.
        output: the folder of the labels.
        classes: names to begin with.
        model: a preset.
        size: input size in pixels; the preset's own where None.
        host: to listen on.
        port: 0 for any that is free.
        round_seconds: of a round of training; chosen by the number of images where None.
        trains: whether there is a trainer.
    """

    photos: Path
    output: Path
    classes: Sequence[str] = ()
    model: str = "sprint-n"
    size: int | None = None
    host: str = "127.0.0.1"
    port: int = 0
    round_seconds: float | None = None
    trains: bool = True


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve the page until SIGTERM or Ctrl-C.

    Args:
        settings: what to label.
        ready: called with the address to open, once it answers.

    Raises:
        UsageError: a folder, the preset or the address cannot be used, or another server has the labels.
        DataError: labels or photos cannot be read.
        OutputError: the labels cannot be written.
    """
    if settings.output.resolve().is_relative_to(settings.photos.resolve()):
        raise UsageError(
            f"{settings.output} lies in {settings.photos}, where nothing is written: give another --output."
        )
    if settings.model not in MODELS:
        raise UsageError(f"There is no preset {settings.model!r}: choose one of {', '.join(MODELS)}.")
    source = open_source(settings.photos)
    with locked(settings.output), _bound(settings) as bound:
        session = Session(source, Store(settings.output, settings.photos), settings.photos, settings.classes)
        for left in settings.output.glob(f"{DOWNLOAD}*"):  # of a server that was killed
            left.unlink()
        for sentence in _unused(settings, session.store):
            session.say(sentence)
        asyncio.run(session.look_at_photos(quietly=session.store.is_new))
        session.store.say_where(address_of(bound))
        token = None if is_loopback(settings.host) else secrets.token_urlsafe(16)
        plan = Plan(settings.output, settings.photos, settings.model, settings.size, settings.round_seconds)
        server = LabelServer(session, plan, bound, settings, token)
        server.tell_ready = lambda: ready(address_of(bound) + ("" if token is None else f"?token={token}"))
        server.run([bound])


def _bound(settings: Settings) -> socket.socket:
    """The socket at the address that is asked for; where any port will do, at the last one, which pages still ask."""
    last = urlsplit(last_address(settings.output) or "").port
    if settings.port == 0 and last is not None:
        with contextlib.suppress(UsageError):
            return bind(settings.host, last)
    return bind(settings.host, settings.port)


def _unused(settings: Settings, store: Store) -> Iterator[str]:
    """Which options have no effect, since the folder has labels or weights already."""
    names = {each.name for each in store.labels.classes}
    if not store.is_new and (lacking := [name for name in settings.classes if name not in names]):
        yield f"--classes is not used, since there are labels already: add {', '.join(lacking)} in the page."
    if settings.size is not None:
        begun = None
        for file in (store.folder / "training").glob("round-*/config.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                about = json.loads(file.read_bytes())
                begun = about["shortest"] if about["preset"] == settings.model else begun
        if begun not in (None, settings.size):
            yield f"--size {settings.size} is not used, since the detector has learned at {begun} pixels already."


class LabelServer(uvicorn.Server):
    """Serves a session, with a trainer beside it.

    Args:
        session: the labels.
        plan: how the trainer is started.
        bound: the socket.
        settings: what to label.
        token: that a browser needs; None for none.

    Attributes:
        tell_ready: called once the server answers.
    """

    def __init__(
        self, session: Session, plan: Plan, bound: socket.socket, settings: Settings, token: str | None
    ) -> None:
        self.session, self.settings = session, settings
        self.trainer = Supervisor(plan, self, self._status)
        self.tell_ready: Callable[[], None] = lambda: None
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        app = create_app(session, self.trainer, self._running, token_needed=token is not None)
        guarded = Guards(app, settings.host, bound.getsockname()[1], token)
        super().__init__(
            uvicorn.Config(
                guarded, http="h11", loop="asyncio", ws="none", lifespan="on", proxy_headers=False,
                server_header=False, log_config=None, log_level="error", access_log=False, timeout_graceful_shutdown=2,
            )
        )  # fmt: skip

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, once whoever waits for the trainer is told."""
        self.trainer.refuse("The server ended: try again when it is back.")
        await super().shutdown(sockets)

    def handle_exit(self, *_: object) -> None:
        """A signal came. uvicorn would raise it again in the end; a server that was told to end has not failed."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @asynccontextmanager
    async def _running(self, _: FastAPI) -> AsyncIterator[None]:
        self.session.on_change = lambda: self.trainer.tell(self._status())
        if self.settings.trains:
            self.trainer.start()
        looking = asyncio.create_task(self._look_at_photos())
        try:
            yield
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            await self.trainer.end()

    async def _look_at_photos(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.session.look_at_photos()
            except SetpieceError as error:
                if str(error) not in [text for _, text in self.session.said]:
                    self.session.say(str(error))

    def _status(self) -> dict[str, Any]:
        """What the trainer has to know: that labels have changed, and which images come next."""
        session = self.session
        unusable = sorted(session.watch.problems)
        return {
            "command": "labels", "sequence": session.store.history.sequence, "coming": session.coming,
            "unusable": unusable,
        }  # fmt: skip

    def hear(self, event: Mapping[str, Any]) -> None:
        """The trainer has told something."""
        session, trained = self.session, self.session.trained
        match event["event"]:
            case "state":
                trained.state, trained.said, trained.done = event["state"], event["said"], event["done"]
            case "suggestions":
                boxes = tuple((tuple(each["box"]), each["category"], each["score"]) for each in event["boxes"])
                session.suggestions[event["image"]] = Suggestions(event["round"], boxes)
            case "order":
                session.ranked = event["next"]
            case "rounds":
                trained.rounds, trained.forecast = event["rounds"], event["forecast"]
                trained.round = event["round"]
            case "second look":
                session.second_look.tell(event)
            case "final":
                trained.final = final_view(dict(event))
        session.touch()

    def died(self, how: str, *, again: bool) -> None:
        """The trainer ended by itself."""
        trained = self.session.trained
        trained.state, trained.done = ("waiting" if again else "failed"), None
        trained.said = "The trainer is started again." if again else "There is no training any more."
        more = "it was started again" if again else "it failed again and again, so it stays off until the next start"
        if not again:
            self._stop_waiting()
        self.session.say(f"The trainer ended ({how}); {more}. No label is lost.")

    def _stop_waiting(self) -> None:
        """Nothing comes of what the trainer had begun, before the next start."""
        look, trained = self.session.second_look, self.session.trained
        said = "The trainer ended before this was done."
        if look.state == "running":
            look.state, look.said = "failed", said
        if trained.final is not None and trained.final["state"] == "training":
            trained.final = trained.final | {"state": "failed", "said": said}
