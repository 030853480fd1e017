"""A payload -> one HTML file that needs nothing else: style, scripts and data are inside it."""

from __future__ import annotations

import html
import json
from functools import cache
from importlib.resources import files
from typing import Any

# Namespaces that others build on, in this order; all other scripts follow in any, and `page.js` builds the page.
FIRST = ("data.js", "boxes.js", "assignment.js", "loss.js", "dom.js", "state.js", "image.js", "matrix.js")
LAST = "page.js"
STYLE = "style.css"  # before all other style sheets


def render(payload: dict[str, Any]) -> str:
    """The page of a payload.

    Args:
        payload: see `setpiece.explain.payload`; numbers are finite.

    Example:
        >>> page = render({"title": "a <b> & c", "classes": ["</script>"], "training": None})
        >>> "<title>a &lt;b&gt; &amp; c</title>" in page, page.count("</script>") == page.count("<script")
        (True, True)
    """
    style, scripts = _assets()
    plotly = f'<script type="text/plain" id="plotly">{_plotly()}</script>' if payload.get("training") else ""
    # No "<" stands in the data, so that nothing in it can end the element.
    data = json.dumps(payload, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',  # or a browser would ask a server for one
            f"<title>{html.escape(str(payload['title']))}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            "<noscript>This page draws itself: allow scripts to see it. It asks nothing of the network.</noscript>",
            '<main id="page"></main>',
            f'<script type="application/json" id="payload">{data}</script>',
            plotly,  # see plotly.js
            *(f"<script>\n{script}</script>" for script in scripts),
            "</body>\n</html>\n",
        )
    )


@cache
def _assets() -> tuple[str, tuple[str, ...]]:
    """The style, and the scripts in order."""
    folder = files("setpiece.explain").joinpath("pages")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    styles = sorted(name for name in texts if name.endswith(".css") and name != STYLE)
    others = sorted(name for name in texts if name.endswith(".js") and name not in (*FIRST, LAST))
    return "\n".join(texts[name] for name in (STYLE, *styles)), tuple(texts[name] for name in (*FIRST, *others, LAST))


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
