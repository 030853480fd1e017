"""The server as the page and as strangers meet it; without torch, and without a trainer."""

from __future__ import annotations

import hashlib
import io
import json
import random
import signal
import socket
import threading
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from setpiece.data.scenes import write_scenes
from setpiece.data.sources import open_dataset
from setpiece.errors import UsageError
from setpiece.labelling.coco_file import LABELS, read_saved
from setpiece.labelling.server import Settings, serve

from .conftest import FROM_PAGE, TO_TRAIN, launching, started, until, write_photos


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of six photos and two classes, which the tests of this file share."""
    folder = tmp_path_factory.mktemp("served")
    write_photos(folder / "photos")
    settings = {"classes": ["cat", "dog"], "trains": False}
    with launching(TO_TRAIN) as launcher, started(launcher, folder / "photos", folder / "labels", **settings) as served:
        yield served


def test_a_change_is_answered_with_the_new_revision_and_seen_by_another_tab(server):
    version = server.state()["version"]
    assert server.client.get(f"api/state?version={version}").json() == {"version": version, "same": True}
    answer = server.draw(1, [((1, 2, 30, 40), 1)])
    now = answer.json()
    assert (answer.status_code, now["state"], now["boxes"]) == (200, "open", [{"box": [1, 2, 30, 40], "class": 1}])
    state = server.state()
    assert state["version"] != version
    row = state["images"][0]
    assert (row["file"], row["boxes"], row["classes"], row["revision"]) == ("a.png", 1, [1], now["revision"])
    assert state["undo"] == "draw box in a.png"
    assert now == server.client.get("api/images/1").json()


def test_a_change_of_what_was_changed_elsewhere_is_refused_with_what_is_there(server):
    now = server.draw(2, [((1, 2, 30, 40), 0)]).json()
    sent = {"revision": now["revision"] - 1, "state": "open", "boxes": [], "action": "delete box"}
    answer = server.client.put("api/images/2", json=sent)
    assert (answer.status_code, answer.json()["image"]) == (409, now)
    assert answer.json()["detail"].endswith(".")


def test_two_tabs_that_change_one_image_lose_no_change_that_was_confirmed(server):
    start = server.client.get("api/images/5").json()["revision"]
    confirmed = []

    def tab(number):
        with httpx.Client(base_url=server.address, headers=FROM_PAGE) as client:
            for _ in range(8):
                now = client.get("api/images/5").json()
                boxes = [*now["boxes"], {"box": [number, 0, number + 10 + len(now["boxes"]), 10], "class": 0}]
                sent = {"revision": now["revision"], "state": "open", "boxes": boxes, "action": "draw box"}
                if client.put("api/images/5", json=sent).status_code == 200:
                    confirmed.append(boxes[-1])

    tabs = [threading.Thread(target=tab, args=(number,)) for number in range(3)]
    for each in tabs:
        each.start()
    for each in tabs:
        each.join()
    now = server.client.get("api/images/5").json()
    assert now["revision"] == start + len(confirmed)
    assert sorted(map(str, now["boxes"])) == sorted(
        str({"box": [float(v) for v in box["box"]], "class": 0}) for box in confirmed
    )


@pytest.mark.parametrize(
    ("boxes", "state", "said"),
    [
        ([((1, 2, 90, 40), 0)], "open", "not inside 80 x 60"),
        ([((-1, 2, 9, 40), 0)], "open", "not inside"),
        ([((5, 5, 5, 9), 0)], "open", "no area"),
        ([((9, 5, 5, 9), 0)], "open", "no area"),
        ([((1, 2, 3, 4), 7)], "open", "no class 7"),
        ([((1, 2, 3, 4), -1)], "open", "no class -1"),
        ([((1, 2, 30, 40), 0)], "empty", "not empty"),
    ],
)
def test_what_is_no_label_is_refused_in_words(server, boxes, state, said):
    answer = server.draw(3, boxes, state)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert server.client.get("api/images/3").json()["boxes"] == []


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"revision": 0, "state": "done", "boxes": [], "action": "x"},
        {"revision": 0, "state": "open", "boxes": [{"box": [1, 2, 3], "class": 0}], "action": "x"},
        {"revision": 0, "state": "open", "boxes": [{"box": [1, 2, 3, "nan"], "class": 0}], "action": "x"},
        {"revision": 0, "state": "open", "boxes": [], "action": ""},
    ],
)
def test_what_is_not_as_agreed_is_refused_in_words(server, sent):
    answer = server.client.put("api/images/3", json=sent)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_confirmed_without_boxes_is_empty(server):
    assert server.draw(3, [], "labelled").json()["state"] == "empty"


def test_everything_can_be_undone_and_made_again(server):
    server.draw(4, [((1, 2, 30, 40), 0)], action="draw box")
    drawn = server.client.get("api/images/4").json()["boxes"]
    server.client.post("api/classes", json={"action": "merge", "class": 0, "into": 1})
    assert [each["name"] for each in server.state()["classes"]] == ["dog"]
    undone = server.client.post("api/undo").json()
    assert undone["said"] == "Undid: merge class cat into dog"
    assert (4 in undone["images"], undone["classes"]) == (True, True)
    assert server.client.get("api/images/4").json()["boxes"] == drawn
    assert server.client.post("api/undo").json()["said"] == "Undid: draw box in d.png"
    assert server.client.get("api/images/4").json()["boxes"] == []
    assert server.state()["redo"] == "draw box in d.png"
    assert server.client.post("api/redo").json()["images"] == [4]
    assert server.client.get("api/images/4").json()["boxes"] == drawn
    server.draw(4, [])
    assert server.client.post("api/redo").json()["said"] == "There is nothing to do again."


def test_classes_are_added_renamed_and_removed(server):
    def classes(**sent):
        return server.client.post("api/classes", json=sent)

    assert classes(action="add", name=" a  bird ").json()["classes"][-1] == {"name": "a bird"}
    assert classes(action="add", name="a bird").status_code == 422
    assert classes(action="rename", **{"class": 2}, name="crow").json()["classes"][2] == {"name": "crow"}
    assert classes(action="remove", **{"class": 2}).json()["classes"] == [{"name": "cat"}, {"name": "dog"}]
    assert classes(action="remove", **{"class": 9}).status_code == 422


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"action": "rename", "class": 0, "name": "crow", "meant": ["dog"]}, "Class 1 is cat by now, and not dog"),
        ({"action": "merge", "class": 0, "into": 1, "meant": ["cat", "bird"]}, "Class 2 is dog by now, and not bird"),
        ({"action": "remove", "class": 1, "meant": ["cat"]}, "Class 2 is dog by now, and not cat"),
    ],
)
def test_a_class_that_another_one_took_the_place_of_is_not_changed(server, sent, said):
    before = server.state()["classes"]
    answer = server.client.post("api/classes", json=sent)
    assert (answer.status_code, said in answer.json()["detail"]) == (409, True)
    assert server.state()["classes"] == before


def test_a_class_that_goes_by_the_name_on_the_page_is_changed(server):
    sent = {"action": "rename", "class": 1, "name": "wolf", "meant": ["dog"]}
    assert server.client.post("api/classes", json=sent).json()["classes"][1] == {"name": "wolf"}
    server.client.post("api/undo")


def test_open_images_are_offered_by_help_or_by_file(server):
    mode = lambda mode: server.client.post("api/order", json={"mode": mode, "coming": [3, 99]}).status_code  # noqa: E731
    assert mode("files") == 200
    order = server.state()["order"]
    assert (order["mode"], order["next"]) == ("files", sorted(order["next"]))
    assert mode("helpful") == 200
    assert mode("random") == 422


def test_pictures_are_sent_as_a_browser_shows_them(server):
    photo, small = server.client.get("photos/1"), server.client.get("thumbnails/1")
    assert (photo.headers["content-type"], small.headers["content-type"]) == ("image/png", "image/jpeg")
    assert Image.open(io.BytesIO(photo.content)).size == (80, 60)
    again = server.client.get("photos/1", headers={"If-None-Match": photo.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("photos/99", "thumbnails/99", "api/images/99", "photos/-1", "api/second-look/7x"):
        assert server.client.get(path).status_code in (404, 405)


@pytest.mark.parametrize("path", ["photos/..%2f..%2fetc%2fpasswd", "photos/../../etc/passwd", "photos/a.png", "..%2f"])
def test_paths_in_requests_lead_nowhere(server, path):
    with socket.create_connection(("127.0.0.1", httpx.URL(server.address).port)) as connection:
        request = (
            f"GET /{path} HTTP/1.1\r\nHost: {httpx.URL(server.address).netloc.decode()}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"422")
    assert b"root:" not in answer


# ---- guards ----


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost:x", ""])
def test_a_request_under_another_name_is_refused(server, host):
    host = host.format(port=httpx.URL(server.address).port)
    answer = server.client.get("api/state", headers={"Host": host})
    assert (answer.status_code, answer.json()["detail"][:11]) == (421, "This server")


def test_its_own_names_are_accepted(server):
    port = httpx.URL(server.address).port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"LOCALHOST:{port}"):
        assert server.client.get("api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_site_is_refused(server, method, headers):
    path = "api/state" if method == "GET" else "api/undo"
    assert server.client.request(method, path, headers=headers).status_code == 403


def test_what_changes_something_needs_the_header_of_the_page(server):
    for method, path in (
        ("POST", "api/undo"),
        ("PUT", "api/images/1"),
        ("DELETE", "api/images/1"),
        ("POST", "api/train"),
    ):
        assert httpx.request(method, f"{server.address}{path}").status_code == 403
    own = {"Origin": server.address.rstrip("/")}
    assert server.client.post("api/order", json={"mode": "helpful"}, headers=own).status_code == 200


def test_requests_without_end_are_refused(server):
    assert server.client.put("api/images/1", content=iter([b"{", b"}"])).status_code == 413
    assert server.client.put("api/images/1", content=b" " * 8_000_001).status_code == 413


def test_answers_say_what_the_page_may_do(server):
    headers = server.client.get("api/state").headers
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_beyond_this_machine_a_token_is_needed(photos, tmp_path, serving):
    with serving(photos, tmp_path / "labels", host="0.0.0.0") as served:
        address, _, token = served.address.partition("?token=")
        port = httpx.URL(address).port
        assert httpx.URL(address).host == socket.gethostname()  # which other machines can open
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", headers=FROM_PAGE) as client:
            assert client.get("api/state").status_code == 401
            assert client.get("/").status_code == 401
            assert client.get("/?token=wrong").status_code == 401
            assert client.post("api/undo", headers={"Cookie": f"setpiece-label-{port}=wrong"}).status_code == 401
            answer = client.get(f"/?token={token}")
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert client.get("api/state").status_code == 200
            assert client.get("api/state", headers={"Host": f"evil.example:{port}"}).status_code == 421


# ---- the folder ----


def hashes(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_photos_that_vanish_come_or_break_are_named_and_their_labels_stay(photos, tmp_path, serving):
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:60])
    with serving(photos, tmp_path / "labels", classes=["cat"]) as served:
        rows = {row["file"]: row for row in served.state()["images"]}
        assert (rows["b.png"]["state"], rows["b.png"]["id"]) == ("broken", -1)
        assert rows["b.png"]["why"].startswith("b.png ")
        of = {row["file"]: row["id"] for row in served.state()["images"]}
        served.draw(of["a.png"], [((1, 2, 3, 4), 0)], "labelled")
        served.draw(of["c.png"], [((1, 2, 3, 4), 0)])
        kept = photos / "a.png"
        kept.rename(tmp_path / "a.png")
        Image.new("RGB", (40, 40)).save(photos / "c.png")
        Image.new("RGB", (40, 40)).save(photos / "new.png")
        (photos / "e.png").write_bytes(b"no image")

        def states():
            return {row["file"]: row["state"] for row in served.state()["images"]}

        until(lambda: states().get("new.png") == "open" and states()["e.png"] == "broken")
        assert {file: states()[file] for file in ("a.png", "c.png", "d.png")} == {
            "a.png": "missing", "c.png": "broken", "d.png": "open",
        }  # fmt: skip
        said = " ".join(each["text"] for each in served.state()["said"])
        for part in ("1 photo came (new.png).", "1 photo vanished (a.png)", "c.png has 40 x 40 pixels now", "e.png"):
            assert part in said
        assert served.client.get(f"photos/{of['a.png']}").status_code == 404
        assert served.client.get(f"api/images/{of['a.png']}").json()["boxes"]
        assert of["a.png"] not in served.state()["order"]["next"]
        (tmp_path / "a.png").rename(kept)
        until(lambda: states()["a.png"] == "labelled")
        assert "1 photo is usable again (a.png)." in [each["text"] for each in served.state()["said"]]


def test_originals_are_never_written_to(tmp_path, serving):
    photos = write_photos(tmp_path / "photos")
    Image.new("I;16", (30, 20), 700).save(photos / "deep.tif")
    turned = Image.new("RGB", (30, 20))
    turned.getexif()[274] = 6
    turned.save(photos / "turned.jpg", exif=turned.getexif())
    before = hashes(photos)
    with serving(photos, tmp_path / "labels", classes=["cat"]) as served:
        rows = {row["file"]: row for row in served.state()["images"]}
        assert (rows["turned.jpg"]["width"], rows["turned.jpg"]["height"]) == (20, 30)
        for row in rows.values():
            served.draw(row["id"], [((1, 2, 13, 14), 0)], "labelled")
            for kind in ("photos", "thumbnails"):
                assert served.client.get(f"{kind}/{row['id']}").status_code == 200
        assert served.client.get(f"photos/{rows['deep.tif']['id']}").headers["content-type"] == "image/png"
        assert served.client.get("api/download?layout=coco").status_code == 200
    assert hashes(photos) == before


def test_labels_are_not_written_among_the_photos(photos):
    with pytest.raises(UsageError, match="where nothing is written"):
        serve(Settings(photos, photos / "labels"), print)


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: folder.touch(), lambda folder: folder.mkdir()])
def test_a_folder_without_photos_is_refused_in_words(tmp_path, make):
    make(tmp_path / "photos")
    with pytest.raises(UsageError, match="give the folder that holds the photos"):
        serve(Settings(tmp_path / "photos", tmp_path / "labels"), print)
    assert not (tmp_path / "labels").exists()


def test_a_second_server_on_the_same_folder_is_refused(server):
    output, photos = server.state()["output"], server.state()["photos"]
    with pytest.raises(UsageError, match=f"at {server.address}"):
        serve(Settings(Path(photos), Path(output)), print)


# ---- data sets and downloads ----


def as_text(dataset):
    """What a data set says, without the order of its images and without ids."""
    rows = {}
    for example in dataset.examples:
        names = [dataset.classes[label] for label in example.labels]
        boxes = np.round(example.boxes_xyxy, 2).tolist()
        rows[example.path.stem] = (example.width, example.height, sorted(zip(map(tuple, boxes), names, strict=True)))
    return rows


def everything(folder):
    return as_text(open_dataset(folder, "train")) | as_text(open_dataset(folder, "valid"))


@pytest.mark.parametrize("layout", ["coco", "yolo", "voc"])
def test_a_data_set_is_taken_in_with_its_labels_and_given_back_equal(tmp_path, layout, serving):
    scenes = write_scenes(tmp_path / "scenes", train=7, valid=5, seed=3)
    with serving(scenes, tmp_path / "first") as served:
        assert {row["state"] for row in served.state()["images"]} == {"labelled"}
        assert [each["name"] for each in served.state()["classes"]][:2] == ["circle", "square"]
        answer = served.client.get(f"api/download?layout={layout}")
        assert answer.headers["content-disposition"].endswith(f'scenes-{layout}.zip"')
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path / "again")
    truth = {}
    for split in ("train", "valid"):  # both splits have a scene_0001.png
        for name, rest in as_text(open_dataset(scenes, split)).items():
            truth[str(rest)] = name
    again = everything(tmp_path / "again")
    assert sorted(truth) == sorted(map(str, again.values()))
    with serving(tmp_path / "again", tmp_path / "second") as served:
        assert served.state()["progress"]["labelled"] == 12
        assert not list((tmp_path / "second").glob(".download*"))


def test_an_image_without_objects_and_a_crowd_come_back_as_they_were(tmp_path, serving):
    photos = write_photos(tmp_path / "data" / "train", 2)
    (photos / "_annotations.coco.json").write_text(
        '{"images":[{"id":1,"file_name":"a.png","width":80,"height":60},{"id":2,"file_name":"b.png","width":80,'
        '"height":60}],"annotations":[{"id":1,"image_id":1,"category_id":5,"bbox":[1,2,30,30],"iscrowd":1,'
        '"area":900}],"categories":[{"id":5,"name":"people"}]}'
    )
    with serving(tmp_path / "data", tmp_path / "labels") as served:
        assert [row["state"] for row in served.state()["images"]] == ["labelled", "empty"]
        box = {"box": [1, 2, 31, 32], "class": 0, "crowd": True}
        now = served.client.get("api/images/1").json()
        assert now["boxes"] == [box]
        sent = {"revision": 0, "state": "open", "boxes": [box], "action": "open again"}
        assert served.client.put("api/images/1", json=sent).json()["boxes"] == [box]


def test_there_is_nothing_to_download_before_something_is_labelled(photos, tmp_path, serving):
    with serving(photos, tmp_path / "labels") as served:
        assert served.client.get("api/download?layout=coco").status_code == 409
        assert served.client.get("api/download?layout=csv").status_code == 422
        assert served.client.post("api/export", json={"format": "onnx"}).status_code == 409


def test_the_page_is_told_the_limits_of_a_longer_training_that_the_server_holds(server):
    page = server.client.get("/").text
    least, most = json.loads(page.split('id="payload"', 1)[1].split(">", 1)[1].split("</script>", 1)[0])["minutes"]
    for minutes in (0, least / 2, most + 1):
        answer = server.client.post("api/train", json={"minutes": minutes})
        assert (answer.status_code, answer.json()["detail"].startswith("minutes: ")) == (422, True)


def test_without_a_trainer_nothing_is_promised(photos, tmp_path, serving):
    with serving(photos, tmp_path / "labels") as served:
        for path, sent in (("second-look", None), ("train", {"minutes": 1})):
            answer = served.client.post(f"api/{path}", json=sent)
            assert answer.status_code == 422
            assert "no trainer" in answer.json()["detail"]
        assert served.client.get("api/second-look").json()["state"] == "none"
        assert served.state()["final"] is None


# ---- kill -9 ----


def test_nothing_that_was_confirmed_is_lost_to_kills_of_the_server(photos, tmp_path, serving):
    """Twenty servers in a row on one folder, each killed while a client makes changes as fast as it can."""
    chance, confirmed, sent = random.Random(0), {}, {}
    for life in range(20):
        with serving(photos, tmp_path / "labels", classes=["cat", "dog"]) as served:
            for id, boxes in confirmed.items():
                now = [each["box"] for each in served.client.get(f"api/images/{id}").json()["boxes"]]
                assert now in (boxes, sent[id]), (life, id)  # what was not answered may be there or not
                confirmed[id] = sent[id] = now
            killer = threading.Timer(chance.uniform(0.0, 0.25), served.send, [signal.SIGKILL])
            killer.start()
            try:
                while True:
                    id, edge = chance.randint(1, 6), chance.randint(2, 50)
                    sent[id] = [[1.0, 1.0, float(edge), 50.0]] * chance.randint(1, 3)
                    if served.draw(id, [(box, 1) for box in sent[id]]).status_code == 200:
                        confirmed[id] = sent[id]
            except httpx.HTTPError:
                pass
            killer.join()
    assert len(confirmed) == 6
    with serving(photos, tmp_path / "labels") as served:
        assert served.state()["undo"]
        assert served.end() == 0
    assert read_saved(tmp_path / "labels" / LABELS).sequence > 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_at_a_signal(photos, tmp_path, serving, number):
    with serving(photos, tmp_path / "labels") as served:
        assert served.end(number) == 0
        address = served.address
    with serving(photos, tmp_path / "labels") as again:  # where open pages still ask
        assert again.address == address
