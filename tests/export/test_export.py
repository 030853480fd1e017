"""An exported model detects what the model detects, or it is not there."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from setpiece.data import open_dataset
from setpiece.data.scenes import write_scenes
from setpiece.detector import Detector
from setpiece.errors import ExportError, UsageError, WeightsError
from setpiece.export import export as exporting
from setpiece.export import quantise
from setpiece.export.export import describe, export, require_output, torch_backend
from setpiece.export.graph import DetectionGraph
from setpiece.export.web_runtime import WebRuntime
from setpiece.inference.backends import is_exported, load_backend
from setpiece.inference.exported import ExportedPredictor
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.model.folding import fold_norms
from setpiece.records import InputSize

# What an exported model is used without.
BLOCKED = ("torch", "torchvision", "accelerate", "safetensors", "huggingface_hub", "tensorboard", "plotly", "psutil")


def same(found, expected, pixels=0.5, score=1e-3):
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=pixels)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=score)
    assert found.class_id.tolist() == expected.class_id.tolist()


def relabel(scenes, names, *, alike=False):
    """Keep the objects of the first classes under other names, or all objects as the first class."""
    for file in scenes.glob("*/_annotations.coco.json"):
        coco = json.loads(file.read_text())
        kept = [each for each in coco["annotations"] if each["category_id"] <= len(names)]
        if alike:
            kept = [each | {"category_id": 1} for each in coco["annotations"]]
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        file.write_text(json.dumps(coco | {"annotations": kept, "categories": categories}))


def eight_bit_nodes(model):
    """How many nodes of a file turn numbers into 8 bits."""
    if model.suffix == ".onnx":
        return sum(node.op_type == "QuantizeLinear" for node in onnx.load(model).graph.node)
    return (model / "model.xml").read_text().count('type="FakeQuantize"')


@pytest.mark.parametrize("preset", ["detr-tiny", "sprint-n", "sprint-s", "sprint-m"])
def test_folded_norms_change_nothing(preset):
    torch.manual_seed(0)
    model = create(preset, ["a", "b"], shortest=64).model
    for module in model.modules():  # norms that do something
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    model.eval()
    pixels, padding = torch.rand(1, 3, 64, 96), torch.zeros(1, 64, 96, dtype=torch.bool)
    with torch.no_grad():
        before = model.backbone(pixels)
        after = fold_norms(model).backbone(pixels)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    for one, other in zip(after, before, strict=True) if isinstance(before, list) else [(after, before)]:
        torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=1e-3)
    model(pixels, padding)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_the_graph_detects_what_the_predictor_detects(form, checkpoint, pictures):
    if form == "softmax":
        checkpoint = create("detr-tiny", ["a", "b", "c"], shortest=64)
    graph = ExportedPredictor(torch_backend(checkpoint, describe(checkpoint)))
    images = [image for _, image in pictures]
    for found, expected in zip(
        graph.predict(images, threshold=0.1), Predictor(checkpoint, "fp32").predict(images, threshold=0.1), strict=True
    ):
        same(found, expected)
        assert found["class_name"].tolist() == expected["class_name"].tolist()


def test_what_is_beside_an_image_on_its_canvas_has_no_effect(checkpoint):
    graph = DetectionGraph(checkpoint)
    images = torch.randint(0, 255, (1, 128, 160, 3), dtype=torch.uint8)
    sizes = torch.tensor([[100, 130]])
    other = images.clone()
    other[:, 100:], other[:, :, 130:] = 255, 7
    for a, b in zip(graph(images, sizes), graph(other, sizes), strict=True):
        assert torch.equal(a, b)


def test_an_onnx_file_detects_the_same_and_says_what_it_is(checkpoint, pictures, onnx_file):
    detector = Detector.load(onnx_file)
    assert detector.classes == ("thing", "other")
    reference = ExportedPredictor(torch_backend(checkpoint, describe(checkpoint, size=128)))
    images = [image for _, image in pictures]
    found = detector.predict(images, threshold="auto")
    assert sum(map(len, found)) > 3
    for one, expected in zip(found, reference.predict(images, threshold="auto"), strict=True):
        same(one, expected)
    model = onnx.load(onnx_file)
    said = json.loads({each.key: each.value for each in model.metadata_props}["setpiece"])
    assert said["classes"] == ["thing", "other"]
    assert (said["longest"], said["canvas"], said["licence"]) == (128, [128, 128], "CC0-1.0")
    assert said["thresholds"] == [0.3, 0.4]
    assert said["metrics"] == {"AP": 0.5}
    assert model.opset_import[0].version >= 17
    assert not any("NonMax" in node.op_type for node in model.graph.node)
    dimensions = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input]
    assert dimensions == [["batch", 128, 128, 3], ["batch", 2]]


def test_a_graph_of_any_canvas_detects_the_same_in_images_of_any_size(checkpoint, openvino_folder):
    detector = Detector.load(openvino_folder)
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (*size, 3), np.uint8) for size in ((128, 128), (100, 200), (300, 150))]
    expected = Predictor(checkpoint, "fp32").predict(images, threshold=0.05)
    for found, one in zip(detector.predict(images, threshold=0.05), expected, strict=True):
        same(found, one)
    same(detector.predict(images[1], threshold=0.05), detector.predict(images, threshold=0.05)[1])


@pytest.mark.usefixtures("openvino_folder")  # which they have written
def test_the_tools_of_openvino_send_no_telemetry():
    sender = pytest.importorskip("openvino_telemetry.utils.sender").TelemetrySender()
    sent = []
    sender.send(type("", (), {"send": sent.append})(), {"event": "used"})
    sender.executor.shutdown(wait=True)
    assert not sent


def test_an_image_with_fewer_cells_than_queries_is_padded(openvino_folder):
    assert len(Detector.load(openvino_folder).predict(np.zeros((10, 200, 3), np.uint8), threshold=0.0)) == 100


def test_a_narrow_image_fits_into_the_only_canvas(onnx_file):
    for size in ((1000, 100), (100, 1000)):
        assert len(Detector.load(onnx_file).predict(np.zeros((*size, 3), np.uint8), threshold=0.0)) == 100


def test_a_canvas_of_one_row_of_cells_is_computed_alike(checkpoint, openvino_folder):
    images = np.random.default_rng(0).integers(0, 255, (1, 32, 192, 3), np.uint8)
    sizes = np.array([[32, 180]])
    found, expected = (
        backend.run(images, sizes)
        for backend in (load_backend(openvino_folder), torch_backend(checkpoint, describe(checkpoint)))
    )
    np.testing.assert_allclose(found[1], expected[1], atol=1e-3)


def test_an_archive_of_torch_gets_no_canvas_of_one_row_of_cells(checkpoint):
    wide = replace(checkpoint, size=InputSize(352, 352))
    backend = torch_backend(wide, describe(wide))
    shapes = []

    def run(images, sizes):
        shapes.append(images.shape[1:3])
        return backend.run(images, sizes)

    for name in ("torch.export", "ONNX Runtime"):
        model = ExportedPredictor(replace(backend, name=name, run=run))
        list(model.predict([np.zeros((20, 352, 3), np.uint8), np.zeros((352, 20, 3), np.uint8)], threshold=0.0))
    assert shapes == [(64, 352), (352, 64), (32, 352), (352, 32)]


def test_an_archive_of_torch_with_one_batch_detects_the_same(checkpoint, pictures, tmp_path):
    info = describe(checkpoint, size=100, batch=4)  # rounded up to a multiple of 32
    assert info.canvas == (128, 128)
    export(checkpoint, info, "torch", tmp_path / "things.pt2", pictures=pictures)
    detector = Detector.load(tmp_path / "things.pt2")
    images = [image for _, image in pictures]
    assert sum(map(len, detector.predict(images, threshold=0.3))) > 3  # six images in batches of four


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_an_exported_model_predicts_and_is_evaluated_without_torch(format, onnx_file, openvino_folder, tmp_path):
    source = onnx_file if format == "onnx" else openvino_folder
    scenes = write_scenes(tmp_path / "scenes", train=1, valid=3)
    relabel(scenes, ["thing", "other"])
    code = f"""
import sys, warnings
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError("blocked " + name, name=name)
sys.meta_path.insert(0, Block())
from setpiece import Detector
detector = Detector.load({str(source)!r})
image = {str(scenes)!r} + "/valid/000000.png"
import glob
print(len(detector.predict(sorted(glob.glob({str(scenes)!r} + "/valid/*.png")), threshold=0.3)[0]))
print(detector.evaluate({str(scenes)!r})["AP"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout.split()[-1]) < 1
    assert int(done.stdout.split()[0]) > 0


def test_half_precision_keeps_coordinates_in_float32(checkpoint, pictures, tmp_path):
    info = describe(checkpoint, size=128, batch=1, precision="fp16")
    said = export(checkpoint, info, "onnx", tmp_path / "half.onnx", pictures=pictures)
    assert said.startswith("Verified on ")
    model = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "half.onnx"))
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    kinds |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    sampled = [node for node in model.graph.node if node.op_type == "GridSample"]
    assert len(sampled) == 6  # three maps, two layers
    assert {kinds[name] for node in sampled for name in node.input} == {onnx.TensorProto.FLOAT}
    convolved = [node for node in model.graph.node if node.op_type == "Conv"]
    assert {kinds[name] for node in convolved for name in node.input} == {onnx.TensorProto.FLOAT16}
    assert Detector.load(tmp_path / "half.onnx").exported.info.precision == "fp16"


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_eight_bits_are_measured_by_ap(format, checkpoint, tmp_path, monkeypatch):
    data = write_scenes(tmp_path / "scenes", train=4, valid=2)
    checkpoint = replace(checkpoint, classes=("circle", "square"))
    relabel(data, ["circle", "square"], alike=True)
    train, valid = (open_dataset(data, split) for split in ("train", "valid"))
    info = describe(checkpoint, size=128, batch=1, precision="int8")
    output = tmp_path / ("eight.onnx" if format == "onnx" else "eight")
    monkeypatch.setattr(exporting, "AP_LOSS", 1.0)
    said = export(checkpoint, info, format, output, calibrate=train, measure=valid)
    assert said.startswith("Verified on 2 images of ")
    assert "8 bits" in said
    assert Detector.load(output).exported.info.precision == "int8"
    assert eight_bit_nodes(output) >= 10


def test_where_nothing_became_eight_bits_it_is_said(onnx_file, tmp_path, monkeypatch):
    nncf = pytest.importorskip("nncf")
    data = open_dataset(write_scenes(tmp_path / "scenes", train=1, valid=1), "train")
    monkeypatch.setattr(nncf, "quantize", lambda model, *_, **__: model)  # as where every node is ignored
    with pytest.raises(ExportError, match="Nothing of the model became 8 bits"):
        quantise.quantised_onnx(onnx.load(onnx_file), load_backend(onnx_file).info, data)


@pytest.mark.parametrize("ap", [0.0, float("nan")])
def test_eight_bits_of_a_model_that_detects_nothing_are_not_verified(ap, onnx_file, tmp_path, monkeypatch):
    data = open_dataset(write_scenes(tmp_path / "scenes", train=1, valid=1), "valid")
    monkeypatch.setattr(exporting, "evaluate", lambda *_: SimpleNamespace(AP=ap, AP50=ap, AP75=ap))
    model = ExportedPredictor(load_backend(onnx_file))
    with pytest.raises(ExportError, match=r"AP of (0\.000|nan) on .*, so that nothing can be verified"):
        exporting._verify_ap(model, model, data)


def test_narrow_images_calibrate_a_fixed_canvas(onnx_file, tmp_path, monkeypatch):
    data = open_dataset(write_scenes(tmp_path / "scenes", train=1, valid=1), "train")
    monkeypatch.setattr(quantise, "read_image", lambda *_, **__: np.zeros((1000, 100, 3), np.uint8))
    [inputs] = quantise._inputs(data, load_backend(onnx_file).info)
    assert inputs["images"].shape == (1, 128, 128, 3)


def test_eight_bits_that_cost_too_much_are_not_written(checkpoint, tmp_path, monkeypatch):
    data = write_scenes(tmp_path / "scenes", train=1, valid=2)
    checkpoint = replace(checkpoint, classes=("circle", "square"))
    relabel(data, ["circle", "square"], alike=True)
    train, valid = (open_dataset(data, split) for split in ("train", "valid"))
    info = describe(checkpoint, size=128, batch=1, precision="int8")
    monkeypatch.setattr(exporting, "quantised_onnx", lambda model, *_: model)  # which takes a minute
    monkeypatch.setattr(exporting, "AP_LOSS", -1.0)
    with pytest.raises(ExportError, match="Eight bits cost more"):
        export(checkpoint, info, "onnx", tmp_path / "eight.onnx", calibrate=train, measure=valid)
    assert not list(tmp_path.glob("*eight*"))


def test_a_model_that_detects_something_else_is_not_written(checkpoint, pictures, tmp_path, monkeypatch):
    def moved(path):
        backend = load_backend(path)

        def run(images, sizes):
            boxes, scores, labels = backend.run(images, sizes)
            return boxes + np.float32(0.02), scores, labels

        return replace(backend, run=run)

    monkeypatch.setattr(exporting, "load_backend", moved)
    (tmp_path / "things.pt2").write_text("of an earlier export")
    with pytest.raises(ExportError, match=r"boxes differ by up to .* The worst image is scene \d, see .*png\."):
        export(checkpoint, describe(checkpoint, size=128, batch=1), "torch", tmp_path / "things.pt2", pictures=pictures)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["things.pt2", "things.pt2.disagreement.png"]
    assert (tmp_path / "things.pt2").read_text() == "of an earlier export"
    with Image.open(tmp_path / "things.pt2.disagreement.png") as picture:
        assert picture.width > 1000


def test_images_are_verified_in_a_batch_too(checkpoint, pictures, onnx_file, tmp_path):
    backend = load_backend(onnx_file)
    batches = []

    def run(images, sizes):  # the size of the first image is taken for all
        batches.append(sizes.tolist())
        return backend.run(images, sizes[:1].repeat(len(sizes), 0))

    reference = ExportedPredictor(torch_backend(checkpoint, backend.info))
    models = reference, ExportedPredictor(replace(backend, run=run))
    assert exporting._verify(*models, pictures, tmp_path / "a.onnx", together=False).startswith("Verified on ")
    with pytest.raises(ExportError, match=r"does not detect in a batch what PyTorch detects: .* image is scene 0, cut"):
        exporting._verify(*models, pictures[:1], tmp_path / "a.onnx", together=True)
    assert batches[-1][0] != batches[-1][1]


def test_a_runtime_of_pages_makes_no_page_of_another_format(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_write", lambda *of: of[3].write_text("a model"))
    monkeypatch.setattr(exporting, "_verified", lambda *_: "Not verified.")
    monkeypatch.setattr(exporting, "write_page", lambda *of, **_: of[3].write_text("a page"))
    runtime = WebRuntime(*[b""] * len(fields(WebRuntime)))
    export(checkpoint, describe(checkpoint), "torch", tmp_path / "a.pt2", runtime=runtime)
    assert (tmp_path / "a.pt2").read_text() == "a model"


def test_a_folder_is_replaced_by_an_export_of_its_own_format_alone(openvino_folder, tmp_path, monkeypatch):
    require_output(tmp_path / "new.onnx", "onnx")
    require_output(tmp_path / "new.ONNX", "onnx")
    require_output(openvino_folder, "openvino")
    for format in ("onnx", "torch", "html"):
        with pytest.raises(UsageError, match="name a file by --output"):
            require_output(openvino_folder, format)
    monkeypatch.chdir(openvino_folder)
    with pytest.raises(UsageError, match="is the folder that you work in"):
        require_output(Path(), "openvino")
    for name in ("model.xml", "model.bin", "labels.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="is a folder with other things"):
        require_output(tmp_path, "openvino")


def test_nothing_detected_is_nothing_verified(tmp_path, pictures):
    checkpoint = create("sprint-n", ["a"], shortest=64)
    with pytest.raises(ExportError, match="detects nothing in 6 images, so that nothing can be verified"):
        export(checkpoint, describe(checkpoint, size=64, batch=1), "torch", tmp_path / "a.pt2", pictures=pictures)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_export_of_ours_are_refused(tmp_path, onnx_file):
    foreign = onnx.load(onnx_file)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(WeightsError, match="was not written by setpiece export"):
        Detector.load(tmp_path / "foreign.onnx")
    (tmp_path / "broken.bin").touch()
    for name in ("broken.onnx", "broken.pt2", "broken.xml"):
        (tmp_path / name).write_text("no model")
        with pytest.raises(WeightsError, match="cannot be read by"):
            Detector.load(tmp_path / name)
    with pytest.raises(UsageError, match=r"There is no model at .*gone\.onnx"):
        Detector.load(tmp_path / "gone.onnx")
    (tmp_path / "broken.bin").unlink()
    assert not is_exported(tmp_path)


def test_a_model_whose_file_has_an_upper_case_suffix_is_read(onnx_file, tmp_path):
    upper = tmp_path / "M.ONNX"
    upper.write_bytes(onnx_file.read_bytes())
    assert Detector.load(upper).classes == ("thing", "other")


@pytest.mark.parametrize("named", ["", "model.xml"])
def test_an_openvino_model_without_its_weights_says_which_file_is_missing(named, openvino_folder, tmp_path):
    (tmp_path / "model.xml").write_bytes((openvino_folder / "model.xml").read_bytes())
    with pytest.raises(WeightsError, match=r"model\.bin is missing: it holds the weights of .*model\.xml"):
        Detector.load(tmp_path / named)


def test_an_exported_model_cannot_be_trained_or_explained(onnx_file, pictures, tmp_path):
    detector = Detector.load(onnx_file)
    with pytest.raises(UsageError, match="is exported and cannot be trained"):
        detector.train(tmp_path, output=tmp_path / "run")
    with pytest.raises(UsageError, match="give the run that it was exported from"):
        detector.explain(pictures[0][1])


def test_eight_bits_have_no_archive_of_torch(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="choose --format onnx or openvino"):
        export(checkpoint, describe(checkpoint, precision="int8"), "torch", tmp_path / "a.pt2")
