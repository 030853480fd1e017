"""What a run says of its data: three lines at most, the worst first, each kind once with its count."""

from dataclasses import replace

import pytest

from setpiece.data.checks import Finding, Settings, Severity
from setpiece.data.checks.brief import LONGEST, _line, brief
from setpiece.data.defects import Place
from setpiece.data.sources import open_dataset
from setpiece.records import InputSize

from .planted import clean

SETTINGS = Settings(InputSize(96, 96))


def lines_of(data, root):
    data.write(root, "coco")
    return brief([open_dataset(root, split) for split in data.splits], SETTINGS)


def test_clean_data_is_no_line(tmp_path):
    assert lines_of(clean(), tmp_path) == []


def test_there_is_a_line_for_each_severity_with_counts_and_an_example(tmp_path):
    data = clean()
    boxes = data.splits["train"][3].boxes
    boxes += [("cat", (30.0, 30.0, 30.0, 50.0)), ("cat", (30.0, 30.0, 30.0, 52.0)), ("dog", (70.0, 2.0, 120.0, 25.0))]
    data.splits["valid"][0].boxes = []
    errors, warnings, notes = lines_of(data, tmp_path)
    assert errors.startswith("Wrong in the data: train: 2 boxes of zero size: dropped (for example train4.jpg")
    assert warnings.startswith("Doubtful in the data: train: 1 box partly outside its image: clipped")
    assert notes == "Handled in the data: valid: 1 image without objects: kept as background (for example valid25.jpg)."


def found(count):
    return Finding("boxes.outside", Severity.WARNING, "train", 1, f"{count} boxes of a kind", "", (Place("a.jpg"),))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (2, "Doubtful: train: 0 boxes of a kind (for example a.jpg); train: 1 boxes of a kind (for example a.jpg)."),
        (5, "Doubtful: " + "; ".join(f"train: {i} boxes of a kind" for i in range(5)) + "."),
        (
            99,
            "Doubtful: "
            + "; ".join(f"train: {i} boxes of a kind" for i in range(5))
            + "; and 94 more, which setpiece doctor shows.",
        ),
    ],
)
def test_a_line_that_is_too_long_says_how_many_findings_are_left_out(count, said):
    assert _line("Doubtful", [found(i) for i in range(count)]) == said
    assert len(said) <= LONGEST


def test_a_line_says_at_least_one_finding():
    long = replace(found(0), what="x" * 300)
    assert _line("Wrong", [long, long]) == f"Wrong: train: {long.what}; and 1 more, which setpiece doctor shows."
    assert _line("Wrong", [long]) == f"Wrong: train: {long.what}."


def test_what_training_says_itself_is_left_out(tmp_path):
    data = clean()
    del data.splits["valid"]
    assert lines_of(data, tmp_path) == []
