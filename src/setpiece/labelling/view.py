"""What the page is told, as JSON: the contract between page and server."""

from __future__ import annotations

from collections import Counter
from typing import Any

from setpiece.labelling.held_out import is_held_out
from setpiece.labelling.labels import LabelledImage
from setpiece.labelling.order import offered
from setpiece.labelling.session import Session

__all__ = ["classes_view", "image_view", "second_look_view", "state_view"]

SURE = 0.4  # confidence from which on a suggestion is counted in the strip of images: where the page's slider begins


def classes_view(session: Session) -> list[dict[str, Any]]:
    """The classes, in their order."""
    return [{"name": category.name} for category in session.store.labels.classes]


def image_view(session: Session, id: int) -> dict[str, Any]:
    """An image with its boxes and what the detector suggests.

    Raises:
        KeyError: there is no such image.
    """
    image, positions = session.image(id), _positions(session)
    suggestions = session.suggestions.get(id)
    return {
        "id": id,
        "revision": image.revision,
        "state": image.marks.state,
        "boxes": [
            {"box": list(box.corners), "class": positions[box.category]} | ({"crowd": True} if box.crowd else {})
            for box in image.marks.boxes
        ],
        "suggestions": [
            {"box": list(corners), "class": positions[category], "score": score}
            for corners, category, score in (suggestions.boxes if suggestions else ())
            if category in positions
        ],
        "round": suggestions.round if suggestions else None,
    }


def second_look_view(session: Session) -> dict[str, Any]:
    """How far the second look is, and its rows."""
    look, positions = session.second_look, _positions(session)
    rows = []
    for row in look.rows if look.state == "ready" else ():
        suggestion = row["suggestion"]
        if suggestion is not None:
            suggestion = {
                "box": suggestion["box"],
                "class": positions.get(suggestion["category"]),
                "score": suggestion["score"],
            }
        shown = {name: row[name] for name in ("id", "kind", "image", "box", "cost", "text", "decision")}
        rows.append(shown | {"class": positions.get(row["category"]), "suggestion": suggestion})
    return {"state": look.state, "done": look.done, "said": look.said, "rows": rows}


def state_view(session: Session) -> dict[str, Any]:
    """All that the page shows beside the image itself."""
    store, trained = session.store, session.trained
    undo, redo = store.history.to_undo(), store.history.to_redo()
    return {
        "version": session.version,
        "name": store.photos.name,
        "photos": str(session.given),
        "output": str(store.folder),
        "classes": classes_view(session),
        "images": _images(session),
        "order": {"mode": session.mode, "next": _next(session)},
        "training": {
            "state": trained.state,
            "round": trained.round,
            "labelled_needed": session.labelled_needed(),
            "said": trained.said,
            "done": trained.done,
        },
        "progress": _progress(session),
        "undo": None if undo is None else session.describe(undo[1]),
        "redo": None if redo is None else session.describe(redo[1]),
        "final": trained.final,
        "said": [{"id": number, "text": text} for number, text in session.said],
    }


def _positions(session: Session) -> dict[int, int]:
    return {category.id: position for position, category in enumerate(session.store.labels.classes)}


def _images(session: Session) -> list[dict[str, Any]]:
    positions, problems = _positions(session), session.watch.problems
    rows = [_image_row(session, image, positions) for image in session.store.labels.images.values()]
    for row in rows:
        if (problem := problems.get(row["id"])) is not None:
            row |= {"state": problem.state, "why": problem.why}
    unread = [
        {"id": -number, "file": file, "width": 0, "height": 0, "state": "broken", "why": why, "held_out": False}
        | {"revision": 0, "boxes": 0, "classes": [], "suggested": 0, "round": None}
        for number, (file, why) in enumerate(session.watch.unread.items(), 1)
    ]
    return sorted([*rows, *unread], key=lambda row: row["file"])


def _image_row(session: Session, image: LabelledImage, positions: dict[int, int]) -> dict[str, Any]:
    suggestions = session.suggestions.get(image.id)
    return {
        "id": image.id,
        "file": image.file,
        "width": image.width,
        "height": image.height,
        "state": image.marks.state,
        "why": None,
        "held_out": is_held_out(image.file),
        "revision": image.revision,
        "boxes": len(image.marks.boxes),
        "classes": sorted({positions[box.category] for box in image.marks.boxes}),
        "suggested": sum(score >= SURE for _, _, score in suggestions.boxes) if suggestions else 0,
        "round": suggestions.round if suggestions else None,
    }


def _next(session: Session) -> list[int]:
    images = session.usable()
    still = sorted((image for image in images if image.marks.state == "open"), key=lambda image: image.file)
    ids = [image.id for image in still]
    if session.mode == "files":
        return ids
    held_out = (image.id for image in still if is_held_out(image.file))
    return offered(ids, held_out, session.ranked, len(images) - len(ids))


def _progress(session: Session) -> dict[str, Any]:
    images = session.usable()
    done = [image for image in images if image.marks.state != "open"]
    counts = Counter(box.category for image in images for box in image.marks.boxes)
    return {
        "labelled": len(done),
        "all": len(images),
        "boxes_per_class": [counts[category.id] for category in session.store.labels.classes],
        "held_out": {
            "labelled": sum(is_held_out(image.file) for image in done),
            "all": sum(is_held_out(image.file) for image in images),
        },
        "seconds": round(session.store.history.seconds),
        "ap": [
            {name: row[name] for name in ("round", "labelled", "boxes", "ap", "low", "high")}
            for row in session.trained.rounds
            if row["ap"] is not None
        ],
        "forecast": session.trained.forecast,
    }
