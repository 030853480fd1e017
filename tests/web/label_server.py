"""A server for the page of `setpiece label`: it keeps everything in memory, and suggests what it is told."""

from __future__ import annotations

import copy
import io
import json
import re
import socket
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from setpiece.data.scenes import draw_scene
from setpiece.web import render

WIDTH, HEIGHT = 256, 192

HOUR = 60  # minutes; a longer training does not end here
FINAL = {"id": "a", "state": "done", "done": 1.0, "folder": "final", "said": "AP 0.81.", "ap": 0.81}


class Labels:
    """The photos and labels; a test may change them, and `touch` them so that the page sees it."""

    def __init__(self, photos: int = 6, classes: tuple[str, ...] = ("circle", "square", "star"), suggest: bool = False):
        self.lock = threading.Lock()
        self.version = 0
        self.classes = list(classes)
        self.images: dict[int, dict[str, Any]] = {}
        self.suggestions: dict[int, list[dict[str, Any]]] = {}
        self.past: list[dict[str, Any]] = []
        self.future: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.down = False  # it answers nothing then
        self.forgets = 0  # answers that are lost after their change is made
        self.mode = "helpful"
        self.order: list[int] | None = None  # ids from the most helpful on; None is backwards
        self.said: list[dict[str, Any]] = []
        self.ap: list[dict[str, Any]] = []
        self.spoilt = ""  # why no download can be made
        self.final: dict[str, Any] | None = None
        self.look: dict[str, Any] = {"state": "none", "done": None, "said": "Nothing has been looked at.", "rows": []}
        for id in range(1, photos + 1):
            self.images[id] = {"revision": 1, "state": "open", "boxes": [], "why": None}
            self.suggestions[id] = suggested(id) if suggest else []

    def touch(self) -> None:
        self.version += 1

    def remember(self, action: str) -> None:
        self.past.append({"action": action, **self.all_labels()})
        self.future.clear()

    def all_labels(self) -> dict[str, Any]:
        return copy.deepcopy({"images": self.images, "classes": self.classes})

    def travel(self, source: list[dict[str, Any]], other: list[dict[str, Any]], did: str) -> dict[str, Any]:
        step = source.pop()
        other.append({"action": step["action"], **self.all_labels()})
        changed = [id for id, image in self.images.items() if image["boxes"] != step["images"][id]["boxes"]
                   or image["state"] != step["images"][id]["state"]]  # fmt: skip
        classes = self.classes != step["classes"]
        self.classes = step["classes"]
        for id in self.images if classes else changed:
            self.images[id] = step["images"][id] | {"revision": self.images[id]["revision"] + 1}
        self.touch()
        shown = self.document(changed[0]) if changed else None
        return {"said": f"{did}: {step['action']}", "images": changed, "classes": classes, "shown": shown}

    def state(self) -> dict[str, Any]:
        open_ids = [id for id, image in self.images.items() if image["state"] == "open"]
        if self.mode == "helpful":
            wanted = self.order or sorted(self.images, reverse=True)
            open_ids.sort(key=wanted.index)
        boxes = [box for image in self.images.values() for box in image["boxes"]]
        done = sum(image["state"] in ("labelled", "empty") for image in self.images.values())
        return {
            "version": str(self.version),
            "name": "photos",
            "photos": "photos",
            "output": "photos-labels",
            "classes": [{"name": name} for name in self.classes],
            "images": [self.entry(id) for id in self.images],
            "order": {"mode": self.mode, "next": open_ids},
            "training": {
                "state": "waiting",
                "round": 0,
                "labelled_needed": max(0, 3 - done),
                "said": "Waiting for labels.",
                "done": None,
            },
            "progress": {
                "labelled": done,
                "all": len(self.images),
                "boxes_per_class": [sum(box["class"] == i for box in boxes) for i in range(len(self.classes))],
                "held_out": {"labelled": 0, "all": len(self.images) // 5},
                "seconds": 340,
                "ap": self.ap,
                "forecast": {"images": 50, "low": 0.03, "high": 0.06} if len(self.ap) > 2 else None,
            },
            "undo": self.past[-1]["action"] if self.past else None,
            "redo": self.future[-1]["action"] if self.future else None,
            "final": self.final,
            "said": self.said,
        }  # fmt: skip

    def entry(self, id: int) -> dict[str, Any]:
        image = self.images[id]
        return {
            "id": id,
            "file": f"scene_{id}.png",
            "width": WIDTH,
            "height": HEIGHT,
            "state": image["state"],
            "why": image["why"],
            "held_out": id % 5 == 0,
            "revision": image["revision"],
            "boxes": len(image["boxes"]),
            "classes": sorted({box["class"] for box in image["boxes"]}),
            "suggested": len(self.suggestions[id]),
            "round": 1 if self.suggestions[id] else None,
        }

    def document(self, id: int) -> dict[str, Any]:
        image = self.images[id]
        suggestions = self.suggestions[id]
        return {"id": id, "revision": image["revision"], "state": image["state"], "boxes": image["boxes"],
                "suggestions": suggestions, "round": 1 if suggestions else None}  # fmt: skip

    def put(self, id: int, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        image = self.images[id]
        if sent["revision"] != image["revision"]:
            return 409, {"detail": "Another tab changed this photo.", "image": self.document(id)}
        for one in sent["boxes"]:
            left, top, right, bottom = one["box"]
            if not (0 <= left < right <= WIDTH and 0 <= top < bottom <= HEIGHT and one["class"] < len(self.classes)):
                return 422, {"detail": f"The box {one['box']} is not within the photo."}
        self.remember(f"{sent['action']} in scene_{id}.png")
        revision = image["revision"] + 1
        self.images[id] = {**image, "revision": revision, "state": sent["state"], "boxes": sent["boxes"]}
        self.touch()
        return 200, self.document(id)

    def change_classes(self, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = sent.get("name", "").strip()
        if sent["action"] in ("add", "rename") and (not name or name in self.classes):
            return 422, {"detail": f"There is a class {name!r} already." if name else "A class needs a name."}
        shown = zip((sent.get("class"), sent.get("into")), sent.get("meant", ()), strict=False)
        if any(self.classes[label : label + 1] != [name] for label, name in shown):
            return 409, {"detail": "This class is another one by now."}
        self.remember(f"{sent['action']} class")
        if sent["action"] == "add":
            self.classes.append(name)
        elif sent["action"] == "rename":
            self.classes[sent["class"]] = name
        else:
            self.renumber(sent["class"], sent.get("into", 0))
        self.touch()
        return 200, {"classes": [{"name": name} for name in self.classes]}

    def renumber(self, gone: int, into: int) -> None:
        del self.classes[gone]
        for image in self.images.values():
            for box in image["boxes"]:
                label = into if box["class"] == gone else box["class"]
                box["class"] = label - (label > gone)
            image["revision"] += 1


@cache
def picture(id: int) -> bytes:
    """A photo, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(scene(id)[0]).save(file, "PNG")
    return file.getvalue()


@cache
def scene(id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of ten scenes: its pixels, boxes and labels."""
    return draw_scene(id % 10, (HEIGHT, WIDTH))


def suggested(id: int) -> list[dict[str, Any]]:
    """What a good detector would find, with scores that fall from 0.9 on."""
    _, boxes, labels = scene(id)
    return [
        {"box": box, "class": label % 3, "score": round(0.9 - 0.15 * i, 2)}
        for i, (box, label) in enumerate(zip(boxes.tolist(), labels.tolist(), strict=True))
    ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LabelServer

    def do_GET(self) -> None:
        self.handle_with(None)

    def do_PUT(self) -> None:
        self.handle_with(self.sent())

    def do_POST(self) -> None:
        self.handle_with(self.sent())

    def sent(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")

    def handle_with(self, sent: dict[str, Any] | None) -> None:
        labels = self.server.labels
        if labels.down:
            self.hang_up()
            return
        address = urlsplit(self.path)
        with labels.lock:
            if sent is not None:
                assert self.headers["X-Setpiece"] == "label"
                labels.requests.append({"method": self.command, "path": address.path, **sent})
            status, body = self.answer(labels, address.path, parse_qs(address.query), sent)
            forgets = self.command == "PUT" and labels.forgets > 0
            labels.forgets -= forgets
        if forgets:
            self.hang_up()
            return
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/json"
        if isinstance(body, bytes):
            kind = "text/html; charset=utf-8" if address.path == "/" else "image/png"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        if address.path == "/api/download":
            self.send_header("Content-Disposition", 'attachment; filename="photos.zip"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, labels: Labels, path: str, query: dict[str, list[str]], sent: Any) -> tuple[int, Any]:
        found = re.fullmatch(r"(/api/images|/photos|/thumbnails|/api/second-look)/(\d+)", path)
        match (self.command, found[1] if found else path):
            case ("GET", "/"):
                return 200, render(
                    {"kind": "label", "title": "photos", "token_needed": False, "minutes": [1, 1440]}
                ).encode()
            case ("GET", "/api/state"):
                same = query.get("version") == [str(labels.version)]
                return 200, {"version": str(labels.version), "same": True} if same else labels.state()
            case ("GET", "/api/images"):
                return 200, labels.document(int(found[2]))
            case ("PUT", "/api/images"):
                return labels.put(int(found[2]), sent)
            case ("GET", "/photos" | "/thumbnails"):
                return 200, picture(int(found[2]))
            case ("POST", "/api/undo") if labels.past:
                return 200, labels.travel(labels.past, labels.future, "Undid")
            case ("POST", "/api/redo") if labels.future:
                return 200, labels.travel(labels.future, labels.past, "Redid")
            case ("POST", "/api/undo" | "/api/redo"):
                said = f"There is nothing to {'undo' if path.endswith('undo') else 'do again'}."
                return 200, {"said": said, "images": [], "classes": False, "shown": None}
            case ("POST", "/api/classes"):
                return labels.change_classes(sent)
            case ("POST", "/api/order"):
                labels.version += labels.mode != sent["mode"]
                labels.mode = sent["mode"]
                return 200, {}
            case ("GET", "/api/second-look"):
                return 200, labels.look
            case ("POST", "/api/second-look") if found:
                next(row for row in labels.look["rows"] if row["id"] == found[2])["decision"] = sent["decision"]
                labels.touch()
                return 200, labels.look
            case ("POST", "/api/second-look"):
                labels.look["state"] = "ready"
                return 200, labels.look
            case ("POST", "/api/train"):
                labels.final = FINAL | ({"state": "training", "done": 0.1} if sent["minutes"] > HOUR else {})
                labels.touch()
                return 200, labels.final
            case ("POST", "/api/train/stop"):
                labels.final = FINAL | {"state": "stopped", "said": "The long training was stopped."}
                labels.touch()
                return 200, labels.final
            case ("GET", "/api/download") if labels.spoilt:
                return 500, {"detail": labels.spoilt}
            case ("GET", "/api/download"):
                return 200, b"a zip"
            case ("POST", "/api/export"):
                return 200, {"file": f"photos-labels/detector.{sent['format']}"}
        return 404, {"detail": f"There is no {path}."}

    def log_message(self, *_: Any) -> None:
        pass


class LabelServer(ThreadingHTTPServer):
    """Serves labels until `server_close`."""

    daemon_threads = True

    def __init__(self, labels: Labels) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.labels = labels
        self.address = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
