"""The server as a whole: what it says of itself, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from setpiece.serving.page import page

from ..command import run_command
from .conftest import running
from .images import encoded
from .test_detect import refused
from .test_limits import Gate

BLOCKED = ("torch", "torchvision", "accelerate", "safetensors", "huggingface_hub", "tensorboard", "plotly", "psutil")
SERVE = """
import sys
for name in BLOCKED:
    sys.modules[name] = None
import numpy as np
from setpiece.evaluation import sv
from setpiece.inference.detecting import Detecting
from setpiece.input_size import InputSize
from setpiece.serving.limits import Limits
from setpiece.serving.server import DetectionServer, address_of, bind

class Whole(Detecting):
    classes, thresholds, size = ("image",), (0.5,), InputSize(64, 64)
    def __init__(self): pass
    def detect(self, *_, **__): raise NotImplementedError
    def _mapped(self, function, items): return map(function, items)
    def _found(self, pixels, originals, threshold):
        return [sv.Detections(np.array([[0, 0, width, height]], np.float32), None, np.array([0.9], np.float32),
            np.array([0]), data={"class_name": np.array(["image"])}) for height, width in originals]

bound = bind("127.0.0.1", 0)
server = DetectionServer(Whole(), "whole", Limits())
print(address_of(bound), flush=True)
server.run([bound])
print("ended", flush=True)
"""


def test_it_serves_without_torch_and_ends_well_at_sigterm():
    code = textwrap.dedent(SERVE).replace("BLOCKED", repr(BLOCKED))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip()
        with httpx.Client(base_url=address) as client:
            answer = client.post("v1/detect?threshold=auto", files={"image": ("a.png", encoded())})
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert answer.json()["detections"] == [{"box": [0.0, 0.0, 90.0, 60.0], "score": 0.9, "class": "image"}]
    assert (said, process.returncode) == ("ended\n", 0)


def test_what_was_accepted_is_answered_before_the_end():
    gate = Gate()
    with running(gate, max_batch=1) as served, ThreadPoolExecutor(4) as pool, httpx.Client() as other:
        assert other.get(f"{served.address}/readyz").json() == {"status": "ready", "model": "colours"}
        gate.close()
        waiting = [pool.submit(served.post, encoded()) for _ in range(4)]
        while other.get(f"{served.address}/metrics").text.find("\nsetpiece_requests_in_progress 4.0") < 0:
            pass
        served.server.last_seconds = 0.5
        served.server.handle_exit()
        while (answer := other.get(f"{served.address}/readyz")).status_code == 200:  # the connection is there already
            pass
        assert (answer.status_code, answer.json()["status"]) == (503, "ending")
        assert answer.headers["Connection"] == "close"
        with pytest.raises(httpx.ConnectError):
            other.get(f"{served.address}/readyz")
        gate.open.set()
        answers = [each.result() for each in waiting]
    assert [each.status_code for each in answers] == [200] * 4
    assert [each.headers["Connection"] for each in answers] == ["close"] * 4


def test_figures_count_answers_and_objects(server):
    def figures():
        lines = server.client.get("/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    server.post(encoded())
    before = figures()
    server.post(encoded())
    server.post(b"none")
    after = figures()

    def counted(name):
        return after[name] - before.get(name, 0)

    assert counted('setpiece_requests_total{status="200"}') == 1
    assert counted('setpiece_requests_total{status="400"}') == 1
    assert counted('setpiece_objects_total{class="red"}') == 1
    assert counted("setpiece_request_seconds_count") == 2
    assert counted('setpiece_stage_seconds_count{stage="model"}') == 1
    assert after["setpiece_requests_in_progress"] == 0


def test_errors_of_http_are_sentences_too(server):
    refused(server.client.get("/nothing"), 404)
    refused(server.client.get("/v1/detect"), 405)
    refused(server.client.get("/docs"), 404)  # which would load scripts of another host


def test_what_fails_without_an_image_is_not_said_of_one(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("setpiece.serving.app.page", fails)
    with running() as served:
        assert refused(served.client.get("/"), 500).startswith("The server failed (RuntimeError)")


def test_the_openapi_description_names_what_is_taken_and_answered(server):
    said = server.client.get("/openapi.json").json()
    operation = said["paths"]["/v1/detect"]["post"]
    assert operation["requestBody"]["content"].keys() == {"multipart/form-data", "image/*", "application/octet-stream"}
    assert operation["responses"].keys() >= {"200", "400", "401", "408", "413", "415", "422", "503"}
    assert said["components"]["schemas"]["Object"]["properties"].keys() == {"box", "score", "class"}
    assert "security" not in operation
    [parameter] = operation["parameters"]
    assert (parameter["name"], parameter["schema"]) == ("threshold", {"type": "string", "default": "0.5"})
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"].keys() == {"image", "threshold"}


def test_the_page_may_ask_this_server_alone(server):
    answer = server.client.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "v1/detect" in answer.text
    assert "<script>alert" not in page("<script>alert(1)</script>", ["<script>alert(2)</script>"])


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing"])
def test_head_is_answered_as_get_without_a_body(server, path):
    head, whole = server.client.head(path), server.client.get(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == whole.headers[name]
    assert server.client.get(path).content == whole.content  # on the same connection


@pytest.fixture
def unserved(monkeypatch):
    """`setpiece serve` up to the moment when it would listen."""
    detector = type("", (), {"detecting": lambda _: Gate()})()
    monkeypatch.setattr("setpiece.cli.serving.load_detector", lambda *_: detector)
    monkeypatch.setattr("setpiece.serving.server.DetectionServer.run", lambda *_: None)


@pytest.mark.usefixtures("unserved")
def test_the_command_says_where_it_serves_and_warns_where_everybody_may_come(monkeypatch, capsys):
    alone = run_command(monkeypatch, capsys, "serve", "runs/cells", "--port", "0")
    assert alone.code == 0
    assert "Serving runs/cells at http://127.0.0.1:" in alone.out
    assert "Everybody" not in alone.out
    open_to_all = run_command(monkeypatch, capsys, "serve", "runs/cells", "--port", "0", "--host", "0.0.0.0")
    assert "Everybody who reaches 0.0.0.0 can use this server: give a --token" in open_to_all.out
    monkeypatch.setenv("SETPIECE_TOKEN", "sesame")
    guarded = run_command(monkeypatch, capsys, "serve", "runs/cells", "--port", "0", "--host", "0.0.0.0")
    assert "Everybody" not in guarded.out


def test_a_port_that_is_taken_is_one_sentence(monkeypatch, capsys, server):
    done = run_command(monkeypatch, capsys, "serve", "runs/cells", "--port", server.port)
    assert done.code == 2
    assert done.err.startswith(f"Error: Port {server.port} of 127.0.0.1 cannot be used")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("token", [" ", "sésame"])
def test_a_token_that_is_none_is_refused(monkeypatch, capsys, token):
    done = run_command(monkeypatch, capsys, "serve", "runs/cells", "--token", token)
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_a_package_that_is_missing_is_one_sentence(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("setpiece.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run_command(monkeypatch, capsys, "serve", "runs/cells")
    assert done.code == 2
    assert done.err == "Error: Serving needs the package uvicorn: pip install 'setpiece[serve]'.\n"
