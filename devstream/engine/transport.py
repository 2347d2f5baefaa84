"""An HTTP transport that asks leave for every request; imported with httpx, on first use."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

from devstream.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["guarded_transport"]


class _GuardedTransport(httpx.HTTPTransport):
    def __init__(self, check: Callable[[httpx.Request], None], verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._check = check

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._check(request)
        return super().handle_request(request)


def guarded_transport(
    check: Callable[[httpx.Request], None], *, ca_file: Path | None = None
) -> httpx.BaseTransport:
    """Make a transport that calls ``check`` before each request and verifies certificates.

    Raises:
        OperationError: ``ca_file`` cannot be read.
    """
    if ca_file is None:
        return _GuardedTransport(check, httpx.create_ssl_context(trust_env=False))
    try:
        return _GuardedTransport(check, ssl.create_default_context(cafile=str(ca_file)))
    except (OSError, ssl.SSLError) as error:
        message = f"the certificates in {ca_file} cannot be read: {error}"
        raise OperationError(message) from error
