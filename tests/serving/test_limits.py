"""What bounds requests: bytes, seconds, places in the queue, the token."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from setpiece.errors import UsageError
from setpiece.inference.predictor import Predictor
from setpiece.serving.admission import checked_token

from ..colours import measuring
from .conftest import running
from .images import encoded
from .test_detect import refused

HEAD = "POST /v1/detect HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"


class Gate(Predictor):
    """A detector that waits until it may go on, and notes how many images it looks at together."""

    def __init__(self):
        super().__init__(measuring())
        self.open, self.entered, self.batches = threading.Event(), threading.Event(), []
        self.open.set()

    def predict(self, pictures, **options):
        """Detect objects once the gate is open."""
        pictures = list(pictures)
        self.batches.append(len(pictures))
        self.entered.set()
        assert self.open.wait(30)
        if any(picture.min() == 255 for picture in pictures):
            raise RuntimeError("white is not bearable")
        return super().predict(pictures, **options)

    def close(self):
        """From now on images have to wait."""
        self.open.clear()
        self.entered.clear()
        self.batches.clear()


@pytest.fixture
def gate():
    return Gate()


@contextlib.contextmanager
def connection(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connected:
        yield connected


def answer_of(connected):
    """Status, headers and JSON of the answer that comes, up to the end of the connection."""
    text = b""
    while part := connected.recv(65536):
        text += part
    head, _, body = text.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), json.loads(body)


def test_a_body_that_says_that_it_is_too_large_is_not_read(server):
    with connection(server.port) as connected:
        connected.sendall(f"{HEAD}Content-Length: 200001\r\n\r\n".encode())
        status, head, said = answer_of(connected)
    assert (status, said["detail"]) == (413, "The body has more than 200000 bytes: send a smaller image.")
    assert "connection: close" in head


def test_a_body_that_grows_too_large_is_cut_off(server):
    """It would never end."""
    sent = 0
    with connection(server.port) as connected:
        connected.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while sent < 1e9:
                sent += connected.send(b"2710\r\n" + bytes(10_000) + b"\r\n")
    assert sent < 1e9


def test_who_sends_too_much_is_told_so_while_sending(server):
    refused(server.post(bytes(200_001)), 413)
    chunks = (bytes(50_000) for _ in range(20))
    refused(server.client.post("/v1/detect", content=chunks, headers={"Content-Type": "image/png"}), 413)


@pytest.mark.parametrize("sent", [b"", encoded()[:50]])
def test_a_body_that_takes_too_long_is_refused(sent, monkeypatch):
    monkeypatch.setattr("setpiece.serving.refusals.LINGER", 0.1)
    with running(body_seconds=0.1) as served, connection(served.port) as connected:
        connected.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode() + sent)
        status, _, said = answer_of(connected)
    assert status == 408
    assert "within 0.1 seconds" in said["detail"]


def test_a_client_that_leaves_within_its_body_costs_nothing(server):
    with connection(server.port) as connected:
        connected.sendall(f"{HEAD}Content-Length: 5000\r\n\r\n".encode() + encoded()[:50])
    assert server.post(encoded()).status_code == 200


def test_without_the_token_there_are_neither_detections_nor_figures():
    with running(token=" sesame\n") as served:
        for wrong in ("", "Bearer", "Bearer wrong", "Bearer sésame", "Basic sesame", "sesame"):
            answer = served.post(encoded(), Authorization=wrong.encode())
            refused(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert served.client.get("/metrics", headers={"Authorization": wrong.encode()}).status_code == 401
        right = {"Authorization": b"bearer sesame"}
        assert served.post(encoded(), **right).status_code == 200
        assert served.client.get("/metrics", headers=right).status_code == 200
        assert all(served.client.get(path).status_code == 200 for path in ("/healthz", "/readyz", "/"))
        operation = served.client.get("/openapi.json").json()["paths"]["/v1/detect"]["post"]
        assert operation["security"] == [{"HTTPBearer": []}]


@pytest.mark.parametrize("token", ["", " \n", "sésame", "open\nsesame"])
def test_a_token_that_no_header_carries_is_refused(token):
    with pytest.raises(UsageError, match=r"^The token (is empty|has characters that are not printable ASCII)"):
        checked_token(token)


def test_a_token_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(
        "setpiece.serving.admission.secrets.compare_digest", lambda *both: compared.append(both) or both[0] == both[1]
    )
    with running(token="open") as served:
        refused(served.post(encoded(), Authorization="Bearer shut"), 401)
    assert compared == [(b"shut", b"open")]


def test_a_full_queue_says_when_to_come_again(gate):
    with running(gate, max_queue=3) as served, ThreadPoolExecutor(3) as pool:
        gate.close()
        waiting = [pool.submit(served.post, encoded()) for _ in range(3)]
        while served.client.get("/metrics").text.find("\nsetpiece_requests_in_progress 3.0") < 0:
            pass
        answer = served.post(encoded())
        assert "works on 3 requests" in refused(answer, 503)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        gate.open.set()
        assert [each.result().status_code for each in waiting] == [200] * 3
        assert served.post(encoded()).status_code == 200


def test_images_that_arrive_while_the_model_is_busy_are_looked_at_together(gate):
    large = encoded(picture(200, 50))
    with running(gate, max_batch=4) as served, ThreadPoolExecutor(9) as pool:
        gate.close()
        first = pool.submit(served.post, encoded())
        assert gate.entered.wait(10)
        others = [pool.submit(served.post, content) for content in [encoded()] * 6 + [large] * 2]
        while served.client.get("/metrics").text.find("\nsetpiece_requests_in_progress 9.0") < 0:
            pass
        gate.open.set()
        answers = [each.result().json() for each in [first, *others]]
    assert gate.batches[0] == 1
    assert sum(gate.batches) == 9
    assert max(gate.batches) == 4
    assert [len(each["detections"]) for each in answers] == [3] * 7 + [0] * 2
    assert {each["timing"]["batch"] for each in answers[7:]} <= {1, 2}  # of another size than the rest


def picture(width, height, colour=0):
    from PIL import Image

    return Image.fromarray(np.full((height, width, 3), colour, np.uint8))


def test_an_image_that_the_model_fails_on_costs_its_neighbours_nothing(gate):
    white = encoded(picture(90, 60, 255))
    with running(gate) as served, ThreadPoolExecutor(4) as pool:
        gate.close()
        first = pool.submit(served.post, encoded())
        assert gate.entered.wait(10)
        others = [pool.submit(served.post, content) for content in (encoded(), white, encoded())]
        while served.client.get("/metrics").text.find("\nsetpiece_requests_in_progress 4.0") < 0:
            pass
        gate.open.set()
        assert [each.result().status_code for each in [first, *others]] == [200, 200, 500, 200]
        assert "RuntimeError" in refused(others[1].result(), 500)
        assert 'setpiece_requests_total{status="500"} 1.0' in served.client.get("/metrics").text
        assert served.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"POST /v1/detect HTT"])
def test_a_connection_on_which_no_request_comes_is_closed(sent, monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.HEADER_SECONDS", 0.1)
    with running() as served, connection(served.port) as connected:
        connected.sendall(sent)
        assert connected.recv(1) == b""
        assert served.post(encoded()).status_code == 200


@pytest.mark.parametrize("more", [b"P", b"POST /v1/detect HTT"])
def test_a_connection_on_which_another_request_only_begins_is_closed(more, monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.HEADER_SECONDS", 0.2)
    with running() as served, connection(served.port) as connected:
        connected.sendall(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = connected.recv(65536)
        while b"alive" not in answer:
            answer += connected.recv(65536)
        connected.sendall(more)
        assert connected.recv(1) == b""


def test_a_connection_whose_request_is_worked_on_is_kept(gate, monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.HEADER_SECONDS", 0.2)
    content = encoded()
    with running(gate) as served, connection(served.port) as connected:
        gate.close()
        head = f"{HEAD}Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
        connected.sendall(head[:30].encode())
        time.sleep(0.05)
        connected.sendall(head[30:].encode() + content)
        assert gate.entered.wait(10)
        time.sleep(0.4)
        gate.open.set()
        assert answer_of(connected)[0] == 200


@contextlib.contextmanager
def unread(served):
    """A connection with many answers that its client does not read."""
    with connection(served.port) as connected:
        connected.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connected.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 1000)
        yield connected


def ended(condition, seconds=5):
    """Whether a condition becomes true in time."""
    until = time.monotonic() + seconds
    while not (reached := condition()) and time.monotonic() < until:
        time.sleep(0.02)
    return reached


def test_a_connection_whose_answers_are_not_read_is_closed(monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.ANSWER_SECONDS", 0.2)
    with running() as served, unread(served):
        state = served.server.server_state
        assert ended(lambda: state.total_requests > 0)
        assert ended(lambda: not state.connections)


def test_who_does_not_read_does_not_keep_the_server_from_its_end(monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.END_SECONDS", 0.1)
    with running(body_seconds=0.2) as served, unread(served):
        state = served.server.server_state
        assert ended(lambda: any(each.flow.write_paused for each in state.connections))
        served.server.handle_exit()
        assert ended(lambda: not served.thread.is_alive())


def test_too_many_connections_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr("setpiece.serving.server.SPARE", 0)
    with running(max_queue=1) as served, contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(connection(served.port))
        assert ended(lambda: len(served.server.server_state.connections) == 3)
        answer = served.client.get("/healthz")
        assert (answer.status_code, answer.headers["Connection"]) == (503, "close")
        held.close()
        assert ended(lambda: served.client.get("/healthz").status_code == 200)
