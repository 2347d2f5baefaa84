"""The options of the Kubernetes backend, checked by the rules of Kubernetes before anything is sent."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LONGEST_NAME", "Target", "read_options"]

LONGEST_NAME = 253
"""Characters that the name of a ConfigMap may have."""

_LONGEST_STATE = 160
"""Characters that the state's ConfigMap may have, so that the names of its blobs fit."""

_LONGEST_LABEL = 63
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

_DEFAULTS: Mapping[str, str | None] = MappingProxyType(
    {"namespace": "devstream", "configmap": "state", "context": None, "kubeconfig": None}
)
"""The options; the first two default to what the original DevStream takes."""


class Target(NamedTuple):
    """Which ConfigMap, through which kubeconfig.

    Attributes:
        context: the kubeconfig's context; None means its current one.
        kubeconfig: the file; None means KUBECONFIG, ``~/.kube/config``, or what a pod is given.
    """

    namespace: str
    configmap: str
    context: str | None = None
    kubeconfig: Path | None = None

    @property
    def name(self) -> str:
        """The ConfigMap, for messages: ``namespace/configmap``."""
        return f"{self.namespace}/{self.configmap}"

    @property
    def url(self) -> str:
        """What ``--state`` takes."""
        from urllib.parse import urlencode

        named = {"context": self.context, "kubeconfig": self.kubeconfig and str(self.kubeconfig)}
        query = urlencode({key: value for key, value in named.items() if value}, safe=":/@")
        return f"k8s://{self.name}" + (f"?{query}" if query else "")

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that belongs to the state. A label's value is shorter than a name may be."""
        state = self.configmap
        if len(state) > _LONGEST_LABEL:
            state = f"{state[:30].rstrip('.-')}-{hashlib.sha256(state.encode()).hexdigest()[:32]}"
        return {"app.kubernetes.io/managed-by": "devstream", "devstream.io/state": state}


def read_options(options: Mapping[str, Any], folder: Path) -> Target:
    """Check the options as written.

    Args:
        folder: where a relative ``kubeconfig`` begins.

    Raises:
        OptionError: an option is unknown, or has a value that Kubernetes does not take.
    """
    for name, value in options.items():
        _check_option(name, value)
    given = {name: options.get(name) or default for name, default in _DEFAULTS.items()}
    _check_name("namespace", str(given["namespace"]), _LABEL, _LONGEST_LABEL)
    _check_name("configmap", str(given["configmap"]), rf"{_LABEL}(\.{_LABEL})*", _LONGEST_STATE)
    file = given["kubeconfig"]
    return Target(
        str(given["namespace"]),
        str(given["configmap"]),
        given["context"],
        folder / Path(file).expanduser() if file else None,
    )


def _check_option(name: str, value: Any) -> None:
    if name not in _DEFAULTS:
        from difflib import get_close_matches

        near = get_close_matches(name.casefold(), _DEFAULTS, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"its options are {', '.join(_DEFAULTS)}"
        message = f'the Kubernetes state backend has no option "{name}"'
        raise OptionError(message, option=name, code="unknown-key", suggestion=hint)
    if not isinstance(value, str | None):
        message = f"{name} is {value!r}: it has to be text"
        raise OptionError(message, option=name, code="wrong-type")


def _check_name(option: str, value: str, pattern: str, longest: int) -> None:
    if len(value) > longest:
        message = f"{option} has {len(value)} characters: it may have {longest}"
        why = " (the ConfigMaps beside it have longer names)" if option == "configmap" else ""
        raise OptionError(message + why, option=option, suggestion="give it a shorter name")
    if not re.fullmatch(pattern, value):
        message = f'{option} is "{value}", which is no name in Kubernetes'
        hint = "lower case letters, digits and -, beginning and ending with a letter or digit"
        raise OptionError(message, option=option, suggestion=hint)
