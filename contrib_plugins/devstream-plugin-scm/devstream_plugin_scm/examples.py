"""Options that are enough for each tool: what ``devstream show config --plugin NAME`` begins with."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCAFFOLDING", "LOCAL_CI", "GENERIC", "ci_example"]


def _repository(service: str) -> dict[str, str]:
    return {
        "scmType": service,
        "owner": "your-name",
        "name": "hello",
        "token": f"[[ env {service.upper()}_TOKEN ]]",
    }


SCAFFOLDING: Mapping[str, Any] = MappingProxyType(
    {"destinationRepo": _repository("github"), "sourceRepo": {"url": "builtin:python-http"}}
)
LOCAL_CI: Mapping[str, Any] = MappingProxyType(
    {
        "scm": {"scmType": "local", "owner": "demo", "name": "hello"},
        "pipeline": {"commands": ["python3 -m unittest discover"]},
    }
)
_WORKFLOW = """\
on: push
jobs:
  hello:
    runs-on: ubuntu-latest
    steps:
      - run: echo hello
"""
GENERIC: Mapping[str, Any] = MappingProxyType(
    {
        "scm": _repository("github"),
        "ci": {"type": "github", "configContents": {"hello.yml": _WORKFLOW}},
    }
)
_SERVICES = frozenset({"github", "gitlab", "gitea", "bitbucket"})


def ci_example(kind: str) -> Mapping[str, Any]:
    """Give the example of a tool that writes pipelines for a kind of CI system; empty stands for any of them."""
    if not kind:
        return GENERIC
    scm = _repository(kind if kind in _SERVICES else "github")
    return {"scm": scm, "pipeline": {"language": {"name": "python"}}}
