"""`GitLabAPI`: GitLab's REST API (version 4), with what is its own: its errors, and work that it does later.

It does the talking; `gitlab_client` puts python-gitlab's objects on top of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_scm.rest import Rest, RestError, authorization, pause

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from devstream.api import Context, Secret

__all__ = ["GitLabAPI", "API"]

API = "/api/v4"
_LONGEST = 300
_HINTS = {
    401: "the token is missing, wrong or has expired",
    403: "the token may not do this: it needs the scope `api` and the role Maintainer",
    404: "there is no such thing, or the token may not see it",
}


class GitLabAPI(Rest):
    """Talks to one GitLab.

    Args:
        service_url: where people open it, without a slash at the end.

    Attributes:
        poll: seconds between two looks at what GitLab does later.
    """

    poll: float = 0.5

    def __init__(
        self, context: Context, service_url: str, *, token: Secret | None, ca_file: Path | None = None
    ) -> None:
        # Personal, project, group and OAuth tokens all go as a bearer.
        headers = authorization(token, "GitLab")
        super().__init__(context, f"{service_url}{API}", headers=headers, service="GitLab", ca_file=ca_file)
        self.service_url = service_url
        self.context = context

    def pause(self) -> None:
        """Wait a little for what GitLab does later.

        Raises:
            OperationCancelled: the run is being stopped.
        """
        pause(self.context, self.poll)

    def _refusal(self, method: str, path: str, answer: httpx.Response) -> RestError:
        status = answer.status_code
        said = _said(answer)
        message = f"GitLab refuses {method} {path} ({status}{f': {said}' if said else ''})"
        return RestError(message, status=status, suggestion=_hint(path, answer))


def _hint(path: str, answer: httpx.Response) -> str:
    status, body = answer.status_code, _body(answer)
    if body.get("error") == "insufficient_scope":
        return f"the token needs the scope {body.get('scope') or 'api'}"
    if status in {401, 403} and path.endswith("/merge"):
        return "the token's user may not merge into this branch: Settings > Repository > Protected branches"
    if status == 422 and "/hooks" in path:
        return (
            "GitLab sends nothing to addresses in its own network unless an administrator allows it: "
            "Admin > Settings > Network > Outbound requests"
        )
    return _HINTS.get(status, "")


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _said(answer: httpx.Response) -> str:
    """Give what GitLab says is wrong with which field, on one line and not too long."""
    body = _body(answer)
    said = _words(body.get("message") or body.get("error_description") or body.get("error") or "")
    return " ".join(said.removeprefix(f"{answer.status_code} ").split())[:_LONGEST]


def _words(said: Any) -> str:
    """Put what is wrong in words.

    >>> _words({"path": ["has already been taken"], "base": ["Try again later."], "limit_reached": []})
    'path has already been taken; Try again later.'
    """
    if isinstance(said, dict):
        parts = (
            _words(value) if name == "base" else f"{name} {_words(value)}"
            for name, value in said.items()
            if value
        )
        return "; ".join(parts)
    return ", ".join(map(_words, said)) if isinstance(said, list) else str(said)
