"""The corpus is made from git repositories as its table says."""

import json
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / "tools"))

import corpus

PAGE = Path(__file__).parents[2] / "docs" / "head-start-data.md"
LINES = "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.25 0.25\n1 0.25 0.25 0.25 0.25\n2 0.5 0.5 0.9 0.9\n0 0.5 0.5 0.001 0.5\n"
CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\n{},96,48,cat,0,0,24,12\n"


def commit(clones, name, files):
    """A bare repository with one commit; return the commit."""
    work = clones / "work" / name
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(content) if isinstance(content, str) else noise(content).save(work / path)
    bare = clones / name.replace("/", "+") / "repo"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (
        ["init", "--quiet", str(work)],
        ["-C", str(work), "add", "."],
        ["-C", str(work), *identity, "commit", "--quiet", "-m", "data"],
        ["clone", "--quiet", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *words], check=True)
    return subprocess.run(["git", "-C", bare, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def noise(seed):
    """An image of 96 by 48 pixels that is like no other seed's."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 16, 3), np.uint8)
    return Image.fromarray(cells).resize((96, 48))


def coco(*names):
    """A COCO file with a cat in each image."""
    images = [{"id": i, "file_name": name, "width": 96, "height": 48} for i, name in enumerate(names)]
    boxes = [{"id": i, "image_id": i, "category_id": 0, "bbox": [0, 0, 24, 12]} for i in range(len(names))]
    return json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 0, "name": "cat"}]})


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Runs the command on a table of one set, and returns its exit code with what was written."""

    def run(files, **fields):
        hash_ = commit(tmp_path / "clones", "ann/pets", files)
        row = {"name": "pets", "repository": "ann/pets", "commit": hash_, "licence": "MIT", "stated": "LICENSE"}
        table = tmp_path / "table.toml"
        fields = {**row, "attribution": "Ann", **fields}
        table.write_text("[[set]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in fields.items()))
        monkeypatch.setattr(corpus, "TABLE", table)
        monkeypatch.setattr(corpus, "LONGER", 48)
        code = corpus.main([str(tmp_path / "out"), "--git", str(tmp_path / "clones")])
        written = tmp_path / "out" / "pets" / "train" / "_annotations.coco.json"
        return code, json.loads(written.read_text()) if written.exists() else None

    return run


def toml(value):
    """A value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def sources(written):
    """The paths in the repository of the images that were taken."""
    return [image["source"] for image in written["images"]]


def test_yolo_is_shrunk_renamed_and_cleaned(make, tmp_path):
    code, written = make(
        {"train/images/a.png": 1, "train/labels/a.txt": LINES, "train/images/unlabelled.png": 2, "b/images/c.png": 3},
        folders=["train/images"],
        classes=["cat", "dog", "background"],
        rename={"background": "", "dog": "hound"},
    )
    assert code == 0
    assert sources(written) == ["train/images/a.png"]
    assert [category["name"] for category in written["categories"]] == ["cat", "hound"]
    assert [annotation["bbox"] for annotation in written["annotations"]] == [[12, 6, 24, 12], [6, 3, 12, 6]]
    assert (written["images"][0]["width"], written["images"][0]["height"]) == (48, 24)
    with Image.open(tmp_path / "out" / "pets" / "train" / "pets_0000.jpg") as image:
        assert image.size == (48, 24)
    assert written["info"]["contributor"] == "Ann"


def test_repositories_are_fetched(tmp_path, monkeypatch):
    hash_ = commit(tmp_path / "clones", "ann/pets", {"train/a.png": 1, "train/a.txt": LINES})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{(tmp_path / 'clones' / 'ann+pets' / 'repo').as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/ann/pets")
    source = corpus.Source("pets", "ann/pets", hash_, "MIT", "LICENSE", "Ann", ["train"])
    folder = corpus.git_directory(source, None, tmp_path / "new")
    assert set(corpus.Repository(folder, hash_).files) == {"train/a.png", "train/a.txt"}


def test_label_files_may_be_elsewhere(make):
    files = {"images/a.png": 1, "texts/a.txt": LINES, "day1/b.png": 2, "day1/b.txt": LINES}
    _, written = make(files, folders=["images", "day*"], classes=["cat", "dog", "cow"], labels="texts")
    assert sources(written) == ["day1/b.png", "images/a.png"]
    assert len(written["annotations"]) == 6


def test_coco_takes_one_version_of_an_original(make):
    originals = {"train/a.rf.1.png": 1, "train/a.rf.2.png": 2, "train/b.rf.2.png": 3, "train/b.rf.1.png": 4}
    annotations = {
        "train/_annotations.coco.json": coco("a.rf.1.png", "a.rf.2.png", "b.rf.1.png", "b.rf.2.png"),
        "notes/held.json": coco("a.rf.3.png"),
    }
    code, written = make(
        {**originals, "valid/a.rf.3.png": 5, **annotations},
        folders=["train", "valid"],
        annotations={"valid": "notes/held.json"},
    )
    assert code == 0
    assert sources(written) == ["valid/a.rf.3.png", "train/b.rf.1.png"]
    assert [annotation["bbox"] for annotation in written["annotations"]] == [[0, 0, 12, 6]] * 2


def test_a_table_of_boxes_is_read(make):
    files = {"train/a.png": 1, "train/boxes.csv": CSV.format("a.png")}
    _, written = make(files, folders=["train"], annotations={"train": "train/boxes.csv"})
    assert [annotation["bbox"] for annotation in written["annotations"]] == [[0, 0, 12, 6]]


def test_similar_images_are_left_out_and_many_are_thinned(make):
    names = [f"{i}.png" for i in range(9)]
    files = {f"train/{name}": i // 2 for i, name in enumerate(names)}  # five pictures, four of them twice
    files["train/_annotations.coco.json"] = coco(*names)
    _, written = make(files, folders=["train"], only=r"^[0-7]\.", limit=2, similar=2)
    assert sources(written) == ["train/0.png", "train/4.png"]  # of 0, 2, 4 and 6


def test_a_set_that_is_there_is_left_alone(make, tmp_path):
    there = tmp_path / "out" / "pets" / "train"
    there.mkdir(parents=True)
    assert make({"a": ""}, folders=["train"]) == (0, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"repository": "ann/cars"}, "has no git directory of ann/cars"),
        ({"commit": "0" * 40}, "git ls-tree failed"),
        ({"folders": ["test"]}, "has no images in"),
        ({}, "has no train/_annotations.coco.json"),
    ],
)
def test_what_cannot_be_made_is_named(make, tmp_path, capsys, fields, message):
    code, written = make({"train/a.png": 1}, **{"folders": ["train"], **fields})
    assert (code, written) == (1, None)
    error = capsys.readouterr().err
    assert error.startswith("pets was not made: ")
    assert message in error
    assert error.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_the_table_is_complete():
    table = tomllib.loads(corpus.TABLE.read_text())["set"]
    rows = [corpus.Source(**row) for row in table]
    assert Counter(row.name for row in rows).most_common(1)[0][1] == 1
    for row in rows:
        assert len(row.commit) == 40
        assert row.repository.count("/") == 1
        assert row.licence in ("CC BY 4.0", "MIT", "Apache-2.0")
        assert row.stated
        assert row.attribution
        assert set(row.annotations) <= set(row.folders)


def test_the_page_credits_every_set():
    page = PAGE.read_text()
    for row in tomllib.loads(corpus.TABLE.read_text())["set"]:
        line = next(line for line in page.splitlines() if line.startswith(f"| {row['name']} |"))
        assert f"(https://github.com/{row['repository']})" in line
        assert row["licence"] in line
        assert row["attribution"] in line
