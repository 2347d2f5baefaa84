"""`JenkinsClient`: the requests that a job needs, by api4jenkins on the transport that a hook is given.

Certificates are verified, nothing is followed to elsewhere, errors are plain, and while planning only reads go out.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from devstream.api import OperationError, RetryableError
from devstream_plugin_scm.rest import TIMEOUT, check_clear, patiently

if TYPE_CHECKING:
    import httpx

    from devstream.api import Context
    from devstream_plugin_jenkins.options import JenkinsServer

__all__ = ["JenkinsClient", "JenkinsError", "Wire"]

_READS = ("GET", "HEAD")
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_HINTS = {
    401: "check `jenkins.user` and `jenkins.password`; an API token is better than a password",
    403: "the user may not do this: it needs the rights to configure jobs and credentials there",
    404: "is `jenkins.url` the root of Jenkins? Things that a user may not see are answered like this too",
}


class JenkinsError(OperationError):
    """Jenkins refused a request.

    Attributes:
        status: the HTTP status; 0 where there was no answer, and so nobody knows whether it was done.
    """

    default_code = "service-refused"

    def __init__(self, summary: str, *, status: int = 0, **rest: Any) -> None:
        super().__init__(summary, **rest)
        self.status = status


class Wire:
    """What api4jenkins sends its requests through, in place of its own client.

    Adds the crumb (Jenkins' protection against forged requests) to what changes something: it is good for the session
    whose cookie came with it (`DefaultCrumbIssuer`), and who shows an API token needs none. Waits where the server is busy,
    and turns what is refused into errors that say what would be right.
    """

    def __init__(self, server: JenkinsServer, context: Context) -> None:
        self._server = server
        self._context = context
        self._root = f"{server.url.rstrip('/')}/"
        self._client: httpx.Client | None = None
        self._crumb: dict[str, str] | None = None

    def stream(self, *_: object, **__: object) -> None:
        """Refuse: nothing that is used here streams."""
        message = "nothing is streamed"
        raise NotImplementedError(message)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        headers: Any = None,
        content: Any = None,
        data: Any = None,
        files: object = None,  # noqa: ARG002 - api4jenkins hands an empty one over
    ) -> httpx.Response:
        """Send one request; give the answer where it is a good one.

        Raises:
            JenkinsError: it is refused, or its answer was lost.
            RetryableError: the server is busy or not there, and nothing was changed.
        """
        body = {"content": content, "data": data, "params": params}
        answer = self._send(method, url, headers or {}, body)
        if answer.status_code == 403 and method not in _READS and "crumb" in answer.text.casefold():
            self._crumb = None
            answer = self._send(method, url, headers or {}, body)
        return self._checked(method, answer)

    def _send(self, method: str, url: str, headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        crumb = {} if method in _READS else self._fresh_crumb()
        given = {name: value for name, value in body.items() if value is not None}
        return patiently(self._context, lambda: self._once(method, url, {**headers, **crumb}, given), method)

    def _fresh_crumb(self) -> dict[str, str]:
        """Ask for a crumb once; a server without this protection has none."""
        if self._crumb is None:
            answer = patiently(
                self._context, lambda: self._once("GET", f"{self._root}crumbIssuer/api/json", {}, {}), "GET"
            )
            if answer.status_code == 404:
                self._crumb = {}
            else:
                issued = _json(self._checked("GET", answer))
                self._crumb = {str(issued["crumbRequestField"]): str(issued["crumb"])}
        return self._crumb

    def _once(self, method: str, url: str, headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        import httpx

        try:
            return self._open().request(method, url, headers=headers, **body)
        except httpx.HTTPError as error:
            words = " ".join(str(error).split())[:200] or type(error).__name__
            message = f"Jenkins at {urlsplit(self._root).netloc} does not answer: {words}"
            if method in _READS or isinstance(error, httpx.ConnectError):
                raise RetryableError(message) from None
            raise JenkinsError(f"{message} (whether {method} was done is not known)") from None

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            ca_file = self._server.ca_file
            transport = self._context.httpx_transport(
                ca_file=self._context.folder / ca_file if ca_file else None
            )
            auth = (self._server.user, self._server.password.reveal())
            self._client = httpx.Client(transport=transport, auth=auth, timeout=TIMEOUT, trust_env=False)
        return self._client

    def _checked(self, method: str, answer: httpx.Response) -> httpx.Response:
        """Give back an answer that is a good one; sending to a page is Jenkins' way to say "done"."""
        status, path = answer.status_code, answer.url.path
        if answer.is_success or (answer.has_redirect_location and self._is_done(answer)):
            return answer
        if answer.has_redirect_location:
            message = f"Jenkins sends {method} {path} to {answer.headers['location'][:200]}"
            raise JenkinsError(
                message,
                status=status,
                suggestion="write `jenkins.url` as Jenkins itself has it (https, prefix)",
            )
        said = _said(answer)
        message = f"Jenkins refuses {method} {path} ({status}{f': {said}' if said else ''})"
        raise JenkinsError(message, status=status, suggestion=_HINTS.get(status, ""))

    def _is_done(self, answer: httpx.Response) -> bool:
        target = urljoin(str(answer.url), answer.headers["location"])
        ours = urlsplit(target)[:2] == urlsplit(self._root)[:2]
        return answer.request.method == "POST" and ours and "login" not in urlsplit(target).path.split("/")


class JenkinsClient:
    """One Jenkins.

    Args:
        server: says where it is, and who asks.

    Raises:
        OperationError: the password would be sent in clear to another machine.
    """

    def __init__(self, server: JenkinsServer, context: Context) -> None:
        check_clear(server.url, allow_http=server.allow_http)
        self.url = f"{server.url.rstrip('/')}/"
        self._wire = Wire(server, context)
        self._root = _open_jenkins(self._wire, self.url)

    def folder(self, path: str) -> Any:
        """Give api4jenkins' folder at a path; it need not exist. The root's path is empty."""
        from api4jenkins.job import Folder  # type: ignore[import-untyped]  # it has no types

        return Folder(self._root, self.page(path))

    def page(self, path: str) -> str:
        """Give the URL of a job or folder, with a slash at the end."""
        return f"{self.url}{''.join(f'job/{step}/' for step in path.split('/') if step)}"

    def config(self, path: str) -> bytes | None:
        """Give a job's ``config.xml``; None where there is no such job that the user may see."""
        try:
            answer = self._wire.request("GET", f"{self.page(path)}config.xml")
        except JenkinsError as error:
            if error.status == 404:
                return None
            raise
        content: bytes = answer.content
        return content

    def children(self, path: str) -> list[str]:
        """List the names of what is in a folder."""
        return [job["name"] for job in self.folder(path).api_json(tree="jobs[name]")["jobs"]]

    def create(self, path: str, document: bytes) -> None:
        """Make a job or a folder."""
        parent, _, name = path.rpartition("/")
        self.folder(parent).create(name, document)

    def configure(self, path: str, document: bytes) -> None:
        """Replace a job's configuration."""
        self.folder(path).configure(document)

    def move(self, path: str, target: str) -> None:
        """Move a job to another folder, rename it, or both; its history stays with it."""
        (parent, _, name), (to, _, new) = path.rpartition("/"), target.rpartition("/")
        if parent != to:
            self.folder(path).move(to)
        if name != new:
            self.folder(f"{to}/{name}").rename(new)

    def delete(self, path: str) -> None:
        """Remove a job or a folder; that it is gone already is fine."""
        try:
            self.folder(path).delete()
        except JenkinsError as error:
            if error.status != 404:
                raise

    def start(self, path: str) -> None:
        """Ask for a build, or for a look at the branches."""
        self._wire.request("POST", f"{self.page(path)}build", params={"delay": "0sec"})

    @property
    def plugins(self) -> Any:
        """Api4jenkins' plugin manager."""
        return self._root.plugins

    def restart(self) -> None:
        """Let Jenkins restart once no build runs."""
        self._root.system.safe_restart()


def _open_jenkins(wire: Wire, url: str) -> Any:
    """Give api4jenkins' root on our wire; it would make a client of its own."""
    from api4jenkins import Jenkins  # type: ignore[import-untyped]  # it has no types
    from api4jenkins.item import Item  # type: ignore[import-untyped]  # nor has this

    class Root(Jenkins):  # type: ignore[misc]  # it has no types
        """A Jenkins that sends through our wire, which adds the crumbs itself."""

        crumb: dict[str, str] = {}  # noqa: RUF012 - stands in for a property

        def __init__(self) -> None:
            self.http_client = wire
            self._sync_lock = Lock()
            Item.__init__(self, self, url)

    return Root()


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        message = f"{answer.url.host} did not answer {answer.url.path} with JSON: is it a Jenkins?"
        raise JenkinsError(message, status=answer.status_code) from None


def _said(answer: httpx.Response) -> str:
    """Give what Jenkins says, on one line and not too long: a header, JSON, or the text of its page."""
    said = answer.headers.get("x-error", "")
    if not said and answer.headers.get("content-type", "").startswith("application/json"):
        body = answer.json() if answer.content else {}
        said = str(body.get("message", "")) if isinstance(body, dict) else ""
    said = said or _TAGS.sub(" ", answer.text[:20_000])
    return " ".join("".join(letter for letter in said if letter.isprintable() or letter.isspace()).split())[
        :300
    ]
