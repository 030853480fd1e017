"""Every check finds what is planted, in every layout, and keeps quiet on clean data."""

from __future__ import annotations

import codecs
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setpiece.data.checks import KINDS, Settings, Severity, examination, examine
from setpiece.data.checks.brief import brief
from setpiece.data.checks.files import RULES
from setpiece.data.defects import Defect
from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, UsageError
from setpiece.records import InputSize

from .planted import LAYOUTS, Data, Picture, clean, noise

SETTINGS = Settings(InputSize(96, 96))
BOX = ("cat", (10.0, 10.0, 40.0, 50.0))


def examined(data: Data, root: Path, layout: str, **options):
    data.write(root, layout)
    for change in data.after:
        change(root)
    return examine(root, SETTINGS, **options)


def kinds(examined) -> set[str]:
    return {found.check for found in examined.findings}


def of(examined, check):
    (found,) = [found for found in examined.findings if found.check == check]
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_clean_data_is_clean(tmp_path, layout):
    found = examined(clean(), tmp_path, layout)
    assert found.images == {"train": 24, "valid": 20}
    assert found.findings == ()
    assert found.worst() is None


def with_box(box, name="cat"):
    def plant(data, _):
        data.splits["train"][3].boxes.append((name, box))

    return plant


def with_picture(size, boxes=(), split="train", name="other.png", pixels=None):
    def plant(data, _):
        shown = noise(1000, size) if pixels is None else pixels
        data.splits[split].append(Picture(name, list(boxes), shown))

    return plant


def with_file(change, split="train", index=3):
    """Change the file of an image."""

    def plant(data, layout):
        picture = data.splits[split][index]
        data.after.append(lambda root: change(data.file(root, layout, split, picture)))

    return plant


def rename_class(old, new, split, images=99):
    """Give a class of some images another name."""

    def plant(data, _):
        data.classes = list(dict.fromkeys([*data.classes, new]))
        for picture in data.splits[split][:images]:
            picture.boxes = [(new if name == old else name, box) for name, box in picture.boxes]

    return plant


def truncate(file):
    file.write_bytes(file.read_bytes()[:-200])


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff\xc1" * 20
    file.write_bytes(bytes(content))


def turn(file):
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(file) as image:
        image.load()
    image.save(file, exif=exif)


def other_mode(mode):
    def change(file):
        with Image.open(file) as image:
            changed = image.convert(mode)
        changed.save(file.with_suffix(".tif"))
        file.with_suffix(".tif").replace(file)

    return change


def copy_of(split, index, *, to, name, changed=False, own_boxes=()):
    def plant(data, _):
        pixels = data.splits[split][index].pixels
        if changed:
            pixels = np.clip(pixels.astype(int) + 3, 0, 255).astype(np.uint8)
        data.splits[to].append(Picture(name, list(own_boxes), pixels))

    return plant


def without_objects(split, count=99):
    def plant(data, _):
        for picture in data.splits[split][:count]:
            picture.boxes = []

    return plant


def remove(split):
    def plant(data, _):
        del data.splits[split]

    return plant


def named_as_version(data, _):
    for number, split in enumerate(("train", "valid")):
        data.splits[split][0].name = f"photo.rf.{number}0a1b2c.jpg"


def declare(name):
    def plant(data, _):
        data.classes.append(name)

    return plant


def listed_without_file(data, layout):
    """An annotated image that is not there; in YOLO a label file without its image."""
    data.after.append(lambda root: data.file(root, layout, "train", data.splits["train"][3]).unlink())


def with_annotations(change):
    """The annotations of train4.jpg in a file whose bytes are changed."""

    def plant(data, layout):
        name = {
            "coco": "train/_annotations.coco.json",
            "yolo": "labels/train/train4.txt",
            "voc": "Annotations/train4.xml",
        }[layout]
        data.after.append(lambda root: (root / name).write_bytes(change((root / name).read_bytes())))

    return plant


def name_as(in_json, in_xml):
    """Another name for train4.jpg."""
    return lambda content: content.replace(b'"train4.jpg"', b'"' + in_json + b'"').replace(
        b">train4.jpg", b">" + in_xml
    )


PLANTS = {
    "files.unread": lambda data, _: data.after.append(
        lambda root: _write_file(root, "spare/more.json", '{"images": [], "annotations": [], "categories": []}')
    ),
    "files.missing": (listed_without_file, {"coco", "voc"}),
    "files.labels-without-image": (listed_without_file, {"yolo"}),
    "files.unreadable": with_file(lambda file: file.write_text("no image")),
    "files.truncated": with_file(truncate),
    "files.broken": with_file(damage),
    "files.unlisted": (lambda data, _: data.after.append(_write_beside("train/other.png")), {"coco"}),
    "files.labels-elsewhere": (
        lambda data, _: data.after.append(
            lambda root: (root / "labels" / "train" / "train4.txt").rename(root / "labels" / "train4.txt")
        ),
        {"yolo"},
    ),
    "files.others": (lambda data, _: data.after.append(_write_text("images/train/notes.doc")), {"yolo"}),
    "files.unannotated": (
        lambda data, _: data.after.append(lambda root: (root / "Annotations" / "train4.xml").unlink()),
        {"voc"},
    ),
    "files.byte-order-mark": with_annotations(lambda content: codecs.BOM_UTF8 + content),
    "files.line-ends": with_annotations(lambda content: content + b"\r\n"),
    "files.backslashes": (with_annotations(name_as(b"train\\\\train4.jpg", b"train\\train4.jpg")), {"coco", "voc"}),
    "files.absolute": (with_annotations(name_as(b"/old/train4.jpg", b"/old/train4.jpg")), {"coco", "voc"}),
    "boxes.zero-size": with_box((30.0, 30.0, 30.0, 50.0)),
    "boxes.swapped": with_box((50.0, 30.0, 30.0, 50.0)),
    "boxes.not-finite": with_box((float("nan"), 30.0, 50.0, 50.0)),
    "boxes.outside": with_box((200.0, 10.0, 240.0, 50.0)),
    "boxes.sticking-out": with_box((70.0, 2.0, 120.0, 25.0)),
    "boxes.twice": lambda data, _: data.splits["train"][3].boxes.append(data.splits["train"][3].boxes[0]),
    "boxes.one-pixel": with_box((50.0, 5.0, 51.0, 25.0)),
    "boxes.sliver": with_box((2.0, 70.0, 94.0, 71.5)),
    "boxes.whole-image": with_box((0.0, 0.0, 96.0, 80.0)),
    "boxes.nearly-twice": lambda data, _: data.splits["train"][3].boxes.append(_moved(data, "cat")),
    "boxes.two-classes": lambda data, _: data.splits["train"][3].boxes.append(_moved(data, "dog")),
    "boxes.more-than-queries": with_picture(
        (96, 80), [("cat", (6.0 * i, 5.0 * j, 6.0 * i + 4, 5.0 * j + 4)) for i in range(15) for j in range(8)]
    ),
    "boxes.small": with_picture(
        (96, 80), [("cat", (6.0 * i, 5.0 * j, 6.0 * i + 4, 5.0 * j + 4)) for i in range(9) for j in range(8)]
    ),
    "classes.unused": (declare("heron"), {"coco", "yolo"}),
    "classes.not-in-train": rename_class("cat", "heron", "valid", 12),
    "classes.few": rename_class("cat", "heron", "train", 4),
    "classes.not-in-valid": rename_class("cat", "heron", "train", 12),
    "classes.look-alike": rename_class("cat", "Cat ", "train", 12),
    "classes.skew": rename_class("cat", "dog", "valid", 12),
    "splits.no-valid": (remove("valid"), {"coco", "yolo", "voc"}),
    "splits.no-objects": without_objects("valid"),
    "splits.background": without_objects("train", 14),
    "splits.few": lambda data, _: data.splits["valid"].pop(),
    "splits.versions": named_as_version,
    "splits.same-image": copy_of("train", 2, to="valid", name="other.jpg", own_boxes=[BOX]),
    "splits.alike": copy_of("train", 2, to="valid", name="other.png", changed=True, own_boxes=[BOX]),
    "images.copies": copy_of("train", 2, to="train", name="other.jpg", own_boxes=[BOX]),
    "images.alike": copy_of("train", 2, to="train", name="other.png", changed=True, own_boxes=[BOX]),
    "images.empty": with_picture((96, 80)),
    "images.one-colour": with_picture((96, 80), pixels=np.full((80, 96, 3), 7, np.uint8)),
    "images.shape": with_picture((20, 24)),
    "images.turned": with_file(turn),
    "images.greyscale": with_file(other_mode("L")),
    "images.transparent": with_file(other_mode("RGBA")),
    "images.pages": with_file(
        lambda file: Image.fromarray(noise(7)).save(
            file, "TIFF", save_all=True, append_images=[Image.fromarray(noise(8))]
        )
    ),
    "images.invisible": with_file(lambda file: _make_transparent(file)),
    "images.colours": with_file(other_mode("CMYK")),
    "images.sixteen-bit": with_file(
        lambda file: Image.fromarray(np.arange(80 * 96, dtype=np.uint16).reshape(80, 96) * 8).save(file, "TIFF")
    ),
    "images.spread": with_file(
        lambda file: Image.fromarray(np.arange(80 * 96, dtype=np.uint16).reshape(80, 96) % 999).save(file, "TIFF")
    ),
    "images.palette": with_file(other_mode("P")),
    "images.other-size": (with_file(lambda file: _resize(file, (48, 40))), {"coco", "voc"}),
    "images.other-aspect": (with_file(lambda file: _resize(file, (80, 96))), {"coco", "voc"}),
}


def _moved(data, name):
    _, (left, top, right, bottom) = data.splits["train"][3].boxes[0]
    return name, (left + 1, top, right, bottom)


def _resize(file, size):
    Image.fromarray(noise(1000, size)).save(file)


def _make_transparent(file):
    with Image.open(file) as image:
        changed = image.convert("RGBA")
    changed.putalpha(0)
    changed.save(file, "PNG")


def _write_beside(path):
    return lambda root: Image.fromarray(noise(1000)).save(root / path)


def _write_file(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def _write_text(path):
    return lambda root: (root / path).write_text("words")


CASES = [
    (kind, layout)
    for kind, plant in PLANTS.items()
    for layout in LAYOUTS
    if not isinstance(plant, tuple) or layout in plant[1]
]


@pytest.mark.parametrize(("kind", "layout"), CASES)
def test_what_is_planted_is_found(tmp_path, kind, layout):
    data, plant = clean(), PLANTS[kind]
    (plant[0] if isinstance(plant, tuple) else plant)(data, layout)
    found = examined(data, tmp_path, layout)
    assert of(found, kind).count >= 1
    assert kinds(found) <= KINDS.keys()


ELSEWHERE = {  # what the tests of the readers plant, and tests below
    *("files.nested", "files.paths", "files.names", "files.ambiguous", "files.too-large", "files.repeated"),
    *("files.repeated-ids", "files.outputs", "images.outside"),
    *("splits.none", "splits.one-file", "boxes.outlines", "boxes.oriented", "boxes.crowds", "boxes.difficult"),
    *("images.scaled", "images.not-turned", "images.dark", "images.floating"),
    *("files.refused", "classes.not-in-test", "classes.numbers", "classes.imbalance", "images.undecodable"),
    *("labels.class", "labels.unseen", "labels.missing", "labels.off"),  # of inference.label_errors
}


def test_no_kind_is_left_out():
    assert KINDS.keys() - PLANTS.keys() == ELSEWHERE
    assert RULES.keys() == set(Defect)


def test_a_split_that_is_refused_is_a_finding_and_the_others_are_looked_at(tmp_path):
    data = clean()
    data.after.append(lambda root: (root / "labels" / "valid" / "valid30.txt").write_text("0 0.5 0.5"))
    found = examined(data, tmp_path, "yolo")
    refused = of(found, "files.refused")
    assert (refused.severity, refused.split) == (Severity.ERROR, "valid")
    assert "valid30.txt, line 1" in refused.what
    assert found.images == {"train": 24}
    assert kinds(examine(tmp_path, SETTINGS, only=["boxes"])) == {"files.refused"}


@pytest.mark.parametrize("layout", ["coco", "yolo"])
@pytest.mark.parametrize(("declared", "doubted"), [(["owl", "cat", "dog"], True), (["cat", "dog", "owl"], False)])
def test_a_first_class_without_objects_may_mean_that_ids_are_off_by_one(tmp_path, layout, declared, doubted):
    data = clean()
    data.classes = declared
    advice = of(examined(data, tmp_path, layout), "classes.unused").advice
    assert ("off by one: objects of cat may be of owl" in advice) == doubted


def test_a_split_of_crowds_alone_is_not_told_to_be_annotated(tmp_path):
    data = clean()
    data.write(tmp_path, "voc")
    for path in (tmp_path / "Annotations").iterdir():
        path.write_text(path.read_text().replace("</name>", "</name><difficult>1</difficult>"))
    first, second = (f for f in examine(tmp_path, SETTINGS, fast=True).findings if f.check == "splits.no-objects")
    assert first.what == "no object in any image (24), but 48 that are marked as crowd or difficult"
    assert first.advice == second.advice == "take that mark off what is to be learned"


def test_a_class_that_the_test_images_do_not_show_is_said(tmp_path):
    data = clean()
    data.splits["test"] = [Picture("test.jpg", [BOX], noise(2000))]
    assert of(examined(data, tmp_path, "coco"), "classes.not-in-test").what.endswith("found: dog")


def read_twice(data, layout, root, how):
    """Let valid read the first three files of train; returns the data set's folder."""
    shown = data.splits["train"][:3] if how == "links" else []
    data.splits["valid"] = data.splits["valid"][: 20 - len(shown)]
    data.splits["valid"] += [Picture(f"other{i}.jpg", each.boxes, each.pixels) for i, each in enumerate(shown)]
    data.write(root, layout)
    for i, each in enumerate(shown):
        link = data.file(root, layout, "valid", data.splits["valid"][i - 3])
        link.unlink()
        link.symlink_to(data.file(root, layout, "train", each))
    if how == "paths":  # valid is train, and train is all
        config = root / "data.yaml"
        config.write_text(config.read_text().replace("images/train", "images"))
    return root


@pytest.mark.parametrize(("layout", "how"), [*((layout, "links") for layout in LAYOUTS), ("yolo", "paths")])
def test_one_file_that_two_splits_read_is_an_error_without_a_look_at_pixels_and_is_said_once(tmp_path, layout, how):
    root = read_twice(clean(), layout, tmp_path, how)
    for fast in (True, False):
        found = examine(root, SETTINGS, fast=fast)
        assert of(found, "splits.one-file").severity == Severity.ERROR
        assert of(found, "splits.one-file").count == (3 if how == "links" else 20)
        assert "read for train" in of(found, "splits.one-file").what
        assert "splits.same-image" not in kinds(found)


def test_a_run_says_that_it_measures_on_its_training_images(tmp_path):
    root = read_twice(clean(), "yolo", tmp_path, "paths")
    (line,) = brief([open_dataset(root, split) for split in ("train", "valid")], SETTINGS)
    assert line.startswith(
        "Wrong in the data: valid: 20 images of valid: read for train (for example valid/valid25.jpg"
    )


def test_an_image_whose_pixels_cannot_be_decoded_is_an_error(tmp_path):
    """A PNG whose checksums are right around a stream that is not."""
    data = clean()
    data.splits["train"][3].name = "broken.png"
    data.write(tmp_path, "coco")
    file = tmp_path / "train" / "broken.png"
    content = file.read_bytes()
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start], "big")
    stream = b"IDAT" + content[start + 4 : start + 4 + length // 2] + bytes(length - length // 2)
    checksum = zlib.crc32(stream).to_bytes(4, "big")
    file.write_bytes(content[:start] + stream + checksum + content[start + 8 + length :])
    assert of(examine(tmp_path, SETTINGS), "images.undecodable").count == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_classes_called_by_numbers_are_noted_and_digits_are_not(tmp_path, layout):
    for number, (names, noted) in enumerate([(("class_0", "class_1"), True), (("0", "1"), False)]):
        data = clean()
        for old, new in zip(("cat", "dog"), names, strict=True):
            for split in data.splits:
                rename_class(old, new, split)(data, layout)
        data.classes = list(names)
        assert ("classes.numbers" in kinds(examined(data, tmp_path / str(number), layout))) == noted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_far_rarer_than_another_is_said(tmp_path, layout):
    data = clean()
    many = [("cat", (0.1 * i, 2.0, 0.1 * i + 10, 20.0)) for i in range(99)]
    for picture in data.splits["train"]:
        picture.boxes = [*many, picture.boxes[1]]
    for picture in data.splits["train"][12:]:
        picture.boxes = many
    found = of(examined(data, tmp_path, layout, only=["classes.imbalance"]), "classes.imbalance")
    assert found.what == "cat has 2376 objects in train, and dog has 12"


def test_fast_leaves_out_what_needs_every_pixel(tmp_path, monkeypatch):
    data = clean()
    copy_of("train", 2, to="valid", name="other.jpg")(data, "coco")
    data.write(tmp_path, "coco")
    monkeypatch.setattr("setpiece.data.checks.survey._look", lambda _: pytest.fail("looked at"))
    assert kinds(examine(tmp_path, SETTINGS, fast=True)) == {"images.empty"}


def test_checks_are_chosen_and_left_out_by_family_and_by_name(tmp_path):
    data = clean()
    with_box((30.0, 30.0, 30.0, 50.0))(data, "coco")
    with_picture((20, 24))(data, "coco")
    data.write(tmp_path, "coco")

    def found(**options):
        return kinds(examine(tmp_path, SETTINGS, **options))

    assert found() == {"boxes.zero-size", "images.shape", "images.empty"}
    assert found(only=["boxes"]) == {"boxes.zero-size"}
    assert found(only=["images.shape", "boxes"]) == {"images.shape", "boxes.zero-size"}
    assert found(skip=["images"]) == {"boxes.zero-size"}
    assert found(skip=["images.empty", "boxes.zero-size"]) == {"images.shape"}
    for name in ("box", "boxes.smal", ""):
        with pytest.raises(UsageError, match=rf"There are no checks '{name}'"):
            examine(tmp_path, SETTINGS, only=[name])


def test_a_check_that_fails_is_an_error_and_the_others_still_speak(tmp_path, monkeypatch):
    data = clean()
    with_box((30.0, 30.0, 30.0, 50.0))(data, "coco")
    data.write(tmp_path, "coco")

    def fails(*_):
        raise ZeroDivisionError("division by zero")
        yield

    monkeypatch.setattr(examination, "CHECKS", (("boxes", fails), *examination.CHECKS))
    assert kinds(examine(tmp_path, SETTINGS, only=["boxes.zero-size"])) == {"boxes.failed", "boxes.zero-size"}
    assert kinds(examine(tmp_path, SETTINGS, only=["files"])) == set()
    found = examine(tmp_path, SETTINGS, only=["boxes"])
    assert kinds(found) == {"boxes.failed", "boxes.zero-size"}
    assert "fails failed (ZeroDivisionError: division by zero)" in of(found, "boxes.failed").what
    assert found.worst() == Severity.ERROR


def test_the_worst_comes_first(tmp_path):
    data = clean()
    with_picture((20, 24))(data, "coco")
    with_box((30.0, 30.0, 30.0, 50.0))(data, "coco")
    severities = [found.severity for found in examined(data, tmp_path, "coco").findings]
    assert severities == sorted(severities)
    assert severities[0] == Severity.ERROR


def test_examples_name_the_image_and_the_box(tmp_path):
    data = clean()
    with_box((50.0, 5.0, 51.0, 25.0))(data, "coco")
    (place,) = of(examined(data, tmp_path, "coco"), "boxes.one-pixel").examples
    assert place.text == "train4.jpg, box (50, 5) to (51, 25)"
    assert place.image == tmp_path / "train" / "train4.jpg"
    assert place.box_xyxy == (50, 5, 51, 25)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="No data set is recognised"):
        examine(tmp_path, SETTINGS)


def test_the_two_boxes_of_no_size_in_the_blood_cells_are_found(shared_data, tmp_path):
    """As published, before they were repaired."""
    root = tmp_path / "bccd"
    for split in ("train", "valid"):
        (root / split).mkdir(parents=True)
        for file in (shared_data / "bccd" / split).iterdir():
            if file.name != "_annotations.coco.json":
                (root / split / file.name).symlink_to(file)
        annotations = root / split / "_annotations.coco.json"
        annotations.symlink_to(shared_data / "bccd" / split / annotations.name)
        raw = shared_data / "bccd" / split / "_annotations.raw.coco.json"
        (root / split / raw.name).unlink(missing_ok=True)
        if raw.exists():
            annotations.unlink()
            annotations.symlink_to(raw)
    zero = [found for found in examine(root, SETTINGS, fast=True).findings if found.check == "boxes.zero-size"]
    assert sum(found.count for found in zero) == 2


def test_the_documentation_lists_every_kind_with_what_it_looks_for():
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    for kind, looks_for in KINDS.items():
        assert f"| `{kind}` | {looks_for} |" in page
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert f"looks for {len(KINDS)} kinds of findings" in readme
