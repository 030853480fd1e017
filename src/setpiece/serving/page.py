"""The page at `/`."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["POLICY", "page"]

# What the page may do: it holds all it needs, and asks this server alone.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def page(model_name: str, classes: Sequence[str]) -> str:
    """A form that sends an image to `/v1/detect`, and the line that does it in a shell.

    Example:
        >>> "<title>cells &amp; more</title>" in page("cells & more", ["red <b>"])
        True
    """
    name, listed = html.escape(model_name), html.escape(", ".join(classes))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{name}</title>
</head>
<body>
<h1>{name}</h1>
<p>Detects: {listed}</p>
<form action="v1/detect" method="post" enctype="multipart/form-data">
<input type="file" name="image" accept="image/*" required aria-label="Image">
<button>Detect</button>
</form>
<pre>curl -F image=@photo.jpg 'http://HOST:PORT/v1/detect?threshold=0.5'</pre>
</body>
</html>
"""
