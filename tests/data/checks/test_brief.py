"""What a run says of its data: three lines at most, the worst first, each kind once with its count."""

from setpiece.data.checks import Settings
from setpiece.data.checks.brief import brief
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


def test_what_training_says_itself_is_left_out(tmp_path):
    data = clean()
    del data.splits["valid"]
    assert lines_of(data, tmp_path) == []
