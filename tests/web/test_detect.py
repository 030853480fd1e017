"""The page that detects: its pixels are Pillow's, and what it shows, hides, counts and gives away."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from setpiece.data.fitting import fitted, padded
from setpiece.data.images import to_rgb
from setpiece.input_size import InputSize
from setpiece.serving.page import page as served

CLASSES = ["ace", "king", "</script>"]
FOUND = [
    {"box": [10.0, 20.0, 60.0, 70.0], "score": 0.9, "class": "ace"},
    {"box": [5.5, 2.25, 30.0, 40.0], "score": 0.6, "class": "king"},
    {"box": [50.0, 30.0, 90.0, 60.0], "score": 0.45, "class": "ace"},
    {"box": [1.0, 1.0, 20.0, 20.0], "score": 0.2, "class": "</script>"},
]
# In the place of a server: it answers every image, and keeps what it was asked.
ANSWER = f"""
globalThis.asked = [];
globalThis.fetch = async (address, {{ body, headers }}) => {{
  asked.push({{ address: String(address), type: body.type, token: headers.get("Authorization") }});
  const notes = ["Of an animation, the first image."];
  return new Response(JSON.stringify({{ detections: {json.dumps(FOUND)}, notes }}));
}};
"""
# In the place of a camera: a green screen.
CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const screen = Object.assign(document.createElement("canvas"), { width: 120, height: 80 });
  const context = screen.getContext("2d");
  setInterval(() => { context.fillStyle = "green"; context.fillRect(0, 0, 120, 80); }, 20);
  return screen.captureStream();
};
"""


def encoded(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def noise(width, height, channels=3):
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels), np.uint8)


# ---- pixels ----


@pytest.fixture(scope="module")
def core(browser, tmp_path_factory):
    """A page whose modules can be asked."""
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    expose = "".join(
        f'globalThis.{name.capitalize()} = modules["detect/{name}.js"];\n' for name in ("fitting", "pixels")
    )
    before, after = served("any", CLASSES).rsplit("</script>", 1)
    file = tmp_path_factory.mktemp("detect") / "core.html"
    file.write_text(f"{before}{expose}</script>{after}", encoding="utf-8")
    page.goto(file.as_uri())
    yield page
    page.close()
    assert not wrong


def on_canvas(core, content, info):
    """The canvas that the page makes of an image file, and the size of the image on it."""
    made = core.evaluate(
        """async ([content, info]) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const image = await Pixels.decoded(new Blob([bytes]));
          const { values, height, width, size } = Fitting.canvas(image, info);
          let text = "";
          for (let i = 0; i < values.length; i += 4096) text += String.fromCharCode(...values.subarray(i, i + 4096));
          return { values: btoa(text), height, width, size };
        }""",
        [base64.b64encode(content).decode(), info],
    )
    values = np.frombuffer(base64.b64decode(made["values"]), np.uint8)
    return values.reshape(made["height"], made["width"], 3), made["size"]


def info(size, **more):
    return {"shortest": size.shortest, "longest": size.longest, "canvas": None, "least_area": 1, **more}


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (97, 61, InputSize(64, 64)),
        (64, 40, InputSize(64, 64)),  # as it is
        (20, 31, InputSize(96, 128)),  # larger
        (300, 3, InputSize(64, 96)),
        (1, 1, InputSize(32, 32)),
        (1500, 900, InputSize(128, 128)),  # in more than one band
        (333, 1000, InputSize(100, 160)),  # tall
    ],
)
def test_an_image_is_fitted_as_pillow_fits_it(core, width, height, size):
    pixels = noise(width, height)
    canvas, on = on_canvas(core, encoded(Image.fromarray(pixels)), info(size))
    (expected,), (expected_size,) = padded([fitted(pixels, size)])
    assert on == expected_size.tolist()
    # Pillow 13 resizes the columns of tall images first, and what is rounded between changes the last bit.
    np.testing.assert_allclose(canvas.astype(int), expected, atol=1 if height > 2 * width else 0)


def test_a_canvas_is_as_large_as_the_graph_takes_or_as_its_queries_need(core):
    content = encoded(Image.fromarray(noise(90, 30)))
    size = InputSize(64, 64)
    expected, _ = padded([fitted(noise(90, 30), size)], 20_000)
    canvas, _ = on_canvas(core, content, info(size, least_area=20_000))
    np.testing.assert_array_equal(canvas, expected[0])
    fixed, on = on_canvas(core, content, info(size, canvas=[64, 96]))
    assert (fixed.shape, on) == ((64, 96, 3), [21, 64])


def test_sizes_are_rounded_as_python_rounds_them(core):
    random = np.random.default_rng(0)
    cases = [[int(n) for n in random.integers(1, 3000, 4)] for _ in range(2000)]
    cases += [[height, 64, 32, 32] for height in range(1, 200)]  # halves
    cases = [[h, w, min(a, b), max(a, b)] for h, w, a, b in cases]
    sizes = core.evaluate(
        "(cases) => cases.map(([h, w, shortest, longest]) => Fitting.fit(h, w, { shortest, longest }))", cases
    )
    assert sizes == [list(InputSize(shortest, longest).fit(h, w)) for h, w, shortest, longest in cases]


@pytest.mark.parametrize("kind", ["transparent", "turned", "grey", "palette", "profile"])
def test_image_files_of_every_kind_give_the_pixels_that_python_reads(core, kind):
    blocks = np.kron(noise(8, 6), np.ones((16, 16, 1), np.uint8))  # that JPEG keeps
    tolerance = 4 if kind in ("turned", "profile") else 1
    if kind == "transparent":
        content = encoded(Image.fromarray(np.kron(noise(8, 6, 4), np.ones((16, 16, 1), np.uint8)), "RGBA"))
    elif kind == "grey":
        content = encoded(Image.fromarray(blocks[..., 0]))
    elif kind == "palette":
        content = encoded(Image.fromarray(blocks).quantize(16))
    else:
        from PIL import ImageCms

        exif = Image.Exif()
        exif[0x0112] = 6 if kind == "turned" else 1
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes() if kind == "profile" else None
        options = {"exif": exif, "icc_profile": profile, "quality": 98, "subsampling": 0}
        content = encoded(Image.fromarray(blocks), "JPEG", **options)
    pixels = to_rgb(Image.open(io.BytesIO(content)))
    size = InputSize(*sorted(pixels.shape[:2]))  # as it is
    canvas, (height, width) = on_canvas(core, content, info(size))
    assert (height, width) == pixels.shape[:2]
    assert np.abs(canvas[:height, :width].astype(int) - pixels).max() <= tolerance


# ---- the page ----


@pytest.fixture
def open_detect(open_page, tmp_path):
    """`open_detect()` opens the page of a server that answers FOUND."""

    def open_detect(before="", thresholds=(0.5, 0.7, 0.1), needs_token=False, **options):
        file = tmp_path / "detect.html"
        file.write_text(served("cards", CLASSES, thresholds, needs_token=needs_token), encoding="utf-8")
        return open_page(file, before=ANSWER + before, **options)

    return open_detect


PICTURE = encoded(Image.new("RGB", (100, 80), "teal"))


def choose(page, *names, content=PICTURE):
    files = [{"name": name, "mimeType": "image/png", "buffer": content} for name in names]
    page.locator("[data-role=files]").set_input_files(files)
    page.locator(f'[data-name="{names[-1]}"]').wait_for()


def scores(page, within="[data-role=results]"):
    """What is shown, from the surest on."""
    shown = page.locator(f"{within} g.detected").evaluate_all("all => all.map((one) => +one.dataset.score)")
    return sorted(shown, reverse=True)


def counts(page):
    return [int(text) for text in page.locator(".detect-class .number").all_inner_texts()]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_slider_and_the_classes_choose_what_is_shown_without_another_question(open_detect, width, scheme):
    page = open_detect(width=width, scheme=scheme)
    choose(page, "a.png")
    assert scores(page) == [0.9, 0.6]
    assert counts(page) == [1, 1, 0]
    page.locator("[data-role=threshold]").fill("0.15")
    assert scores(page) == [0.9, 0.6, 0.45, 0.2]
    page.locator('[data-class="ace"]').click()
    assert scores(page) == [0.6, 0.2]
    assert counts(page) == [0, 1, 1]
    assert page.locator('[data-class="ace"]').get_attribute("aria-pressed") == "false"
    page.locator("[data-role=none]").click()
    assert scores(page) == []
    assert page.locator("[data-role=count]").inner_text() == "no objects"
    page.locator("[data-role=all]").click()
    page.locator("[data-role=own]").click()
    assert scores(page) == [0.9, 0.2]
    assert page.locator("[data-role=own]").get_attribute("aria-pressed") == "true"
    page.locator("[data-role=threshold]").fill("0.5")
    assert page.locator("[data-role=own]").get_attribute("aria-pressed") == "false"
    assert page.evaluate("asked.length") == 1
    assert page.locator("[data-role=notes]").inner_text() == "Of an animation, the first image."
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_boxes_lie_where_they_are_in_the_picture_and_have_names(open_detect):
    page = open_detect()
    choose(page, "a.png")
    picture = page.locator("[data-role=result] img").bounding_box()
    scale = picture["width"] / 100
    box = page.locator('[data-role=results] g.detected[data-score="0.9"] rect.box').bounding_box()
    assert box["x"] - picture["x"] == pytest.approx(10 * scale, abs=2)
    assert box["y"] - picture["y"] == pytest.approx(20 * scale, abs=2)
    assert (box["width"], box["height"]) == pytest.approx((50 * scale, 50 * scale), abs=3)
    tags = page.locator("[data-role=result] .tag text")
    assert tags.all_text_contents() == ["king 0.60", "ace 0.90"]
    assert page.locator("[data-role=boxes]").last.get_attribute("aria-label") == "2 objects: 1 ace, 1 king"
    page.locator("[data-role=threshold]").fill("0.2")
    assert tags.all_text_contents() == ["0.20", "0.45", "0.60", "0.90"]  # so many names would hide a small picture


def test_the_json_has_what_is_shown_in_the_order_of_the_images(open_detect):
    page = open_detect()
    choose(page, "a.png", "b.png")
    page.locator('[data-class="king"]').click()
    with page.expect_download() as download:
        page.locator("[data-role=download]").click()
    assert download.value.suggested_filename == "detections.json"
    said = json.loads(download.value.path().read_text())
    assert said["model"] == "cards"
    assert said["threshold"] == dict.fromkeys(CLASSES, 0.5)
    assert [image["file"] for image in said["images"]] == ["a.png", "b.png"]
    for image in said["images"]:
        assert image["image"] == {"width": 100, "height": 80}
        assert image["detections"] == [FOUND[0]]
        assert image["milliseconds"] >= 0
    page.locator("[data-role=clear]").click()
    assert page.locator("[data-role=result]").count() == 0
    assert page.locator("[data-role=download]").is_disabled()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_images_are_pasted_and_dropped(open_detect, way):
    page = open_detect()
    event = {
        "paste": 'new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })',
        "drop": 'new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })',
    }[way]
    page.evaluate(
        f"""(content) => {{
          const data = new DataTransfer();
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          data.items.add(new File([bytes], "x.png", {{ type: "image/png" }}));
          document.body.dispatchEvent({event});
        }}""",
        base64.b64encode(PICTURE).decode(),
    )
    page.locator('[data-name="x.png"]').wait_for()
    assert scores(page) == [0.9, 0.6]


def test_a_camera_is_looked_at_frame_by_frame_until_it_is_off(open_detect):
    page = open_detect(CAMERA)
    page.locator("[data-role=camera-toggle]").click()
    page.locator("[data-role=camera] g.detected").first.wait_for()
    page.wait_for_function("asked.length > 2")
    assert scores(page, "[data-role=camera]") == [0.9, 0.6]
    assert page.evaluate("asked[0].type") == "image/jpeg"
    page.locator("[data-role=threshold]").fill("0.7")
    assert scores(page, "[data-role=camera]") == [0.9]
    page.locator("[data-role=keep]").click()
    page.locator('[data-name="camera.jpg"]').wait_for()
    assert "120 × 80" in page.locator("figcaption").inner_text()
    page.locator("[data-role=camera-toggle]").click()
    assert page.locator("[data-role=camera]").is_hidden()


def test_a_camera_that_is_refused_is_said_and_one_that_pages_may_not_use_is_asked_for_a_photo(open_detect):
    refuse = 'navigator.mediaDevices.getUserMedia = async () => { throw new Error("Permission denied"); };'
    page = open_detect(refuse)
    page.locator("[data-role=camera-toggle]").click()
    said = page.locator("[data-role=status]")
    assert said.inner_text() == "The camera cannot be used (Permission denied): allow it, or choose a photo."
    page = open_detect('Object.defineProperty(navigator, "mediaDevices", { value: undefined });')
    with page.expect_file_chooser() as chooser:
        page.locator("[data-role=camera-toggle]").click()
    assert chooser.value.element.get_attribute("capture") == "environment"


def test_what_is_no_image_and_what_a_server_refuses_is_said_in_a_sentence(open_detect):
    page = open_detect()
    files = [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in
             (("notes.png", b"no image"), ("a.png", PICTURE))]  # fmt: skip
    page.locator("[data-role=files]").set_input_files(files)
    page.locator('[data-name="a.png"]').wait_for()
    assert page.locator("[data-role=status]").inner_text() == "notes.png: it cannot be read as an image."
    page.evaluate("""() => {
      const detail = "The image is too large.";
      globalThis.fetch = async () => new Response(JSON.stringify({ detail }), { status: 413 });
    }""")
    page.locator("[data-role=files]").set_input_files(files[1:])
    page.get_by_text("a.png: The image is too large.").wait_for()
    page.evaluate("() => { globalThis.fetch = async () => { throw new TypeError('Failed to fetch'); }; }")
    page.locator("[data-role=files]").set_input_files(files[1:])
    page.get_by_text("a.png: the server cannot be reached.").wait_for()


def frames(count, format):
    """An animation: red, then blue."""
    images = [Image.new("RGB", (100, 80), "red"), *[Image.new("RGB", (100, 80), "blue")] * (count - 1)]
    return encoded(images[0], format, save_all=True, append_images=images[1:], duration=20, loop=0)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_frame_is_shown_that_was_looked_at(open_detect, format):
    page = open_detect()
    choose(page, "moving", content=frames(2, format))
    choose(page, "still", content=frames(1, format))
    shown = page.locator('[data-name="moving"] canvas')
    colour = shown.evaluate('(canvas) => [...canvas.getContext("2d").getImageData(50, 40, 1, 1).data]')
    assert np.abs(np.subtract(colour, [255, 0, 0, 255])).max() < 9
    assert shown.get_attribute("aria-label") == "moving"
    assert page.locator('[data-name="moving"] img').count() == 0
    assert page.locator('[data-name="still"] img').count() == 1
    size = shown.bounding_box()
    assert size == page.locator('[data-name="moving"] [data-role=boxes]').bounding_box()


def test_images_wait_for_the_token_and_are_sent_once_it_is_right(open_detect):
    page = open_detect(needs_token=True)
    page.evaluate("""() => {
      const answer = globalThis.fetch;
      globalThis.fetch = async (address, options) =>
        options.headers.get("Authorization") === "Bearer right"
          ? answer(address, options)
          : new Response(JSON.stringify({ detail: "send the header" }), { status: 401 });
    }""")
    files = [{"name": name, "mimeType": "image/png", "buffer": PICTURE} for name in ("a.png", "b.png")]
    page.locator("[data-role=files]").set_input_files(files)
    page.get_by_text("Type the token above first. 2 images wait for it.", exact=True).wait_for()
    token = page.get_by_label("Token of the server")
    token.fill("wrong")
    token.press("Enter")
    page.get_by_text("The token is wrong: type the right one above. 2 images wait for it.", exact=True).wait_for()
    token.fill("right")
    token.press("Enter")
    page.locator('[data-name="b.png"]').wait_for()
    assert page.locator("[data-role=result]").count() == 2
    assert page.evaluate("asked.length") == 2


def test_the_page_is_used_with_the_keyboard(open_detect):
    page = open_detect()
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.evaluate("1")  # so that Playwright surely listens
        page.keyboard.press("Enter")
    chooser.value.set_files([{"name": "a.png", "mimeType": "image/png", "buffer": PICTURE}])
    page.locator('[data-name="a.png"]').wait_for()
    roles = []
    for _ in range(4):
        page.keyboard.press("Tab")
        roles.append(page.evaluate("document.activeElement.dataset.role"))
        if roles[-1] == "threshold":
            page.keyboard.press("Home")
    assert roles == ["camera-toggle", "threshold", "own", "all"]
    assert len(scores(page)) == len(FOUND)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator('[data-class="ace"]').get_attribute("aria-pressed") == "false"


def test_the_line_for_a_shell_has_the_threshold_and_asks_for_the_token_where_there_is_one(open_detect):
    page = open_detect(needs_token=True)
    line = page.locator("[data-role=curl]")
    assert line.inner_text().startswith("curl -H 'Authorization: Bearer TOKEN' -F image=@photo.jpg '")
    assert line.inner_text().endswith("/v1/detect?threshold=0.5'")
    page.locator("[data-role=own]").click()
    assert line.inner_text().endswith("/v1/detect?threshold=auto'")
    page.get_by_label("Token of the server").fill("secret")
    choose(page, "a.png")
    assert page.evaluate("asked[0].token") == "Bearer secret"
    assert page.evaluate("asked[0].address").endswith("/v1/detect?threshold=0.01")
