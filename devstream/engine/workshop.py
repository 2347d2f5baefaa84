"""`Workshop`: what the steps of one invocation work with: its name, the hooks, the reads, the secrets, the children."""

from __future__ import annotations

import os
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.engine.children import Children
    from devstream.engine.late_reads import LateReads
    from devstream.engine.operations import Operations
    from devstream.engine.reads import PoolReads
    from devstream.engine.secrets import SecretResolver
    from devstream.engine.workers import Workers
    from devstream.model.events import Event
    from devstream.model.redact import Redactor
    from devstream.model.state import LeaseHolder
    from devstream.plugins.manager import PluginManager

__all__ = ["Workshop"]

CHILDREN_TIMEOUT = 60.0
"""Seconds that children of interrupted operations, all together, are waited for."""


class Workshop:
    """Makes each of its parts when it is first asked for: many plans need few of them.

    Args:
        command: as typed, for the records.
        folder: where relative paths begin.
        workers: gives the pool that calls hooks.
    """

    def __init__(
        self,
        *,
        command: str,
        environ: Mapping[str, str],
        plugins: PluginManager,
        folder: Path,
        workers: Callable[[], Workers],
        emit: Callable[[Event], None],
        redactor: Redactor,
    ) -> None:
        self._command = command
        self._environ = environ
        self._plugins = plugins
        self._folder = folder
        self._workers = workers
        self._emit = emit
        self._redactor = redactor

    @cached_property
    def holder(self) -> LeaseHolder:
        """Who we are, for the lease."""
        from devstream.state.holder import this_process

        return this_process(os.urandom(8).hex(), self._command)

    @cached_property
    def secrets(self) -> SecretResolver:
        """Where secrets get their text."""
        from devstream.engine.secrets import SecretResolver

        return SecretResolver(
            self._plugins.secret_source,
            environ=self._environ,
            folder=self._folder,
            redactor=self._redactor,
        )

    @cached_property
    def children(self) -> Children:
        """The processes that hooks have started."""
        from devstream.engine.children import Children

        return Children()

    @cached_property
    def operations(self) -> Operations:
        """What calls hooks."""
        from devstream.engine.operations import Operations
        from devstream.state.children import operation_lock

        return Operations(
            plugin=self._plugins.tool,
            secrets=self.secrets,
            emit=self._emit,
            conceal=self._redactor.add,
            children=self.children,
            environ=self._environ,
            lock=lambda lineage, op_id: operation_lock(lineage, op_id, self._environ),
        )

    @cached_property
    def reads(self) -> LateReads:
        """What calls `read`."""
        from devstream.engine.late_reads import LateReads

        return LateReads(lambda: self._pool_reads)

    @cached_property
    def _pool_reads(self) -> PoolReads:
        from devstream.engine.reads import PoolReads

        return PoolReads(
            workers=self._workers(), operations=self.operations, folder=self._folder, emit=self._emit
        )

    def wait_for_children(self, lineage: str, op_id: str) -> str | None:
        """Wait for what an interrupted operation left running; says who is still at work, or None."""
        from devstream.state.children import wait_for_children

        left = max(0.0, self._children_until - monotonic())
        return wait_for_children(lineage, op_id, self._environ, timeout=left)

    @cached_property
    def _children_until(self) -> float:
        """One limit for all of them: a daemon that holds many locks must not be waited for many times."""
        return monotonic() + CHILDREN_TIMEOUT
