"""The page at `/`: that of `setpiece export --format html`, with this server in the place of a model in the page."""

from __future__ import annotations

from collections.abc import Sequence

from setpiece.inference.thresholds import DEFAULT
from setpiece.web import render

__all__ = ["POLICY", "page"]

# What the page may do: it holds all it needs, and asks this server alone.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def page(
    model_name: str,
    classes: Sequence[str],
    thresholds: Sequence[float] | None = None,
    *,
    path: str = "v1/detect",
    needs_token: bool = False,
) -> str:
    """A page that sends images to `/v1/detect`, and shows what is answered and the line that does it in a shell.

    Args:
        thresholds: the model's own, of each class.
        path: where it asks, from the page.
        needs_token: it then has a field for the token.

    Example:
        >>> "<title>cells &amp; more</title>" in page("cells & more", ["red <b>"])
        True
    """
    return render(
        {
            "kind": "detect",
            "title": model_name,
            "classes": list(classes),
            "thresholds": None if thresholds is None else list(thresholds),
            "threshold": DEFAULT,
            "info": None,
            "runtime": None,
            "server": {"path": path, "token": needs_token},
        }
    )
