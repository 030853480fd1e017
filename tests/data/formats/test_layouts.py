"""Exports as tools write them: which layout it is, which splits, and where the images are."""

from __future__ import annotations

import json
import unicodedata

import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.data.formats.splits import split_of
from setpiece.errors import DataError, UsageError

from .conftest import CLASSES, NAMES, coco, voc, yolo

YAML = "names: [bolt, nut]\n"


def files_of(names, image="{}.jpg", **texts):
    """The image of each name, and its other files, as `{pattern: how it is written}`."""
    return {image.format(name): None for name in names} | {
        pattern.format(name): text(name) for pattern, text in texts.items() for name in names
    }


def expect(root, split, names=None, classes=CLASSES):
    """The split has these images, each with the boxes that were drawn; returns the data set."""
    dataset = open_dataset(root, split)
    names = NAMES[split] if names is None else names
    assert dataset.classes == classes
    assert sorted(example.path.stem for example in dataset.examples) == sorted(names)
    for example in dataset.examples:
        boxes = [[8, 6, 24, 18], [30, 20, 50, 38]] if "part" in example.path.stem else [[16, 12, 48, 36]]
        assert example.boxes_xyxy.round(3).tolist() == boxes
    return dataset


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "train") for name in ("train", "Train", "TRAINING", "train2017", "obj_train_data", "my-train-set")),
        *((name, "valid") for name in ("val", "valid", "Validation", "val2017", "instances_val", "dev")),
        *((name, "test") for name in ("test", "Testing", "test-dev2015".replace("-dev", ""))),
        *((name, None) for name in ("trainval", "default", "contest", "train_val", "")),
    ],
)
def test_a_split_is_known_in_any_spelling(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(("train", "valid"), [("Train", "Validation"), ("train2017", "val2017"), ("TRAIN", "VAL")])
@pytest.mark.parametrize("images", ["images/{}", "{}", "Images/{}"])
def test_coco_subsets_in_any_spelling_are_splits(write, train, valid, images):
    files = {}
    for subset, split in ((train, "train"), (valid, "valid")):
        files[f"annotations/instances_{subset}.json"] = coco(NAMES[split])
        files |= files_of(NAMES[split], f"{images.format(subset)}/{{}}.jpg")
    root = write(files)
    assert available_splits(root) == ("train", "valid")
    for split in ("train", "valid"):
        assert expect(root, split).defects.counts.keys() <= {Defect.OTHER_NAME}


@pytest.mark.parametrize(
    "layout",
    [
        ("train/_annotations.coco.json", "train/{}.jpg"),
        ("Train/_annotations.coco.json", "Train/images/{}.jpg"),
        ("train/annotations.json", "train/{}.jpg"),
        ("train.json", "images/{}.jpg"),
        ("annotations/train.json", "train/{}.jpg"),
        ("train_annotations.json", "images/train/{}.jpg"),
        ("instances_train.json", "{}.jpg"),
        ("train/labels.json", "train/data/{}.jpg"),
    ],
)
def test_a_coco_file_that_is_named_after_its_split_or_lies_in_its_folder_is_that_split(write, layout):
    annotations, image = layout
    root = write({annotations: coco(NAMES["train"])} | files_of(NAMES["train"], image))
    assert available_splits(root) == ("train",)
    expect(root, "train")


@pytest.mark.parametrize(
    ("annotations", "image"),
    [
        ("annotations/instances_default.json", "images/default/{}.jpg"),
        ("annotations/instances_default.json", "images/{}.jpg"),
        ("result.json", "images/{}.jpg"),
        ("labels.json", "data/{}.jpg"),
        ("my export.json", "{}.jpg"),
    ],
)
def test_a_single_coco_file_is_divided(write, annotations, image):
    names = [f"part_{number}" for number in range(40)]
    root = write({annotations: coco(names), "notes.json": '{"categories": []}'} | files_of(names, image))
    assert available_splits(root) == ("train", "valid")
    train, valid = (open_dataset(root, split) for split in ("train", "valid"))
    assert 4 <= len(valid.examples) <= 12
    assert sorted(e.path.stem for e in train.examples + valid.examples) == sorted(names)
    assert train.defects.counts == {Defect.NO_SPLIT: len(train.examples)}
    assert "about one in five is held out as valid" in valid.defects.summary()[0]
    with pytest.raises(UsageError, match="no split 'test'; it has: train, valid"):
        open_dataset(root, "test")


def test_versions_of_one_photo_are_in_one_part_and_an_image_that_is_added_moves_no_other(write):
    names = [f"part_{photo}_jpg.rf.{version}{photo:02}" for photo in range(20) for version in "abc"]
    root = write({"result.json": coco(names)} | files_of(names, "images/{}.jpg"))
    held_out = {example.path.stem for example in open_dataset(root, "valid").examples}
    photos = {stem.split("_jpg")[0] for stem in held_out}
    assert len(held_out) == 3 * len(photos)
    write({"result.json": coco([*names, "part_new"]), "images/part_new.jpg": None})
    again = {example.path.stem for example in open_dataset(root, "valid").examples}
    assert again - {"part_new"} == held_out


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_two_images_one_is_held_out_and_of_one_none(write, count):
    names = [f"part_{number}" for number in range(count)]
    root = write({"result.json": coco(names)} | files_of(names, "images/{}.jpg"))
    assert available_splits(root) == (("train", "valid") if count > 1 else ("train",))


@pytest.mark.parametrize("layout", ["coco", "instances", "yolo", "voc"])
def test_beside_a_folder_that_is_called_train_nobody_means_another(write, layout):
    files = {"data.yaml": YAML} if layout == "yolo" else {}
    for folder, names in (("old_train", ["part_8"]), ("train", NAMES["train"]), ("train_old", ["part_9"])):
        files |= {
            "coco": files_of(names, f"{folder}/{{}}.jpg") | {f"{folder}/_annotations.coco.json": coco(names)},
            "instances": files_of(names, f"{folder}/{{}}.jpg") | {f"annotations/instances_{folder}.json": coco(names)},
            "yolo": files_of(names, f"images/{folder}/{{}}.jpg", **{f"labels/{folder}/{{}}.txt": yolo}),
            "voc": files_of(names, f"{folder}/{{}}.jpg", **{f"{folder}/{{}}.xml": voc}),
        }[layout]
    expect(write(files), "train", classes=("bolt",) if layout == "voc" else CLASSES)


def test_two_coco_files_without_a_split_are_an_error_that_names_both(write):
    root = write({"a.json": coco(["part_1"]), "b.json": coco(["part_2"]), "images/part_1.jpg": None})
    with pytest.raises(DataError, match=r"a\.json and b\.json are annotation files, and neither is named"):
        available_splits(root)


@pytest.mark.parametrize("key", ["val", "valid", "validation"])
@pytest.mark.parametrize("name", ["data.yaml", "data.yml", "dataset.yaml", "parts.yaml"])
def test_yolo_yamls_of_any_name_and_key_are_read(write, name, key):
    root = write(
        files_of(NAMES["train"], "images/train/{}.jpg", **{"labels/train/{}.txt": yolo})
        | files_of(NAMES["valid"], "images/hold/{}.jpg", **{"labels/hold/{}.txt": yolo})
        | {name: f"path: c:\\Work\\parts\ntrain: .\\images\\train\\\n{key}: .\\images\\hold\\\n{YAML}"}
    )
    assert available_splits(root) == ("train", "valid")
    for split in ("train", "valid"):
        assert expect(root, split).defects.counts == {}


def test_two_yamls_with_classes_are_an_error_that_names_both(write):
    root = write({"a.yaml": YAML, "b.yaml": YAML, "c.yaml": "x: 1\n"})
    with pytest.raises(DataError, match=r"a\.yaml and b\.yaml both name classes"):
        available_splits(root)


@pytest.mark.parametrize("prefix", ["", "data/", "/home/me/darknet/"])
def test_yolo_of_darknet_is_read(write, prefix):
    root = write(
        files_of(NAMES["train"], "obj_train_data/{}.jpg", **{"obj_train_data/{}.txt": yolo})
        | files_of(NAMES["valid"], "obj_valid_data/{}.jpg", **{"obj_valid_data/{}.txt": yolo})
        | {
            "obj.data": f"classes = 2\n# a comment\ntrain = {prefix}train.txt\nvalid = {prefix}valid.txt\n"
            f"names = {prefix}obj.names\nbackup = backup/\n",
            "obj.names": "bolt\nnut\n",
            "train.txt": "".join(f"{prefix}obj_train_data/{name}.jpg\n" for name in NAMES["train"]),
            "valid.txt": "".join(f"{prefix}obj_valid_data/{name}.jpg\n" for name in NAMES["valid"]),
        }
    )
    assert available_splits(root) == ("train", "valid")
    for split in ("train", "valid"):
        expect(root, split)


@pytest.mark.parametrize(
    ("classes", "image", "label"),
    [
        ("classes.txt", "images/{}.jpg", "labels/{}.txt"),
        ("labels/classes.txt", "images/{}.jpg", "labels/{}.txt"),
        ("classes.txt", "{}.jpg", "{}.txt"),
        ("obj.names", "imgs/{}.jpg", "labels/{}.txt"),
    ],
)
def test_yolo_with_a_list_of_classes_alone_is_divided(write, classes, image, label):
    names = [f"part_{number}" for number in range(20)]
    root = write(files_of(names, image, **{label: yolo}) | {classes: "bolt\nnut", "notes.json": "{}"})
    assert available_splits(root) == ("train", "valid")
    parts = [open_dataset(root, split) for split in ("train", "valid")]
    assert sorted(e.path.stem for part in parts for e in part.examples) == sorted(names)
    assert all(len(e.labels) == 2 for part in parts for e in part.examples)


def test_yolo_with_a_list_of_classes_and_folders_of_splits_has_these(write):
    files = {"classes.txt": "bolt\nnut"}
    for folder, split in (("train", "train"), ("val", "valid")):
        files |= files_of(NAMES[split], f"images/{folder}/{{}}.jpg", **{f"labels/{folder}/{{}}.txt": yolo})
    root = write(files)
    for split in ("train", "valid"):
        expect(root, split)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("train/imgs/{}.jpg", "train/labels/{}.txt"),
        ("imgs/train/{}.jpg", "labels/train/{}.txt"),
        ("train/{}.jpg", "train/{}.txt"),
        ("train/{}.jpg", "train/labels/{}.txt"),
        ("train/Images/{}.jpg", "train/Labels/{}.txt"),
        ("train/photos/line 1/{}.jpg", "train/labels/line 1/{}.txt"),
        ("images/train/images/{}.jpg", "images/train/labels/{}.txt"),
    ],
)
def test_yolo_labels_are_found_whatever_the_folder_of_images_is_called(write, image, label):
    folder = image.rsplit("/", 1)[0]
    names = NAMES["train"]
    root = write(files_of(names, image, **{label: yolo}) | {"data.yaml": f"train: {folder}\n{YAML}"})
    expect(root, "train")


def test_yolo_reads_linked_folders_below_the_images(write):
    root = write(
        files_of(["part_1", "part_2"], "disk/{}.jpg")
        | files_of(["part_3", "part_4"], "set/images/train/line2/{}.jpg", **{"set/labels/train/line2/{}.txt": yolo})
        | {f"set/labels/train/line1/{name}.txt": yolo(name) for name in ("part_1", "part_2")}
        | {"set/data.yaml": f"train: images/train\n{YAML}"}
    )
    (root / "set/images/train/line1").symlink_to(root / "disk", target_is_directory=True)
    expect(root / "set", "train")


def test_yolo_labels_are_found_in_another_case_and_unicode_form(write):
    names = [unicodedata.normalize("NFD", "part_ü"), "part_2"]
    root = write({f"train/images/{name}.jpg": None for name in names} | {"data.yaml": YAML})
    write({f"train/labels/{unicodedata.normalize('NFC', name)}.TXT": yolo(name) for name in names})
    expect(root, "train", names)


def test_yolo_labels_that_are_called_otherwise_than_the_images_are_said(write):
    root = write(files_of(NAMES["train"], "train/images/{}.jpg", **{"train/labels/{}_jpg.txt": yolo}))
    write({"data.yaml": YAML})
    assert open_dataset(root, "train").defects.counts == {Defect.UNUSED_LABELS: 4, Defect.EMPTY_IMAGE: 4}


def test_yolo_labels_of_a_folder_of_images_that_is_gone_are_said(write):
    root = write(files_of(["part_1"], "images/train/a/{}.jpg", **{"labels/train/a/{}.txt": yolo}))
    write({"labels/train/b/part_2.txt": yolo("part_2"), "data.yaml": YAML})
    assert expect(root, "train", ["part_1"]).defects.counts == {Defect.UNUSED_LABELS: 1}


def test_yolo_says_which_files_it_does_not_read(write):
    root = write(
        files_of(NAMES["train"], "images/train/{}.jpg", **{"labels/train/{}.txt": yolo})
        | {"data.yaml": YAML, "images/train/part_9.heic": "", "labels/train/part_9.txt": yolo("part_9")}
    )
    assert expect(root, "train").defects.counts == {Defect.OTHER_FILE: 1, Defect.UNUSED_LABELS: 1}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("validation/images", r"data\.yaml: `val` names validation/images, which does not exist"),
        ("empty", r"data\.yaml: `val` names empty, and .*empty holds no image"),
        ("labels/train", r"data\.yaml: `val` names labels/train, and .*labels/train holds no image"),
        ("[images/train, gone]", r"data\.yaml: `val` names gone, which does not exist"),
    ],
)
def test_a_yaml_path_that_leads_to_no_image_is_named(write, entry, message):
    root = write(
        files_of(NAMES["train"], "images/train/{}.jpg", **{"labels/train/{}.txt": yolo})
        | {"data.yaml": f"train: images/train\nval: {entry}\n{YAML}", "empty/.keep": ""}
    )
    expect(root, "train")
    with pytest.raises(DataError, match=message):
        open_dataset(root, "valid")


def test_the_usual_folder_is_read_where_a_yaml_path_leads_to_no_image_and_that_is_said(write):
    root = write(
        files_of(NAMES["train"], "images/train/{}.jpg", **{"labels/train/{}.txt": yolo})
        | files_of(NAMES["valid"], "images/val/{}.jpg", **{"labels/val/{}.txt": yolo})
        | {"data.yaml": f"train: images/train\nval: labels/val\n{YAML}"}
    )
    (line,) = expect(root, "valid").defects.summary()
    assert line.startswith("1 path that leads to no image: the usual folder is read (`val` names labels/val, and ")


def test_test_images_that_a_yaml_names_and_nobody_has_are_no_split(write):
    root = write(
        files_of(NAMES["train"], "train/images/{}.jpg", **{"train/labels/{}.txt": yolo})
        | {"data.yaml": f"train: ../train/images\ntest: ../test/images\n{YAML}"}
    )
    assert available_splits(root) == ("train",)


def test_yolo_lines_with_keypoints_are_boxes_and_no_outlines(write):
    label = "0 0.5 0.5 0.25 0.5 0.45 0.45 2 0.55 0.55 2\n"
    root = write({"data.yaml": YAML + "kpt_shape: [2, 3]\n", "images/train/a.jpg": None, "labels/train/a.txt": label})
    assert open_dataset(root, "train").examples[0].boxes_xyxy.tolist() == [[24, 12, 40, 36]]


@pytest.mark.parametrize(
    ("image", "xml"),
    [
        ("{split}/{name}.jpg", "{split}/{name}.xml"),
        ("{split}/images/{name}.jpg", "{split}/annotations/{name}.xml"),
        ("JPEGImages/{split}/{name}.jpg", "Annotations/{split}/{name}.xml"),
        ("images/{split}/{name}.png", "annotations/{split}/{name}.xml"),
    ],
)
@pytest.mark.parametrize("spelling", [("train", "valid"), ("Train", "Validation")])
def test_voc_in_folders_of_splits_is_read(write, image, xml, spelling):
    files = {"README.xml": "<about/>"}
    for folder, split in zip(spelling, ("train", "valid"), strict=True):
        for name in (*NAMES[split], "same_part" if split == "train" else "same_held"):
            files[image.format(split=folder, name=name)] = None
            files[xml.format(split=folder, name=name)] = voc(name)
    root = write(files)
    assert available_splits(root) == ("train", "valid")
    expect(root, "train", [*NAMES["train"], "same_part"])
    expect(root, "valid", [*NAMES["valid"], "same_held"])


def test_voc_images_of_one_name_in_two_splits_are_kept_apart(write):
    root = write(
        {f"{split}/{folder}/part_1.{end}": text for split in ("train", "valid")
         for folder, end, text in (("images", "jpg", None), ("Annotations", "xml", voc("part_1")))}
    )  # fmt: skip
    for split in ("train", "valid"):
        assert expect(root, split, ["part_1"], ("bolt",)).examples[0].path == root / split / "images" / "part_1.jpg"


@pytest.mark.parametrize(
    ("image", "xml"),
    [("{}.jpg", "{}.xml"), ("images/{}.jpg", "annotations/{}.xml"), ("JPEGImages/{}.JPG", "Annotations/{}.xml")],
)
def test_voc_without_lists_and_splits_is_divided(write, image, xml):
    names = [f"part_{number}" for number in range(20)]
    root = write(files_of(names, image, **{xml: voc}) | {"JPEGImages/spare.heic": ""})
    parts = [open_dataset(root, split) for split in ("train", "valid")]
    assert sorted(e.path.stem for part in parts for e in part.examples) == sorted(names)


def test_a_voc_list_that_is_named_after_no_split_says_which_images_are_meant(write):
    names = [f"part_{number}" for number in range(20)]
    root = write(files_of([*names, "part_x"], "JPEGImages/{}.jpg", **{"Annotations/{}.xml": voc}))
    write({"ImageSets/Main/default.txt": "\n".join(names), "Annotations/spare.xml": "<annotation>&</annotation>"})
    parts = [open_dataset(root, split) for split in ("train", "valid")]
    assert sorted(e.path.stem for part in parts for e in part.examples) == sorted(names)


def test_voc_files_that_no_list_names_stop_nothing(write):
    root = write(
        files_of(NAMES["train"], "JPEGImages/{}.jpg", **{"Annotations/{}.xml": voc})
        | {"Annotations/spare.xml": "<annotation><filename>nuts & bolts.jpg</filename></annotation>"}
        | {"ImageSets/Main/Train.txt": "".join(f"{name}.jpg\n" for name in NAMES["train"])}
        | {"ImageSets/Main/nut_train.txt": "part_1 -1\n"}
    )
    assert available_splits(root) == ("train",)
    expect(root, "train", classes=("bolt",))


def test_a_voc_image_never_gets_the_boxes_of_another_folder(write):
    root = write(
        files_of(["cam1/part_1", "cam2/part_1"], "JPEGImages/{}.jpg")
        | {"Annotations/cam1/part_1.xml": voc("part_1"), "Annotations/cam3/part_1.xml": voc("part_1")}
        | {"ImageSets/Main/train.txt": "cam1/part_1\ncam2/part_1\ncam3/part_1\n"}
    )
    dataset = expect(root, "train", ["part_1"], classes=("bolt",))
    assert dataset.examples[0].path.parent.name == "cam1"
    assert dataset.defects.counts.items() >= {Defect.UNANNOTATED_IMAGE: 1, Defect.MISSING_IMAGE: 1}.items()


@pytest.mark.parametrize(
    ("listed", "xml"),
    [
        ("part_1", "cam1/part_1"),
        ("/old/disk/cam1/part_1.jpg", "cam1/part_1"),
        ("JPEGImages/cam1/part_1.jpg", "cam1/part_1"),
        ("cam1/part_1", "part_1"),
    ],
)
def test_a_voc_list_may_name_more_or_fewer_folders_than_there_are(write, listed, xml):
    root = write({f"JPEGImages/{xml}.jpg": None, f"Annotations/{xml}.xml": voc("part_1")})
    write({"ImageSets/Main/train.txt": listed})
    assert expect(root, "train", ["part_1"], classes=("bolt",)).defects.counts == {}


@pytest.mark.parametrize("listed", ["part_1", "cam1/part_2\ncam2/part_2"])
def test_a_voc_name_that_fits_two_xml_files_or_the_file_of_another_name_means_none(write, listed):
    files = {f"Annotations/{name}.xml": voc("part_1") for name in ("cam1/part_1", "cam2/part_1", "part_2", "part_3")}
    root = write(files | files_of(["cam1/part_1", "cam2/part_1", "part_2", "part_3"], "JPEGImages/{}.jpg"))
    write({"ImageSets/Main/train.txt": f"{listed}\npart_3"})
    dataset = expect(root, "train", ["part_3"], classes=("bolt",))
    assert dataset.defects.counts[Defect.AMBIGUOUS_NAME] == listed.count("part")


def test_two_voc_files_that_say_the_name_of_one_image_mean_none(write):
    root = write({"train/part_1.jpg": None, "train/x.xml": voc("part_1"), "train/part_2.jpg": None})
    write({"train/part_2.xml": voc("part_2")})
    assert expect(root, "train", ["part_1", "part_2"], classes=("bolt",)).defects.counts == {}
    write({"train/y.xml": voc("part_1")})
    counts = expect(root, "train", ["part_2"], classes=("bolt",)).defects.counts
    assert counts.items() >= {Defect.AMBIGUOUS_NAME: 2, Defect.MISSING_IMAGE: 2}.items()


def test_voc_images_are_found_by_the_name_that_the_file_says(write):
    root = write({"train/1.xml": voc("part_1", "photos\\part_1.png"), "train/part_1.png": None})
    expect(root, "train", ["part_1"], classes=("bolt",))


def test_voc_images_without_xml_are_said_in_a_folder_without_lists(write):
    root = write({"train/part_1.xml": voc("part_1"), "train/part_1.jpg": None, "train/x.jpg": None, "train/y.heic": ""})
    assert open_dataset(root, "train").defects.counts == {Defect.UNANNOTATED_IMAGE: 1, Defect.OTHER_FILE: 1}


LAYOUTS = {
    "coco": {"train/_annotations.coco.json": coco(NAMES["train"])} | files_of(NAMES["train"], "train/{}.jpg"),
    "yolo": {"data.yaml": f"train: images/train\n{YAML}"}
    | files_of(NAMES["train"], "images/train/{}.jpg", **{"labels/train/{}.txt": yolo}),
    "yolo without yaml": {
        "classes.txt": "bolt\nnut\n",
        "train.txt": "".join(f"{name}.jpg\n" for name in NAMES["train"]),
    }
    | files_of(NAMES["train"], "{}.jpg", **{"{}.txt": yolo}),
    "voc in folders": files_of(NAMES["train"], "train/{}.jpg", **{"train/{}.xml": voc}),
    "voc": {"ImageSets/Main/train.txt": "".join(f"{name}\n" for name in NAMES["train"])}
    | files_of(NAMES["train"], "JPEGImages/{}.jpg", **{"Annotations/{}.xml": voc}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_annotations_in_utf_16_or_with_a_byte_order_mark_are_read_as_others(write, layout, encoding):
    def read():
        splits = {split: open_dataset(root, split) for split in available_splits(root)}
        return {
            (split, dataset.classes, example.path.name, str(example.boxes_xyxy))
            for split, dataset in splits.items()
            for example in dataset.examples
        }

    root = write(LAYOUTS[layout])
    without = read()
    assert len(without) == 4
    for name, text in LAYOUTS[layout].items():
        if text is not None:
            (root / name).write_text(text, encoding=encoding)
    assert read() == without


def test_annotations_in_another_encoding_are_refused_by_name(write):
    root = write(LAYOUTS["yolo"])
    (root / "labels" / "train" / "part_1.txt").write_bytes("0 0.5 0.5 0.1 0.1 # Mü".encode("latin-1"))
    with pytest.raises(DataError, match=r"part_1\.txt is not UTF-8 text.*save it as UTF-8"):
        open_dataset(root, "train")


@pytest.mark.parametrize("written", ["utf-8", "utf-16", "latin-1"])
@pytest.mark.parametrize("declared", ["", "utf-8", "utf-16", "iso-8859-1"])
def test_xml_is_read_in_the_encoding_that_it_has_and_not_in_the_one_it_kept_from_a_copy(write, written, declared):
    root = write({"train/part_1.jpg": None, "train/part_1.xml": ""})
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = declaration + voc("part_1").replace("bolt", "Mutter für bolt")
    (root / "train" / "part_1.xml").write_bytes(text.encode(written))
    if written == "latin-1" and declared != "iso-8859-1":
        with pytest.raises(
            DataError, match=r"part_1\.xml is not UTF-8 text, and declares no other .* save it as UTF-8"
        ):
            open_dataset(root, "train")
    elif written == "utf-8" and declared == "iso-8859-1":
        pass  # every byte is a letter of it: nothing can tell
    else:
        expect(root, "train", ["part_1"], classes=("Mutter für bolt",))


BOMB = '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><annotation>&y;</annotation>'


@pytest.mark.parametrize("text", [BOMB, '<!DOCTYPE a [<!ENTITY x SYSTEM "/etc/passwd">]><annotation>&x;</annotation>'])
def test_xml_with_entities_is_refused(write, text):
    root = write({"train/part_1.xml": text, "train/part_1.jpg": None})
    with pytest.raises(DataError, match=r"part_1\.xml declares XML entities"):
        open_dataset(root, "train")


@pytest.mark.parametrize("layout", ["coco", "one coco file", "yolo", "voc"])
def test_a_data_set_one_folder_deeper_is_read_and_said(write, layout):
    names = NAMES["train"]
    files = {
        "coco": files_of(names, "train/{}.jpg") | {"train/_annotations.coco.json": coco(names)},
        "one coco file": files_of(names, "images/{}.jpg") | {"result.json": coco(names)},
        "yolo": files_of(names, "train/images/{}.jpg", **{"train/labels/{}.txt": yolo}) | {"data.yaml": YAML},
        "voc": files_of(names, "train/{}.jpg", **{"train/{}.xml": voc}),
    }[layout]
    root = write({f"Parts.v1i/{name}": text for name, text in files.items()} | {"__MACOSX/Parts.v1i/._x.json": ""})
    dataset = open_dataset(root, "train")
    assert dataset.defects.counts[Defect.NESTED] == 1
    assert "1 data set in a folder below: read there" in dataset.defects.summary()[0]
    assert {example.path.stem for example in dataset.examples} <= set(names)


def test_folders_that_hold_one_folder_alone_are_gone_through(write):
    root = write(files_of(NAMES["train"], "a/b/c/train/{}.jpg", **{"a/b/c/train/{}.xml": voc}))
    expect(root, "train", classes=("bolt",))


def test_several_data_sets_below_are_an_error_that_names_them(write):
    root = write({f"{name}/train/_annotations.coco.json": coco([]) for name in ("cars", "boats")})
    with pytest.raises(DataError, match="holds several data sets: boats, cars; name one"):
        available_splits(root)


def test_hidden_files_beside_every_file_change_nothing(write):
    names = NAMES["train"]
    plain = {
        "coco": files_of(names, "train/{}.jpg") | {"annotations/instances_train.json": coco(names)},
        "yolo": files_of(names, "images/train/{}.jpg", **{"labels/train/{}.txt": yolo}) | {"data.yaml": YAML},
        "voc": files_of(names, "train/{}.jpg", **{"train/{}.xml": voc}),
        "lists": files_of(names, "JPEGImages/{}.jpg", **{"Annotations/{}.xml": voc})
        | {"ImageSets/Main/train.txt": "\n".join(names)},
    }
    for layout, files in plain.items():
        hidden = {"/".join([*name.split("/")[:-1], f"._{name.split('/')[-1]}"]): "\0\5\26\7" for name in files}
        root = write({f"{layout}/{name}": text for name, text in (files | hidden).items()}) / layout
        classes = ("bolt",) if layout in ("voc", "lists") else CLASSES
        assert expect(root, "train", classes=classes).defects.counts == {}


def test_a_layout_that_is_not_recognised_is_told_with_what_there_is(write):
    root = write(
        {"a/1.jpg": None, "a/2.jpg": None, "b/3.png": None, "boxes.csv": "x", "export.json": "{}", "x.bin": ""}
    )
    with pytest.raises(
        DataError, match=r"which holds 2 images in a/, 1 image in b/, boxes\.csv, export\.json, 1 other file; it needs "
    ):
        available_splits(root)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(DataError, match="which holds nothing; it needs"):
        available_splits(tmp_path)


@pytest.mark.parametrize(
    ("annotations", "folder"),
    [
        ("train/_annotations.coco.json", "train"),
        ("train/_annotations.coco.json", "train/images"),
        ("annotations/instances_train.json", "images/train"),
        ("result.json", "images"),
    ],
)
def test_images_that_the_coco_file_of_a_folder_does_not_list_are_said(write, annotations, folder):
    names = NAMES["train"][:1]  # one, so that nothing is divided
    root = write(files_of(names, f"{folder}/{{}}.jpg") | {annotations: coco(names)})
    write({f"{folder}/x.jpg": None, f"{folder}/y.heic": "", f"{folder}/._z.jpg": ""})
    counts = open_dataset(root, "train").defects.counts
    assert counts.items() >= {Defect.UNLISTED_IMAGE: 1, Defect.OTHER_FILE: 1}.items()


def test_images_of_other_splits_in_one_folder_are_not_said(write):
    files = {f"annotations/instances_{split}.json": coco(NAMES[split]) for split in ("train", "valid")}
    root = write(files | files_of(NAMES["train"] + NAMES["valid"], "images/{}.jpg"))
    for split in ("train", "valid"):
        assert expect(root, split).defects.counts == {}


def test_a_coco_image_that_is_listed_twice_is_read_once_with_all_its_boxes(write):
    content = json.loads(coco(["part_1", "part_1"]))
    content["annotations"] = [content["annotations"][index] for index in (0, 2, 3)]  # one is there twice
    root = write({"train/part_1.jpg": None, "train/_annotations.coco.json": json.dumps(content)})
    dataset = expect(root, "train", ["part_1"])
    assert dataset.defects.counts == {Defect.REPEATED_IMAGE: 1, Defect.DUPLICATE_BOX: 1}
    assert [image["id"] for image in dataset.to_coco()["images"]] == [0]


PARENT = [{"id": 1, "name": "bolt", "supercategory": "part"}, {"id": 2, "name": "part", "supercategory": "none"}]


def test_a_parent_class_that_any_split_annotates_stays_a_class(write):
    one = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}
    valid = coco(["a"], categories=PARENT, annotations=[one | {"category_id": 2}])
    train = coco(["a"], categories=PARENT, annotations=[one])
    root = write({"train/a.jpg": None, "valid/a.jpg": None, "train/_annotations.coco.json": train})
    assert open_dataset(root, "train").classes == ("bolt",)
    write({"valid/_annotations.coco.json": valid})
    assert [open_dataset(root, split).classes for split in ("train", "valid")] == [("bolt", "part")] * 2


def test_a_class_that_only_valid_declares_is_named_with_the_train_file(write):
    content = json.loads(coco(["held_1"]))
    content["categories"].append({"id": 9, "name": "rivet"})
    root = write(files_of(["part_1"], "train/{}.jpg") | files_of(["held_1"], "valid/{}.jpg"))
    write({"train/_annotations.coco.json": coco(["part_1"]), "valid/_annotations.coco.json": json.dumps(content)})
    expect(root, "valid", ["held_1"])  # declared, and not annotated
    content["annotations"][0]["category_id"] = 9
    write({"valid/_annotations.coco.json": json.dumps(content)})
    with pytest.raises(DataError, match=r"annotation 0 is of the class 'rivet', which .*train.* does not declare"):
        open_dataset(root, "valid")
