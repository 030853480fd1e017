"""A run's folder -> the training part of the payload, and the chapter that draws it."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from setpiece.explain.arrays import unpack
from setpiece.explain.timeline import MOST_LOOKS, read_timeline
from setpiece.records import TERMS
from setpiece.runs import recording

from ..runs.test_recording import L, Q, make_epoch, make_header


def sensible(epoch, seen=True):
    """Random, but with counts that are parts of their wholes."""
    made = make_epoch(epoch, seen)
    agreement = np.maximum(made.agreement, made.agreement.T)
    agreement[np.arange(L), np.arange(L)] = made.targets
    return replace(made, agreement=agreement)


def write_run(folder, epochs=(1, 2, 3), slots="ranked"):
    """A recorded run; every second epoch without a look at the probes."""
    recording.write_header(folder / "recording", make_header(slots=slots))
    start = replace(sensible(0), images=0)
    for epoch in [start, *(sensible(n, seen=n % 2 == 1) for n in epochs)]:
        recording.write_epoch(folder / "recording", epoch)
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (90, 150, 170)).save(picture, "JPEG")
    (folder / "recording" / "probe-0.jpg").write_bytes(picture.getvalue())
    rows = [
        {
            "epoch": n,
            "step": 10 * n,
            "loss": 9.0 / n,
            "seconds": 2.5 * n,
            **({"AP": 0.1 * n, "AP50": 0.2 * n} if n % 2 else {}),
        }
        for n in epochs
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path)


def test_shares_are_those_of_the_recorded_counts(run):
    training, missing = read_timeline(run)
    matching = training["matching"]
    assert missing == []
    epochs = [epoch for epoch in recording.read(run / "recording").epochs if epoch.images]
    assert unpack(matching["epochs"]).tolist() == [1, 2, 3]
    for row, epoch in enumerate(epochs):
        np.testing.assert_allclose(unpack(matching["instability"])[row], epoch.changed / 12, rtol=1e-6)
        np.testing.assert_allclose(unpack(matching["agreement"])[row], epoch.agreement[:, -1] / 20, rtol=1e-6)
        for name, term in zip(TERMS, epoch.terms, strict=True):
            np.testing.assert_allclose(unpack(matching["terms"][name])[row], term)
    np.testing.assert_allclose(unpack(matching["agreement_between"]), epochs[-1].agreement / 20, rtol=1e-6)
    usage = sum(epoch.matched for epoch in epochs)
    np.testing.assert_allclose(unpack(matching["usage"]), usage / usage.sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(unpack(matching["usage"]).sum(1), 1, rtol=1e-6)


def test_sampled_boxes_of_several_looks_come_together(run):
    matching = read_timeline(run)[0]["matching"]
    looked = [epoch.snapshot for epoch in recording.read(run / "recording").epochs if epoch.snapshot]
    boxes, flags = (np.concatenate([getattr(one, name) for one in looked]) for name in ("sample", "sample_matched"))
    np.testing.assert_array_equal(unpack(matching["sample"]), np.rint(boxes * 255))
    np.testing.assert_array_equal(unpack(matching["sample_matched"]), flags)


def test_metrics_are_those_of_the_run(run):
    metrics = read_timeline(run)[0]["metrics"]
    assert metrics["epoch"] == [1, 2, 3]
    assert metrics["AP"] == pytest.approx([0.1, None, 0.3])
    assert metrics["loss"] == pytest.approx([9.0, 4.5, 3.0])


def test_the_probes_carry_the_box_cost_and_origin_of_every_matched_query(run):
    matching = read_timeline(run)[0]["matching"]
    looked = [epoch for epoch in recording.read(run / "recording").epochs if epoch.snapshot]
    assert unpack(matching["looks"]).tolist() == [0, 1, 3]
    for p, probe in enumerate(matching["probes"]):
        found = {name: unpack(probe[name]) for name in ("boxes", "origins", "queries", "scores", "costs")}
        for n, epoch in enumerate(looked):
            snapshot = epoch.snapshot
            for layer in range(L):
                for t in range(len(probe["labels"])):
                    k = snapshot.match[p, layer, t]
                    if k < 0:
                        assert found["origins"][n, layer, t] == found["queries"][n, layer, t] == -1
                        continue
                    assert found["origins"][n, layer, t] == snapshot.origins[p, k]
                    assert found["queries"][n, layer, t] == snapshot.queries[p, k]
                    np.testing.assert_array_equal(found["boxes"][n, layer, t], snapshot.boxes[p, layer, k])
                    np.testing.assert_array_equal(found["costs"][n, layer, t], snapshot.costs[p, layer, t])
                    assert found["scores"][n, layer, t] == snapshot.scores[p, layer, k]
    moved = unpack(matching["moved"])
    origins = [np.concatenate([unpack(probe["origins"])[n] for probe in matching["probes"]], 1) for n in range(3)]
    assert np.isnan(moved[0]).all()
    np.testing.assert_allclose(moved[2], (origins[2] != origins[1]).mean(1), rtol=1e-6)
    assert base64.b64decode(matching["probes"][0]["src"].split(",")[1])[:2] == b"\xff\xd8"
    assert matching["probes"][1]["src"] is None


def test_the_images_of_highest_loss_say_how_often_they_were(run):
    matching = read_timeline(run)[0]["matching"]
    last = recording.read(run / "recording").epochs[-1]
    assert [row["name"] for row in matching["worst"]] == last.worst_names
    assert [row["loss"] for row in matching["worst"]] == pytest.approx(last.worst_losses.tolist())
    assert all(1 <= row["epochs"] <= 3 for row in matching["worst"])


def test_a_long_recording_is_thinned_out_but_keeps_its_ends(tmp_path):
    matching = read_timeline(write_run(tmp_path, range(1, 200)))[0]["matching"]
    looks = unpack(matching["looks"]).tolist()
    assert len(looks) <= MOST_LOOKS
    assert (looks[0], looks[-1]) == (0, 199)
    assert len(unpack(matching["moved_epochs"])) == 101
    assert len(unpack(matching["epochs"])) == 199


def test_what_was_not_compared_is_not_a_number(run):
    recording.write_epoch(run / "recording", replace(sensible(1), compared=0))
    assert np.isnan(unpack(read_timeline(run)[0]["matching"]["instability"])[0]).all()


def test_an_older_run_shows_its_metrics_and_says_what_is_missing(run):
    for file in (run / "recording").iterdir():
        file.unlink()
    training, missing = read_timeline(run)
    assert training["matching"] is None
    assert training["metrics"]["epoch"] == [1, 2, 3]
    assert len(missing) == 1
    assert "not recorded" in missing[0]


def test_damaged_files_are_named_and_the_rest_is_shown(run):
    (run / "recording" / "epoch-000003.safetensors").write_bytes(b"torn")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo\n[]\n')
    training, missing = read_timeline(run)
    assert unpack(training["matching"]["epochs"]).tolist() == [1, 2]
    assert training["metrics"]["epoch"] == [1, 2, 3]
    assert missing == [
        "2 lines of metrics.jsonl are damaged and left out.",
        "epoch-000003.safetensors of the recording is damaged.",
    ]


def test_a_recording_that_has_only_begun_is_said(run):
    recording.cut(run / "recording", 0)
    training, missing = read_timeline(run)
    assert training["matching"] is None
    assert "no whole epoch" in missing[0]


def test_a_folder_that_is_no_run_has_nothing_to_show(tmp_path):
    training, missing = read_timeline(tmp_path)
    assert training is None
    assert len(missing) == 2


@pytest.fixture
def page(run, make_payload, open_page):
    """The Training chapter of a report, open."""
    payload, _ = make_payload([2])
    return open_page({**payload, "training": read_timeline(run)[0]}, chapter="training")


def numbers(page, selector):
    return [float(element.get_attribute("data-value")) for element in page.query_selector_all(selector)]


def test_charts_show_the_numbers_of_python(page, run):
    matching = read_timeline(run)[0]["matching"]
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 5")

    def drawn(role):
        return np.array(page.evaluate(f"document.querySelector('[data-role={role}]').data.map((d) => d.y)"), float).T

    np.testing.assert_allclose(drawn("chart-instability"), unpack(matching["instability"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-agreement"), unpack(matching["agreement"])[:, :-1], rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-moved"), unpack(matching["moved"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-loss"), unpack(matching["terms"]["class"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-ap"), [[0.1, 0.2], [0.3, 0.6]], rtol=1e-6)
    page.click("[data-role=loss-term-giou]")
    np.testing.assert_allclose(drawn("chart-loss"), unpack(matching["terms"]["giou"]), rtol=1e-6)
    np.testing.assert_allclose(
        numbers(page, "[data-role=agreement]"), unpack(matching["agreement_between"]).ravel(), rtol=1e-6
    )


def test_sliding_through_the_epochs_moves_boxes_and_costs(page, run):
    probe = read_timeline(run)[0]["matching"]["probes"][0]
    queries, costs = unpack(probe["queries"]), unpack(probe["costs"])
    look, layer = page.locator("[data-role=look]"), page.locator("[data-role=probe-layer]")
    for n in (2, 0, 1):
        look.fill(str(n))
        for chosen in (0, 2):
            layer.fill(str(chosen))
            shown = page.locator("[data-role=probe-pairs] [data-role=query]").all_text_contents()
            assert shown == [str(q) if q >= 0 else "–" for q in queries[n, chosen].tolist()]
            for term in range(3):
                values = [e.get_attribute("data-value") for e in page.query_selector_all(f"[data-role=cost-{term}]")]
                there = queries[n, chosen] >= 0
                assert [value != "" for value in values] == there.tolist()
                np.testing.assert_allclose([float(v) for v in values if v], costs[n, chosen, there, term], rtol=1e-6)
            assert page.locator("[data-role=probe-prediction]").count() == (queries[n, chosen] >= 0).sum()
            assert page.locator("[data-role=probe-target]").count() == 2


def test_strips_tell_when_a_target_changed_its_query(page, run):
    origins = unpack(read_timeline(run)[0]["matching"]["probes"][0]["origins"])[:, -1]  # of the last layer
    for target, row in enumerate(page.query_selector_all(".strip")):
        stretches = row.query_selector_all("i")
        spread = [
            int(one.get_attribute("data-origin"))
            for one in stretches
            for _ in range(int(one.get_attribute("data-length")))
        ]
        assert spread == origins[:, target].tolist()
    page.click("[data-role=strip-1]")
    assert page.locator("[data-role=probe-pairs] tr.current").get_attribute("data-target") == "1"
    page.click("[data-role=probe-1]")
    assert page.locator("[data-role=probe-pairs] tbody tr").count() == 2


def test_slots_are_drawn_with_their_share(page, run):
    usage = unpack(read_timeline(run)[0]["matching"]["usage"])
    page.click("[data-role=slot-order-slot]")
    np.testing.assert_allclose(numbers(page, "[data-role=slot-bars] i"), usage[-1], rtol=1e-6)
    page.click("[data-role=slot-layer-0]")
    np.testing.assert_allclose(numbers(page, "[data-role=slot-bars] i"), usage[0], rtol=1e-6)
    page.click("[data-role=slot-order-use]")
    assert numbers(page, "[data-role=slot-bars] i") == sorted(usage[0].tolist(), reverse=True)
    dead = int((usage[0] == 0).sum())
    assert f"{dead} had none" in page.text_content("[data-role=slot-words]")
    assert page.locator(".slot-tile").count() == Q


def test_playing_ends_at_the_last_epoch(page):
    page.locator("[data-role=look]").fill("0")
    page.click("[data-role=play]")
    page.wait_for_function("document.querySelector('[data-role=look]').value === '2'")
    page.wait_for_function("document.querySelector('[data-role=play]').textContent.includes('Play')")


@pytest.mark.parametrize("slots", ["learned", "ranked"])
def test_the_chapter_fits_a_telephone(tmp_path, make_payload, open_page, slots):
    payload, _ = make_payload([1])
    training = read_timeline(write_run(tmp_path, slots=slots))[0]
    page = open_page({**payload, "training": training}, width=390, scheme="dark", chapter="training")
    page.wait_for_selector(".js-plotly-plot")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_without_recording_shows_its_metrics_alone(run, make_payload, open_page):
    payload, _ = make_payload([1])
    training = {**read_timeline(run)[0], "matching": None}
    page = open_page({**payload, "training": training}, chapter="training")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 2")
    assert page.locator("[data-view=training] .panel").count() == 2
    drawn = page.evaluate("document.querySelector('[data-role=chart-total]').data[0].y")
    assert drawn == pytest.approx([9.0, 4.5, 3.0])
