"""How quick the page of `setpiece label` is while its trainer trains: a real browser, server and trainer.

    python benchmarks/label_page.py DATA [--times 100] [--pause 0.5] [--every 4]

The training images of DATA are the photos. Ten are labelled through the HTTP interface, and another one whenever
`--every` seconds have passed, so that the trainer always has something new to learn. Once there are suggestions, a
person in chromium goes from photo to photo, with `--pause` seconds between two actions: accepts a suggestion by a
click, draws a box, undoes it, and presses the key for the next photo.

All is timed inside the page, from when the browser took the input until the frame is there that shows what it did; for
a box that is drawn, from pressing the button, with the movements that are sent meanwhile, and from letting it go. For
the next photo its picture has to be decoded, and its boxes shown. "Saved" is the time until the server has answered
that a change is on disk, and the page says so; undo is shown only after that.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from labelling import HEADERS, serving
from setpiece.data import Example, open_dataset

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
FIRST = 10  # photos that are labelled before
LOWER = 9  # steps of the threshold, where nothing is suggested that is sure

# `watch` waits for an event of each type, and then for frames until what is wanted is shown, and then saved.
CLOCK = """
window.bench = (() => {
  const boxes = () => document.querySelectorAll("[data-role=drawing] [data-role=labelled]").length;
  const photo = () => document.querySelector(".label-ground img");
  const text = (role) => document.querySelector(`[data-role=${role}]`).textContent;
  const painted = async () => {
    await new Promise(requestAnimationFrame);
    await new Promise((done) => setTimeout(done));
    return performance.now();
  };
  const shows = {
    boxes: (count) => boxes() === count,
    photo: async (before) => {
      if (!photo()?.complete || photo().src === before) return false;
      await photo().decode();
      return text("suggestion-line") !== "";
    },
  };
  function watch(types, what, value) {
    const begun = types.map((type) => new Promise((resolve) =>
      addEventListener(type, (event) => resolve(event.timeStamp), { capture: true, once: true })));
    bench.measured = (async () => {
      const starts = await Promise.all(begun);
      let shown = await painted();
      while (!(await shows[what](value))) shown = await painted();
      if (what === "photo") shown = await painted(); // it is decoded now
      let done = shown;
      while (text("saved") !== "Saved") done = await painted();
      return { shown: starts.map((start) => shown - start), saved: done - starts.at(-1) };
    })();
  }
  return { boxes, photo, watch };
})();
"""
# Where the surest suggestion is on the screen, null where there is none.
SUGGESTION = """() => {
  const found = [...document.querySelectorAll("[data-role=drawing] [data-role=suggested] .box")].at(-1);
  if (!found) return null;
  const { x, y, width, height } = found.getBoundingClientRect();
  return [x + width / 2, y + height / 2];
}"""


@dataclass
class Person:
    """Acts on the page, and notes how long each action took.

    Attributes:
        page: open, with a photo in view.
        pause: seconds before each action.
        shown: milliseconds until it was shown, for each action.
        saved: until it was saved.
    """

    page: Page
    pause: float
    shown: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    saved: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def accept(self) -> None:
        """A suggestion, if there is one."""
        lowered = 0
        while (place := self.page.evaluate(SUGGESTION)) is None and lowered < LOWER:
            self.page.keyboard.press("[")
            lowered += 1
        if place is not None:
            self.page.mouse.move(*place)
            self.do(
                {"accept a suggestion": "pointerup"}, ("boxes", self.boxes() + 1), lambda: self.page.mouse.click(*place)
            )
        for _ in range(lowered):
            self.page.keyboard.press("]")

    def draw(self) -> None:
        """A box in the middle, over whatever is there."""
        frame = self.page.locator(".label-ground img").bounding_box()
        assert frame is not None
        x, y, width, height = (frame[name] for name in ("x", "y", "width", "height"))
        self.page.mouse.move(x + 0.31 * width, y + 0.33 * height)

        def drag() -> None:
            self.page.keyboard.down("Shift")
            self.page.mouse.down()
            self.page.mouse.move(x + 0.5 * width, y + 0.5 * height)
            self.page.mouse.move(x + 0.68 * width, y + 0.71 * height)
            self.page.mouse.up()
            self.page.keyboard.up("Shift")

        types = {"draw a box, from pressing": "pointerdown", "draw a box, from letting go": "pointerup"}
        self.do(types, ("boxes", self.boxes() + 1), drag)

    def undo(self) -> None:
        self.do({"undo": "keydown"}, ("boxes", self.boxes() - 1), lambda: self.page.keyboard.press("z"))

    def turn(self) -> None:
        """To the next photo."""
        before = self.page.evaluate("bench.photo().src")
        self.do({"next photo": "keydown"}, ("photo", before), lambda: self.page.keyboard.press("d"))

    def boxes(self) -> int:
        return int(self.page.evaluate("bench.boxes()"))

    def do(self, types: dict[str, str], wanted: tuple[str, Any], act: Callable[[], None]) -> None:
        self.page.wait_for_timeout(1000 * self.pause)
        self.page.evaluate("([types, what, value]) => bench.watch(types, what, value)", [list(types.values()), *wanted])
        act()
        measured = self.page.evaluate("bench.measured")
        for name, shown in zip(types, measured["shown"], strict=True):
            self.shown[name].append(shown)
        self.saved[name].append(measured["saved"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.5)
    parser.add_argument("--every", type=float, default=4.0)
    options = parser.parse_args()
    dataset = open_dataset(options.data, "train")
    examples = {example.path.name: example for example in dataset.examples}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name, example in examples.items():
            shutil.copy(example.path, photos / name)
        with serving(photos, Path(folder) / "labels", dataset.classes) as client, sync_playwright() as playwright:
            for _ in range(FIRST):
                label(client, examples)
            wait_for_suggestions(client)
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(CLOCK)
            page.goto(str(client.base_url))
            page.locator(".label-ground img").wait_for()
            person = Person(page, options.pause)
            said = work(person, client, examples, options)
            browser.close()
    print("| action | times | shown p50 | p95 | most | saved p50 | p95 (ms) |\n|---|---|---|---|---|---|---|")
    for name, shown in person.shown.items():
        print(
            f"| {name} | {len(shown)} | {numbers(shown, (50, 95, 100))} | {numbers(person.saved.get(name), (50, 95))} |"
        )
    print(said)


def work(person: Person, client: httpx.Client, examples: dict[str, Example], options: argparse.Namespace) -> str:
    """Go through so many photos; what the trainer did meanwhile."""
    states: Counter[str] = Counter()
    before, labelled, last = client.get("/api/state").json()["training"]["round"], 0, time.monotonic()
    for _ in range(options.times):
        for act in (person.accept, person.draw, person.undo):
            act()
            states[client.get("/api/state").json()["training"]["state"]] += 1
        if time.monotonic() - last > options.every:  # after the undo, which else would take this back
            label(client, examples)
            labelled, last = labelled + 1, time.monotonic()
        person.turn()
    after = client.get("/api/state").json()["training"]["round"]
    shares = ", ".join(f"{state} {count / states.total():.0%}" for state, count in states.most_common())
    return f"The trainer meanwhile: {shares}; round {before} to {after}; {labelled} more photos were labelled beside."


def label(client: httpx.Client, examples: dict[str, Example]) -> None:
    """The photo that would come last, as it is labelled in the data set."""
    state = client.get("/api/state").json()
    files = {image["id"]: image["file"] for image in state["images"]}
    image = client.get(f"/api/images/{state['order']['next'][-1]}").json()
    example = examples[files[image["id"]]]
    objects = zip(example.boxes_xyxy.tolist(), example.labels.tolist(), strict=True)
    boxes = [{"box": box, "class": label} for box, label in objects]
    sent = {"revision": image["revision"], "state": "labelled" if boxes else "empty", "boxes": boxes, "action": "label"}
    client.put(f"/api/images/{image['id']}", json=sent, headers=HEADERS).raise_for_status()


def wait_for_suggestions(client: httpx.Client) -> None:
    """Until the detector has looked at the photo that comes first."""
    while client.get(f"/api/images/{client.get('/api/state').json()['order']['next'][0]}").json()["round"] is None:
        time.sleep(0.5)


def numbers(values: list[float] | None, percentiles: tuple[int, ...]) -> str:
    """Percentiles in a row of the table."""
    return " | ".join(f"{value:.0f}" for value in np.percentile(values, percentiles)) if values else "| "


if __name__ == "__main__":
    main()
