from __future__ import annotations

import numpy as np
import pytest

from setpiece.data import available_splits, open_dataset
from setpiece.data.defects import Defect
from setpiece.errors import DataError


@pytest.fixture
def write_yolo(tmp_path, write_image):
    """Write one 64x48 image per split and its label lines, in one of the two folder orders."""

    def write(yaml: str, lines: str, order: str = "images/{}", splits: tuple[str, ...] = ("train", "val")):
        for split in splits:
            folder = order.format(split)
            write_image(tmp_path / folder / f"{split}.png")
            labels = tmp_path / folder.replace("images", "labels")
            labels.mkdir(parents=True)
            (labels / f"{split}.txt").write_text(lines)
        (tmp_path / "data.yaml").write_text(yaml)
        return tmp_path

    return write


NAMES = "names: [cup, fork]\n"


@pytest.mark.parametrize("order", ["images/{}", "{}/images"])
@pytest.mark.parametrize("valid", ["val", "valid"])
def test_reads_yolo_in_both_folder_orders_without_paths_in_the_yaml(write_yolo, order, valid):
    root = write_yolo(NAMES, "1 0.5 0.5 0.25 0.5\n\n0 0.25 0.25 0.5 0.5\n", order, ("train", valid))
    assert available_splits(root) == ("train", "valid")
    dataset = open_dataset(root, "val")
    assert dataset.classes == ("cup", "fork")
    assert dataset.category_ids == (0, 1)
    assert dataset.examples[0].path.name == f"{valid}.png"
    assert dataset.examples[0].labels.tolist() == [1, 0]
    np.testing.assert_allclose(dataset.examples[0].boxes_xyxy, [[24, 12, 40, 36], [0, 0, 32, 24]])


@pytest.mark.parametrize(
    "paths",
    [
        "train: images/train\nval: images/val\n",
        "path: .\ntrain: [images/train]\nval: [images/val]\n",
        "path: /content/somewhere/else\ntrain: images/train\nval: images/val\n",
        "train: /content/set/images/train\nval: /content/set/images/val\n",
        "train: C:\\set\\images\\train\nval: C:\\set\\images\\val\n",
        "train: ../train/images\nval: ../val/images\n",
        "train: ./images/train\nval:\n",
    ],
)
def test_yolo_paths_are_followed_and_stale_ones_replaced(write_yolo, paths):
    root = write_yolo(paths + NAMES, "1 0.5 0.5 0.25 0.5\n")
    for split, name in (("train", "train.png"), ("valid", "val.png")):
        assert [example.path.name for example in open_dataset(root, split).examples] == [name]


def test_yolo_reads_a_list_of_images(write_yolo):
    root = write_yolo("train: train.txt\n" + NAMES, "0 0.5 0.5 1 1\n")
    (root / "train.txt").write_text("./images/train/train.png\n/gone/images/val/val.png\n")
    assert sorted(example.path.name for example in open_dataset(root, "train").examples) == ["train.png", "val.png"]


def test_yolo_polygons_become_their_hull_box(write_yolo):
    root = write_yolo(NAMES, "0 0.25 0.5 0.5 0.25 0.75 0.75\n")
    dataset = open_dataset(root, "train")
    np.testing.assert_allclose(dataset.examples[0].boxes_xyxy, [[16, 12, 48, 36]])
    assert dataset.defects.counts == {Defect.HULL_BOX: 1}


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        ("0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75", Defect.ORIENTED_BOX),
        ("0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5", Defect.ORIENTED_BOX),
        ("0.25 0.25 0.75 0.25 0.5 0.75 0.25 0.5", Defect.HULL_BOX),
    ],
)
def test_yolo_oriented_boxes_are_told_from_other_outlines(write_yolo, points, kind):
    dataset = open_dataset(write_yolo(NAMES, f"0 {points}\n1 0.5 0.5 0.1 0.1\n"), "train")
    np.testing.assert_allclose(dataset.examples[0].boxes_xyxy[0], [16, 12, 48, 36])
    assert dataset.defects.counts == {kind: 1}


def poses(dimensions, keypoints, count):
    """Lines of a box and some points in it."""
    draw = np.random.default_rng(keypoints)
    for _ in range(count):
        side = draw.uniform(0.05, 0.3, 2)
        centre = draw.uniform(side / 2, 1 - side / 2)
        points = [centre + draw.uniform(-0.5, 0.5, 2) * side for _ in range(keypoints)]
        numbers = [*centre, *side, *(n for point in points for n in [*point, *[2] * (dimensions - 2)])]
        yield "0 " + " ".join(f"{number:.6g}" for number in numbers) + "\n"


@pytest.mark.parametrize(("dimensions", "keypoints"), [(2, 4), (2, 17), (3, 1), (3, 4), (3, 5), (3, 17)])
def test_yolo_keypoints_are_refused_where_nothing_says_that_they_are_some(write_yolo, dimensions, keypoints):
    root = write_yolo(NAMES, "".join(poses(dimensions, keypoints, 8)))
    with pytest.raises(
        DataError,
        match=rf"8 lines of .* a box and {keypoints} keypoints?; write kpt_shape: \[{keypoints}, {dimensions}\]",
    ):
        open_dataset(root, "train")
    (root / "data.yaml").write_text(f"{NAMES}kpt_shape: [{keypoints}, {dimensions}]\n")
    dataset = open_dataset(root, "train")
    assert len(dataset.examples[0].labels) == 8
    assert dataset.defects.counts == {}


@pytest.mark.parametrize("corners", [5, 6, 7, 10, 16])
def test_yolo_outlines_of_equally_many_points_are_no_keypoints(write_yolo, corners):
    draw, turns = np.random.default_rng(corners), np.arange(corners) / corners * 2 * np.pi
    circle = np.stack([np.cos(turns), np.sin(turns)], 1)
    outlines = [draw.uniform(0.1, 0.4, 2) + draw.uniform(0.02, 0.1, 2) * circle for _ in range(8)]
    lines = ["1 " + " ".join(f"{number:.6g}" for number in outline.ravel()) + "\n" for outline in outlines]
    assert open_dataset(write_yolo(NAMES, "".join(lines)), "train").defects.counts == {Defect.HULL_BOX: 8}


def test_yolo_names_may_be_a_sparse_dictionary_and_keep_their_spelling(write_yolo):
    root = write_yolo("names: {3: no, 8: 1.0}\nnc: 2\n", "8 0.5 0.5 1 1\n")
    dataset = open_dataset(root, "train")
    assert dataset.classes == ("no", "1.0")
    assert dataset.category_ids == (3, 8)
    assert dataset.examples[0].labels.tolist() == [1]


def test_yolo_images_of_one_stem_do_not_share_a_label_file(write_yolo, write_image):
    root = write_yolo(NAMES, "1 0.5 0.5 0.25 0.5\n")
    write_image(root / "images" / "train" / "other.png")
    write_image(root / "images" / "train" / "train.jpg", seed=1)
    dataset = open_dataset(root, "train")
    assert [example.path.name for example in dataset.examples] == ["other.png"]
    assert dataset.defects.counts == {Defect.AMBIGUOUS_NAME: 2, Defect.EMPTY_IMAGE: 1}
    (root / "labels" / "train" / "train.txt").rename(root / "labels" / "train" / "train.jpg.txt")
    dataset = open_dataset(root, "train")  # which says whose they are
    assert [len(example.labels) for example in dataset.examples] == [0, 1, 0]
    assert dataset.defects.counts == {Defect.EMPTY_IMAGE: 2}


def test_yolo_images_of_two_splits_do_not_share_a_label_file(tmp_path, write_image):
    for seed, name in enumerate(("train/1.jpg", "val/1.jpg", "train/2.jpg", "val/3.jpg")):
        write_image(tmp_path / name, seed=seed)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / name.split("/")[1]).with_suffix(".txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text(NAMES)
    for split, name in (("train", "2.jpg"), ("valid", "3.jpg")):
        dataset = open_dataset(tmp_path, split)
        assert [example.path.name for example in dataset.examples] == [name]
        assert dataset.defects.counts[Defect.AMBIGUOUS_NAME] == 1
    (tmp_path / "data.yaml").write_text(f"train: train\nval: train\n{NAMES}")  # one file, and no other of its name
    assert len(open_dataset(tmp_path, "valid").examples) == 2


def test_yolo_images_without_labels_are_background(write_yolo):
    root = write_yolo(NAMES, "")
    (root / "labels" / "val" / "val.txt").unlink()
    for split in ("train", "val"):
        dataset = open_dataset(root, split)
        assert len(dataset.examples[0].labels) == 0
        assert dataset.defects.counts == {Defect.EMPTY_IMAGE: 1}


@pytest.mark.parametrize(
    ("yaml", "lines", "message"),
    [
        (NAMES, "2 0.5 0.5 1 1\n", r"train\.txt, line 1: class 2 is not among the names"),
        (
            NAMES,
            "1 0.5 0.5 1 1\n2 0.5 0.5 1 1\n",
            r"line 2: class 2 is not among .*count from 1\? The first name has 0",
        ),
        (NAMES, "0 0.5 0.5 1 1\n0 0.5 0.5 1\n", r"train\.txt, line 2 has 3 numbers behind its class and is neither"),
        (NAMES, "0 0.5 0.5 0.2 0.2 0.91\n", r"train\.txt, line 1 has five numbers .* is the last one a score\?"),
        (NAMES, "0,0.5,0.5,0.2,0.2\n", r"train\.txt, line 1: '0,0.5,.* spaces between them, no commas"),
        (NAMES, "0 0,5 0,5 0,2 0,2\n", r"train\.txt, line 1: '0 0,5 .* points in numbers"),
        (NAMES, "fork 0.5 0.5 1 1\n", "write the id of the class 'fork', its place among the names from 0"),
        (NAMES, "0.5 0.5 0.5 1 1\n", "line 1"),
        (NAMES, "inf 0.5 0.5 1 1\n", "line 1"),
        (NAMES, "cup 0.5 0.5 1 1\n", "line 1"),
        ("names: cat\n", "", "`names` is the text 'cat', and no file; write a list, as names: .cat, dog."),
        ("names: [a, '']\n", "", "no name for class 2 of 2"),
        ("names: [a, a]\n", "", "class 'a' twice"),
        ("names: [a]\nnc: 2\n", "", "declares nc: 2 but names 1"),
        ("names: {a: 1}\n", "", "have to be integers"),
        ("train: images/train\n", "", "it has no `names`"),
        ("names: [", "", "not valid YAML"),
    ],
)
def test_malformed_yolo_files_are_named(write_yolo, yaml, lines, message):
    root = write_yolo(yaml, lines)
    with pytest.raises(DataError, match=message):
        open_dataset(root, "train")


def test_the_names_of_a_yaml_may_stand_in_a_file(write_yolo):
    root = write_yolo("train: images/train\nnames: classes.txt\n", "1 0.5 0.5 0.25 0.5\n")
    (root / "classes.txt").write_text("cup\nfork\n")
    assert open_dataset(root, "train").classes == ("cup", "fork")


@pytest.mark.parametrize("other", ["dataset.yml", "dataset.yaml", "data.yml"])
def test_a_yaml_of_another_program_does_not_hide_the_one_that_names_classes(write_yolo, other):
    root = write_yolo(NAMES, "1 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").rename(root / "table.yaml")
    (root / other).write_text("lr: 3\n")
    assert open_dataset(root, "train").classes == ("cup", "fork")


@pytest.mark.parametrize("names", ["cup\n\nfork\n", "\ncup\nfork", "cup\n \t\nfork"])
def test_a_blank_line_among_the_classes_is_refused_since_it_may_shift_the_others(write_yolo, names):
    root = write_yolo(NAMES, "1 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text(names)
    with pytest.raises(DataError, match=r"classes\.txt has no name for class [12] of 3 .a blank line counts."):
        open_dataset(root, "train")
    (root / "classes.txt").write_text("cup\nfork\n\n \n")
    assert open_dataset(root, "train").classes == ("cup", "fork")


def test_a_yaml_without_images_is_an_error(tmp_path):
    (tmp_path / "data.yaml").write_text("train: images/train\n" + NAMES)
    with pytest.raises(DataError, match=r"data\.yaml names no folder of images that exists"):
        available_splits(tmp_path)


OBJECT = """<object><name>{}</name><difficult>{}</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


@pytest.fixture
def write_voc(tmp_path, write_image):
    def write(**objects_of_image: str):
        for folder in ("Annotations", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True)
        for name, objects in objects_of_image.items():
            write_image(tmp_path / "JPEGImages" / f"{name}.png")
            size = "<size><width>64</width><height>48</height></size>"
            (tmp_path / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
            (tmp_path / "ImageSets" / "Main" / f"{name.split('_')[0]}.txt").write_text(f"{name}\n")
        return tmp_path

    return write


def test_reads_voc_with_the_same_classes_in_every_split(write_voc):
    root = write_voc(train_1=OBJECT.format("dog", 0, 1, 2, 30, 40), val_1=OBJECT.format("cat", 1, 0, 0, 64, 48))
    assert available_splits(root) == ("train", "valid")
    train, valid = (open_dataset(root, split) for split in ("train", "val"))
    assert train.classes == valid.classes == ("cat", "dog")
    assert train.category_ids == (1, 2)
    np.testing.assert_array_equal(train.examples[0].boxes_xyxy, [[1, 2, 30, 40]])
    assert valid.examples[0].crowd.tolist() == [True]
    assert valid.defects.counts == {Defect.DIFFICULT: 1}


def test_voc_images_without_annotations_are_left_out(write_voc):
    root = write_voc(train_1="", train_2="")
    (root / "ImageSets" / "Main" / "train.txt").write_text("train_1\ntrain_2\n")
    (root / "Annotations" / "train_2.xml").unlink()
    dataset = open_dataset(root, "train")
    assert [example.path.stem for example in dataset.examples] == ["train_1"]
    assert dataset.defects.counts == {Defect.UNANNOTATED_IMAGE: 1, Defect.EMPTY_IMAGE: 1}


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("<object>", r"train_1\.xml is not valid XML"),
        ("<object><name>dog</name></object>", r"train_1\.xml: object 1 \(dog\) has no bndbox"),
        ("<object><bndbox/></object>", r"train_1\.xml has an object without a name"),
    ],
)
def test_malformed_voc_files_are_named(write_voc, objects, message):
    root = write_voc(train_1=objects)
    with pytest.raises(DataError, match=message):
        open_dataset(root, "train")
