"""What the page reads says what the facts say, and stays small."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setpiece.explain.arrays import array, rounded
from setpiece.explain.image_findings import Finding
from setpiece.explain.payload import pack_images, report_payload
from setpiece.explain.payload_image import pack_image
from setpiece.explain.report_image import make_report_image
from setpiece.explain.timeline import Metrics, Timeline
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion
from setpiece.web import render

from ..arrays import unpack

ALL = 10_000


def make_image(T, Q, L=3, C=3, form="sigmoid", seed=0, name="a.jpg"):
    generator = torch.Generator().manual_seed(seed)
    outputs = Outputs(
        torch.randn(L, 1, Q, C + (form == "softmax"), generator=generator),
        torch.rand(L, 1, Q, 4, generator=generator) * 0.5 + 0.2,
    )
    target = {"labels": torch.randint(C, (T,), generator=generator), "boxes": torch.rand(T, 4, generator=generator)}
    return make_report_image(name, 7, None, outputs, Targets.from_list([target]), SetCriterion(form=form))


def compact(said):
    """As the page has it."""
    return json.dumps(said, separators=(",", ":"))


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_all_queries_are_said_as_they_are(form):
    image = make_image(4, 6, form=form)
    facts, said = image.facts, pack_image(image, ALL).content
    assert unpack(said["queries"]).tolist() == list(range(6))
    assert unpack(said["match"]).tolist() == facts.match.tolist()
    np.testing.assert_allclose(unpack(said["boxes"]), facts.boxes, rtol=1e-6)
    columns = [facts.scores[:, :, label] for label in said["columns"]]
    np.testing.assert_allclose(unpack(said["scores"]), torch.stack(columns, 1), rtol=1e-6)
    assert said["dropped"]["count"] == 0
    assert said["note"] is None


@given(T=st.integers(0, 6), Q=st.integers(1, 60), most=st.integers(1, 60), seed=st.integers(0, 2**31))
def test_queries_are_renumbered_and_none_with_a_part_in_the_match_is_dropped(T, Q, most, seed):
    image = make_image(T, Q, seed=seed)
    facts, said = image.facts, pack_image(image, most).content
    kept = unpack(said["queries"])
    assert (np.diff(kept) > 0).all()
    assert len(kept) + said["dropped"]["count"] == Q
    numbers = np.append(kept, -1)[unpack(said["match"])]
    assert numbers.tolist() == facts.match.tolist()
    assert {*facts.greedy.unique().tolist(), *facts.runner_up.unique().tolist()} <= {*kept.tolist(), -1}
    for found, whole in zip(said["duplicates"], facts.duplicates, strict=True):
        assert [kept[found["query"]], kept[found["matched_query"]]] == [whole.query, whole.matched_query]


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_what_is_dropped_still_counts_in_the_loss(form):
    image = make_image(3, 80, form=form)
    facts, said = image.facts, pack_image(image, 10).content
    match, rest, dropped = unpack(said["match"])[-1], unpack(said["rest"])[-1], said["dropped"]
    assert dropped["count"] == 80 - len(rest) > 0
    free = np.delete(rest, match).sum() + unpack(dropped["rest"])[-1]
    if form == "softmax":
        weight = 0.1
        no_object = weight * free / (3 + weight * 77)
    else:
        no_object = 0.75 * free / 3
    assert no_object == pytest.approx(facts.layer_loss(2)["no_object"], rel=1e-6)


def test_a_note_says_that_queries_are_left_out():
    assert pack_image(make_image(2, 80), 30).content["note"] == "Only the 30 most relevant of 80 queries are kept here."
    empty = pack_image(make_image(0, 80), 30).content["note"]
    assert empty == "This image has no objects: every query learns to predict no-object. " + (
        "Only the 30 most relevant of 80 queries are kept here."
    )


def test_a_report_keeps_to_its_bytes_dropping_queries_before_images():
    images = [make_image(3, 300, name=f"{i}.jpg") for i in range(4)]
    whole = sum(len(compact(pack_image(image, ALL).content)) for image in images)
    fewer, missing = pack_images(images, whole // 2)
    assert missing == []
    assert len(fewer) == 4
    assert sum(len(compact(image.content)) for image in fewer) <= whole // 2
    fewest, missing = pack_images(images, whole // 20)
    assert 0 < len(fewest) < 4
    assert missing == [f"The last {4 - len(fewest)} of 4 images are left out, to keep this page small."]
    assert len(pack_images(images, 1)[0]) == 1  # one is always shown
    assert pack_images([], 1) == ([], [])


def test_findings_point_to_queries_as_they_are_kept_and_only_to_images_that_are_shown():
    images = [make_image(2, 80)]
    query = int(images[0].facts.match[-1, 1])
    found = [Finding("a", 1.0, image=0, layer=2, target=1, query=query), Finding("b", 0.5, image=3), Finding("c", 0.1)]
    said = report_payload(images, title="t", classes="xyz", layers="123", findings=found)
    assert [finding["text"] for finding in said["findings"]] == ["a", "b", "c"]
    assert unpack(said["images"][0]["queries"])[said["findings"][0]["query"]] == query
    assert said["findings"][1]["image"] is None


def test_no_attention_is_shown_on_an_image_that_is_left_out():
    model = {"preset": "detr-tiny", "images": [{"image": 0}, {"image": 1}]}
    said = report_payload([make_image(2, 5)], title="t", classes="xyz", layers="123", model=model)
    assert said["model"] == {"preset": "detr-tiny", "images": [{"image": 0}]}
    assert len(model["images"]) == 2


def test_the_largest_cases_are_json_without_nan():
    image = make_image(115, 900, L=6, C=80, form="softmax")
    many = make_image(115, 100, L=2, C=80)
    for one in (image, many, make_image(0, 5), make_image(1, 1)):
        text = json.dumps(report_payload([one], title="t", classes=["c"] * 80, layers=["l"] * 6), allow_nan=False)
        assert len(text) < 5_000_000


def test_numbers_keep_the_digits_of_a_float32():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert np.float32(rounded([float(x) for x in values])).tolist() == values.tolist()


def test_a_number_that_is_not_finite_is_said_as_null():
    assert rounded({"a": [np.nan, np.inf, -np.inf, 1.0]}) == {"a": [None, None, None, 1.0]}


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.5, np.nan]), "f4"),
        (np.array([-1, 2**31 - 1]), "i4"),
        (np.array([True, False]), "i4"),
        (np.array([[255], [0]], dtype=np.uint8), "u1"),
        (np.zeros((2, 0, 3)), "f4"),
        (torch.tensor([2.0], dtype=torch.float64), "f4"),
    ],
)
def test_arrays_come_back_as_they_were(values, dtype):
    packed = array(values)
    assert packed["dtype"] == dtype
    np.testing.assert_array_equal(unpack(packed), np.asarray(values))


def test_a_page_holds_all_it_needs_and_no_address_to_load_from():
    page = render(report_payload([make_image(2, 5)], title="<i>", classes=["</script><b>", "&", "c"], layers=["l"] * 3))
    head = page.split('<script type="application/json"')[0]
    assert "<title>&lt;i&gt;</title>" in head
    assert "</script><b>" not in page
    assert "Plotly takes" in page
    assert len(page) < 1_000_000  # Plotly itself is only where there is training to show
    for address in ("src=", "@import", "url(http", '<link rel="stylesheet"'):
        assert address not in head


def test_plotly_is_in_a_page_with_training_and_lies_there_as_text():
    page = render({"kind": "report", "title": "t", "training": {"metrics": None}})
    assert 4_000_000 < len(page) < 6_000_000
    assert page.count("<script") == page.count("</script>")
    assert '<script type="text/plain" id="plotly">' in page


def test_what_else_is_on_the_page_leaves_less_for_the_images(monkeypatch):
    monkeypatch.setattr("setpiece.explain.payload.MAX_BYTES", 5_700_000)
    images = [make_image(3, 300, name=f"{i}.jpg") for i in range(4)]
    rest = {"title": "t", "classes": "xyz", "layers": "123"}
    assert report_payload(images, **rest)["missing"] == []
    assert unpack(report_payload(images, **rest)["images"][0]["queries"]).size == 300
    epoch = np.arange(3000)
    training = Timeline(Metrics(epoch, *np.ones((4, 3000))), None)
    assert 50_000 < len(compact(report_payload([], **rest, training=training)["training"])) < 100_000
    crowded = report_payload(images, **rest, training=training)
    assert unpack(crowded["images"][0]["queries"]).size < 300
