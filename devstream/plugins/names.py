"""Names known without importing anything: the built-in plugins, and where well-known tools come from."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Builtin", "BUILTIN_TOOLS", "BUILTIN_BACKENDS", "BUILTIN_SECRET_SOURCES", "likely_distribution"]


class Builtin(NamedTuple):
    """A built-in plugin: where it is, and one line about it."""

    value: str
    doc: str


BUILTIN_TOOLS: Mapping[str, Builtin] = MappingProxyType(
    {
        "noop": Builtin("devstream.builtin.noop", "Does nothing; gives its input back as an output."),
        "file": Builtin("devstream.builtin.file", "Keeps a file, its content and its mode."),
        "command": Builtin(
            "devstream.builtin.command", "Runs commands of yours to create, read, update and delete."
        ),
    }
)

BUILTIN_BACKENDS: Mapping[str, Builtin] = MappingProxyType(
    {
        "local": Builtin("devstream.builtin.local", "Keeps the state in a file on this machine."),
        "s3": Builtin("devstream.builtin.s3", "Keeps the state in a bucket of an S3-like store."),
        "k8s": Builtin(
            "devstream.builtin.kubernetes", "Keeps the state in ConfigMaps of a Kubernetes cluster."
        ),
        "kubernetes": Builtin("devstream.builtin.kubernetes", "Another name of k8s."),
    }
)

BUILTIN_SECRET_SOURCES: Mapping[str, Builtin] = MappingProxyType(
    {
        "env": Builtin("devstream.builtin.secrets", "Reads secrets from environment variables."),
        "file": Builtin("devstream.builtin.secrets", "Reads secrets from files."),
    }
)

_SHARED_DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(
    {
        "repo-scaffolding": "scm",
        "github-actions": "scm",
        "gitlab-ci": "scm",
        "ci-generic": "scm",
        "local-ci": "scm",
        "jenkins-pipeline": "jenkins",
    }
)


def likely_distribution(tool: str) -> str:
    """Guess which distribution provides a tool that is not installed.

    >>> likely_distribution("gitlab-ci"), likely_distribution("argocdapp")
    ('devstream-plugin-scm', 'devstream-plugin-argocdapp')
    """
    return f"devstream-plugin-{_SHARED_DISTRIBUTIONS.get(tool, tool)}"
