"""A run's folder -> its timeline, what the page reads of it, and the chapter that draws it."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from setpiece.explain.matching_history import MAX_SNAPSHOTS
from setpiece.explain.payload_training import training_payload
from setpiece.explain.timeline import read_timeline
from setpiece.records import TERMS
from setpiece.runs import recording_files

from ..arrays import unpack
from ..runs.test_recording_files import L, Q, make_epoch, make_header


def sensible(epoch, with_snapshot=True):
    """Random, but with counts that are parts of their wholes."""
    made = make_epoch(epoch, with_snapshot)
    agreement = np.maximum(made.agreement, made.agreement.T)
    agreement[np.arange(L), np.arange(L)] = made.targets
    return replace(made, agreement=agreement)


def write_run(folder, epochs=(1, 2, 3), slots="top-k"):
    """A recorded run; every second epoch without a snapshot."""
    recording_files.write_header(folder / "recording", make_header(slots=slots))
    start = replace(sensible(0), images=0)
    for epoch in [start, *(sensible(n, with_snapshot=n % 2 == 1) for n in epochs)]:
        recording_files.write_epoch(folder / "recording", epoch)
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


def matching_of(run):
    return read_timeline(run)[0].matching


def payload_of(run):
    """What the page reads."""
    return training_payload(read_timeline(run)[0])


def test_shares_are_those_of_the_recorded_counts(run):
    timeline, missing = read_timeline(run)
    matching = timeline.matching
    assert missing == []
    epochs = [epoch for epoch in recording_files.read(run / "recording").epochs if epoch.images]
    assert matching.epochs.tolist() == [1, 2, 3]
    for row, epoch in enumerate(epochs):
        np.testing.assert_allclose(matching.instability[row], epoch.changed / 12, rtol=1e-6)
        np.testing.assert_allclose(matching.agreement[row], epoch.agreement[:, -1] / 20, rtol=1e-6)
        np.testing.assert_array_equal(matching.terms[row], epoch.terms)
    np.testing.assert_allclose(matching.agreement_between, epochs[-1].agreement / 20, rtol=1e-6)
    usage = sum(epoch.matched for epoch in epochs)
    np.testing.assert_allclose(matching.usage, usage / usage.sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(matching.usage.sum(1), 1, rtol=1e-6)


def test_sampled_boxes_of_several_snapshots_come_together(run):
    matching = matching_of(run)
    snapshots = [epoch.snapshot for epoch in recording_files.read(run / "recording").epochs if epoch.snapshot]
    boxes, flags = (np.concatenate([getattr(one, name) for one in snapshots]) for name in ("sample", "sample_matched"))
    np.testing.assert_array_equal(matching.sample, boxes)
    np.testing.assert_array_equal(matching.sample_matched, flags)


def test_metrics_are_those_of_the_run(run):
    metrics = read_timeline(run)[0].metrics
    assert metrics.epoch.tolist() == [1, 2, 3]
    np.testing.assert_allclose(metrics.AP, [0.1, np.nan, 0.3])
    np.testing.assert_allclose(metrics.loss, [9.0, 4.5, 3.0])
    np.testing.assert_allclose(metrics.seconds, [2.5, 5.0, 7.5])
    assert payload_of(run)["metrics"]["AP"] == pytest.approx([0.1, None, 0.3])


def test_the_probes_carry_the_box_cost_and_origin_of_every_matched_query(run):
    matching = matching_of(run)
    with_snapshot = [epoch for epoch in recording_files.read(run / "recording").epochs if epoch.snapshot]
    assert matching.kept_epochs.tolist() == [0, 1, 3]
    for p, found in enumerate(matching.probes):
        for n, epoch in enumerate(with_snapshot):
            snapshot = epoch.snapshot
            for layer in range(L):
                for t in range(len(found.probe.labels)):
                    k = snapshot.match[p, layer, t]
                    if k < 0:
                        assert found.origins[n, layer, t] == found.queries[n, layer, t] == -1
                        continue
                    assert found.origins[n, layer, t] == snapshot.origins[p, k]
                    assert found.queries[n, layer, t] == snapshot.queries[p, k]
                    assert found.best_labels[n, layer, t] == snapshot.labels[p, layer, k]
                    np.testing.assert_array_equal(found.boxes[n, layer, t], snapshot.boxes[p, layer, k])
                    np.testing.assert_array_equal(found.costs[n, layer, t], snapshot.costs[p, layer, t])
                    assert found.scores[n, layer, t] == snapshot.scores[p, layer, k]
    origins = [np.concatenate([probe.origins[n] for probe in matching.probes], 1) for n in range(3)]
    assert np.isnan(matching.probe_changes[0]).all()
    np.testing.assert_allclose(matching.probe_changes[2], (origins[2] != origins[1]).mean(1), rtol=1e-6)
    assert matching.probes[0].picture[:2] == b"\xff\xd8"
    assert matching.probes[1].picture is None


def test_the_images_of_highest_loss_say_how_often_they_were(run):
    hard = matching_of(run).hard_images
    last = recording_files.read(run / "recording").epochs[-1]
    assert [image.name for image in hard] == last.worst_names
    assert [image.loss for image in hard] == last.worst_losses.tolist()
    assert all(1 <= image.epochs <= 3 for image in hard)


def test_a_long_recording_is_thinned_out_but_keeps_its_ends(tmp_path):
    matching = matching_of(write_run(tmp_path, range(1, 200)))
    kept = matching.kept_epochs.tolist()
    assert len(kept) <= MAX_SNAPSHOTS
    assert (kept[0], kept[-1]) == (0, 199)
    assert all(len(probe.boxes) == len(kept) for probe in matching.probes)
    assert len(matching.snapshot_epochs) == len(matching.probe_changes) == 101
    assert len(matching.epochs) == 199


def test_what_was_not_compared_is_not_a_number(run):
    recording_files.write_epoch(run / "recording", replace(sensible(1), compared=0))
    assert np.isnan(matching_of(run).instability[0]).all()


def test_a_recording_without_snapshots_shows_its_counts(run):
    for epoch in (replace(sensible(0), images=0), sensible(1), sensible(3)):
        recording_files.write_epoch(run / "recording", replace(epoch, snapshot=None))
    matching = matching_of(run)
    assert matching.epochs.tolist() == [1, 2, 3]
    assert matching.kept_epochs.tolist() == matching.snapshot_epochs.tolist() == []
    assert [probe.boxes.shape for probe in matching.probes] == [(0, L, 2, 4)] * 2
    json.dumps(payload_of(run), allow_nan=False)


def test_the_page_reads_what_the_timeline_says(run):
    matching, said = matching_of(run), payload_of(run)["matching"]
    same = {
        "epochs": matching.epochs,
        "seconds": matching.seconds,
        "instability": matching.instability,
        "agreement": matching.agreement,
        "agreement_between": matching.agreement_between,
        "usage": matching.usage,
        "box_mean": matching.box_mean,
        "box_deviation": matching.box_deviation,
        "sample": np.rint(matching.sample * 255),
        "sample_matched": matching.sample_matched,
        "kept_epochs": matching.kept_epochs,
        "probe_changes": matching.probe_changes,
        "snapshot_epochs": matching.snapshot_epochs,
    }
    for name, values in same.items():
        np.testing.assert_array_equal(unpack(said[name]), values)
    for index, name in enumerate(TERMS):
        np.testing.assert_array_equal(unpack(said["terms"][name]), matching.terms[:, index])
    assert said["slots"] == "top-k"
    assert [row["name"] for row in said["worst"]] == [image.name for image in matching.hard_images]
    assert [row["loss"] for row in said["worst"]] == pytest.approx([image.loss for image in matching.hard_images])
    for packed, probe in zip(said["probes"], matching.probes, strict=True):
        assert packed["labels"] == probe.probe.labels
        np.testing.assert_allclose(unpack(packed["targets"]), probe.probe.boxes, rtol=1e-6)
        for name in ("boxes", "origins", "queries", "best_labels", "scores", "costs"):
            np.testing.assert_array_equal(unpack(packed[name]), getattr(probe, name))
    assert base64.b64decode(said["probes"][0]["src"].split(",")[1]) == matching.probes[0].picture
    assert said["probes"][1]["src"] is None


def test_an_older_run_shows_its_metrics_and_says_what_is_missing(run):
    for file in (run / "recording").iterdir():
        file.unlink()
    timeline, missing = read_timeline(run)
    assert timeline.matching is None
    assert payload_of(run)["matching"] is None
    assert timeline.metrics.epoch.tolist() == [1, 2, 3]
    assert len(missing) == 1
    assert "not recorded" in missing[0]


def test_damaged_files_are_named_and_the_rest_is_shown(run):
    (run / "recording" / "epoch-000003.safetensors").write_bytes(b"torn")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo\n[]\n')
    timeline, missing = read_timeline(run)
    assert timeline.matching.epochs.tolist() == [1, 2]
    assert timeline.metrics.epoch.tolist() == [1, 2, 3]
    assert missing == [
        "2 lines of metrics.jsonl are damaged and left out.",
        "epoch-000003.safetensors of the recording is damaged.",
    ]


def test_a_recording_that_has_only_begun_is_said(run):
    recording_files.cut(run / "recording", 0)
    timeline, missing = read_timeline(run)
    assert timeline.matching is None
    assert "no complete epoch" in missing[0]


def test_a_folder_that_is_no_run_has_nothing_to_show(tmp_path):
    timeline, missing = read_timeline(tmp_path)
    assert timeline is None
    assert len(missing) == 2


@pytest.fixture
def page(run, make_payload, open_page):
    """The Training chapter of a report, open."""
    payload, _ = make_payload([2])
    return open_page({**payload, "training": payload_of(run)}, chapter="training")


def numbers(page, selector):
    return [float(element.get_attribute("data-value")) for element in page.query_selector_all(selector)]


def test_charts_show_the_numbers_of_python(page, run):
    matching = payload_of(run)["matching"]
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 5")

    def drawn(role):
        return np.array(page.evaluate(f"document.querySelector('[data-role={role}]').data.map((d) => d.y)"), float).T

    np.testing.assert_allclose(drawn("chart-instability"), unpack(matching["instability"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-agreement"), unpack(matching["agreement"])[:, :-1], rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-moved"), unpack(matching["probe_changes"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-loss"), unpack(matching["terms"]["class"]), rtol=1e-6)
    np.testing.assert_allclose(drawn("chart-ap"), [[0.1, 0.2], [0.3, 0.6]], rtol=1e-6)
    page.click("[data-role=loss-term-giou]")
    np.testing.assert_allclose(drawn("chart-loss"), unpack(matching["terms"]["giou"]), rtol=1e-6)
    np.testing.assert_allclose(
        numbers(page, "[data-role=agreement]"), unpack(matching["agreement_between"]).ravel(), rtol=1e-6
    )


def test_sliding_through_the_epochs_moves_boxes_and_costs(page, run):
    probe = payload_of(run)["matching"]["probes"][0]
    queries, costs = unpack(probe["queries"]), unpack(probe["costs"])
    snapshot, layer = page.locator("[data-role=snapshot]"), page.locator("[data-role=probe-layer]")
    for n in (2, 0, 1):
        snapshot.fill(str(n))
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
    origins = unpack(payload_of(run)["matching"]["probes"][0]["origins"])[:, -1]  # of the last layer
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
    usage = unpack(payload_of(run)["matching"]["usage"])
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
    page.locator("[data-role=snapshot]").fill("0")
    page.click("[data-role=play]")
    page.wait_for_function("document.querySelector('[data-role=snapshot]').value === '2'")
    page.wait_for_function("document.querySelector('[data-role=play]').textContent.includes('Play')")


@pytest.mark.parametrize("slots", ["learned", "top-k"])
def test_the_chapter_fits_a_telephone(tmp_path, make_payload, open_page, slots):
    payload, _ = make_payload([1])
    training = payload_of(write_run(tmp_path, slots=slots))
    page = open_page({**payload, "training": training}, width=390, scheme="dark", chapter="training")
    page.wait_for_selector(".js-plotly-plot")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_without_recording_shows_its_metrics_alone(run, make_payload, open_page):
    payload, _ = make_payload([1])
    training = {**payload_of(run), "matching": None}
    page = open_page({**payload, "training": training}, chapter="training")
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 2")
    assert page.locator("[data-view=training] .panel").count() == 2
    drawn = page.evaluate("document.querySelector('[data-role=chart-total]').data[0].y")
    assert drawn == pytest.approx([9.0, 4.5, 3.0])
