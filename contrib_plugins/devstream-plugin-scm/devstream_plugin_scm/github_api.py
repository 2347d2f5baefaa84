"""`GitHubAPI`: GitHub's REST API, with what is its own: moved repositories, two kinds of rate limits, its errors.

It does the talking; `github_requester` puts PyGithub's objects on top of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_scm.rest import Rest, RestError, authorization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from devstream.api import Context, Secret

__all__ = ["GitHubAPI", "API_VERSION"]

API_VERSION = "2022-11-28"
_SECONDARY = "60"
"""Seconds to wait, as GitHub asks for, where it limits somebody without saying for how long."""
_LONGEST = 300
_HINTS = {
    401: "the token is missing, wrong or has expired",
    403: "the token may not do this: scope `repo`, or for a fine-grained token the permission that is named",
    404: "there is no such thing, or the token may not see it",
}
_NEW = "/repos"
_NEW_HINT = (
    "is it an organisation, and may the token make repositories there? "
    "(scope `repo`; fine-grained: Administration: write)"
)


class GitHubAPI(Rest):
    """Talks to one GitHub.

    Args:
        url: the root of its API, without a slash at the end.
    """

    def __init__(
        self, context: Context, url: str, *, token: Secret | None, ca_file: Path | None = None
    ) -> None:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
        super().__init__(
            context,
            url,
            headers={**headers, **authorization(token, "GitHub")},
            service="GitHub",
            ca_file=ca_file,
        )
        self.url = url

    def _once(self, method: str, url: str, body: Any, query: Mapping[str, Any]) -> httpx.Response:
        answer = super()._once(method, url, body, query)
        used_up = answer.headers.get("x-ratelimit-remaining") == "0"
        if _limited(answer) and not used_up and "retry-after" not in answer.headers:
            answer.headers["retry-after"] = _SECONDARY
        return answer

    def _refusal(self, method: str, path: str, answer: httpx.Response) -> RestError:
        status = answer.status_code
        said = _said(answer)
        message = f"GitHub refuses {method} {path} ({status}{f': {said}' if said else ''})"
        return RestError(message, status=status, suggestion=_hint(method, path, answer))


def _limited(answer: httpx.Response) -> bool:
    return answer.status_code == 429 or (
        answer.status_code == 403 and "rate limit" in _message(answer).casefold()
    )


def _hint(method: str, path: str, answer: httpx.Response) -> str:
    """Say what would be right: GitHub names what a token lacks in headers."""
    status, headers, said = answer.status_code, answer.headers, _message(answer)
    if "archived" in said:
        return "the repository is archived: unarchive it in its settings, or leave it alone"
    if headers.get("x-github-sso", "").startswith("required"):
        return "authorise the token for the organisation's single sign-on: github.com/settings/tokens"
    if method == "POST" and path.endswith(_NEW) and status in {403, 404}:
        return _NEW_HINT
    if status in {403, 404}:
        return _lacking(headers) or _HINTS[status]
    return _HINTS.get(status, "")


def _lacking(headers: Mapping[str, str]) -> str:
    """Name the permission of a fine-grained token, or the scope of a classic one, that is missing."""
    permissions = headers.get("x-accepted-github-permissions", "")
    if permissions:
        return f"the token needs the permission {_line(permissions)}"
    wanted = {scope.strip() for scope in headers.get("x-accepted-oauth-scopes", "").split(",")} - {""}
    given = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",")}
    if wanted and not wanted & given:
        return f"the token needs the scope {_line(' or '.join(sorted(wanted)))}"
    return ""


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(answer: httpx.Response) -> str:
    return str(_body(answer).get("message") or "")


def _said(answer: httpx.Response) -> str:
    """Give what GitHub says and what is wrong with which field, on one line and not too long."""
    errors = _body(answer).get("errors")
    details = [_detail(error) for error in errors] if isinstance(errors, list) else [errors]
    return _line("; ".join(str(part) for part in (_message(answer), *details) if part))


def _detail(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(error.get("message") or f"{error.get('field', '')} {error.get('code', '')}".strip())


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
