"""The HTTP interface of the page. All but pictures runs in the event loop's thread: changes follow each other."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from setpiece.errors import DataError, SetpieceError, UsageError
from setpiece.labelling import labels as changes
from setpiece.labelling.examples import labelled_parts
from setpiece.labelling.labels import Change
from setpiece.labelling.layouts import Layout, write_zip
from setpiece.labelling.pictures import full_picture, thumbnail
from setpiece.labelling.schema import MINUTES, ClassSent, DecisionSent, ExportSent, ImageSent, OrderSent, TrainSent
from setpiece.labelling.session import Session
from setpiece.labelling.supervisor import Supervisor
from setpiece.labelling.view import classes_view, image_view, second_look_view, state_view
from setpiece.web import render

__all__ = ["DOWNLOAD", "create_app"]

DOWNLOAD = ".download-"  # what zips are called while they are sent

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(session: Session, trainer: Supervisor, lifespan: Lifespan, *, token_needed: bool = False) -> FastAPI:
    """The application, without its guards.

    Args:
        session: the labels.
        trainer: the process beside.
        lifespan: what runs as long as the application does.
        token_needed: whether a browser needs a token to come in.
    """
    app = FastAPI(title="setpiece label", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)
    _add_state(app, session, token_needed)
    _add_labels(app, session)
    _add_pictures(app, session)
    _add_training(app, session, trainer)
    _add_download(app, session)
    return app


def _add_state(app: FastAPI, session: Session, token_needed: bool) -> None:
    @app.get("/", response_class=HTMLResponse)
    async def index() -> HTMLResponse:
        payload = {
            "kind": "label",
            "title": session.store.photos.name,
            "token_needed": token_needed,
            "minutes": MINUTES,
        }
        return HTMLResponse(render(payload), headers={"Cache-Control": "no-store"})

    @app.get("/api/state")
    async def state(version: str = "") -> Response:
        if version == session.version:
            return _fresh({"version": version, "same": True})
        return _fresh(state_view(session))

    @app.post("/api/order")
    async def order(sent: OrderSent) -> Response:
        session.order_by(sent.mode, sent.coming)
        return _fresh({"mode": session.mode})


def _add_labels(app: FastAPI, session: Session) -> None:
    @app.get("/api/images/{id}")
    async def image(id: int) -> Response:
        return _fresh(_found(session, id))

    @app.put("/api/images/{id}")
    async def put_image(id: int, sent: ImageSent) -> Response:
        now = _found(session, id)
        if sent.revision != now["revision"]:
            said = "This image was changed elsewhere meanwhile: what is there now is shown."
            return _fresh({"detail": said, "image": now}, 409)
        boxes = [(box.box, box.label, box.crowd) for box in sent.boxes]
        session.set_marks(id, sent.state, boxes, sent.action)
        return _fresh(image_view(session, id))

    @app.post("/api/classes")
    async def classes(sent: ClassSent) -> Response:
        labels = session.store.labels
        for position, name in zip((sent.label, sent.into), sent.meant, strict=False):
            if (now := labels.category(position).name) != name:
                said = f"Class {position + 1} is {now} by now, and not {name}: nothing is changed."
                raise HTTPException(409, said)
        match sent.action:
            case "add":
                change = changes.add_class(labels, sent.name)
            case "rename":
                change = changes.rename_class(labels, sent.label, sent.name)
            case "merge":
                change = changes.merge_classes(labels, sent.label, sent.into)
            case "remove":
                change = changes.remove_class(labels, sent.label)
        session.make(change)
        return _fresh({"classes": classes_view(session)})

    @app.post("/api/undo")
    async def undo() -> Response:
        return _again(session, "Undid", session.undo())

    @app.post("/api/redo")
    async def redo() -> Response:
        return _again(session, "Did again", session.redo())


def _again(session: Session, did: Literal["Undid", "Did again"], change: Change | None) -> Response:
    if change is None:  # which is no error: browsers write those to their console
        said = f"There is nothing to {'undo' if did == 'Undid' else 'do again'}."
        return _fresh({"said": said, "images": [], "classes": False, "shown": None})
    said = f"{did}: {session.describe(change)}"
    images, classes = list(change.images), change.classes is not None
    shown = image_view(session, images[0]) if images else None  # at once, without another question
    return _fresh({"said": said, "images": images, "classes": classes, "shown": shown})


def _add_pictures(app: FastAPI, session: Session) -> None:
    def files(id: int) -> tuple[Path, str]:
        """The photo, and how what is made of it is called: after its content, so that it may be kept for ever."""
        if id not in session.store.labels.images:
            raise HTTPException(404, f"There is no image {id}.")
        if (problem := session.watch.problems.get(id)) is not None:
            raise HTTPException(404, problem.why)
        image = session.image(id)
        size, changed = image.stamp
        return session.watch.photos.path(image.file), f"{id}-{size:x}-{changed:x}"

    def answer(request: Request, name: str, make: Callable[[], tuple[Path, str]]) -> Response:
        headers = {"ETag": f'"{name}"', "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        try:
            path, media_type = make()
        except DataError as error:
            raise HTTPException(404, str(error)) from error
        return FileResponse(path, media_type=media_type, headers=headers)

    kept = session.store.folder / "pictures"

    @app.get("/photos/{id}")
    def photo(id: int, request: Request) -> Response:
        path, name = files(id)
        return answer(request, name, lambda: full_picture(path, kept / f"{name}.png"))

    @app.get("/thumbnails/{id}")
    def small(id: int, request: Request) -> Response:
        path, name = files(id)
        return answer(request, name, lambda: (thumbnail(path, kept / f"{name}.jpg"), "image/jpeg"))


def _add_training(app: FastAPI, session: Session, trainer: Supervisor) -> None:
    @app.get("/api/second-look")
    async def second_look() -> Response:
        return _fresh(second_look_view(session))

    @app.post("/api/second-look")
    async def start_second_look() -> Response:
        look = session.second_look
        if look.state != "running":
            trainer.order({"command": "second look"})
            look.state, look.done, look.said = "running", 0.0, "The second look begins when the trainer is free."
            session.touch()
        return _fresh(second_look_view(session))

    @app.post("/api/second-look/{row}")
    async def decide(row: str, sent: DecisionSent) -> Response:
        try:
            session.decide(row, sent.decision)
        except KeyError:
            raise HTTPException(404, f"There is no row {row} in the second look.") from None
        except UsageError as error:
            raise HTTPException(409, str(error)) from error
        return _fresh(second_look_view(session))

    @app.post("/api/train")
    async def train(sent: TrainSent) -> Response:
        if (session.trained.final or {}).get("state") == "training":
            raise HTTPException(409, "The long training runs already.")
        id = secrets.token_hex(4)
        trainer.order({"command": "final", "minutes": sent.minutes, "id": id})
        said = "The long training begins when the trainer is free."
        final = {"id": id, "state": "training", "done": 0.0, "folder": str(session.store.folder / "training" / "final")}
        session.trained.final = final | {"said": said, "ap": None}
        session.touch()
        return _fresh(session.trained.final)

    @app.post("/api/train/stop")
    async def stop() -> Response:
        final = session.trained.final
        if final is None or final["state"] != "training":
            raise HTTPException(409, "No long training runs.")
        trainer.order({"command": "final", "id": final["id"], "stopped": True})
        session.trained.final = final | {"said": "The long training is stopping."}
        session.touch()
        return _fresh(session.trained.final)

    @app.post("/api/export")
    async def export(sent: ExportSent) -> Response:
        if (session.trained.final or {}).get("state") != "done":
            raise HTTPException(409, "There is nothing to export yet: let it train to the end first.")
        answer = await trainer.ask({"command": "export", "format": sent.format})
        if answer["error"] is not None:
            raise UsageError(answer["error"])
        return _fresh({"file": answer["file"]})


def _add_download(app: FastAPI, session: Session) -> None:
    @app.get("/api/download")
    async def download(layout: Layout) -> Response:
        labels, photos = session.store.labels, session.watch.photos.root
        splits = labelled_parts(labels, photos, session.watch.problems)
        if not any(split.examples for split in splits):
            raise HTTPException(409, "There is no labelled image to download yet.")
        file = session.store.folder / f"{DOWNLOAD}{secrets.token_hex(4)}.zip"
        await asyncio.to_thread(write_zip, file, layout, splits)
        name = f"{session.store.photos.name}-{layout}.zip"
        return FileResponse(file, media_type="application/zip", filename=name, background=BackgroundTask(file.unlink))


def _found(session: Session, id: int) -> dict[str, Any]:
    try:
        return image_view(session, id)
    except KeyError:
        raise HTTPException(404, f"There is no image {id}.") from None


def _fresh(content: object, status: int = 200) -> Response:
    # Escapes take names of files that are no UTF-8, which JSONResponse refuses.
    return Response(json.dumps(content), status, {"Cache-Control": "no-store"}, "application/json")


def _add_errors(app: FastAPI) -> None:
    """Every error is `{"detail": "One sentence."}`."""

    @app.exception_handler(UsageError)
    async def refused(_: Request, error: UsageError) -> Response:
        return _fresh({"detail": str(error)}, 422)

    @app.exception_handler(SetpieceError)
    async def failed(_: Request, error: SetpieceError) -> Response:
        return _fresh({"detail": str(error)}, 500)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        said = error.detail if error.detail.endswith(".") else f"{error.detail}: there is no {request.method} here."
        return _fresh({"detail": said}, error.status_code)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _fresh({"detail": f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}."}, 422)
