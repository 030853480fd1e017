"""An ONNX file -> one HTML file that detects: page, ONNX Runtime Web and model in it, and nothing fetched."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

from setpiece.atomic import write_whole
from setpiece.export.web_runtime import LICENCE, VERSION, WebRuntime
from setpiece.inference.model_info import ModelInfo
from setpiece.inference.thresholds import DEFAULT
from setpiece.web import render

__all__ = ["write_page"]

# The browser holds the page to it: scripts come from the page alone, and nothing is sent anywhere.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:",
        "style-src 'unsafe-inline'",
        "img-src blob: data:",
        "media-src blob:",
        "form-action 'none'",
    )
)


def write_page(model: bytes, info: ModelInfo, runtime: WebRuntime, file: Path, *, title: str) -> None:
    """Write the page of a model.

    Args:
        model: an ONNX file that takes one image.
        title: what the page is called, for people.
    """
    payload = {
        "kind": "detect",
        "title": title,
        "classes": info.classes,
        "thresholds": info.thresholds,
        "threshold": DEFAULT,
        "info": info.model_dump(mode="json"),
        "runtime": {"name": f"ONNX Runtime Web {VERSION}", "licence": LICENCE},
        "server": None,
    }
    parts = {"runtime-script": runtime.script, "runtime-wasm": runtime.wasm, "model": model}
    texts = {name: base64.b64encode(gzip.compress(part, mtime=0)).decode() for name, part in parts.items()}
    write_whole(file, render(payload, texts=texts, policy=POLICY))
