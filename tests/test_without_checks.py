"""The main path as a user runs it: without the shape and type checks that the tests switch on."""

import subprocess
import sys

MAIN_PATH = """
import io
import sys
from pathlib import Path
from setpiece import Detector
from setpiece.errors import UsageError

scenes, output = Path(sys.argv[1]), Path(sys.argv[2])
detector = Detector.load("sprint-n", precision="fp32")
settings = {"epochs": 1, "batch_size": 8, "size": 64, "evaluations": 1, "precision": "fp32"}
metrics = detector.train(scenes, output=output / "run", **settings)
assert abs(metrics["AP"] - detector.evaluate(scenes)["AP"]) < 0.002, metrics
image = next(scenes.glob("valid/*.png"))
assert len(detector.predict(str(image), threshold=0)) > 0
truth = {"labels": [1], "boxes_xyxy": [[12, 30, 90, 110]]}
content = image.read_bytes()
what = {"None": "is no image: give a path", "bytes": "Bytes are no image: give PIL.Image.open(io.BytesIO("}
no_images = {"None": (None, 7, [None]), "bytes": (content, bytearray(content), io.BytesIO(content), [image, content])}
for kind, no_image in ((kind, each) for kind in no_images for each in no_images[kind]):
    try:
        detector.predict(no_image)
    except UsageError as error:
        assert what[kind] in str(error), error
    else:
        raise AssertionError(no_image)
explanation = detector.explain(str(image), truth)
assert explanation.pairs
explanation.to_html(output / "report.html")
assert "beartype" not in sys.modules
"""


def test_the_main_path_runs_without_the_tests_checks_of_shapes_and_types(scenes, tmp_path):
    command = [sys.executable, "-c", MAIN_PATH, str(scenes), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").stat().st_size > 100_000
