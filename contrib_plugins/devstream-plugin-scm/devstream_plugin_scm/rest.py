"""`Rest`: the JSON API of a service. Certificates verified, no redirect to elsewhere, rate limits honoured, plain errors."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from devstream.api import OperationCancelled, OperationError, RetryableError
from devstream_plugin_scm.repo_url import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import httpx

    from devstream.api import Context, Secret

__all__ = [
    "attempts",
    "Rest",
    "RestError",
    "authorization",
    "check_clear",
    "patiently",
    "pause",
    "steps",
    "TIMEOUT",
]

TIMEOUT = 30.0
"""Seconds that one request may take to be answered."""
LONGEST_WAIT = 60.0
"""Seconds that a rate limit is waited for; a longer one is left to a later attempt."""
_READS = ("GET", "HEAD")
_REPEATED = (307, 308)
_BUSY = (502, 503, 504)
_TRIES = 4
_PAGE = 50
_MOST_PAGES = 200
_POLL = 0.1
_LONGEST_POLL = 2.0


class RestError(OperationError):
    """A service refused a request.

    Attributes:
        status: the HTTP status; 0 where there was no answer, and so nobody knows whether it was done.
    """

    default_code = "service-refused"

    def __init__(self, summary: str, *, status: int = 0, **rest: Any) -> None:
        super().__init__(summary, **rest)
        self.status = status

    @property
    def unsettled(self) -> bool:
        """True where nobody knows whether what was asked was done."""
        return self.status == 0 or self.status >= 500


def check_clear(url: str, *, allow_http: bool) -> None:
    """Refuse to send a token in clear to another machine.

    Raises:
        OperationError: the URL is plain http, and not of this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        message = f"{url} would send the token in clear"
        raise OperationError(message, suggestion="use https://, or allowHttp: true on a network you trust")


def authorization(token: Secret | None, service: str, scheme: str = "Bearer") -> dict[str, str]:
    """Give the header that holds a token; none without one.

    Raises:
        OperationError: the token cannot be sent. It is not shown, as a library's own complaint would.
    """
    text = token.reveal() if token else ""
    if not text.isascii() or not text.isprintable() or " " in text:
        message = f"the token of {service} has blanks, line breaks or letters that no token has"
        raise OperationError(message, suggestion="was it read from a file that ends in a line break?")
    return {"Authorization": f"{scheme} {text}"} if text else {}


def steps(*names: object) -> str:
    """Join names into a path, each quoted: none of them can lead elsewhere.

    >>> steps("repos", "acme", "a/../b")
    '/repos/acme/a%2F..%2Fb'
    """
    return "".join(f"/{quote(str(name), safe='')}" for name in names)


class Rest:
    """Talks JSON to one service.

    Args:
        url: the root of its API, without a slash at the end.
        headers: sent with every request; they hold the token.
        ca_file: certificates to trust instead of the usual ones.
        service: its name, for messages.
    """

    def __init__(
        self,
        context: Context,
        url: str,
        *,
        headers: Mapping[str, str],
        service: str,
        ca_file: Path | None = None,
        repeated: tuple[int, ...] = _REPEATED,
    ) -> None:
        self._context = context
        self._url = url
        self._repeated = repeated
        self._headers = {"Accept": "application/json", **headers}
        self._service = service
        self._ca_file = ca_file
        self._client: httpx.Client | None = None

    def get(self, path: str, **query: Any) -> Any:
        """Read something.

        Raises:
            RestError: the service refuses; 404 too.
        """
        return _json(self.request("GET", path, query=query))

    def find(self, path: str, **query: Any) -> Any:
        """Read something; None where there is nothing."""
        try:
            return self.get(path, **query)
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Change something; give the answer's body, None where it has none.

        Raises:
            RestError: the service refuses, or its answer was lost.
            RetryableError: the service is busy, and nothing was changed.
        """
        return _json(self.request(method, path, body=body))

    def remove(self, path: str) -> None:
        """Delete something; that it is gone already is fine."""
        try:
            self.request("DELETE", path)
        except RestError as error:
            if error.status != 404:
                raise

    def pages(self, path: str, *, size: str = "limit", **query: Any) -> Iterator[Any]:
        """Go through a list, page by page. A service may give less on a page than it is asked for, and say the total.

        Args:
            size: what the service calls the number of items on a page.
        """
        seen = 0
        for page in count(1):
            answer = self.request("GET", path, query={**query, "page": page, size: _PAGE})
            items = _json(answer) or ()
            yield from items
            seen += len(items)
            total = answer.headers.get("x-total-count", "")
            if not items or (seen >= int(total) if total.isdecimal() else len(items) < _PAGE):
                return

    def request(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Send one request; wait where the service asks for it; follow a rename within the service.

        Raises:
            RestError: the service refuses, or a list has no end.
        """
        if _page(path, query or {}) > _MOST_PAGES:
            message = f"{self._service} finds no end of {urlsplit(path).path}"
            raise RestError(message, suggestion=f"{_MOST_PAGES} pages are looked at and no more")
        answer = self._ask(method, f"{self._url}{path}", body, query or {})
        for _ in range(_TRIES):
            if not answer.has_redirect_location:
                break
            answer = self._ask(method, self._moved(method, answer), body, {})
        if answer.is_success:
            return answer
        raise self._refusal(method, path, answer)

    def _ask(self, method: str, url: str, body: Any, query: Mapping[str, Any]) -> httpx.Response:
        return patiently(self._context, lambda: self._once(method, url, body, query), method)

    def _moved(self, method: str, answer: httpx.Response) -> str:
        """Give where a renamed thing is now, on the same server: a change only where it is to be asked again as it was.

        Gitea answers 307 to whatever is asked of an old name (`RedirectToRepo` in its services/context).
        """
        target = urljoin(str(answer.url), answer.headers["location"])
        there = urlsplit(target)
        away = there[:2] != urlsplit(self._url)[:2]
        if away or (method not in _READS and answer.status_code not in self._repeated):
            message = f"{self._service} sends {method} {answer.url.path} elsewhere; it was not followed"
            hint = (
                f"is it at {there.scheme}://{there.netloc} now? then baseURL is that"
                if away
                else "has it been renamed?"
            )
            raise RestError(message, status=answer.status_code, suggestion=hint)
        return target

    def _once(self, method: str, url: str, body: Any, query: Mapping[str, Any]) -> httpx.Response:
        import httpx

        kept = {name: value for name, value in query.items() if value is not None}
        try:
            return self._open().request(method, url, json=body, params=kept or None)
        except httpx.HTTPError as error:
            message = f"{self._service} at {urlsplit(url).netloc} does not answer: {_words(error)}"
            if method in _READS or isinstance(error, httpx.ConnectError):
                raise RetryableError(message) from None
            raise RestError(f"{message} (whether {method} was done is not known)") from None

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            transport = self._context.httpx_transport(ca_file=self._ca_file)
            self._client = httpx.Client(
                transport=transport, headers=self._headers, timeout=TIMEOUT, trust_env=False
            )
        return self._client

    def _refusal(self, method: str, path: str, answer: httpx.Response) -> RestError:
        status = answer.status_code
        said = _said(answer)
        message = f"{self._service} refuses {method} {path} ({status}{f': {said}' if said else ''})"
        hints = {
            401: "the token is missing, wrong or has expired",
            403: "the token may not do this: give it more rights, or another owner",
            404: "there is no such thing, or the token may not see it",
            423: "the repository is archived: unarchive it in its settings, or leave it alone",
        }
        return RestError(message, status=status, suggestion=hints.get(status, ""))


def patiently(context: Context, ask: Callable[[], httpx.Response], method: str) -> httpx.Response:
    """Ask again where a service says that it is busy: after the time it names, or a short one.

    Raises:
        RetryableError: it stays busy; nothing was changed.
    """
    for attempt in range(_TRIES):
        answer = ask()
        wait = _wait(answer, method, attempt)
        if wait is None:
            return answer
        if wait > LONGEST_WAIT or attempt == _TRIES - 1:
            break
        context.log.info(f"{answer.url.host} asks to wait {wait:.0f} s")
        pause(context, wait)
    message = f"{answer.url.host} is busy ({answer.status_code}): try again in {wait:.0f} s"
    raise RetryableError(message)


def _wait(answer: httpx.Response, method: str, attempt: int) -> float | None:
    """Say how many seconds to wait; None where the answer is one."""
    status, headers = answer.status_code, answer.headers
    limited = status == 429 or (status == 403 and headers.get("x-ratelimit-remaining") == "0")
    if not limited and not (status == 403 and "retry-after" in headers):
        return 0.2 * 2**attempt if status in _BUSY and method in _READS else None
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    return max(1.0, float(reset) - time.time()) if reset.isdecimal() else 0.5 * 2**attempt


def pause(context: Context, seconds: float) -> None:
    """Wait for what a service does later.

    Raises:
        OperationCancelled: the run is being stopped.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if context.cancelled:
            message = "the run is being stopped"
            raise OperationCancelled(message)
        time.sleep(min(0.1, left))


def _page(path: str, query: Mapping[str, Any]) -> int:
    """Give the number of the page that is asked for, of whichever library's making; 0 for none."""
    asked = {**dict(parse_qsl(urlsplit(path).query)), **query}.get("page", "")
    page = str(asked[-1] if isinstance(asked, list) else asked)
    return int(page) if page.isdecimal() else 0


def attempts(context: Context, seconds: float) -> Iterator[bool]:
    """Go on trying while a service does something later, with growing pauses; True is the last time.

    Raises:
        OperationCancelled: the run is being stopped.
    """
    until, wait = time.monotonic() + seconds, _POLL
    while time.monotonic() < until:
        yield False
        pause(context, wait)
        wait = min(2 * wait, _LONGEST_POLL)
    yield True


def _json(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        message = f"{answer.url.host} did not answer {answer.request.method} {answer.url.path} with JSON"
        raise RestError(message, status=answer.status_code) from None


def _said(answer: httpx.Response) -> str:
    """Give what the service says, on one line and not too long."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    said = body.get("message") or body.get("error") or body.get("errors") or ""
    said = said.get("message", said) if isinstance(said, dict) else said
    if isinstance(said, list):
        said = "; ".join(str(part.get("message", part) if isinstance(part, dict) else part) for part in said)
    return " ".join(str(said).split())[:300]


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
