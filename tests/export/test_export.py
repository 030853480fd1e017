"""An exported model detects what the model detects, or it is not there."""

import json
import subprocess
import sys
from dataclasses import replace

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
from setpiece.export.export import describe, export, torch_backend
from setpiece.export.graph import DetectionGraph
from setpiece.inference.backends import is_exported, load_backend
from setpiece.inference.exported import ExportedPredictor
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.model.folding import fold_norms

# What an exported model is used without.
BLOCKED = ("torch", "torchvision", "accelerate", "safetensors", "huggingface_hub", "tensorboard", "plotly", "psutil")


def same(found, expected, pixels=0.5, score=1e-3):
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=pixels)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=score)
    assert found.class_id.tolist() == expected.class_id.tolist()


def relabel(scenes, names):
    """Keep the objects of the first classes under other names."""
    for file in scenes.glob("*/_annotations.coco.json"):
        coco = json.loads(file.read_text())
        kept = [each for each in coco["annotations"] if each["category_id"] <= len(names)]
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        file.write_text(json.dumps(coco | {"annotations": kept, "categories": categories}))


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


def test_an_image_with_fewer_cells_than_queries_is_padded(openvino_folder):
    assert len(Detector.load(openvino_folder).predict(np.zeros((10, 200, 3), np.uint8), threshold=0.0)) == 100


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
    relabel(data, ["circle", "square"])
    train, valid = (open_dataset(data, split) for split in ("train", "valid"))
    info = describe(checkpoint, size=128, batch=1, precision="int8")
    output = tmp_path / ("eight.onnx" if format == "onnx" else "eight")
    monkeypatch.setattr(exporting, "AP_LOSS", 1.0)
    said = export(checkpoint, info, format, output, calibrate=train, measure=valid)
    assert said.startswith("Verified on 2 images of ")
    assert "8 bits" in said
    assert Detector.load(output).exported.info.precision == "int8"


def test_eight_bits_that_cost_too_much_are_not_written(checkpoint, tmp_path, monkeypatch):
    data = write_scenes(tmp_path / "scenes", train=1, valid=2)
    checkpoint = replace(checkpoint, classes=("circle", "square"))
    relabel(data, ["circle", "square"])
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
    for name in ("broken.onnx", "broken.pt2", "broken.xml"):
        (tmp_path / name).write_text("no model")
        with pytest.raises(WeightsError, match="cannot be read by"):
            Detector.load(tmp_path / name)
    with pytest.raises(UsageError, match=r"There is no model at .*gone\.onnx"):
        Detector.load(tmp_path / "gone.onnx")
    assert not is_exported(tmp_path)


def test_an_exported_model_cannot_be_trained_or_explained(onnx_file, pictures, tmp_path):
    detector = Detector.load(onnx_file)
    with pytest.raises(UsageError, match="is exported and cannot be trained"):
        detector.train(tmp_path, output=tmp_path / "run")
    with pytest.raises(UsageError, match="give the run that it was exported from"):
        detector.explain(pictures[0][1])


def test_eight_bits_have_no_archive_of_torch(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="choose --format onnx or openvino"):
        export(checkpoint, describe(checkpoint, precision="int8"), "torch", tmp_path / "a.pt2")
