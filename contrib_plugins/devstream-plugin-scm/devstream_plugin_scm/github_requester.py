"""`GuardedRequester`: what PyGithub's objects ask their questions with. Imported with PyGithub, on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from devstream.api import OperationError
from devstream_plugin_scm.github_api import API_VERSION
from devstream_plugin_scm.rest import TIMEOUT, RestError

if TYPE_CHECKING:
    import httpx

    from devstream_plugin_scm.github_api import GitHubAPI

__all__ = ["GuardedRequester"]

_PAGE = 100


class GuardedRequester(Requester):
    """Sends what PyGithub's objects ask through a `GitHubAPI`, and so through the context of a hook.

    PyGithub's own requester opens sessions of its own, repeats POST after a server error, sleeps where nobody can
    stop it, logs bodies, and takes an answer 307 to a change for success. None of that is used: its objects need
    no more of a requester than the methods here. PyGithub's connection classes are looked up on the class that was
    told of them, so that refusing them here changes nothing for others who use PyGithub in this process.

    Errors are `RestError`, never PyGithub's own, for those methods too that only give back whether it went well.
    """

    def __init__(self, api: GitHubAPI) -> None:
        super().__init__(
            auth=None,  # the token is the API's business: PyGithub never sees it
            base_url=api.url,
            timeout=int(TIMEOUT),
            user_agent="devstream",
            per_page=_PAGE,
            verify=True,
            retry=None,
            pool_size=None,
            lazy=True,
            api_version=API_VERSION,
        )
        self._api = api

    def requestJsonAndCheck(  # noqa: N802, PLR0917 - PyGithub's name and arguments
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - media types of previews that are over
        input: Any | None = None,  # noqa: A002 - PyGithub's name
        follow_302_redirect: bool = False,  # noqa: ARG002 - PyGithub's; every move is followed
    ) -> tuple[dict[str, Any], Any]:
        """Ask; give the headers, with names in lower case, and the answer's JSON.

        Raises:
            RestError: GitHub refuses, or what answers is no GitHub.
            RetryableError: it is busy, and nothing was changed.
        """
        answer = self._ask(verb, url, parameters, input)
        return dict(answer.headers), _json(answer)

    def requestJson(  # noqa: N802, PLR0917 - PyGithub's name and arguments
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - as above
        input: Any | None = None,  # noqa: A002 - PyGithub's name
        cnx: Any = None,  # noqa: ARG002 - PyGithub's connection
        follow_302_redirect: bool = False,  # noqa: ARG002 - as above
    ) -> tuple[int, dict[str, Any], str]:
        """Ask; give status, headers and text. A refusal is raised here too."""
        answer = self._ask(verb, url, parameters, input)
        return answer.status_code, dict(answer.headers), answer.text

    def _ask(self, verb: str, url: str, parameters: dict[str, Any] | None, body: Any) -> httpx.Response:
        return self._api.request(verb, self._path(url), body=body, query=parameters)

    def _path(self, url: str) -> str:
        """Give a path below the API's root. A link of GitHub's is asked of the same server, wherever it points."""
        parts = urlsplit(url)
        path = parts.path.removeprefix(urlsplit(self.base_url).path) if parts.netloc else parts.path
        return f"{path}?{parts.query}" if parts.query else path

    def withLazy(self, lazy: Any) -> GuardedRequester:  # noqa: ARG002, N802 - PyGithub's name
        """Give itself: a plain requester in its place would talk past the context."""
        return self

    def withApiVersion(self, api_version: Any) -> GuardedRequester:  # noqa: ARG002, N802 - PyGithub's name
        """Give itself, as `withLazy` does."""
        return self

    def withAuth(self, auth: Any) -> NoReturn:  # noqa: ARG002, N802 - PyGithub's name
        """Refuse: the token is what the options say.

        Raises:
            OperationError: always.
        """
        _past_the_context()


class _NoHTTP(HTTPRequestsConnectionClass):
    def __init__(self, *_: Any, **__: Any) -> None:
        _past_the_context()


class _NoHTTPS(HTTPSRequestsConnectionClass):
    def __init__(self, *_: Any, **__: Any) -> None:
        _past_the_context()


GuardedRequester.injectConnectionClasses(_NoHTTP, _NoHTTPS)


def _past_the_context() -> NoReturn:
    message = "PyGithub tried to open a connection of its own"
    raise OperationError(message, code="read-changes")


def _json(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        message = f"{answer.url.host} did not answer {answer.request.method} {answer.url.path} with JSON"
        hint = "baseURL: the address that people open; apiURL: where its API is elsewhere than at /api/v3"
        raise RestError(message, status=answer.status_code, suggestion=hint) from None
