"""Calls to the API server: the five verbs on ConfigMaps, reads that are tried again, and errors in our words."""

from __future__ import annotations

import threading
import time
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstream.api import DevstreamError
from devstream.builtin.kubernetes_connect import connect
from devstream.builtin.kubernetes_errors import (
    Where,
    is_absent,
    is_transient,
    reason_of,
    retry_after,
    trouble,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from devstream.builtin.kubernetes_connect import Connection
    from devstream.builtin.kubernetes_options import Target

    T = TypeVar("T")

__all__ = ["Calls", "is_moved"]

_RESOURCE = "configmaps"
_PAUSES = (0.1, 0.4, 1.0)
"""Seconds between the attempts of a call that may be repeated."""

_LONGEST_PAUSE = 5.0
_PAGE = 10
"""ConfigMaps in one answer to a list; each may have a megabyte."""


class Calls:
    """ConfigMaps of one namespace. Calls may come from several threads.

    `create` and `replace` are sent once, and raise what the client raises: `refusal` says what is to be believed of it.
    The others may be repeated, and are.

    Args:
        environ: where KUBECONFIG is looked for.
    """

    def __init__(
        self,
        target: Target,
        environ: Mapping[str, str],
        *,
        connect: Callable[[Target, Mapping[str, str]], Connection] = connect,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._environ = environ
        self._connect = connect
        self._sleep = sleep
        self._lock = threading.Lock()

    @cached_property
    def _connected(self) -> Connection:
        connected = self._connect(self._target, self._environ)
        weakref.finalize(self, connected.client.close)
        return connected

    @cached_property
    def _type(self) -> type[Any]:
        """The class of ConfigMaps for the client: plain mappings, so that nothing in them is lost."""
        from lightkube.generic_resource import GenericNamespacedResource, create_api_info

        class ConfigMap(GenericNamespacedResource):
            _api_info = create_api_info("", "v1", "ConfigMap", _RESOURCE)

        return ConfigMap

    @property
    def _client(self) -> Any:
        with self._lock:
            return self._connected.client

    def get(self, name: str) -> dict[str, Any] | None:
        """Read a ConfigMap; None where there is none."""
        return self._repeated("get", lambda: self._get(name))

    def _get(self, name: str) -> dict[str, Any] | None:
        client = self._client
        try:
            return dict(client.get(self._type, name, namespace=self._target.namespace))
        except Exception as error:
            if is_absent(error, _RESOURCE):
                return None
            raise

    def create(self, content: dict[str, Any]) -> dict[str, Any]:
        """Make a ConfigMap. Sent once."""
        return dict(self._client.create(self._type(content)))

    def replace(self, content: dict[str, Any]) -> dict[str, Any]:
        """Replace a ConfigMap, in the version that it says. Sent once."""
        return dict(self._client.replace(self._type(content)))

    def create_if_absent(self, content: dict[str, Any]) -> bool:
        """Make a ConfigMap; False where there is one of that name already."""
        return self._repeated("create", lambda: self._create_if_absent(content))

    def _create_if_absent(self, content: dict[str, Any]) -> bool:
        try:
            self.create(content)
        except Exception as error:
            if reason_of(error) == "AlreadyExists":
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Delete a ConfigMap; a missing one is fine."""
        self._repeated("delete", lambda: self._delete(name))

    def _delete(self, name: str) -> None:
        try:
            self._client.delete(self._type, name, namespace=self._target.namespace)
        except Exception as error:
            if not is_absent(error, _RESOURCE):
                raise

    def find(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """List the ConfigMaps with certain labels, without what is in them."""
        return self._repeated("list", lambda: self._list(dict(labels)))

    def _list(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        listing = self._client.list(
            self._type, namespace=self._target.namespace, labels=labels, chunk_size=_PAGE
        )
        return [{"metadata": item["metadata"]} for item in listing]

    def _repeated(self, verb: str, call: Callable[[], T]) -> T:
        """Make a call that does no harm twice; try again what may be over in a moment.

        Raises:
            StateUnreachableError, CredentialsError: it did not work.
        """
        for pause in (*_PAUSES, None):
            try:
                return call()
            except DevstreamError:
                raise
            except Exception as error:
                if pause is None or not is_transient(error):
                    raise trouble(error, self._where(verb)).as_call() from error
                self._sleep(min(max(pause, retry_after(error)), _LONGEST_PAUSE))
        raise AssertionError

    def refusal(self, error: Exception, verb: str) -> Exception:
        """Say what is to be believed of an error of `create` or `replace`: refused for good, or not settled."""
        if isinstance(error, DevstreamError):
            return error
        return trouble(error, self._where(verb)).as_swap()

    def _where(self, verb: str) -> Where:
        connected = self._connected
        return Where(self._target, verb, connected.server, connected.context, connected.command)


def is_moved(error: Exception) -> bool:
    """Tell whether the API server says that another object is there, or none: the only signs of a lost race."""
    return reason_of(error) in ("AlreadyExists", "Conflict") or is_absent(error, _RESOURCE)
