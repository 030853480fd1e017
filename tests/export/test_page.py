"""A page that holds a detector: in a browser, without network, it detects what Python detects."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from setpiece.data.scenes import draw_scene
from setpiece.errors import UsageError
from setpiece.export.export import describe, export, torch_backend
from setpiece.export.page import POLICY, write_page
from setpiece.export.web_runtime import VERSION, WebRuntime, find_web_runtime
from setpiece.inference.backends import load_backend
from setpiece.inference.exported import ExportedPredictor

from ..command import run_command


@pytest.fixture(scope="module")
def runtime():
    """The real one: CI fetches it through npm."""
    try:
        return find_web_runtime()
    except UsageError as error:
        pytest.skip(f"{error}")


@pytest.fixture(scope="module")
def any_canvas(checkpoint, pictures, runtime, tmp_path_factory):
    """What a page says that it is, and its file."""
    file = tmp_path_factory.mktemp("page") / "things.html"
    info = describe(checkpoint, batch=1, metrics={"AP": 0.512}, licence="CC0-1.0")
    assert export(checkpoint, info, "html", file, pictures=pictures, runtime=runtime).startswith("Verified on ")
    assert [path.name for path in file.parent.iterdir()] == ["things.html"]
    return info, file


@pytest.fixture(scope="module")
def one_canvas(onnx_file, runtime, tmp_path_factory):
    """The same of a model whose canvas has one size."""
    file = tmp_path_factory.mktemp("page") / "things.html"
    info = load_backend(onnx_file).info
    write_page(onnx_file.read_bytes(), info, runtime, file, title="things")
    return info, file


def images():
    """(name, media type, bytes): another size each, a JPEG, one that is turned, one that is transparent."""
    for seed, width, height in ((1, 320, 240), (2, 90, 140), (3, 640, 480), (4, 200, 150)):
        pixels = Image.fromarray(draw_scene(seed)[0]).resize((width, height))
        if seed == 4:
            pixels.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, width, dtype=np.uint8), (height, 1))))
        exif = Image.Exif()
        exif[0x0112] = 6 if seed == 3 else 1
        file = io.BytesIO()
        options = {"format": "JPEG", "quality": 90, "exif": exif} if seed in (1, 3) else {"format": "PNG"}
        pixels.save(file, **options)
        yield f"{seed}.{options['format'].lower()}", f"image/{options['format'].lower()}", file.getvalue()


def alike(one, other):
    """Of the same class, with sides within 1 px and scores within 1e-2."""
    near = np.abs(np.subtract(one["box"], other["box"])).max() <= 1
    return one["class"] == other["class"] and near and abs(one["score"] - other["score"]) <= 1e-2


def as_in_json(found):
    columns = zip(found.xyxy.tolist(), found.confidence.tolist(), found["class_name"].tolist(), strict=True)
    return [{"box": box, "score": score, "class": name} for box, score, name in columns]


@pytest.mark.parametrize("exported", ["any_canvas", "one_canvas"])
def test_a_page_from_disk_detects_what_python_detects_without_network(exported, checkpoint, open_page, request):
    info, file = request.getfixturevalue(exported)
    page = open_page(file)
    page.get_by_text("Ready.").wait_for(timeout=120_000)
    given = list(images())
    page.locator("[data-role=files]").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in given]
    )
    page.locator(f'[data-name="{given[-1][0]}"]').wait_for()
    page.locator("[data-role=threshold]").fill("0.05")
    with page.expect_download() as download:
        page.locator("[data-role=download]").click()
    said = json.loads(download.value.path().read_text())
    assert [image["file"] for image in said["images"]] == [name for name, _, _ in given]
    reference = ExportedPredictor(torch_backend(checkpoint, info))
    pictures = [Image.open(io.BytesIO(content)) for _, _, content in given]
    expected = [as_in_json(found) for found in reference.predict(pictures, threshold=0.05)]
    assert sum(map(len, expected)) > 10
    for image, python in zip(said["images"], expected, strict=True):
        page_has, python_has = image["detections"], python
        for here, there in ((page_has, python_has), (python_has, page_has)):
            for one in here:
                assert one["score"] < 0.06 or any(alike(one, other) for other in there), (image["file"], one)
    turned = said["images"][2]
    assert turned["image"] == {"width": 480, "height": 640}
    shown = page.locator('[data-name="1.jpeg"] [data-role=milliseconds]').inner_text()
    assert int(shown.removesuffix(" ms")) >= 1


def test_a_page_says_that_it_looks_at_the_first_frame(any_canvas, open_page):
    _, file = any_canvas
    page = open_page(file)
    page.get_by_text("Ready.").wait_for(timeout=120_000)
    red, blue = (Image.new("RGB", (60, 40), colour) for colour in ("red", "blue"))
    moving, still = io.BytesIO(), io.BytesIO()
    red.save(moving, "GIF", save_all=True, append_images=[blue])
    red.save(still, "GIF")
    files = [("moving.gif", moving), ("still.gif", still)]
    page.locator("[data-role=files]").set_input_files(
        [{"name": name, "mimeType": "image/gif", "buffer": content.getvalue()} for name, content in files]
    )
    page.locator('[data-name="still.gif"]').wait_for()
    notes = page.locator("[data-role=notes]").all_inner_texts()
    assert notes == ["The image has several frames: the first was looked at."]


def test_a_page_says_what_it_is_and_names_the_licence_of_the_runtime(any_canvas, open_page):
    _, file = any_canvas
    page = open_page(file, width=390, height=844, scheme="dark")
    page.get_by_text("About the model").click()
    facts = page.locator("dl").inner_text()
    for fact in ("sprint-n", "thing, other", "128 pixels", "float32", "0.512 on its validation images", "CC0-1.0"):
        assert fact in facts
    page.get_by_text(f"ONNX Runtime Web {VERSION} runs it (MIT licence)").click()
    assert "Copyright (c) Microsoft Corporation" in page.locator("[data-role=licence]").inner_text()
    assert page.title() == "things"
    page.locator("[data-role=own]").click()
    assert page.locator('[data-class="other"]').get_attribute("title") == "Shown from 0.40 on"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_text("Ready.").wait_for(timeout=120_000)


def test_the_whole_detector_is_one_file_of_less_than_25_megabytes(any_canvas):
    _, file = any_canvas
    assert file.stat().st_size < 25e6
    assert "connect-src" not in POLICY  # falls back to 'none'
    assert "default-src 'none'" in POLICY


def test_a_browser_keeps_the_page_from_sending_anything(any_canvas, browser):
    _, file = any_canvas
    page = browser.new_page()
    page.goto(file.as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = new Promise((tell) => {
            document.addEventListener("securitypolicyviolation", (event) => tell(event.effectiveDirective));
          });
          await fetch("https://example.invalid/").catch(() => null);
          return refused;
        }"""
    )
    page.close()
    assert refused == "connect-src"


# ---- without the real runtime ----

NONE = WebRuntime(b"export const env = { wasm: {} };\n", b"\0asm")


def test_a_page_whose_model_cannot_be_started_says_so(checkpoint, tmp_path, open_page):
    file = tmp_path / "things.html"
    write_page(b"no model", describe(checkpoint), NONE, file, title="things")
    page = open_page(file)
    page.get_by_text("The model cannot be started: Cannot read properties of undefined").wait_for()


def test_a_page_looks_at_one_image_at_a_time(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="A page looks at one image at a time: leave --batch out"):
        export(checkpoint, describe(checkpoint, batch=2), "html", tmp_path / "a.html", runtime=NONE)
    assert not list(tmp_path.iterdir())


def test_a_runtime_is_for_pages_alone(monkeypatch, capsys, tmp_path):
    done = run_command(monkeypatch, capsys, "export", "sprint-n", "--runtime", tmp_path / "a.tgz")
    assert done.code == 2
    assert "--runtime is for --format html." in done.err
