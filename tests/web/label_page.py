"""What a person does on the page of `setpiece label`, in pixels of the photo."""

from __future__ import annotations

import time


class LabelPage:
    """An open page with the server's labels behind it."""

    def __init__(self, page, labels, address):
        self.page, self.labels, self.address = page, labels, address
        self.keys = page.keyboard

    def until(self, condition):
        """Wait until JavaScript is true; Playwright's own waiting needs `eval`, which the page's policy forbids."""
        end = time.monotonic() + 30
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)

    def role(self, name):
        return self.page.locator(f"[data-role={name}]")

    def wait_for_photo(self):
        """Until a photo and its boxes are there."""
        self.until("document.querySelector('.label-ground img')?.complete")
        self.until("!document.querySelector('[data-role=suggestion-line]').matches(':empty')")

    def at(self, x, y):
        """Where a pixel of the photo is on the screen."""
        frame = self.role("stage").bounding_box()
        view = self.role("stage").evaluate("one => [one.dataset.scale, one.dataset.x, one.dataset.y].map(Number)")
        return frame["x"] + view[1] + x * view[0], frame["y"] + view[2] + y * view[0]

    def click(self, x, y, **options):
        self.page.mouse.click(*self.at(x, y), **options)

    def drag(self, start, end):
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        self.page.mouse.move(*self.at(*end))
        self.page.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.keys.press(key)

    def saved(self):
        """Wait until the server has all; it answers what the last change was called."""
        self.until("document.querySelector('[data-role=saved]').textContent === 'Saved'")
        return self.labels.past[-1]["action"] if self.labels and self.labels.past else None

    def boxes(self, id=None):
        """The boxes that the server has: class, left, top, right, bottom in whole pixels."""
        self.saved()
        found = self.labels.images[id or self.image()]["boxes"]
        return [(one["class"], *(round(side) for side in one["box"])) for one in found]

    def image(self):
        """The id of the photo in view."""
        return int(self.page.locator(".label-ground img").get_attribute("src").split("/")[-1])

    def wait_for_image(self, id):
        self.page.locator(f'.label-ground img[src="photos/{id}"]').wait_for()
        self.wait_for_photo()

    def shown(self, kind="labelled"):
        """How many boxes or suggestions are drawn."""
        return self.role("drawing").locator(f"[data-role={kind}]").count()

    def says(self, text):
        """Wait for a sentence."""
        self.role("said").get_by_text(text).wait_for()
