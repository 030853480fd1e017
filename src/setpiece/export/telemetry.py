"""What OpenVINO's and NNCF's tools would send to their makers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

__all__ = ["send_nothing"]


def send_nothing() -> None:
    """Keep `openvino-telemetry` from sending events about the use of its tools, which it does unless a user opted out.

    It also starts a process for each event, which lives on for as long as no server answers.
    """
    with suppress(ImportError, AttributeError):
        from openvino_telemetry.utils.sender import TelemetrySender

        TelemetrySender.send = _nothing


def _nothing(*_: Any, **__: Any) -> None: ...
