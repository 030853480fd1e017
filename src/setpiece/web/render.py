"""A payload -> one HTML file that needs nothing else: style, scripts and data are inside it."""

from __future__ import annotations

import html
import json
import posixpath
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from setpiece.web.modules import bundle, in_order

__all__ = ["page_texts", "render"]


def render(payload: dict[str, Any], *, texts: Mapping[str, str] | None = None, policy: str | None = None) -> str:
    """The page of a payload.

    Args:
        payload: `kind` names the page, a folder of `pages/`; `title` is a text; where there is `training`, or is
            to come (`live`), the page holds Plotly. The rest is what the page's modules read. All numbers are finite.
        texts: more of what the modules read, each in an element of this id, as base64 or other text without "<".
        policy: a Content-Security-Policy that the page itself states.

    Raises:
        ValueError: there is no such page, a number is NaN or infinite, or a text has a "<".

    Example:
        >>> payload = {"kind": "report", "title": "a <b> & c", "classes": ["</script>"], "training": None}
        >>> page = render(payload)
        >>> "<title>a &lt;b&gt; &amp; c</title>" in page, page.count("</script>") == page.count("<script")
        (True, True)
    """
    style, script = _style_and_script(payload["kind"])
    charts = payload.get("training") or payload.get("live")
    plotly = f'<script type="text/plain" id="plotly">{_plotly()}</script>' if charts else ""
    if wrong := [name for name, text in (texts or {}).items() if "<" in text]:
        raise ValueError(f'The text {wrong[0]!r} holds "<", which could end its element.')
    # No "<" stands in the data, so that nothing in it can end the element.
    data = json.dumps(payload, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            *([f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'] if policy else []),
            '<link rel="icon" href="data:,">',  # or a browser would ask a server for one
            f"<title>{html.escape(str(payload['title']))}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            "<noscript>Allow scripts to see this page. It loads nothing from the network.</noscript>",
            '<main id="page"></main>',
            f'<script type="application/json" id="payload">{data}</script>',
            plotly,  # as text: see plotly.js
            *(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in (texts or {}).items()),
            f'<script type="module">\n{script}\n</script>',
            "</body>\n</html>\n",
        )
    )


def page_texts() -> dict[str, str]:
    """The text of every file in `pages/` by its path, such as "base/dom.js"."""
    root = files("setpiece.web").joinpath("pages")
    return {path: file.read_text(encoding="utf-8") for path, file in _walk(root, "")}


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


@cache
def _style_and_script(page: str) -> tuple[str, str]:
    """The style sheets beside the modules that a page reaches, those of base first, and its modules as one script."""
    texts = page_texts()
    reached = in_order(f"{page}/{page}.js", texts)
    folders = {posixpath.dirname(path) for path in reached}
    styles = [path for path in texts if path.endswith(".css") and posixpath.dirname(path) in folders]
    return "\n".join(texts[path] for path in styles), bundle(reached, texts)


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
