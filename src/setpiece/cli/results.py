"""What an evaluation writes: its page, with pictures and numbers beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from setpiece.cli.app import console, require_writable
from setpiece.errors import UsageError

if TYPE_CHECKING:
    from setpiece.data.dataset import Dataset
    from setpiece.evaluation.analysis import Analysis

__all__ = ["ap_history", "require_page", "write_page"]


def ap_history(model: str) -> list[float]:
    """AP of each evaluation of the training that a model came from; nothing where that is not known."""
    from setpiece.runs.layout import RunFolder

    run = RunFolder.around(Path(model))
    return [] if run is None else run.ap_history()


def require_page(page: Path, option: str) -> None:
    """Refuse a page that is named like another file, or that cannot be written with what comes beside it.

    Raises:
        UsageError: it is so.
    """
    from setpiece.evaluation.figures import beside

    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{option} writes a page: give it a name that ends in .html, and not {page}.")
    for file in (page, *beside(page)):
        require_writable(file, option)


def write_page(page: Path, found: Analysis, dataset: Dataset, title: str, steps: list[str]) -> dict[str, Any]:
    """Write the page of an evaluation and what comes beside it, and say so.

    Args:
        page: a file in a folder that exists.
        found: of the results on `dataset`.
        dataset: the images, for pictures.
        title: of the page.
        steps: what to do next, see `next_steps`.

    Returns:
        The payload of the page.

    Raises:
        OutputError: a file cannot be written.
    """
    from setpiece.atomic import write_whole
    from setpiece.evaluation.figures import write_beside
    from setpiece.inference.analysis_page import analysis_payload
    from setpiece.web import render

    payload = analysis_payload(found, dataset, title, steps)
    write_whole(page, render(payload))
    beside = write_beside(found, page)
    console.print(
        f"The report is {page}: open it in a browser. Beside it are {', '.join(file.name for file in beside)}.",
        soft_wrap=True,
        highlight=False,
    )
    return payload
