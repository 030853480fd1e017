"""What several rooms' tests share. Setpiece is imported late, so that no test runs on modules without shape checks."""

from __future__ import annotations

import base64
import gc
import io
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from PIL import Image

from . import skips

# Where tests compute, "cpu" or "cuda". A GPU that is not asked for is hidden, as training takes one where it is.
DEVICE = os.environ.setdefault("SETPIECE_DEVICE", "cpu")
if DEVICE == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

settings.register_profile("setpiece", deadline=None)  # no test asserts a duration
settings.load_profile("setpiece")


def pytest_configure(config):
    gc.set_threshold(50_000, 20, 50)  # Python's own looks through torch's many objects so often that it takes a tenth
    config.pluginmanager.register(skips, "setpiece-skips")  # and not from here alone: the doctests in src obey it, too
    if (
        threading.current_thread() is threading.main_thread()
    ):  # a shell's background jobs, and their children, ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)


# What takes longest. It comes first, so that no process is left alone with one of these files at the end.
LONGEST = (
    *("training/test_faults.py", "test_cli.py", "training/test_training.py", "labelling/test_trainer.py"),
    *("export", "training/test_trackers.py", "training/test_processes.py", "training/test_recorder.py"),
    *("model/test_parity.py", "test_device.py"),
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    items.sort(key=lambda item: [not item.path.is_relative_to(here / name) for name in LONGEST])


@pytest.fixture(autouse=True)
def threads_per_operation():
    """Leave PyTorch's number of threads as it was: the last bits of a result depend on it."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def device():
    """SETPIECE_DEVICE."""
    return torch.device(DEVICE)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Sixteen training and four validation scenes."""
    from setpiece.data.scenes import write_scenes

    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=16, valid=4)


@pytest.fixture
def write_colours(tmp_path):
    """Write COCO splits of black images with at most one red, one green and one blue rectangle each."""
    from .colours import write_colours

    return lambda *args, **kwargs: write_colours(tmp_path / "colours", *args, **kwargs)


# ---- a real browser, pages to open in it, and payloads made from random predictions ----

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, driven by Playwright."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("There is no chromium on PATH: the report's pages are not tested.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """`open_page(payload)` shows a payload, or a page's file; any console error, page error or request fails the test.

    `before` is a script that runs before those of the page.
    """
    from setpiece.web import render

    contexts, wrong = [], []

    def open_page(payload, width=1280, height=900, scheme="light", chapter=None, before=""):
        file = payload if isinstance(payload, Path) else tmp_path / f"page-{len(contexts)}.html"
        if file is not payload:
            file.write_text(render(payload), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.set_offline(True)
        context.add_init_script(before)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if is_foreign(request.url, file) else None)
        page.goto(file.as_uri() + (f"#{chapter}" if chapter else ""))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def is_foreign(url: str, file: Path) -> bool:
    return not url.startswith(("data:", "blob:")) and url.split("#")[0] != file.as_uri()


@pytest.fixture(scope="session")
def make_payload():
    """`make_payload(counts, ...)` gives the payload of random predictions and their facts, one image per count."""
    return random_payload


def random_payload(counts, *, form="softmax", L=3, Q=12, C=3, seed=0, most_queries=10_000, **criterion):
    """The payload of images with so many targets each, with what Python computed: (payload, facts of each image)."""
    from setpiece.explain.facts import image_facts
    from setpiece.explain.payload import criterion_payload
    from setpiece.explain.payload_image import pack_image
    from setpiece.explain.report_image import ReportImage
    from setpiece.records import Targets
    from setpiece.setloss import SetCriterion

    generator = torch.Generator().manual_seed(seed)
    criterion = SetCriterion(form=form, **criterion)
    images, facts = [], []
    for index, count in enumerate(counts):
        outputs, target = random_image(count, L, Q, C, form, generator)
        facts.append(image_facts(outputs, Targets.from_list([target]), criterion))
        name = f"image-{index}.jpg"
        shown = ReportImage(index, name, 640, 480, picture(index), facts[-1], note="" if count else "No objects.")
        images.append(pack_image(shown, most_queries).content)
    payload = {
        "format": 1,
        "kind": "report",
        "title": "A report of random predictions",
        "classes": [f"class {c}" for c in range(C)],
        "criterion": criterion_payload(criterion),
        "layers": [f"layer {layer + 1}" for layer in range(L)],
        "images": images,
        "findings": [],
        "model": None,
        "training": None,
        "chapters": None,
        "missing": [],
    }
    return payload, facts


def random_image(count, L, Q, C, form, generator):
    """Predictions of which some lie near a target, and get nearer layer by layer."""
    from setpiece.records import Outputs

    def boxes(*shape):
        centres = torch.rand(*shape, 2, generator=generator) * 0.7 + 0.15
        return torch.cat([centres, torch.rand(*shape, 2, generator=generator) * 0.2 + 0.06], -1)

    target = {"labels": torch.randint(0, C, (count,), generator=generator), "boxes": boxes(count)}
    logits = torch.randn(L, 1, Q, C + (form == "softmax"), generator=generator)
    predicted = boxes(L, 1, Q)
    near = min(count, Q)
    for layer in range(L):
        share = (layer + 1) / (L + 1)
        predicted[layer, 0, :near] += share * (target["boxes"][:near] - predicted[layer, 0, :near])
        logits[layer, 0, torch.arange(near), target["labels"][:near]] += 3 * share
    return Outputs(logits, predicted), target


def picture(index: int) -> str:
    """A small image in one colour, as a data URL."""
    file = io.BytesIO()
    Image.new("RGB", (96, 72), ((index * 67) % 256, 150, 170)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
