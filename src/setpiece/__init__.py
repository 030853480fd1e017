"""Object detection as set prediction: DETR and its set prediction loss, as software that people use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setpiece.detector import Detector

__version__ = "0.1.0"
__all__ = ["Detector", "__version__"]


def __getattr__(name: str) -> Any:
    # `setpiece --help` answers in less time than torch takes to import: the heavy name loads on first use.
    if name == "Detector":
        from setpiece.detector import Detector

        return Detector
    raise AttributeError(f"module 'setpiece' has no attribute {name!r}")
