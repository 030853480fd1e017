"""What a run shows while it trains: a live view in a terminal, lines elsewhere."""

import io
import re

import pytest
from rich.console import Console

from setpiece.evaluation import evaluate_coco
from setpiece.training import display as displaying
from setpiece.training.config import resolve
from setpiece.training.display import Display, Status
from setpiece.training.start import start_training

LOSSES = {"loss": 3.21449, "class": 0.4118, "l1": 0.0312, "giou": 0.2, "one_to_many": 1.5}
STATUS = Status(
    epoch=12,
    done=0.455,
    losses=LOSSES,
    learning_rate=2.5e-3,
    rate=112.4,
    memory=1_288_490_189,
    left=160.0,
    note="other programs use 0.8 of 2 cores",
)
TRUTH = {
    "images": [{"id": 1}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}],
    "categories": [{"id": 1, "name": "cell"}],
}


def metrics(height):
    """Of one box that is so high; 50 is all of the object."""
    return evaluate_coco(TRUTH, [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, height], "score": 0.9}])


def terminal(width):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=30, color_system=None)


def view(display):
    """The lines of the live view."""
    console = display.console
    with console.capture() as capture:
        console.print(display)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [80, 160])
def test_the_view_holds_all_that_a_run_is_asked_for_and_fits_the_terminal(width):
    display = Display(terminal(width))
    display.evaluated(8, 60.0, metrics(50), best=True)
    display.evaluated(10, 80.0, metrics(40), best=False)
    display.step(STATUS)
    lines = view(display)
    assert max(map(len, lines)) <= width
    text = re.sub(r"\s+", " ", " ".join(lines))
    for said in (
        "epoch 12",
        "46%",
        "2 min 40 s left",
        "loss 3.214 class 0.412 L1 0.031 GIoU 0.200 one-to-many 1.500",
        "AP 0.700 AP50 1.000 in epoch 10",
        "best AP 1.000 AP50 1.000 in epoch 8",
        "lr 2.5e-03 112 images/s 1.2 GB memory",
        "other programs use 0.8 of 2 cores",
    ):
        assert said in text, said
    assert len(lines) <= 6


def test_a_line_is_broken_between_two_things_and_not_within_one():
    display = Display(terminal(44))
    display.step(STATUS)
    assert "  loss 3.214   class 0.412   L1 0.031" in view(display)
    assert "  GIoU 0.200   one-to-many 1.500" in view(display)


def test_while_images_are_evaluated_the_latest_losses_stay_in_view():
    display = Display(terminal(80))
    display.step(STATUS)
    display.evaluating(0.455, 120)
    first, losses, *_ = view(display)
    assert first.startswith("evaluating")
    assert first.endswith("120 images")
    assert "GIoU 0.200" in losses


def test_an_evaluation_with_nothing_to_measure_is_no_number():
    display = Display(terminal(80))
    display.evaluated(3, 20.0, evaluate_coco(TRUTH | {"annotations": []}, []), best=True)
    display.step(STATUS)
    assert "  no AP, since there are no objects" in view(display)


def test_a_resumed_run_knows_its_evaluations():
    display = Display(terminal(100))
    display.resumed([{"epoch": 1}, {"epoch": 2, "AP": 0.5, "AP50": 0.75}, {"epoch": 4, "AP": None, "AP50": None}, {}])
    display.step(STATUS)
    assert "  AP nan" not in "\n".join(view(display))
    display.evaluated(6, 80.0, metrics(40), best=True)
    assert "  AP 0.700  AP50 1.000 in epoch 6, the best so far" in view(display)
    display.resumed([{"epoch": 7, "AP": 0.25, "AP50": 0.5}])
    assert "  AP 0.250  AP50 0.500 in epoch 7   best AP 0.700  AP50 1.000 in epoch 6" in view(display)


def test_the_view_is_gone_after_the_run_and_what_was_said_stays():
    console = terminal(80)
    with Display(console) as display:
        display.step(STATUS)
        display.say("a sentence that stays")
    assert "a sentence that stays" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[2K")  # the last line of the view is erased


def test_without_a_terminal_a_line_says_the_same(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(displaying, "LOG_SECONDS", 0.0)
    console = Console(file=io.StringIO(), force_terminal=False, width=60)
    config = resolve(scenes, "detr-tiny", epochs=2, size=64, batch_size=8, evaluations=2, precision="fp32")
    start_training(config, tmp_path / "run", display=Display(console))
    text = console.file.getvalue()
    assert "\x1b" not in text
    *_, last = [line for line in text.splitlines() if line.startswith("epoch 2 ")]
    n = r"[0-9.]+"
    assert re.fullmatch(
        rf"epoch 2 100% loss {n}  class {n}  L1 {n}  GIoU {n}  AP {n}  AP50 {n} in epoch 1, the best so far  "
        rf"lr {n}e-0\d  \d+ images/s  {n} [MG]B memory(  other programs .*)?  0 s left",
        last,
    ), last
