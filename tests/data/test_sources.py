"""Which layout of several is read, and what is said where none can be."""

from __future__ import annotations

import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.sources import read_splits
from setpiece.errors import DataError

from .formats.conftest import NAMES, coco, voc, write, yolo

__all__ = ["write"]

YAMLS = {
    "of a description": {"dataset.yaml": "title: my parts\nauthor: me\n"},
    "of another program": {"config.yaml": "model: x\nclass_names: [a, b]\n"},
    "of two programs": {"a.yaml": "names: [a]\n", "b.yaml": "names: [b]\n"},
    "that is none": {"data.yml": "{"},
    "in another encoding": {"notes.yml": b"author: M\xfcller\n"},
}


def write_all(write, yamls, files):
    root = write(files)
    for name, content in yamls.items():
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.mark.parametrize("yamls", YAMLS.values(), ids=YAMLS)
@pytest.mark.parametrize("xml", ["{split}/{name}.xml", "Annotations/{name}.xml", "{name}.xml"])
def test_a_yaml_that_describes_no_yolo_data_set_does_not_hide_voc(write, yamls, xml):
    names = [*((split, name) for split, names in NAMES.items() for name in names)]
    files = {xml.format(split=split, name=name): voc(name) for split, name in names}
    image = xml.replace("Annotations", "JPEGImages").replace(".xml", ".jpg")
    files |= {image.format(split=split, name=name): None for split, name in names}
    if xml.startswith("Annotations"):
        files |= {f"ImageSets/Main/{split}.txt": "\n".join(of_split) for split, of_split in NAMES.items()}
    root = write_all(write, yamls, files)
    assert available_splits(root) == ("train", "valid")
    assert sum(len(open_dataset(root, split).examples) for split in ("train", "valid")) == len(names)


def test_a_key_that_only_ends_in_names_does_not_name_the_classes_of_yolo(write):
    files = {f"images/{name}.jpg": None for name in NAMES["train"]} | {"classes.txt": "bolt\nnut\n"}
    files |= {f"labels/{name}.txt": yolo(name) for name in NAMES["train"]}
    root = write_all(write, YAMLS["of another program"], files)
    assert open_dataset(root, "train").classes == ("bolt", "nut")


def test_a_split_that_cannot_be_read_is_told_and_none_is_drawn_in_its_place(write):
    root = write({f"JPEGImages/{name}.jpg": None for name in NAMES["train"]})
    write({f"Annotations/{name}.xml": voc(name) for name in NAMES["train"]})
    write({f"ImageSets/Main/{name}.txt": "part_1" for name in ("val", "valid")})
    with pytest.raises(DataError, match="list the split 'valid'; keep one of them"):
        available_splits(root)


@pytest.mark.parametrize("name", ["of a description", "of two programs"])
def test_a_yaml_that_describes_nothing_is_told_where_nothing_else_is_found(write, name):
    root = write_all(write, YAMLS[name], {"images/train/part_1.jpg": None})
    with pytest.raises(DataError, match=r"it has no `names`|both name classes|which classes"):
        available_splits(root)


def test_an_annotation_file_whose_images_are_not_there_is_told_so_before_all_else(write):
    root = write({"annotations/instances_default.json": coco([f"part_{number}" for number in range(10)])})
    with pytest.raises(DataError) as caught:
        read_splits(root)
    source = root / "annotations" / "instances_default.json"
    assert str(caught.value).startswith(f"None of the 10 images that {source} names is there, as ")
    assert str(caught.value).endswith("export again with images, or put them there.")


def test_xml_files_whose_images_are_not_there_are_told_so(write):
    root = write({f"train/{name}.xml": voc(name) for name in NAMES["train"]})
    with pytest.raises(DataError, match=r"None of the 4 images that the files in .* name is there, as .*part_1\.jpg"):
        open_dataset(root, "train")


def test_reasons_are_told_apart(write):
    names = ["part_1", "part_2"]
    root = write({"train/_annotations.coco.json": coco(names), "train/part_1.jpg": "no image"})
    with pytest.raises(DataError, match=r"left out \(.*part_2\.jpg\); 1 unreadable image"):
        open_dataset(root, "train")
