"""``--state URL``: naming a state without a config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from devstream.errors import UsageError
from devstream.model.origin import Origin
from devstream.model.tool import StateLocation
from devstream.record import replace

if TYPE_CHECKING:
    from devstream.errors import OptionError

__all__ = ["parse_state_url", "folder_of", "placed"]


def parse_state_url(url: str) -> StateLocation:
    """Read a path, ``s3://bucket/key?region=..`` (``gs://`` and ``az://`` alike) or ``k8s://namespace/configmap?context=..``.

    >>> parse_state_url("s3://bucket/a/key?region=eu-1").options
    {'region': 'eu-1', 'bucket': 'bucket', 'key': 'a/key'}

    Raises:
        UsageError: there is no such scheme, or a part is missing.
    """
    origin = Origin(None, ("--state",))
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    path = parts.path.lstrip("/")
    if not parts.scheme:
        return StateLocation("local", {"stateFile": url}, origin)
    if parts.scheme == "file":
        return StateLocation("local", {"stateFile": parts.path}, origin)
    if parts.scheme == "s3" and parts.netloc and path:
        place = {"bucket": parts.netloc, "key": unquote(parts.path.removeprefix("/"))}
        return StateLocation("s3", {**query, **place}, origin)
    if parts.scheme in ("gs", "az") and parts.netloc and path:
        return StateLocation("s3", {**query, "url": parts._replace(query="").geturl()}, origin)
    if parts.scheme in ("k8s", "kubernetes") and parts.netloc and path:
        return StateLocation("k8s", {"namespace": parts.netloc, "configmap": path, **query}, origin)
    raise UsageError(
        f"--state {url} does not name a state",
        suggestion="a path, s3://bucket/key?region=REGION, or k8s://namespace/configmap",
    )


def folder_of(location: StateLocation, cwd: Path) -> Path:
    """Give the folder in which relative paths begin, where there is only a state: that of its file, else ``cwd``."""
    file = location.options.get("stateFile")
    if location.backend != "local" or not file:
        return cwd
    return Path(os.path.normpath(cwd / file)).parent  # not resolved: a link may lead into another folder


def placed(error: OptionError, where: StateLocation) -> None:
    """Add to a mistake in an option of the state the place that it was written at."""
    mark = error.diagnostic.mark or where.places.get(error.option) or where.origin.mark
    error.diagnostic = replace(error.diagnostic, mark=mark)
