"""A checkpoint on the hub, which is a stand-in here: what is published, what its card says, and what goes wrong."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from setpiece.data.scenes import CLASSES
from setpiece.errors import HubError, UsageError
from setpiece.evaluation.coco import MEANINGS, CocoMetrics
from setpiece.export.card import model_card
from setpiece.export.publish import publish
from setpiece.model.checkpoint import create, load, save
from setpiece.runs.layout import RunFolder, read_metrics, write_metrics
from setpiece.training.config import resolve

from ..command import run_command


class Hub:
    """What a hub has: it is given to `HfApi`'s place, and keeps the files of each repository in a folder."""

    def __init__(self, folder):
        self.folder, self.private, self.tokens, self.deleted, self.fails = folder, {}, [], [], {}

    def __call__(self, token=None):
        self.tokens.append(token)
        return self

    def create_repo(self, repo_id, *, private=None, exist_ok=False):
        self._fail("create_repo")
        assert exist_ok or repo_id not in self.private
        self.private.setdefault(repo_id, bool(private))
        return f"https://hub.example/{repo_id}"

    def model_info(self, repo_id):
        return SimpleNamespace(private=self.private[repo_id])

    def upload_folder(self, *, repo_id, folder_path, commit_message, delete_patterns):
        self._fail("upload_folder")
        assert repo_id in self.private
        assert commit_message
        self.deleted.append(delete_patterns)
        shutil.copytree(folder_path, self.folder / repo_id)

    def _fail(self, call):
        if call in self.fails:
            raise self.fails[call]

    def files(self, repo_id):
        folder = self.folder / repo_id
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    return hub


@pytest.fixture
def setpiece(monkeypatch, capsys, tmp_path):
    """Run the command in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_command, monkeypatch, capsys)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return create("detr-tiny", ["ace", "king"], shortest=64)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, as training leaves it, less what is not published."""
    folder = RunFolder(tmp_path_factory.mktemp("private") / "trained")
    settings = resolve(tmp_path_factory.mktemp("secret") / "my scenes", "detr-tiny", epochs=1, size=64, seed=7)
    counts = {"train": {"images": 8, "objects": 31}, "valid": {"images": 4, "objects": 15}}
    folder.create(settings.to_dict(), counts, resume=False)
    torch.manual_seed(7)
    save(create("detr-tiny", CLASSES, shortest=64), folder.best)
    metrics = {name: 0.5 + index / 100 for index, name in enumerate(MEANINGS)} | {"APl": math.nan}
    per_class = {name: {"AP": 0.25, "AP50": 0.5} for name in CLASSES}
    write_metrics(folder.best, CocoMetrics(**metrics, per_class=per_class).to_dict() | {"step": 2})
    return folder.path


def answer(status, server_message=None):
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError(
        f"{status} answer of the hub.\n\nMore of it.", response=response, server_message=server_message
    )


def test_what_is_published_is_loaded_again_and_its_card_is_of_the_run(hub, setpiece, run):
    pushed = setpiece("push", run, "ada/scenes", "--licence", "apache-2.0")
    assert (pushed.code, pushed.err) == (0, "")
    assert "https://hub.example/ada/scenes" in pushed.out
    assert hub.files("ada/scenes") == ["README.md", "config.json", "model.safetensors"]
    assert load(hub.folder / "ada" / "scenes").classes == CLASSES
    assert hub.private == {"ada/scenes": False}

    card = ModelCard.load(hub.folder / "ada" / "scenes" / "README.md")
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == (
        "apache-2.0",
        "setpiece",
        "object-detection",
    )
    assert {"setpiece", "detr-tiny"} <= set(card.data.tags)
    metrics = read_metrics(run / "best")
    published = {each.metric_name: each.metric_value for each in card.data.eval_results}
    assert published == {name: metrics[name] for name in MEANINGS if metrics[name] is not None}
    assert {each.dataset_name for each in card.data.eval_results} == {"my scenes"}

    for name in CLASSES:
        assert f"| {name} | 0.250 | 0.500 |" in card.text
    versions = RunFolder(run).read_settings()["made_with"]["versions"]
    for said in (
        "`my scenes`: 8 images with 31 objects",
        "the 4 validation images of `my scenes`",
        "| length | 1 epoch |",
        "| seed | 7 |",
        "| input size | longer side at most 64 pixels |",
        "| started from | trained weights, where the preset has some |",
        f"torch {versions['torch']}",
        'Detector.load("ada/scenes")',
    ):
        assert said in card.text


def test_no_path_and_no_command_line_of_the_machine_is_published(hub, setpiece, run, tmp_path):
    settings = json.loads((run / "run.json").read_text())
    assert settings["data"].startswith("/")  # else this test would show nothing
    settings["made_with"]["command"] = "secret-program train"
    (run / "run.json").write_text(json.dumps(settings))
    assert setpiece("push", run / "best", "ada/scenes").code == 0
    for file in hub.files("ada/scenes"):
        content = (hub.folder / "ada" / "scenes" / file).read_bytes()
        for private in (run.parent.name, "secret", str(tmp_path), "/tmp"):
            assert private.encode() not in content


def test_a_path_of_windows_or_of_a_checkpoint_is_not_in_the_card_either(tiny):
    settings = {"data": "C:\\Users\\ada\\cells\\", "model": "/home/ada/runs/old", "minutes": 2.5}
    card = model_card("ada/cells", tiny, settings=settings)
    assert "trained on `cells`" in card
    assert "| started from | another checkpoint |" in card
    assert "| length | 2.5 minutes |" in card
    assert not any(private in card for private in ("Users", "C:", "/home", "runs/old"))


@pytest.mark.parametrize("data", [".", "..", "/", ""])
def test_a_data_set_whose_folder_has_no_name_is_called_so(data, tiny):
    assert "trained on `its data set`" in model_card("ada/cells", tiny, settings={"data": data, "model": "detr-tiny"})


def test_a_checkpoint_without_a_run_says_what_is_not_known(hub, setpiece, tiny, tmp_path):
    save(tiny, tmp_path / "checkpoint")
    assert setpiece("push", "checkpoint", "ada/cells").code == 0
    card = ModelCard.load(hub.folder / "ada" / "cells" / "README.md")
    assert card.data.license is None
    assert card.data.eval_results is None
    assert "None was given for these weights." in card.text
    assert "How it was trained is not known here" in card.text
    assert "Measured" not in card.text


def test_names_of_classes_mean_nothing_in_markdown_or_html():
    named = create("detr-tiny", ["a|b", "<script>x</script>", "*c*\n# d"], shortest=64)
    card = ModelCard(model_card("ada/cells", named, metrics={"AP": 0.25, "per_class": {"a|b": {"AP": 0.5}}}))
    assert card.data.eval_results[0].metric_value == 0.25
    assert r"| a\|b | 0.500 |  |" in card.text
    assert "&lt;script&gt;" in card.text
    assert r"\*c\* \# d" in card.text
    assert "<script>" not in card.text


def test_the_thresholds_of_the_classes_are_shown(tiny):
    card = model_card("ada/cells", replace(tiny, thresholds=(0.31, 0.42)))
    assert "| class | best threshold |" in card
    assert "| king | 0.420 |" in card


def test_a_detr_of_the_paper_is_published_in_the_form_of_transformers_too(hub):
    torch.manual_seed(0)
    checkpoint = create("detr-r50", ["ace", "king"], shortest=64)
    publish(checkpoint, "ada/cells", licence="mit")
    assert hub.files("ada/cells") == [
        "README.md",
        "config.json",
        "model.safetensors",
        "transformers/config.json",
        "transformers/model.safetensors",
        "transformers/preprocessor_config.json",
    ]
    folder = hub.folder / "ada" / "cells"
    model = AutoModelForObjectDetection.from_pretrained(folder, subfolder="transformers", local_files_only=True)
    assert model.config.id2label == {0: "ace", 1: "king"}
    AutoImageProcessor.from_pretrained(folder, subfolder="transformers", local_files_only=True)
    assert load(folder).size == checkpoint.size
    assert 'from_pretrained("ada/cells", subfolder="transformers")' in (folder / "README.md").read_text()


def test_what_is_published_replaces_another_models_form_of_transformers(hub, tiny):
    publish(tiny, "ada/cells")
    assert hub.deleted == ["transformers/*"]


@pytest.mark.parametrize("private", [False, True])
def test_a_repository_is_made_as_private_as_it_is_asked_for(hub, private, tiny):
    publish(tiny, "ada/cells", private=private)
    assert hub.private == {"ada/cells": private}


def test_what_is_to_be_private_is_not_published_into_a_public_repository(hub, tiny):
    hub.private["ada/cells"] = False
    with pytest.raises(UsageError, match="ada/cells is there already and public"):
        publish(tiny, "ada/cells", private=True)
    assert not hub.folder.exists()


def test_a_repository_that_was_private_stays_so(hub, tiny):
    hub.private["ada/cells"] = True
    publish(tiny, "ada/cells")
    assert hub.private == {"ada/cells": True}


def test_the_token_that_is_given_is_used_and_the_clients_own_without_one(hub, setpiece, tiny, tmp_path):
    save(tiny, tmp_path / "checkpoint")
    assert setpiece("push", "checkpoint", "ada/a", "--token", "hf_given").code == 0
    assert setpiece("push", "checkpoint", "ada/b").code == 0
    assert hub.tokens == ["hf_given", None]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("create_repo", answer(401), "the hub does not accept the token"),
        ("create_repo", answer(403), "the token may not write to ada/cells, it needs the role write"),
        ("upload_folder", answer(404), "the token may not write to ada/cells"),
        ("upload_folder", answer(400, "the name is taken."), "the hub answered: the name is taken."),
        ("upload_folder", answer(500), "the hub answered: 500 answer of the hub."),
        ("create_repo", ConnectionError("[Errno 111] Connection refused"), "the hub cannot be reached"),
        ("create_repo", TimeoutError(), "the hub cannot be reached (TimeoutError), check the network."),
        ("upload_folder", ValueError("Invalid metadata.\n- license is unknown"), "refuses the model card"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(hub, setpiece, tiny, tmp_path, call, error, said):
    save(tiny, tmp_path / "checkpoint")
    hub.fails[call] = error
    failed = setpiece("push", "checkpoint", "ada/cells", "--token", "hf_secret")
    assert (failed.code, failed.out, failed.err.count("\n")) == (1, "", 1)
    assert failed.err.startswith("Error: ada/cells could not be published: ")
    assert said in failed.err
    assert "hf_secret" not in failed.err


def test_the_answer_is_found_where_the_client_wraps_it(hub, tiny):
    error = RuntimeError("Error while uploading.")
    error.__cause__ = answer(403)
    hub.fails["upload_folder"] = error
    with pytest.raises(HubError, match="may not write"):
        publish(tiny, "ada/cells")


def test_the_real_client_without_a_hub_is_one_sentence(monkeypatch, tiny):
    nowhere = partial(huggingface_hub.HfApi, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub, "HfApi", nowhere)
    with pytest.raises(HubError, match=r"ada/cells could not be published: the hub cannot be reached \(.*\), check"):
        publish(tiny, "ada/cells", token="hf_x")


def test_without_a_token_nothing_is_asked_of_the_hub(hub, setpiece, monkeypatch, tiny, tmp_path):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    save(tiny, tmp_path / "checkpoint")
    failed = setpiece("push", "checkpoint", "ada/cells")
    assert failed.code == 1
    assert failed.err == "Error: The hub needs to know who you are: log in with `hf auth login`, or give --token.\n"
    assert hub.tokens == []


@pytest.mark.parametrize("arguments", [("checkpoint", "cells"), ("checkpoint", "a/b/c"), ("checkpoint", "ada/ä ö")])
def test_what_cannot_be_a_repository_is_a_wrong_request(hub, setpiece, tiny, tmp_path, arguments):
    save(tiny, tmp_path / "checkpoint")
    failed = setpiece("push", *arguments)
    assert (failed.code, failed.err.count("\n")) == (2, 1)
    assert hub.tokens == []


@pytest.mark.parametrize("model", ["nothing", "sprint-n", "detr-tiny"])
def test_what_is_no_trained_model_is_a_wrong_request(hub, setpiece, model):
    failed = setpiece("push", model, "ada/cells")
    assert (failed.code, failed.err.count("\n")) == (2, 1)
    assert hub.tokens == []
