"""The page at `/` in a browser: what it shows is what the server answers."""

from __future__ import annotations

import pytest

from .conftest import running
from .images import BOXES, SIZE, encoded


@pytest.fixture
def visit(browser):
    """`visit(server)` opens its page; an error on the page, or a request of another host, fails the test."""
    contexts, wrong = [], []

    def visit(server, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        own = (server.address, "data:", "blob:")
        page.on("request", lambda one: None if one.url.startswith(own) else wrong.append(one.url))
        page.goto(server.address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong


def choose(page, content=None):
    files = [{"name": "a.png", "mimeType": "image/png", "buffer": content or encoded()}]
    page.locator("[data-role=files]").set_input_files(files)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_what_the_server_finds(server, visit, width, scheme):
    page = visit(server, width, scheme)
    asked = []
    page.on("request", lambda one: asked.append(one.url) if one.method == "POST" else None)
    choose(page)
    page.locator("[data-role=result]").wait_for()
    answer = server.post(encoded()).json()
    assert len(answer["detections"]) == len(BOXES)
    shown = page.locator("g.detected").evaluate_all("all => all.map((one) => one.dataset.box.split(' ').map(Number))")
    assert sorted(shown) == sorted(one["box"] for one in answer["detections"])
    assert f"{SIZE[1]} × {SIZE[0]}" in page.locator("figcaption").inner_text()
    page.locator("[data-role=threshold]").fill("1")
    page.locator("[data-role=threshold]").fill("0.3")
    assert len(asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_token_is_asked_for_and_sent(visit):
    with running(token="open sesame") as server:
        page = visit(server)
        page.get_by_label("Token of the server").fill("open sesame")
        choose(page)
        page.locator("[data-role=result]").wait_for()
        line = page.locator("[data-role=curl]").inner_text()
        assert line == (
            f"curl -H 'Authorization: Bearer TOKEN' -F image=@photo.jpg '{server.address}/v1/detect?threshold=0.5'"
        )
