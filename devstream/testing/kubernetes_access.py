"""Who may do what at the API server of the stand-in: bearer tokens and the rules of roles."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.kubernetes_status import ApiStatus, forbidden, unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ADMIN", "Access", "Attributes"]

ADMIN = "kubernetes-admin"
_ANONYMOUS = "system:anonymous"
_RESOURCES = ("configmaps", "namespaces")


class Attributes(NamedTuple):
    """What a request wants, as the authorizer sees it. Outside the API there is only ``path``."""

    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class _Grant(NamedTuple):
    """A rule of a role that is bound to a user, in one namespace or (empty) in all."""

    user: str
    namespace: str
    rule: Mapping[str, Any]


class Access:
    """Users and their rights; the admin may do everything."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}
        self._grants: list[_Grant] = []

    def token(self, user: str) -> str:
        """Make a bearer token for a user; earlier ones stay valid until `revoke`."""
        token = secrets.token_hex(16)
        self._users[token] = user
        return token

    def revoke(self, user: str) -> None:
        """Make all tokens of a user invalid."""
        self._users = {token: name for token, name in self._users.items() if name != user}

    def grant(self, user: str, namespace: str, rules: Iterable[Mapping[str, Any]]) -> None:
        """Bind the rules of a Role (``apiGroups resources verbs resourceNames``) to a user.

        Args:
            namespace: empty for all, as a ClusterRoleBinding does.
        """
        self._grants += [_Grant(user, namespace, rule) for rule in rules]

    def user_of(self, header: str) -> str:
        """Tell who sends a request; without a token that is ``system:anonymous``.

        Raises:
            ApiStatus: the token is nobody's (401).
        """
        kind, _, token = header.partition(" ")
        if not header or kind.casefold() != "bearer":
            return _ANONYMOUS
        if token.strip() not in self._users:
            raise unauthorized()
        return self._users[token.strip()]

    def check(self, user: str, wanted: Attributes) -> None:
        """Let a request pass.

        Raises:
            ApiStatus: this user may not (403).
        """
        if user == ADMIN or (wanted.path and wanted.verb == "get" and user != _ANONYMOUS):
            return
        if wanted.path:
            message = f'forbidden: User "{user}" cannot {wanted.verb} path "{wanted.path}"'
            raise ApiStatus(403, "Forbidden", message)
        if not any(_allows(grant, user, wanted) for grant in self._grants):
            scope = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
            why = f'User "{user}" cannot {wanted.verb} resource "{wanted.resource}" in API group "" {scope}'
            raise forbidden(wanted.resource, wanted.name, why)


def _allows(grant: _Grant, user: str, wanted: Attributes) -> bool:
    if grant.user != user or grant.namespace not in ("", wanted.namespace):
        return False
    names = grant.rule.get("resourceNames") or [wanted.name]
    return (
        _lists(grant.rule, "apiGroups", "")
        and _lists(grant.rule, "resources", wanted.resource)
        and _lists(grant.rule, "verbs", wanted.verb)
        and wanted.name in names
    )


def _lists(rule: Mapping[str, Any], field: str, value: str) -> bool:
    listed = rule.get(field, ())
    return value in listed or "*" in listed
