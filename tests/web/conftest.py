"""The page of `setpiece label` in a browser, on a server that a test can look into."""

from __future__ import annotations

import pytest

from .label_page import LabelPage
from .label_server import Labels, LabelServer


@pytest.fixture
def open_label(browser):
    """`open_label(labels)` opens the page; a console error, page error or foreign request fails the test.

    With `failing`, requests may fail, of which a browser tells by itself.
    """
    contexts, servers, wrong = [], [], []

    def open_label(labels=None, width=1280, height=800, scheme="light", touch=False, failing=False, address=None):
        if address is None:
            labels = labels or Labels()
            servers.append(LabelServer(labels))
            address = servers[-1].address

        def hear(message):
            if message.type in ("error", "warning") and not (failing and "Failed to load resource" in message.text):
                wrong.append(message.text)

        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith((address, "data:")) else wrong.append(one.url))
        page.goto(address)
        label = LabelPage(page, labels, address)
        label.wait_for_photo()
        return label

    yield open_label
    for context in contexts:
        context.close()
    for server in servers:
        server.shutdown()
        server.server_close()
    assert not wrong
