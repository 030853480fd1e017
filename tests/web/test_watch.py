"""The page of `setpiece watch` in a browser: it shows a run, and what is new, and answers this machine alone."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace

import pytest

from setpiece.errors import UsageError
from setpiece.explain.live import LiveRun
from setpiece.explain.watch import WatchServer
from setpiece.runs import recording_files

from ..explain.test_timeline import sensible, write_run


def write_settings(folder, **settings):
    (folder / "run.json").write_text(json.dumps(settings))


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "cells")
    write_settings(folder, epochs=6)
    return folder


@pytest.fixture
def served():
    """`served(run)` serves it until the test ends."""
    servers = []

    def serve(run):
        servers.append(WatchServer(run))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(server, path, host=None, method="GET"):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def train_on(run, epoch, seconds=0.0):
    """Write what training writes at the end of an epoch."""
    recording_files.write_epoch(run / "recording", replace(sensible(epoch), seconds=seconds))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": epoch, "step": 10 * epoch, "loss": 1.5, "AP": 0.875, "AP50": 0.9375}) + "\n")


def test_the_server_answers_this_machine_alone(run, served):
    server = served(run)
    assert server.server_address[0] == "127.0.0.1"
    for host in (f"127.0.0.1:{server.server_port}", f"localhost:{server.server_port}"):
        assert ask(server, "/state.json", host)[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", ""):
        for path in ("/", "/state.json", "/payload.json"):
            status, _, body = ask(server, path, host)
            assert (status, body) == (403, f"Open {server.address}".encode())


def test_nothing_but_the_page_and_its_two_parts_is_served(run, served):
    server = served(run)
    for path in ("/run.json", "/../run.json", "/%2e%2e/run.json", "//etc/passwd", "/?x"):
        assert ask(server, path)[0] == 404
    assert ask(server, "/", method="POST")[0] == 501
    _, headers, _ = ask(server, "/")
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_the_state_says_how_far_a_run_is_and_when_there_is_something_new(run):
    live = LiveRun(run)
    first = live.state()
    assert (first["epoch"], first["step"], first["done"]) == (3, 30, 0.5)
    assert live.state()["version"] == first["version"]
    train_on(run, 4)
    assert live.state()["version"] != first["version"]
    write_settings(run, minutes=1)
    assert live.state()["done"] == pytest.approx(0.0)  # the last line has no seconds
    (run / "metrics.jsonl").write_text(json.dumps({"epoch": 2, "seconds": 45.0, "step": 3}) + "\n")
    assert live.state()["done"] == pytest.approx(0.75)
    assert 0 <= live.state()["age"] < 600
    assert live.state()["left"] == pytest.approx(15.0)
    os.utime(run / "run.json", (0, 0))


def test_a_run_that_has_ended_says_how(run):
    live = LiveRun(run)
    assert live.state()["ended"] is None
    live.folder.end("stopped by Ctrl-C")
    assert live.state()["ended"] == "stopped by Ctrl-C"
    live.folder.begin()
    assert live.state()["ended"] is None


def test_a_folder_that_is_no_run_is_refused(tmp_path, run):
    with pytest.raises(UsageError, match=r"is no run: name the folder that setpiece train writes"):
        LiveRun(tmp_path)
    assert LiveRun(run / "best").folder.path == run


def test_a_port_that_is_taken_is_named(run, served):
    port = served(run).server_port
    with pytest.raises(UsageError, match=rf"^Port {port} cannot be used .*: give another --port, or none\.$"):
        WatchServer(run, port)


def test_what_cannot_be_read_is_said_and_the_server_goes_on(run, served):
    server = served(run)
    (run / "run.json").write_text("{")
    status, _, body = ask(server, "/state.json")
    assert status == 500
    assert b"run.json is damaged" in body
    write_settings(run, epochs=6)
    assert ask(server, "/state.json")[0] == 200


def test_the_command_prints_where_the_page_is_and_ends_with_ctrl_c(run):
    command = [sys.executable, "-u", "-m", "setpiece.cli", "watch", str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
            with urllib.request.urlopen(f"{address}state.json", timeout=30) as answer:
                assert json.load(answer)["epoch"] == 3
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # a failure above must not wait for it
    assert (process.returncode, out, err) == (0, "No longer watching.\n", "")


@pytest.fixture
def watching(browser, served):
    """`watching(run)` opens its page; an error on the page fails the test."""
    contexts, wrong = [], []

    def watching(run, width=1280, scheme="light"):
        server = served(run)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith((server.address, "data:")) else wrong.append(one.url))
        page.goto(server.address)
        return page

    yield watching
    for context in contexts:
        context.close()
    assert not wrong


def points(page, count):
    """The numbers of the chart of AP, which stand below it as a table, once there are so many."""
    panel = page.locator(".panel", has=page.locator("[data-role=chart-ap]"))
    if not panel.locator("details").evaluate("one => one.open"):
        panel.locator("summary").click()
    panel.locator(f"tbody tr:nth-child({count})").wait_for()
    return panel.locator("tbody tr").evaluate_all("rows => rows.map((row) => +row.children[1].dataset.value)")


TOP = "document.querySelector('[data-view=probes]').getBoundingClientRect().top"  # where it is on the screen


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_shows_the_run_and_what_is_new(run, watching, width, scheme):
    page = watching(run, width, scheme)
    page.get_by_text("epoch 3 · 30 steps · 50 % done").wait_for()
    assert points(page, 2) == pytest.approx([0.1, 0.3])
    assert page.locator("[data-view=probes] svg[data-role=probe-picture]").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    train_on(run, 4)
    page.get_by_text("epoch 4 · 40 steps").wait_for()
    assert points(page, 3) == pytest.approx([0.1, 0.3, 0.875])  # its table was left open


def test_what_is_looked_at_stays_as_it_is_when_the_page_is_drawn_anew(run, watching):
    page = watching(run)
    page.locator("[data-role=snapshot]").fill("0")
    page.locator("[data-role=probe-1]").click()
    page.locator("[data-role=loss-term-giou]").click()
    page.locator("[data-role=chart-agreement] svg.main-svg").first.wait_for()
    page.evaluate("document.querySelector('[data-view=probes]').scrollIntoView()")
    top = page.evaluate(TOP)
    train_on(run, 5)
    page.get_by_text("epoch 5 · 50 steps").wait_for()
    page.locator("[data-role=snapshot][max='3']").wait_for()
    assert page.locator("[data-role=snapshot]").input_value() == "0"
    assert page.locator("[data-role=probe-1]").get_attribute("aria-pressed") == "true"
    assert page.locator("[data-role=loss-term-giou]").get_attribute("aria-pressed") == "true"
    page.locator("[data-role=chart-agreement] svg.main-svg").first.wait_for()
    assert page.evaluate(TOP) == pytest.approx(top, abs=2)
    page.locator("[data-role=snapshot]").fill("3")
    train_on(run, 7)
    page.locator("[data-role=snapshot][max='4']").wait_for()
    assert page.locator("[data-role=snapshot]").input_value() == "4"  # the latest is followed


def test_a_page_without_anything_new_is_left_alone(run, watching):
    page = watching(run)
    page.evaluate("document.querySelector('.watched').dataset.mark = 'same'")
    with page.expect_response("**/state.json"):
        pass
    with page.expect_response("**/state.json"):
        pass
    assert page.locator(".watched[data-mark=same]").count() == 1


def test_a_run_that_has_just_begun_is_waited_for(tmp_path, watching):
    run = tmp_path / "new"
    run.mkdir()
    write_settings(run, epochs=6)
    page = watching(run)
    assert page.locator("[data-role=waiting]").is_visible()
    page.get_by_text("epoch 0 · 0 steps · 0 % done").wait_for()
    write_run(run)
    page.locator("[data-role=chart-ap] svg.main-svg").first.wait_for()
    assert page.locator("[data-role=waiting]").count() == 0


def test_a_run_that_ended_before_its_first_epoch_says_why(tmp_path, watching):
    run = tmp_path / "new"
    run.mkdir()
    write_settings(run, epochs=6)
    page = watching(run)
    waiting = page.locator("[data-role=waiting]")
    assert waiting.inner_text() == "The first epoch is not done yet."
    LiveRun(run).folder.end("diverged at step 3: see --model")
    page.get_by_text("The run ended before its first epoch was done: diverged at step 3: see --model.").wait_for()
    assert waiting.locator("code").inner_text() == "--model"


@pytest.mark.parametrize(("minutes", "said"), [(1, "· 5 s left"), (4, "· 4 min left")])
def test_the_last_two_minutes_are_counted_in_seconds(run, watching, minutes, said):
    write_settings(run, minutes=minutes)
    (run / "metrics.jsonl").write_text(json.dumps({"epoch": 2, "seconds": 55.0, "step": 3}) + "\n")
    watching(run).get_by_text(said).wait_for()
