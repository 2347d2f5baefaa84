"""``devstream state rbac``: the rights that a state in Kubernetes needs, as YAML for ``kubectl apply``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.options import epilog
from devstream.cli.state_session import open_state, reading
from devstream.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.report.terminal import Look

__all__ = ["rbac", "rbac_documents", "rbac_manifest"]

_VERBS = ("get", "create", "update", "delete")
_NAME = "devstream-state"
_GROUP = "rbac.authorization.k8s.io"

_WHY = """\
# The least that a state in the ConfigMap {namespace}/{configmap} needs. It holds for all ConfigMaps of the namespace:
# the parts of a state have names that nobody knows beforehand, and Kubernetes cannot bind "create" to a name at all.
# So give the state a namespace of its own, and let nobody else read there."""
_LISTS = '# "list" is for `devstream state gc`, and for going back where the head itself is lost.'
_LISTS_NOT = (
    '# `devstream state gc`, and going back where the head itself is lost, need "list" too: --with-list.'
)


def rbac_documents(
    namespace: str, subject: Mapping[str, str], *, with_list: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the Role and the RoleBinding.

    Args:
        subject: who gets the rights, as a RoleBinding names them.
        with_list: also the right to list, which only clearing up needs.
    """
    metadata = {"name": _NAME, "namespace": namespace}
    verbs = [*_VERBS, *(["list"] if with_list else [])]
    role = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}],
    }
    binding = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": _NAME},
        "subjects": [dict(subject)],
    }
    return role, binding


def rbac_manifest(
    namespace: str, configmap: str, subject: Mapping[str, str], *, with_list: bool = False
) -> str:
    """Write both as YAML, with the reasons."""
    role, binding = rbac_documents(namespace, subject, with_list=with_list)
    why = _WHY.format(namespace=namespace, configmap=configmap)
    lines = [why, _LISTS if with_list else _LISTS_NOT, *_yaml(role), "---", *_yaml(binding)]
    return "\n".join(lines)


def _yaml(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Write a mapping as YAML: keys are plain words; values are texts, mappings, and lists of one of both."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{key}:", *_yaml(item, indent + "  ")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            first, *rest = _yaml(item[0], indent + "    ")
            lines += [f"{indent}{key}:", f"{indent}  - {first.strip()}", *rest]
        else:
            lines.append(f"{indent}{key}: {_flow(item)}")
    return lines


def _flow(value: Any) -> str:
    """Write a text or a list of texts, in quotes: unquoted, some words are no text in YAML."""
    from devstream.report.json import encode

    return f"[{', '.join(map(encode, value))}]" if isinstance(value, list) else encode(value)


def _subject(namespace: str, user: str | None, group: str | None, account: str | None) -> dict[str, str]:
    """Name who gets the rights; a service account ``devstream`` of the namespace where nobody is named."""
    if sum(given is not None for given in (user, group, account)) > 1:
        message = "--user, --group and --service-account name one subject: take one of them"
        raise UsageError(message)
    if user is not None:
        return {"apiGroup": _GROUP, "kind": "User", "name": user}
    if group is not None:
        return {"apiGroup": _GROUP, "kind": "Group", "name": group}
    where, _, name = (account or "devstream").rpartition("/")
    return {"kind": "ServiceAccount", "name": name, "namespace": where or namespace}


@click.command(
    epilog=epilog(
        "devstream state rbac | kubectl apply -f -          for the service account devstream",
        "devstream state rbac --user ann@example.org",
        "devstream state rbac --state k8s://team/state --service-account ci/builder",
    )
)
@click.option("--user", metavar="NAME", help="Who gets the rights: a user.")
@click.option("--group", metavar="NAME", help="Who gets the rights: a group.")
@click.option(
    "--service-account", metavar="[NAMESPACE/]NAME", help="Who gets the rights; by default `devstream`."
)
@click.option("--with-list", is_flag=True, help="Also the right to list, which `state gc` needs.")
@reading
@click.pass_obj
def rbac(
    app: Application, *, user: str | None, group: str | None, service_account: str | None, with_list: bool
) -> Answer:
    """Print the least rights that a state in Kubernetes needs, for `kubectl apply`. Reaches no cluster."""
    app.begin("state rbac")
    namespace, configmap = _place(app)
    subject = _subject(namespace, user, group, service_account)

    def data(mask: Any) -> Mapping[str, Any]:  # noqa: ARG001 - there is no secret in it
        return {"manifests": rbac_documents(namespace, subject, with_list=with_list)}

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        return rbac_manifest(namespace, configmap, subject, with_list=with_list).splitlines()

    return Answer(data, lines)


def _place(app: Application) -> tuple[str, str]:
    """Find the namespace and the ConfigMap of the state.

    Raises:
        UsageError: the state is elsewhere.
    """
    from devstream.engine.locations import parse_state_url

    session = open_state(app)
    location = session.state_settings
    if location.backend.casefold() not in ("k8s", "kubernetes"):
        message = f"the state is not in Kubernetes, but in the backend {location.backend}"
        raise UsageError(message, suggestion="name it: --state k8s://namespace/configmap")
    options = parse_state_url(session.state_location).options
    return options["namespace"], options["configmap"]
