"""What only one tool of a configuration may keep: a file of a repository, and a secret beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_scm.ci_kinds import KINDS
from devstream_plugin_scm.ci_secrets import names_for
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.repository import DEFAULT_BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.api import Address
    from devstream_plugin_scm.ci_kinds import CiKind

__all__ = ["pipeline_name", "pipeline_claims", "generic_claims"]

_PARTS = ("owner", "org", "nameSpace", "name", "scmType", "baseURL", "url", "branch")
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "gitea": "gitea.com", "bitbucket": "bitbucket.org"}
_SECRETS = {
    "imageRepo": ("IMAGE_REPO_USER", "IMAGE_REPO_SECRET"),
    "sonarqube": ("SONAR_SECRET_TOKEN",),
    "dingTalk": ("DINGTALK_SECURITY_TOKEN", "DINGTALK_SECURITY_VALUE"),
    "slack": ("SLACK_WEBHOOK",),
    "webhook": ("NOTIFY_WEBHOOK",),
}


def pipeline_name(address: Address, app: str | None, written: str) -> str:
    """Name a pipeline: as its options do, else by what follows the app's name in its instanceID.

    >>> from devstream.api import Address
    >>> pipeline_name(Address("github-actions", "shop-lint"), "shop", "")
    'lint'
    """
    if written:
        return written
    return address.instance_id.removeprefix(f"{app}-") if app and address.instance_id != app else ""


def pipeline_claims(
    kind_name: str, address: Address, app: str | None, options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Say what a pipeline tool keeps, by its options as they are written, as far as that can be told."""
    kind = KINDS[kind_name]
    where = _repository(options.get("scm"))
    pipeline = options.get("pipeline") or {}
    if not where or not isinstance(pipeline, dict):
        return
    name = pipeline_name(address, app, _text(pipeline.get("name")))
    for path in _files(kind, name, _text(pipeline.get("configLocation"))):
        yield f"{path} of {where}", str(address)
    if name and kind.named:
        yield f"{kind.place} of {where}", "named pipelines"
    if kind.keeps_secrets:
        names = names_for(name)
        used = [usual for option, secrets in _SECRETS.items() if pipeline.get(option) for usual in secrets]
        yield from ((f"the secret {names[usual]} of {where}", str(address)) for usual in used)


def generic_claims(
    address: Address,
    app: str | None,  # noqa: ARG001 - the schema's signature
    options: Mapping[str, Any],
) -> Iterator[tuple[str, str]]:
    """Say which files `ci-generic` keeps, as far as its options tell."""
    where = _repository(options.get("scm"))
    pipeline = options.get("ci")
    kind = KINDS.get(_text(pipeline.get("type"))) if isinstance(pipeline, dict) else None
    if not where or kind is None or not isinstance(pipeline, dict):
        return
    contents = pipeline.get("configContents")
    names = contents if isinstance(contents, dict) else [_text(pipeline.get("configLocation"))]
    targets = {kind.target(name) for name in names if name}
    yield from ((f"{path} of {where}", str(address)) for path in sorted(filter(None, targets)))


def _files(kind: CiKind, name: str, location: str) -> list[str]:
    """Name the files of a pipeline; none where only the template tells."""
    if not kind.has_folder:
        own = f"{kind.named}{name}.yml" if kind.named and name else kind.place
        return [own]
    if name:
        return [f"{kind.place}{name}.yml"]
    base = location.partition("?")[0].partition("#")[0]
    if not base or base.startswith("builtin:"):
        return [f"{kind.place}main.yml"]
    return list(filter(None, [kind.target(base)]))


def _repository(scm: object) -> str:
    """Name the branch of a repository, the same by its url and by its parts; empty where it is not known yet."""
    if not isinstance(scm, dict) or not all(isinstance(scm.get(part, ""), str) for part in _PARTS):
        return ""
    branch = scm.get("branch") or DEFAULT_BRANCH
    kind = scm.get("scmType", "")
    url = scm.get("url", "")
    if url and kind != "local" and not url.startswith(("file:", "/", ".")):
        try:
            parsed = parse_repo_url(url)
        except ValueError:
            return ""
        return f"{parsed.address}/{'/'.join(parsed.path)}@{branch}".casefold()
    if url:
        return f"{url}@{branch}"
    owner = scm.get("owner") or scm.get("org") or scm.get("nameSpace") or ""
    host = (
        scm.get("baseURL", "").partition("://")[2].rstrip("/")
        or scm.get("baseURL")
        or _HOSTS.get(kind, "repos")
    )
    name = "/".join(filter(None, (host, owner, scm.get("name", ""))))
    return f"{name}@{branch}" if kind == "local" else f"{name}@{branch}".casefold()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
