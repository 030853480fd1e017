"""The HTTP interface: `POST /v1/detect`, and what those who run it ask for. Nothing in a request is fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from setpiece.inference.detecting import Detecting
from setpiece.inference.thresholds import DEFAULT
from setpiece.serving.around import Around, Draining
from setpiece.serving.limits import Limits
from setpiece.serving.page import POLICY, page
from setpiece.serving.refusals import RefusedError, refusal
from setpiece.serving.schema import Answer, Health, Problem
from setpiece.serving.service import Service
from setpiece.serving.uploads import MULTIPART, THRESHOLD

__all__ = ["DETECT", "create_app"]

DETECT = "/v1/detect"
REFUSALS = {
    400: "The body is no image that can be read: empty, truncated, damaged, or of another kind.",
    401: "The token is missing or wrong.",
    408: "The body took too long to arrive.",
    413: "The body has too many bytes, or the image too many pixels.",
    415: "The content type is not taken.",
    422: "The threshold is not understood or given twice, or there is another query parameter.",
    500: "The model failed on this image.",
    503: "The server has enough to do: try again after the seconds in `Retry-After`.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": said} for status, said in REFUSALS.items()
}
LEAST = {"type": "string", "default": f"{DEFAULT}"}
LEAST_MEANS = (
    "The least confidence of what is answered: a number in [0, 1]; auto for those of each class that were best on the "
    "validation images; or CLASS=NUMBER,CLASS=NUMBER."
)
QUERY = {
    "name": THRESHOLD,
    "in": "query",
    "required": False,
    "description": f"{LEAST_MEANS} A form may have it as a field instead.",
    "schema": LEAST,
    "examples": {example: {"value": example} for example in ("0.4", "auto")},
}
FILE = {"type": "string", "format": "binary"}
FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": FILE, THRESHOLD: LEAST | {"description": LEAST_MEANS}},
}
BODY = {
    "required": True,
    "description": "An image: the bytes of its file, or a form with one file.",
    "content": {
        MULTIPART: {"schema": FORM},
        "image/*": {"schema": FILE},
        "application/octet-stream": {"schema": FILE},
    },
}


def create_app(
    detecting: Detecting,
    name: str,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    draining: Draining | None = None,
) -> FastAPI:
    """The application that `setpiece serve` runs; any ASGI server does.

    Args:
        detecting: a checkpoint's or an exported model's, as `Detector.load(...).detecting()` gives it.
        name: of the model, for those who ask.
        limits: what requests may take.
        token: without it, in the header `Authorization: Bearer TOKEN`, detections and figures are refused.
        draining: is set when the server is about to end.
    """
    service = Service(detecting, name, limits or Limits(), token)
    ending = draining or Draining()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with service.decoders:
            async with service.batcher:
                yield

    # FastAPI's own pages of documentation load scripts of another host.
    app = FastAPI(
        title=f"Setpiece: {name}",
        version=version("setpiece"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.add_middleware(Around, metrics=service.metrics, draining=ending, counted=DETECT)
    _add_errors(app)
    _add_detect(app, service)
    _add_operation(app, service, ending)
    return app


def _add_detect(app: FastAPI, service: Service) -> None:
    @app.post(
        DETECT,
        response_model=Answer,
        responses=PROBLEMS,
        openapi_extra={"parameters": [QUERY], "requestBody": BODY},
        dependencies=_said_to_need(service),
    )
    async def detect(request: Request) -> Response:
        """Detect objects in an image."""
        answer = await service.detect(request)
        return Response(answer.model_dump_json(by_alias=True), media_type="application/json")

    @app.get("/", response_class=HTMLResponse)
    async def index() -> HTMLResponse:
        """A page for people."""
        model = service.detecting
        needs_token = service.admission.needs_token
        shown = page(service.name, model.classes, model.thresholds, path=DETECT.lstrip("/"), needs_token=needs_token)
        return HTMLResponse(shown, headers={"Content-Security-Policy": POLICY})


def _said_to_need(service: Service) -> list[Any]:
    """What writes into the OpenAPI description that a token is needed; `Admission` checks it, in constant time."""
    return [Security(HTTPBearer(auto_error=False))] if service.admission.needs_token else []


def _add_operation(app: FastAPI, service: Service, draining: Draining) -> None:
    @app.get("/healthz", response_model=Health, responses={503: {"model": Health}})
    async def healthz() -> JSONResponse:
        """Whether the server lives: it is to be started again where it does not."""
        alive = service.batcher.running
        return JSONResponse({"status": "alive" if alive else "dead", "model": service.name}, 200 if alive else 503)

    @app.get("/readyz", response_model=Health, responses={503: {"model": Health}})
    async def readyz() -> JSONResponse:
        """Whether requests are to be sent here."""
        ready = service.batcher.running and not draining.on
        return JSONResponse({"status": "ready" if ready else "ending", "model": service.name}, 200 if ready else 503)

    @app.get(
        "/metrics",
        responses={401: PROBLEMS[401], 200: {"content": {"text/plain": {}}}},
        response_class=Response,
        dependencies=_said_to_need(service),
    )
    async def metrics(request: Request) -> Response:
        """Figures for Prometheus."""
        service.admission.require_token(request.headers.get("authorization", ""))
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI) -> None:
    """Every error is `{"detail": "One sentence."}`."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return refusal(error)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        said = (
            f"{error.detail}: there is no {request.method} here." if error.status_code in (404, 405) else error.detail
        )
        return JSONResponse({"detail": said}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        what = "The model failed on this image" if request.url.path == DETECT else "The server failed"
        return JSONResponse({"detail": f"{what} ({type(error).__name__}): the server's log says where."}, 500)
