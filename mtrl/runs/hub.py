"""Repositories of the Hugging Face Hub, of which each holds one seed of a run: its configuration and its policy."""

from pathlib import Path
from typing import Any

from mtrl.extras import install
from mtrl.runs.errors import UserError

PREFIX = "hub:"


def downloaded(name: str) -> Path:
    """The folder, of the Hub's own cache, that a repository's files are in; a run folder.

    Args:
        name: `hub:owner/name`, or `hub:owner/name@revision`.

    Raises:
        UserError: huggingface_hub is not installed, or says that it cannot be done, in one line.
    """
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    hub = _client(name)
    try:
        return Path(hub.snapshot_download(repository, revision=revision or None))
    except _failures(hub) as error:
        raise UserError(f"{name}: {_line(hub, error)}") from error


def upload(folder: Path, repository: str, private: bool) -> str:
    """Puts a folder's files into a repository, which is made if it is not there; the address of the commit.

    Args:
        folder: of the files.
        repository: `owner/name`.
        private: a new repository is for its owner alone.

    Raises:
        UserError: as for `downloaded`.
    """
    hub = _client("mtrl push")
    try:
        made = hub.HfApi().create_repo(repository, exist_ok=True, private=private)
        commit = hub.HfApi().upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="A policy and its results, written by mtrl"
        )
    except _failures(hub) as error:
        raise UserError(f"{repository}: {_line(hub, error)}") from error
    return str(commit.commit_url)


def _client(who: str) -> Any:
    try:
        import huggingface_hub  # an optional extra
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(f"{who} needs huggingface_hub: {install('hub')}") from error
    return huggingface_hub


def _failures(hub: Any) -> tuple[type[Exception], ...]:
    """What the client raises where a name is wrong, nobody is logged in, or the network or the Hub refuses."""
    transport = hub.errors.HfHubHTTPError.__mro__[1]  # of the HTTP library that this version is made on
    return OSError, ValueError, transport


def _line(hub: Any, error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    answered = isinstance(error, hub.errors.HfHubHTTPError)
    unreached = isinstance(error, _failures(hub)[-1]) and not answered
    return f"the Hub cannot be reached: {line}" if unreached else line
