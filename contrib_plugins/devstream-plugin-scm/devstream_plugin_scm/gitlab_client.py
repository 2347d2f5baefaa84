"""`client`: python-gitlab on top of a `GitLabAPI`. Imported with python-gitlab, on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from gitlab import Gitlab

from devstream_plugin_scm.gitlab_api import API
from devstream_plugin_scm.rest import TIMEOUT, RestError

if TYPE_CHECKING:
    import httpx

    from devstream_plugin_scm.gitlab_api import GitLabAPI

__all__ = ["client"]

_PAGE = 100


def client(api: GitLabAPI) -> Gitlab:
    """Give python-gitlab's entry, which asks everything through ``api``, and so through the context of a hook.

    python-gitlab's own backend opens a session of its own: that follows redirects anywhere with the token, sleeps
    where nobody can stop it, and reads proxies and ~/.netrc. A backend of ours takes its place, as it allows for.
    Errors are `RestError`, never python-gitlab's own: it never sees an answer that is none.
    """
    return Gitlab(
        api.service_url,
        timeout=TIMEOUT,
        per_page=_PAGE,
        user_agent="devstream",
        keep_base_url=True,  # pages are asked of the same server, wherever its links point
        backend=_Backend,
        api=api,
    )


class _Body(NamedTuple):
    """What is sent, by the names that python-gitlab looks for."""

    content_type: str
    json: Any
    data: None = None


class _Answer:
    """An answer as python-gitlab looks at it; it hands on the ``response`` in it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status_code = response.status_code
        self.headers = response.headers


class _Backend:
    """What python-gitlab sends its requests by."""

    client = None

    def __init__(self, api: GitLabAPI) -> None:
        self._api = api

    @staticmethod
    def prepare_send_data(files: Any = None, post_data: Any = None, raw: bool = False) -> _Body:  # noqa: ARG004 - python-gitlab's names
        """Take the body as it is: nothing but JSON is sent."""
        return _Body("application/json", post_data)

    def http_request(
        self, *, method: str, url: str, params: Any = None, json: Any = None, **_: Any
    ) -> _Answer:
        """Ask.

        Raises:
            RestError: GitLab refuses, or what answers is no GitLab.
            RetryableError: it is busy, and nothing was changed.
        """
        path = urlsplit(url).path.removeprefix(f"{urlsplit(self._api.service_url).path}{API}")
        answer = self._api.request(method.upper(), path, body=json, query=params)
        _check_json(answer)
        return _Answer(answer)


def _check_json(answer: httpx.Response) -> None:
    if not answer.content:
        return
    try:
        answer.json()
    except ValueError:
        message = f"{answer.url.host} did not answer {answer.request.method} {answer.url.path} with JSON"
        hint = "baseURL: the address that people open; apiURL: where its API is elsewhere than at /api/v4"
        raise RestError(message, status=answer.status_code, suggestion=hint) from None
