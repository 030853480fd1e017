"""A model described part by part, and what its queries look at, against the model's own forward pass."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from setpiece.explain.architecture import QUERIES, architecture
from setpiece.explain.module_tree import shapes
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.records import Images

from ..arrays import unpack

NAMES = {"detr-tiny": ["layer 1", "layer 2", "layer 3"], "sprint-n": ["proposals", "layer 1", "layer 2"]}


def make_image(height=64, width=96, filled=80):
    """An image that fills a part of its canvas."""
    padding = torch.zeros(1, height, width, dtype=torch.bool)
    padding[:, :, filled:] = True
    pixels = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * ~padding[:, None]
    return Images(pixels, padding, torch.tensor([[height, filled]]))


@pytest.fixture(scope="module", params=list(NAMES))
def described(request):
    """(checkpoint, its description on two images)."""
    torch.manual_seed(0)
    checkpoint = create(request.param, ["a", "b", "c"])
    checkpoint.model.eval()
    for parameter in checkpoint.model.parameters():  # biases and heads that start at 0 hide mistakes
        parameter.data.add_(torch.randn_like(parameter) * 0.02)
    return checkpoint, architecture(Predictor(checkpoint, "fp32"), [(0, make_image()), (3, make_image(filled=96))])


def flat(parts):
    return [one for part in parts for one in (part, *flat(part["parts"]))]


def test_the_parts_hold_every_parameter_once(described):
    checkpoint, model = described
    assert model["parameters"] == sum(p.numel() for p in checkpoint.model.parameters())
    assert sum(part["parameters"] for part in model["parts"]) == model["parameters"]
    modules = dict(checkpoint.model.named_modules())
    for part in flat(model["parts"]):
        assert part["parameters"] == sum(p.numel() for p in modules[part["path"]].parameters())
    assert {part["role"] for part in model["parts"]} == {"backbone", "encoder", "queries", "decoder", "heads"}


def test_shapes_are_those_that_ran_through(described):
    checkpoint, model = described
    seen = {}

    def remember(name):
        def hook(_, args, output):
            seen.setdefault(name, (args, output))

        return hook

    hooks = [module.register_forward_hook(remember(name)) for name, module in checkpoint.model.named_modules()]
    image = make_image()
    with torch.inference_mode():
        checkpoint.model(image.pixels, image.padding)
    for hook in hooks:
        hook.remove()
    for part in flat(model["parts"]):
        if part["calls"]:
            args, output = seen[part["path"]]
            assert part["inputs"] == shapes(args)
            assert part["outputs"] == shapes(output)


def test_parts_stand_in_the_order_in_which_they_run(described):
    titles = [part["title"] for part in described[1]["parts"]]
    if described[0].preset == "detr-tiny":
        expected = ["backbone", "input projection", "encoder", "queries", "decoder", "class head", "box head"]
    else:
        expected = [
            "backbone",
            "hybrid encoder",
            "class head of proposals",
            "query selection",
            "proposal",
            "box head of proposals",
        ]
        for n in (1, 2):
            expected += [f"layer {n}", f"class head of layer {n}", f"box head of layer {n}"]
        expected.insert(6, "box position")
    assert titles == expected


def test_no_hook_is_left_behind(described):
    for module in described[0].model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_queries_are_the_most_confident_with_their_boxes_and_scores(described):
    checkpoint, model = described
    image = make_image()
    with torch.inference_mode():
        outputs = checkpoint.model(image.pixels, image.padding)
    logits = outputs.logits[:, 0]
    probability = logits.softmax(-1)[..., :-1] if model["form"] == "softmax" else logits.sigmoid()
    entry = model["images"][0]
    queries, labels = unpack(entry["queries"]).tolist(), unpack(entry["labels"]).tolist()
    best = probability[-1].amax(-1)
    assert sorted(best[queries].tolist()) == sorted(best.topk(QUERIES).values.tolist())
    np.testing.assert_allclose(unpack(entry["scores"]), probability[:, queries, labels], rtol=1e-5)
    np.testing.assert_allclose(unpack(entry["boxes"]), outputs.boxes[:, 0, queries], rtol=1e-5)
    assert [one["image"] for one in model["images"]] == [0, 3]


def test_attention_maps_are_what_the_decoder_weighs_its_values_by():
    """With the identity as value and output maps, attention returns weighted means of the memory: those of the map."""
    checkpoint = create("detr-tiny", ["a"])
    model, image = checkpoint.model.eval(), make_image()
    seen = []
    with torch.no_grad():
        for layer in model.decoder.layers:
            attention = layer.cross_attention
            attention.heads = 1  # so that the mean over heads is the one head's
            for linear in (attention.value, attention.output):
                linear.weight.copy_(torch.eye(len(linear.weight)))
                linear.bias.zero_()
            attention.register_forward_hook(lambda _, args, output: seen.append((args[2], output)))
        with model.tracing() as trace:
            model(image.pixels, image.padding)
    assert len(trace.attention) == len(seen) == 3
    for call, (memory, output) in zip(trace.attention, seen, strict=True):
        weights = call.weights()[0]
        torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))
        torch.testing.assert_close(weights @ memory[0], output[0], rtol=1e-4, atol=1e-5)
        assert not weights.view(-1, 4, 6)[:, :, 5:].any()  # padding


@pytest.mark.parametrize("described", ["detr-tiny"], indirect=True)
def test_the_page_gets_the_map_over_the_canvas(described):
    checkpoint, model = described
    image = make_image()
    with torch.inference_mode(), checkpoint.model.tracing() as trace:
        checkpoint.model(image.pixels, image.padding)
    attention, queries = model["images"][0]["attention"], unpack(model["images"][0]["queries"]).tolist()
    assert attention["extent"] == pytest.approx([96 / 80, 1])
    expected = (
        torch.stack([call.weights()[0] for call in trace.attention])[:, queries].reshape(3, QUERIES, 4, 6).numpy()
    )
    found = unpack(attention["weights"]) / 255 * unpack(attention["peak"])[..., None, None]
    np.testing.assert_allclose(found, expected, atol=float(expected.max()) / 500)


@pytest.mark.parametrize("described", ["sprint-n"], indirect=True)
def test_sampling_points_are_where_the_decoder_samples(described):
    """Sampling the maps at the points and summing up by the weights gives what the layer's output map gets."""
    checkpoint, model = described
    image, seen, maps = make_image(), [], []
    hooks = [
        layer.deformable_attention.output.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        for layer in checkpoint.model.layers
    ]
    hooks += [
        layer.deformable_attention.register_forward_pre_hook(lambda _, args: maps.append(args[2]))
        for layer in checkpoint.model.layers
    ]
    with torch.inference_mode():
        checkpoint.model(image.pixels, image.padding)
    for hook in hooks:
        hook.remove()
    entry = model["images"][0]
    queries, attention = unpack(entry["queries"]).tolist(), entry["attention"]
    at, levels = torch.from_numpy(unpack(attention["at"]).copy()), unpack(attention["levels"])
    weights = torch.from_numpy(unpack(attention["weights"]) / 255 * unpack(attention["peak"])[..., None]).float()
    extent = torch.tensor([80 / 96, 1.0])
    heads, width = 8, checkpoint.model.hybrid_encoder.width
    for d in range(2):
        found = torch.zeros(len(queries), heads, width // heads)
        for n in range(at.shape[2]):
            head = n // (len(levels) // heads)
            per_head = maps[d][levels[n]].unflatten(1, (heads, -1))[:, head]
            grid = (2 * at[d, :, n] * extent - 1)[None, None]  # (1, 1, K, 2)
            values = F.grid_sample(per_head, grid, align_corners=False)[0, :, 0].T  # (K, D/heads)
            found[:, head] += heads * weights[d, :, n, None] * values
        torch.testing.assert_close(found.flatten(1), seen[d][0, queries], atol=0.02, rtol=0.02)


@pytest.mark.parametrize("described", ["detr-tiny"], indirect=True)
def test_a_learned_query_starts_from_no_cell(described):
    assert described[1]["images"][0]["start"] is None


@pytest.mark.parametrize("described", ["sprint-n"], indirect=True)
def test_a_top_k_query_starts_from_its_cell(described):
    cells = unpack(described[1]["images"][0]["start"])
    assert ((cells[:, :2] > 0) & (cells[:, :2] < 1)).all()  # inside the image, not in its margin
    strides = cells[:, 3] * 64 / 1.6
    assert set(strides.round().tolist()) <= {8.0, 16.0, 32.0}


def test_the_description_is_small(described):
    assert len(json.dumps(described[1])) < 200_000  # of two images


@pytest.fixture
def page(described, make_payload, open_page):
    """The Model chapter, open: the payload's first image has queries with the model's numbers."""
    payload, _ = make_payload([2, 1, 0, 3], Q=described[1]["queries"])
    return open_page({**payload, "model": described[1]}, chapter="model")


def test_pressing_a_part_shows_what_goes_in_and_out(page, described):
    parts = described[1]["parts"]
    for part in parts:
        page.locator(f".model-diagram [data-path='{part['path']}']").press("Enter")
        for way, key in (("in", "inputs"), ("out", "outputs")):
            shown = page.locator(f"[data-role=shapes-{way}] li").all_text_contents()
            expected = [" × ".join(map(str, sides)) for sides in part[key]]
            assert shown == (expected or ["nothing" if way == "in" else "–"])
    inner = next(part for part in parts if part["parts"])
    page.click(f".model-diagram [data-path='{inner['path']}']")
    page.click(f".model-inner [data-path='{inner['parts'][0]['path']}']")
    assert inner["parts"][0]["title"] in page.text_content(".model-trail")
    page.click(".model-trail button")
    assert page.locator(".model-details > div").get_attribute("data-path") == inner["path"]


def test_choosing_a_query_shows_its_boxes_and_attention(page, described):
    model = described[1]
    image, layers = model["images"][0], model["layers"]
    boxes, scores = unpack(image["boxes"]), unpack(image["scores"])
    page.locator("[data-role=query-chip]").nth(4).click()
    offset = 1 if image["start"] else 0
    for side in range(4):
        cells = page.query_selector_all(f"[data-role=side-{side}]")[offset:]
        found = [float(cell.get_attribute("data-value")) for cell in cells]
        np.testing.assert_allclose(found, boxes[:, 4, side], rtol=1e-6)
    shown = [e.get_attribute("data-value") for e in page.query_selector_all("[data-role=score]")][offset:]
    np.testing.assert_allclose([float(x) for x in shown], scores[:, 4], rtol=1e-6)
    assert page.locator("[data-role=attention]").count() == len(model["decoder_layers"])
    page.wait_for_selector("[data-role=refinement] rect")
    assert page.locator("[data-role=refinement] [data-layer]").count() == len(layers) + offset
    if image["attention"]["kind"] == "points":
        page.wait_for_selector("[data-role=attention] [data-role=point]")
        points = page.locator("[data-role=attention]").first.locator("[data-role=point]")
        total = sum(float(e.get_attribute("data-value")) for e in points.element_handles())
        assert total == pytest.approx(1, abs=0.2)  # in 255ths of the largest
    else:
        page.wait_for_selector("[data-role=attention] svg image:nth-of-type(2)")


def test_an_image_without_attention_says_which_have_it(page):
    page.click("[data-role=next]")
    assert "Attention is kept for the images 0, 3 only" in page.text_content("[data-view=query]")
    page.click("[data-role=previous]")
    assert "only" not in page.text_content("[data-view=query] .stack")


def test_a_query_that_is_held_but_not_kept_here_is_said_to_be_missing(described, make_payload, open_page):
    model = described[1]
    kept = unpack(model["images"][0]["queries"]).tolist()
    other = next(query for query in range(model["queries"]) if query not in kept)
    payload, _ = make_payload([2, 1, 0, 3], Q=model["queries"])
    payload["findings"] = [
        {"text": f"Query {query}.", "image": 0, "target": None, "query": query, "layer": None}
        for query in (other, kept[3])
    ]
    page = open_page({**payload, "model": model})
    missing = page.locator("[data-role=query-missing]")

    def hold(query):
        page.click("[data-role=tab-words]")
        page.get_by_role("button", name=f"Query {query}.").click()
        page.click("[data-role=tab-model]")

    hold(other)
    assert missing.inner_text() == f"Query {other} is not among the queries kept here."
    page.locator("[data-role=query-chip]").nth(4).click()
    assert missing.count() == 0
    hold(other)
    assert missing.count() == 1
    hold(kept[3])
    assert missing.count() == 0
    chosen = page.locator("[data-role=query-chip][aria-pressed=true]")
    assert chosen.get_attribute("data-query") == str(kept[3])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chapter_fits_a_telephone(described, make_payload, open_page, scheme):
    payload, _ = make_payload([2, 1, 0, 3], Q=described[1]["queries"])
    page = open_page({**payload, "model": described[1]}, width=390, scheme=scheme, chapter="model")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
