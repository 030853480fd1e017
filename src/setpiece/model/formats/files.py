"""Where a checkpoint lies, on this machine or on the hub, and what its files hold."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub import logging as hub_logging
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from setpiece.errors import UsageError, WeightsError

__all__ = ["CONFIG", "WEIGHTS", "fetch_from_hub", "locate", "read_json", "read_pth", "read_safetensors"]

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
SUFFIXES = (".pth", ".pt", ".safetensors")
HUB_ID = r"\w[\w.-]*/\w[\w.-]*"


def locate(source: str | Path) -> Path:
    """Find the file of weights that a source names; a `.safetensors` file has its `config.json` beside it.

    Args:
        source: a file; a folder of weights and config; a run folder (its `best`, else its `last`); a hub id.

    Raises:
        UsageError: there is nothing at `source`, and it cannot be a hub id.
        WeightsError: the folder or file is not a checkpoint, or it cannot be fetched from the hub.
    """
    path = Path(source)
    if path.is_dir():
        # The checkpoints of a run folder, by the names of `runs.layout`, which `model` may not import.
        for folder in (path, path / "best", path / "last"):
            if (folder / CONFIG).is_file():
                return folder / WEIGHTS
        if (path / "run.json").is_file():
            ended = path / "ended"
            how = f": it {ended.read_text(encoding='utf-8').strip()}" if ended.is_file() else ""
            raise WeightsError(
                f"The run {path} has no checkpoint yet{how}. It has one from its first evaluation on: go on with "
                f"setpiece train … --resume --output {path}, or train again."
            )
        raise WeightsError(f"{path} is not a checkpoint: it has no {CONFIG}, nor best/{CONFIG} or last/{CONFIG}.")
    if path.is_file():
        if path.suffix not in SUFFIXES:
            if path.suffix.lower() == ".html":
                raise WeightsError(
                    f"{path} is not a checkpoint: an exported page detects in a browser alone, so give the model that "
                    "it was exported from."
                )
            raise WeightsError(
                f"{path} is not a checkpoint: expected a folder, a .pth or a .safetensors file, or, to predict with "
                "and to measure, an exported model (.onnx, .xml or .pt2)."
            )
        return path
    # If the parent folder exists on this machine, `source` is a mistyped path and not a hub id.
    if path.suffix not in SUFFIXES and not path.parent.is_dir() and re.fullmatch(HUB_ID, str(source)):
        fetch_from_hub(str(source), CONFIG)
        return fetch_from_hub(str(source), WEIGHTS)
    raise UsageError(
        f"There is no checkpoint at {source}, and no preset of that name: give a folder, a file, a hub id or a preset."
    )


def fetch_from_hub(repository: str, name: str) -> Path:
    """Download one file of a hub repository, or find it in the hub's cache on this machine.

    Raises:
        WeightsError: the hub cannot be reached, or has no such repository or file.
    """
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity_error()  # the client warns of each of its retries; one sentence at the end is enough
    try:
        return Path(hf_hub_download(repository, name))
    except LocalEntryNotFoundError as error:
        why = "the hub cannot be reached and it is not in the cache on this machine; check the network"
        cause: Exception = error
    except RepositoryNotFoundError as error:
        why = "the hub has no such public repository; check its name, or log in with `hf auth login`"
        cause = error
    except EntryNotFoundError as error:
        why = f"the hub's repository has no {name}"
        cause = error
    except OSError as error:
        why = f"the hub answered: {str(error).splitlines()[0]}"
        cause = error
    finally:
        hub_logging.set_verbosity(verbosity)
    raise WeightsError(
        f"There is no folder {repository} here, and {repository} could not be fetched: {why}."
    ) from cause


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WeightsError: there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing: it says what the weights beside it are.") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is not a checkpoint's description: expected a JSON object.")
    return content


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors` file.

    Raises:
        WeightsError: the file is missing, truncated or of another kind.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing: the folder has a {CONFIG} but no weights.") from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is truncated or not a safetensors file ({error}): fetch it again.") from error


def read_pth(path: Path) -> tuple[dict[str, Tensor], argparse.Namespace | None]:
    """Read the model of an original `.pth` file, and the arguments that it was trained with where it has them.

    Raises:
        WeightsError: the file is truncated, of another kind, or holds more than tensors and arguments.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling foreign bytes can raise nearly anything
        raise WeightsError(
            f"{path} is truncated, not a PyTorch checkpoint, or holds more than weights, which is not unpickled."
        ) from error
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{path} is not an original DETR checkpoint: it has no weights under the key 'model'.")
    return state, content.get("args")
