"""What training records: against naive counts, against the model itself, and across a kill."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from setpiece.data.dataset import Example
from setpiece.data.sources import open_dataset
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create, load
from setpiece.records import TERMS, Batch, Images, Outputs, Targets
from setpiece.runs import recording_files
from setpiece.setloss import SetCriterion, match, pair_costs
from setpiece.training import loop, recorder, schedule
from setpiece.training.config import resolve
from setpiece.training.counters import Counters, Seen, image_losses, join
from setpiece.training.probes import KEPT, Probes, choose, keep
from setpiece.training.start import start_training

from .killing import Killed, Killing
from .test_training import SETTINGS


def random_outputs(form, L=3, B=4, Q=6, C=3):
    return Outputs(torch.randn(L, B, Q, C + (form == "softmax")), torch.rand(L, B, Q, 4) * 0.5 + 0.2)


def random_targets(counts, C=3):
    return Targets.from_list(
        [{"labels": torch.randint(0, C, (n,)), "boxes": torch.rand(n, 4) * 0.5 + 0.2} for n in counts]
    )


def seen(outputs, targets, criterion, image_ids=None):
    B = len(targets.count)
    ids = torch.arange(B) if image_ids is None else torch.tensor(image_ids)
    images = Images(torch.zeros(B, 3, 4, 4), torch.zeros(B, 4, 4, dtype=torch.bool), torch.ones(B, 2).long())
    batch = Batch(images, targets, ids)
    return Seen.of_step(outputs, batch, criterion(outputs, targets))


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_the_loss_of_an_image_is_that_of_a_batch_of_one(form):
    counts, criterion = [2, 0, 5, 1], SetCriterion(form=form)
    outputs, targets = random_outputs(form), random_targets(counts)
    found = image_losses(seen(outputs, targets, criterion), criterion)
    for b, count in enumerate(counts):
        alone = Outputs(outputs.logits[-1:, b : b + 1], outputs.boxes[-1:, b : b + 1])
        target = {"labels": targets.labels[b, :count], "boxes": targets.boxes[b, :count]}
        torch.testing.assert_close(found[b], criterion(alone, Targets.from_list([target])).total)


def example(image_id, objects, crowds=0):
    n = objects + crowds
    boxes, labels = np.tile(np.float32([0, 0, 8, 8]), (n, 1)), np.zeros(n, np.int64)
    crowd = np.arange(n) >= objects
    return Example(image_id, Path(f"{image_id}.jpg"), 20, 30, boxes, labels, crowd, np.ones(n, np.float32))


def steps(examples, count, seed=0):
    """Random steps of three images; one image in four shows a target less than it has."""
    torch.manual_seed(seed)
    for _ in range(count):
        chosen = [examples[index] for index in torch.randperm(len(examples))[:3].tolist()]
        full = [int((~e.crowd).sum()) for e in chosen]
        shown = [n - int(n > 0 and torch.rand(()) < 0.25) for n in full]
        outputs, targets = random_outputs("softmax", B=3), random_targets(shown)
        yield seen(outputs, targets, CRITERION, [e.image_id for e in chosen])


CRITERION = SetCriterion()
EXAMPLES = [example(70, 3), example(5, 0), example(9, 8), example(33, 1, crowds=2), example(2, 4)]


def naive(steps, L=3, Q=6):
    """The same counts with loops."""
    full = {e.image_id: int((~e.crowd).sum()) for e in EXAMPLES}
    latest, found = {}, dict.fromkeys(("images", "targets", "compared"), 0)
    found |= {"changed": np.zeros(L), "agreement": np.zeros((L, L)), "matched": np.zeros((L, Q)), "loss": {}}
    for step in steps:
        worst = image_losses(step, CRITERION)
        for b, image_id in enumerate(step.image_ids.tolist()):
            count = int(step.targets.count[b])
            now = step.match[:, b, :count].tolist()
            found["images"] += 1
            found["targets"] += count
            found["loss"][image_id] = worst[b].item()
            for t in range(count):
                for a in range(L):
                    found["matched"][a, now[a][t]] += now[a][t] >= 0
                    for c in range(L):
                        found["agreement"][a, c] += now[a][t] == now[c][t]
            if count == full[image_id]:
                if image_id in latest:
                    found["compared"] += count
                    for layer in range(L):
                        found["changed"][layer] += sum(
                            x != y for x, y in zip(now[layer], latest[image_id][layer], strict=True)
                        )
                latest[image_id] = now
    return found


def test_counts_are_those_of_a_naive_reading():
    counters = Counters(3, 6, EXAMPLES)
    for step in steps(EXAMPLES, 30):
        counters.add(step, CRITERION)
    found, expected = counters.epoch(), naive(steps(EXAMPLES, 30))
    for name in ("images", "targets", "compared", "changed", "agreement", "matched"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    order = sorted(expected["loss"], key=lambda image_id: -expected["loss"][image_id])
    assert found["worst_images"].tolist() == order
    assert found["worst_names"] == [f"{image_id}.jpg" for image_id in order]
    np.testing.assert_allclose(found["worst_losses"], [expected["loss"][image_id] for image_id in order], rtol=1e-6)
    boxes = torch.cat([step.boxes for step in steps(EXAMPLES, 30)])
    np.testing.assert_allclose(found["box_mean"], boxes.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["box_deviation"], boxes.std(0, correction=0), rtol=1e-4)
    terms = torch.stack([step.terms for step in steps(EXAMPLES, 30)]).mean(0)
    np.testing.assert_allclose(found["terms"], terms, rtol=1e-5)


def test_counters_go_on_from_their_state_and_from_one_epoch_to_the_next():
    whole, cut = Counters(3, 6, EXAMPLES), Counters(3, 6, EXAMPLES)
    for index, step in enumerate(steps(EXAMPLES, 20)):
        whole.add(step, CRITERION)
        cut.add(step, CRITERION)
        if index == 9:  # an epoch ends
            whole.clear()
            cut.clear()
        if index == 13:
            state, cut = cut.state_dict(), Counters(3, 6, EXAMPLES)
            cut.load_state_dict(state)
    found, expected = cut.epoch(), whole.epoch()
    assert expected["compared"] > 0
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_steps_joined_count_as_one_after_the_other():
    examples = [example(n, objects=n % 5) for n in range(24)]
    torch.manual_seed(0)
    criterion, parts = SetCriterion(form="sigmoid"), []
    for start in range(0, 24, 3):
        targets = random_targets([n % 5 for n in range(start, start + 3)])
        parts.append(seen(random_outputs("sigmoid", B=3), targets, criterion, list(range(start, start + 3))))
    one, joined = Counters(3, 6, examples), Counters(3, 6, examples)
    for part in parts:
        one.add(part, criterion)
    joined.add(join(parts), criterion)
    found, expected = joined.epoch(), one.epoch()
    for name, value in expected.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_counters_of_other_images_are_dropped():
    old, new = Counters(3, 6, EXAMPLES), Counters(3, 6, [*EXAMPLES[1:], example(70, 4)])
    for step in steps(EXAMPLES, 5):
        old.add(step, CRITERION)
    new.load_state_dict(old.state_dict())
    assert new.epoch()["images"] == 0


def test_slots_beyond_those_predicted_stay_empty():
    counters = Counters(3, 9, EXAMPLES)  # the model may predict nine, and predicts six
    for step in steps(EXAMPLES, 3):
        counters.add(step, CRITERION)
    found = counters.epoch()
    assert found["matched"].shape == (3, 9)
    assert not found["matched"][:, 6:].any()
    assert not found["box_mean"][6:].any()


@pytest.fixture(autouse=True, scope="module")
def snapshot_after_every_epoch():
    """And there are as many probes as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "PER_PROBE", 1)
        yield


@pytest.fixture(scope="module", params=["detr-tiny", "sprint-n"])
def run(request, scenes, tmp_path_factory):
    """Three recorded epochs of four steps."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    start_training(resolve(scenes, request.param, epochs=3, **SETTINGS), folder)
    return folder


def test_a_run_records_its_start_and_every_epoch(run):
    found = recording_files.read(run / "recording")
    header = found.header
    assert not found.damaged
    assert [(e.epoch, e.step, e.images) for e in found.epochs] == [(0, 0, 0), (1, 4, 16), (2, 8, 16), (3, 12, 16)]
    assert all(e.snapshot is not None for e in found.epochs)
    assert header.preset == run.name
    assert header.layers[0] == {"learned": "layer 1", "top-k": "proposals"}[header.slots]
    assert header.slots == ("top-k" if run.name == "sprint-n" else "learned")
    assert len(header.probes) == 4  # all validation images
    assert len(list((run / "recording").glob("probe-*.jpg"))) == 4
    last = found.epochs[-1]
    assert last.changed.max() <= last.compared <= last.targets
    assert (np.diagonal(last.agreement) == last.targets).all()
    assert (last.matched.sum(1) == last.targets).all()
    assert [len(e.snapshot.sample) for e in found.epochs] == [0, 4, 4, 4]  # one image of every step


def test_a_snapshot_is_what_the_saved_model_predicts_and_matches(run, scenes):
    checkpoint, found = load(run / "last"), recording_files.read(run / "recording")
    probes = Probes.read(choose(open_dataset(scenes, "valid").examples, 8, seed=0), Predictor(checkpoint))
    assert [probe.name for probe in probes.describe()] == [probe.name for probe in found.header.probes]
    snapshot = found.epochs[-1].snapshot
    for p, (item, probe) in enumerate(zip(probes.items, found.header.probes, strict=True)):
        outputs = predict_alone(checkpoint, item)
        targets = Targets.from_list([{"labels": item.labels, "boxes": item.boxes_cxcywh}])
        form = checkpoint.model.form
        expected, costs = match(outputs, targets, form)[:, 0], pair_costs(outputs, targets, form)
        T = len(probe.labels)
        queries = snapshot.queries[p][snapshot.match[p, :, :T]]
        np.testing.assert_array_equal(queries, expected)
        for layer in range(len(expected)):
            for t in range(T):
                pair = (layer, 0, t, int(expected[layer, t]))
                wanted = [costs.terms[name][pair] for name in TERMS]
                np.testing.assert_allclose(snapshot.costs[p, layer, t], wanted, atol=1e-4)
        boxes = outputs.boxes[:, 0][:, snapshot.queries[p].tolist()]
        np.testing.assert_allclose(snapshot.boxes[p], boxes, atol=1e-4)


def predict_alone(checkpoint, item):
    from setpiece.data.batching import collate

    batch = collate([item], checkpoint.mean, checkpoint.std)
    with torch.inference_mode():
        return checkpoint.model.eval()(batch.images.pixels, batch.images.padding)


@pytest.mark.parametrize("run", ["detr-tiny"], indirect=True)
def test_a_learned_query_is_known_by_its_slot(run):
    found = recording_files.read(run / "recording")
    assert found.header.slots == "learned"
    snapshot = found.epochs[-1].snapshot
    np.testing.assert_array_equal(snapshot.origins, snapshot.queries)


@pytest.mark.parametrize("run", ["sprint-n"], indirect=True)
def test_a_top_k_query_is_known_by_its_cell(run):
    checkpoint, found = load(run / "last"), recording_files.read(run / "recording")
    assert found.header.slots == "top-k"
    with torch.inference_mode(), checkpoint.model.eval().tracing() as trace:
        checkpoint.model(torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.bool))
    assert all(len(set(cells)) == len(cells) for cells in trace.origins.tolist())
    assert found.epochs[-1].snapshot.origins.max() < 8 * 8 + 4 * 4 + 2 * 2  # cells of the three maps at 64 pixels
    assert not checkpoint.model.query_selection._forward_hooks


class Silent(recorder.Recorder):
    """Reads no probes, counts nothing and records nothing."""

    def __init__(self, *_, **__): ...
    @classmethod
    def of_run(cls, *_, **__):
        return cls()

    def begin(self, *_): ...
    def state_dict(self):
        return {}

    def step(self, *_): ...
    def end_epoch(self, *_, final): ...


def test_recording_changes_nothing_of_the_training(run, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "Recorder", Silent)
    start_training(resolve(scenes, run.name, epochs=3, **SETTINGS), tmp_path / "run")
    assert not (tmp_path / "run" / "recording").exists()
    expected = load_file(run / "last" / "model.safetensors")
    found = load_file(tmp_path / "run" / "last" / "model.safetensors")
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("run", ["sprint-n"], indirect=True)
@pytest.mark.parametrize(
    ("moment", "times", "save_seconds"),
    [("step", 6, 0), ("evaluation", 0, 0), ("metrics", 1, 1e9)],
)
def test_a_killed_and_resumed_run_records_what_an_uninterrupted_one_does(
    run, scenes, tmp_path, monkeypatch, moment, times, save_seconds
):
    config = resolve(scenes, run.name, epochs=3, **SETTINGS)
    monkeypatch.setattr(loop, "SAVE_SECONDS", save_seconds)
    with pytest.raises(Killed):
        start_training(config, tmp_path / "run", display=Killing(moment, times))
    start_training(config, tmp_path / "run", resume=True)
    found, expected = (recording_files.read(folder / "recording") for folder in (tmp_path / "run", run))
    assert found.header == expected.header
    for a, b in zip(found.epochs, expected.epochs, strict=True):
        assert_alike(replace(a, seconds=b.seconds), b)


def assert_alike(a, b):
    for name, value in vars(b).items():
        if name == "snapshot":
            assert_alike(a.snapshot, value)
        else:
            found, inexact = getattr(a, name), isinstance(value, np.ndarray) and value.dtype.kind == "f"
            if inexact:  # steps are joined to other sums
                np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(found, value, err_msg=name)


def test_a_run_from_before_there_were_recordings_is_recorded_from_where_it_is_resumed(scenes, tmp_path, monkeypatch):
    config = resolve(scenes, "detr-tiny", epochs=2, **SETTINGS)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "SAVE_SECONDS", 0)
        with pytest.raises(Killed):
            start_training(config, tmp_path / "run", display=Killing("step", 6))
    shutil.rmtree(tmp_path / "run" / "recording")
    state = torch.load(tmp_path / "run" / "last" / "training.pt", weights_only=True)
    del state["recording"]
    torch.save(state, tmp_path / "run" / "last" / "training.pt")
    start_training(config, tmp_path / "run", resume=True)
    found = recording_files.read(tmp_path / "run" / "recording")
    assert [(epoch.epoch, epoch.step, epoch.images) for epoch in found.epochs] == [(1, 6, 0), (2, 8, 8)]


def test_snapshots_of_the_probes_stay_within_their_share_but_the_last_is_made(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "PER_PROBE", 12)  # two probes: a snapshot every 24 images; an epoch has 16
    start_training(resolve(scenes, "detr-tiny", epochs=5, **SETTINGS), tmp_path / "run")
    found = recording_files.read(tmp_path / "run" / "recording")
    assert len(found.header.probes) == 2
    assert [epoch.snapshot is not None for epoch in found.epochs] == [True, False, True, False, True, True]


def test_a_run_of_minutes_ends_with_a_snapshot_though_recording_takes_the_time_that_is_left(
    scenes, tmp_path, monkeypatch
):
    now = 0.0

    class Slow(recorder.Recorder):
        """A step takes a second, and the end of an epoch more than the run."""

        def step(self, *args):
            nonlocal now
            super().step(*args)
            now += 1

        def end_epoch(self, *args, **kwargs):
            nonlocal now
            super().end_epoch(*args, **kwargs)
            now += 100

    monkeypatch.setattr(schedule, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(loop, "Recorder", Slow)
    monkeypatch.setattr(recorder, "PER_PROBE", 10**6)
    start_training(resolve(scenes, "detr-tiny", minutes=1, **SETTINGS), tmp_path / "run")
    epochs = recording_files.read(tmp_path / "run" / "recording").epochs
    assert [(epoch.step, epoch.snapshot is not None) for epoch in epochs] == [(0, True), (4, False), (5, True)]


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 3), st.integers(0, 6), st.integers(1, 300))
def test_every_matched_query_is_kept_and_found_in_its_place(seed, L, P, T, Q):
    generator = torch.Generator().manual_seed(seed)
    matches = [torch.randperm(max(Q, T), generator=generator)[:T] for _ in range(L * P)]
    matched = torch.stack(matches).view(L, P, T)
    matched = torch.where(matched < Q, matched, -1)  # left over, where T > Q
    queries, place = keep(matched, torch.rand(P, Q, generator=generator))
    assert queries.shape[1] >= min(Q, KEPT)
    for p in range(P):
        assert len(set(queries[p].tolist())) == queries.shape[1]
        for layer in range(L):
            for t in range(T):
                k = int(place[layer, p, t])
                assert (k < 0) == (matched[layer, p, t] < 0)
                assert k < 0 or queries[p, k] == matched[layer, p, t]


def test_probes_without_objects_have_a_snapshot_all_the_same(scenes):
    none = {"boxes_xyxy": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64)}
    none |= {"crowd": np.zeros(0, bool), "areas": np.zeros(0, np.float32)}
    examples = [replace(one, **none) for one in open_dataset(scenes, "valid").examples]
    checkpoint = create("detr-tiny", ["a"], shortest=64)
    found = Probes.read(choose(examples, 2, seed=0), Predictor(checkpoint)).snapshot()
    assert found["match"].shape == (2, 3, 0)
    assert found["boxes"].shape == (2, 3, 60, 4)


def test_probes_are_drawn_by_the_seed_among_images_with_objects():
    examples = [example(n, objects=n % 2) for n in range(60)]
    chosen = [e.image_id for e in choose(examples, 8, seed=3)]
    assert len(chosen) == len(set(chosen)) == 8
    assert all(image_id % 2 for image_id in chosen)
    assert (
        chosen == [e.image_id for e in choose(examples, 8, seed=3)] != [e.image_id for e in choose(examples, 8, seed=4)]
    )
    assert len(choose([example(1, 0)], 8, seed=0)) == 1  # nothing has objects
