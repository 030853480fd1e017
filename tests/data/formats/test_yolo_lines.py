"""Lines of YOLO's label files that are none, and ids that count otherwise than the names."""

from __future__ import annotations

import pytest

from setpiece.data import open_dataset
from setpiece.errors import DataError

NAMES = "names: [bolt, nut]\n"


@pytest.fixture
def read(write):
    def write_and_read(labels, names=NAMES):
        root = write({"train/a.jpg": None, "train/a.txt": labels, "data.yaml": names})
        return open_dataset(root, "train")

    return write_and_read


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10 20 30 20 30 40 10 40 plane 0", "polygon, but DOTA's format, four corners in pixels .* convert it"),
        ("imagesource:GoogleEarth", "DOTA's format, four corners in pixels"),
        ("0 0.5 0.5 0.1 0.1 # unsure", "polygon: '#' is no number; take it away or correct it"),
        ("0 0.5 0.5 o.1 0.1", "'o.1' is no number"),
        ('{"a":1}', "'{\"a\":1}' is no number"),
        ("bolt 0.5 0.5 0.1 0.1", "write the id of the class 'bolt'"),
        ("0.5 0.5 0.5 0.1 0.1", "a class id is a whole number"),
        ("0 0,5 0.5 0.1 0.1", "no commas"),
    ],
)
def test_what_is_wrong_in_a_line_is_named_and_nothing_else(read, line, message):
    with pytest.raises(DataError, match=rf"a\.txt, line 2: .*{message}"):
        read(f"0 0.5 0.5 0.1 0.1\n{line}\n")


def test_zero_bytes_are_said_in_words(read):
    with pytest.raises(DataError, match=r"a\.txt holds only zero bytes, as after a power cut: restore or empty it\.$"):
        read("\0" * 60)
    with pytest.raises(DataError, match=r"a\.txt, line 2 holds only zero bytes, as after a power cut: restore"):
        read("0 0.5 0.5 0.1 0.1\n" + "\0" * 60)


def test_names_that_count_from_1_are_refused_where_the_labels_count_from_0(read):
    names = "names: {1: bolt, 2: nut}\n"
    with pytest.raises(DataError, match=r"data\.yaml numbers the names from 1 to 2, and the label files .* from 0: n"):
        read("0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.2 0.2\n", names)
    with pytest.raises(DataError, match="class 0 is not among the names"):  # one wrong label
        read("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.2 0.2\n", names)
    assert read("1 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.2 0.2\n", names).examples[0].labels.tolist() == [0, 1]
