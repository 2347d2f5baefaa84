"""Fetching an archive: https verified, sizes and times limited, a token shown to the host that it is for and to no other."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from devstream.api import OperationCancelled, OperationError, RetryableError
from devstream_plugin_scm.archives import MAX_ARCHIVE
from devstream_plugin_scm.repo_url import is_loopback
from devstream_plugin_scm.rest import patiently

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from devstream.api import Context, Secret

__all__ = ["Download", "download", "plain_url", "TIME_LIMIT"]

TIME_LIMIT = 300.0
"""Seconds that a whole download may take."""
_TIMEOUT = 30.0
_REDIRECTS = 5


class Download(NamedTuple):
    """What to fetch.

    Attributes:
        token: shown to the host of ``url`` as a bearer token, or as a password where ``user`` is given.
        ca_file: certificates to trust instead of the usual ones.
        allow_http: plain http may be used on other hosts than this machine.
        limit: bytes.
        seconds: how long the whole of it may take.
    """

    url: str
    token: Secret | None = None
    user: str = ""
    ca_file: Path | None = None
    allow_http: bool = False
    limit: int = MAX_ARCHIVE
    seconds: float = TIME_LIMIT


def download(context: Context, wanted: Download) -> tuple[bytes, str]:
    """Fetch a file; give its bytes and their digest, ``sha256:...``.

    Proxies, ``.netrc`` and other settings of the environment are not looked at.

    Raises:
        OperationError: it is not there, too large, or elsewhere in a way that is not followed.
        RetryableError: the server does not answer, or is busy.
    """
    import httpx

    check_place(wanted.url, wanted)
    transport = context.httpx_transport(ca_file=wanted.ca_file)
    try:
        with httpx.Client(transport=transport, timeout=_TIMEOUT, trust_env=False) as client:
            data = _fetched(client, context, wanted)
    except httpx.HTTPError as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        message = f"{plain_url(wanted.url)} cannot be fetched: {said}"
        raise RetryableError(message) from None
    return data, f"sha256:{hashlib.sha256(data).hexdigest()}"


def _fetched(client: httpx.Client, context: Context, wanted: Download) -> bytes:
    until = time.monotonic() + wanted.seconds
    url = wanted.url
    for _ in range(_REDIRECTS + 1):
        request = client.build_request("GET", url, headers=_headers(url, wanted))
        answer = patiently(context, lambda asked=request: client.send(asked, stream=True), "GET")  # type: ignore[misc]  # mypy cannot infer a lambda's default
        try:
            if not answer.has_redirect_location:
                return _body(answer, context, wanted, until)
            url = check_place(urljoin(url, answer.headers["location"]), wanted)
        finally:
            answer.close()
    message = f"{plain_url(wanted.url)} is sent on more than {_REDIRECTS} times"
    raise OperationError(message)


def _headers(url: str, wanted: Download) -> dict[str, str]:
    from base64 import b64encode

    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if wanted.token is None or urlsplit(url)[:2] != urlsplit(wanted.url)[:2]:
        return headers
    token = wanted.token.reveal()
    if wanted.user:
        basic = b64encode(f"{wanted.user}:{token}".encode()).decode()
        return {**headers, "Authorization": f"Basic {basic}"}
    return {**headers, "Authorization": f"Bearer {token}"}


def _body(answer: httpx.Response, context: Context, wanted: Download, until: float) -> bytes:
    """Read an answer piece by piece: neither a long nor a slow one holds the run up."""
    if answer.status_code != 200:
        hints = {401: "give a token that may read it", 403: "give a token that may read it"}
        message = f"{plain_url(wanted.url)} cannot be fetched: status {answer.status_code}"
        raise OperationError(message, suggestion=hints.get(answer.status_code, "is the url right?"))
    data = bytearray()
    for piece in answer.iter_raw():
        data += piece
        if len(data) > wanted.limit:
            message = f"{plain_url(wanted.url)} has more than {wanted.limit} bytes"
            raise OperationError(message)
        if time.monotonic() > until:
            message = f"{plain_url(wanted.url)} did not arrive within {wanted.seconds:.0f} s"
            raise RetryableError(message)
        if context.cancelled:
            message = "the run is being stopped"
            raise OperationCancelled(message)
    return bytes(data)


def check_place(url: str, wanted: Download) -> str:
    """Give back a URL that may be asked.

    Raises:
        OperationError: it is no https URL (http is allowed where the first one was, and is allowed to be), or holds a
            user or a password.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        message = "a URL must not hold a user or a token"
        raise OperationError(message, suggestion="write `token: [[ env NAME ]]` beside it")
    clear = parts.scheme == "http" and (wanted.allow_http or is_loopback(parts.hostname or ""))
    if parts.hostname and (parts.scheme == "https" or (clear and wanted.url.startswith("http:"))):
        return url
    message = f"{plain_url(url)} is no https URL: what it sends could be changed on the way"
    raise OperationError(message, suggestion="use https://, or allowHttp: true on a network you trust")


def plain_url(url: str) -> str:
    """Give a URL without its query, which may hold what is signed for one user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
