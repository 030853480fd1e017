"""A checkpoint -> a repository of the Hugging Face hub, with a model card."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from setpiece.errors import HubError, UsageError
from setpiece.export.card import TRANSFORMERS, model_card
from setpiece.export.export import describe
from setpiece.export.transformers import has_transformers_form, write_transformers
from setpiece.model.checkpoint import Checkpoint, save

__all__ = ["publish"]


def publish(
    checkpoint: Checkpoint,
    repository: str,
    *,
    settings: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    licence: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Publish a checkpoint as one commit, with its card and, where `transformers` has such a model, in its form too.

    Args:
        repository: such as `"ada/cells"`. It is made where it is not there.
        settings: of the run that trained it, see `model_card`.
        metrics: of the checkpoint, likewise.
        licence: of the weights, by the hub's identifier.
        private: nobody else shall see it.
        token: of the hub; without one, that of `hf auth login` or of HF_TOKEN.

    Returns:
        The address of the repository.

    Raises:
        UsageError: the name is none of a repository, or `private` and it is there for all to see.
        HubError: there is no token, the hub cannot be reached, or it refuses.
        OutputError: the files cannot be written before they are sent.
    """
    _require_name(repository)
    if token is None and huggingface_hub.get_token() is None:
        raise HubError("The hub needs to know who you are: log in with `hf auth login`, or give --token.")
    with TemporaryDirectory(prefix="setpiece-") as temporary:
        folder = Path(temporary)
        in_transformers = has_transformers_form(checkpoint)
        save(checkpoint, folder)
        card = model_card(
            repository,
            checkpoint,
            settings=settings,
            metrics=metrics,
            licence=licence,
            in_transformers=in_transformers,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
        if in_transformers:
            write_transformers(
                checkpoint, describe(checkpoint, metrics=metrics, licence=licence), folder / TRANSFORMERS
            )
        return _upload(folder, repository, private=private, token=token)


def _require_name(repository: str) -> None:
    """Raise UsageError where the hub could have no repository of that name."""
    if "/" not in repository:
        raise UsageError(f"{repository} does not say whose it is: write USER/{repository}.")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(
            f"{repository} cannot be a repository of the hub: write USER/NAME, in letters, digits, and '-', '_' or '.' "
            "between them."
        ) from error


def _upload(folder: Path, repository: str, *, private: bool, token: str | None) -> str:
    api = huggingface_hub.HfApi(token=token)
    try:
        address = str(api.create_repo(repository, private=True if private else None, exist_ok=True))
        exposed = private and not api.model_info(repository).private  # one that was there stays as it was
        if not exposed:
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message="Publish a checkpoint with setpiece push",
                delete_patterns=f"{TRANSFORMERS}/*",  # of another model that was there
            )
    except Exception as error:  # of its HTTP library, of Xet's, and what it makes of them: of a dozen kinds
        raise HubError(f"{repository} could not be published: {_why(error, repository)}.") from error
    if exposed:
        raise UsageError(f"{repository} is there already and public: leave --private out, or choose another name.")
    return address


def _why(error: Exception, repository: str) -> str:
    answer = _answer(error)
    if answer is None:
        if isinstance(error, ValueError):  # of the card
            return f"the hub refuses the model card ({'; '.join(str(error).splitlines())})"
        return f"the hub cannot be reached ({_first_line(error)}), check the network"
    match answer.response.status_code:
        case 401:
            return "the hub does not accept the token, log in with `hf auth login` or give another --token"
        case 403 | 404:
            return f"the token may not write to {repository}, it needs the role write and a name that is yours"
        case _:
            return f"the hub answered: {answer.server_message or _first_line(answer)}".rstrip(".")


def _answer(error: BaseException | None) -> HfHubHTTPError | None:
    """What the hub answered, which the client sometimes wraps."""
    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]
