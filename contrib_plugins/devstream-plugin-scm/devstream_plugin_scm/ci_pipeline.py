"""``.devstream/ci.yaml``: what a commit wants to be tested with. Read in a git hook, so nothing of DevStream here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CI_FILE",
    "DEFAULT_TIMEOUT",
    "MAX_TIMEOUT",
    "Pipeline",
    "PipelineError",
    "parse_pipeline",
    "read_pipeline",
]

CI_FILE = ".devstream/ci.yaml"
DEFAULT_TIMEOUT = 600
MAX_TIMEOUT = 86_400
MAX_PIPELINE = 64 * 1024
MAX_COMMANDS = 100


class PipelineError(Exception):
    """A commit's ``.devstream/ci.yaml`` is missing or wrong, or the commit cannot be checked out."""


class Pipeline(NamedTuple):
    """What a commit wants to be tested with; the timeout is in seconds, for all commands together."""

    commands: tuple[str, ...]
    timeout: float


def parse_pipeline(text: str) -> Pipeline:
    """Read ``.devstream/ci.yaml``.

    Raises:
        PipelineError: it is no YAML, or not ``commands`` (texts) and ``timeout`` (seconds).
    """
    import yaml

    try:
        raw: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        message = f"{CI_FILE} is not YAML: {' '.join(str(error).split())[:200]}"
        raise PipelineError(message) from error
    if not isinstance(raw, dict) or not set(raw) <= {"commands", "timeout"}:
        message = f"{CI_FILE} has other keys than commands and timeout"
        raise PipelineError(message)
    return Pipeline(_commands(raw.get("commands")), _timeout(raw.get("timeout", DEFAULT_TIMEOUT)))


def _commands(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_COMMANDS:
        message = f"{CI_FILE}: commands is a list of 1 to {MAX_COMMANDS} commands"
        raise PipelineError(message)
    if not all(isinstance(command, str) and command.strip() and "\0" not in command for command in raw):
        message = f"{CI_FILE}: each command is a text"
        raise PipelineError(message)
    return tuple(raw)


def _timeout(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < raw <= MAX_TIMEOUT:
        message = f"{CI_FILE}: timeout is a number of seconds, up to {MAX_TIMEOUT}"
        raise PipelineError(message)
    return float(raw)


def read_pipeline(path: Path) -> str:
    """Read the pipeline file of a checkout, without following a link out of it.

    Raises:
        PipelineError: there is none, or it is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        message = f"there is no {CI_FILE} in this commit"
        raise PipelineError(message) from error
    with os.fdopen(descriptor, "rb") as stream:
        raw = stream.read(MAX_PIPELINE + 1)
    if len(raw) > MAX_PIPELINE:
        message = f"{CI_FILE} is larger than {MAX_PIPELINE} bytes"
        raise PipelineError(message)
    return raw.decode(errors="replace")
