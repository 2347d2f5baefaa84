"""What is recorded of a tool: from the config's side and the plugin's answer to a `ToolState`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import Outcome
from devstream.model.recorded import encode, fingerprint, has_marks
from devstream.model.state import RunRecord, ToolState
from devstream.model.values import Secret, map_leaves
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import RunReport
    from devstream.model.recorded import Resolver
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance

__all__ = ["Recorder", "run_record", "utc_now"]


def utc_now() -> str:
    """Give the time as it is recorded: UTC, ISO 8601 with Z, to the second."""
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Recorder(Immutable, frozen=True):
    """Builds entries of the state.

    Attributes:
        key: the lineage's key for fingerprints.
        clock: gives the time as it is recorded.
    """

    key: bytes
    clock: Callable[[], str] = utc_now

    def wanted(
        self,
        tool: ToolInstance,
        resolver: Resolver,
        *,
        dependencies: tuple[str, ...],
        previous: ToolState | None,
        plugin: tuple[str, str, int],
        op_id: str = "",
    ) -> ToolState:
        """Make the entry that the config asks for, with what is known of the thing so far.

        Args:
            previous: the entry until now; its status is carried over.
            plugin: distribution, version and schema version.
        """
        now = self.clock()
        base = previous or ToolState(tool.address, created=now, integrated=True)
        options: Any = dict(tool.options)
        encoded: Any = encode(options, resolver, self.key) if has_marks(options) else options
        return replace(
            base,
            options=encoded,
            depends_on=dependencies,
            app=tool.app,
            tags=tool.tags,
            retries=tool.retries,
            timeout=tool.timeout,
            connection=tool.connection,
            protect=tool.protect if tool.protect is not None else base.protect,
            allow_delete=tool.allow_delete,
            plugin=plugin[0],
            plugin_version=plugin[1],
            schema_version=plugin[2],
            updated=now,
            op_id=op_id or base.op_id,
        )

    def with_status(self, entry: ToolState, status: ResourceStatus, *, replacing: bool = True) -> ToolState:
        """Put what a plugin said into an entry.

        Args:
            replacing: False adds to the recorded properties (a refresh) instead of replacing them.
        """
        properties = self.storable(status.properties)
        return replace(
            entry,
            properties=properties if replacing else {**entry.properties, **properties},
            outputs=self.storable(status.outputs) if status.outputs is not None else entry.outputs,
            info=self.storable(status.info) if status.info else entry.info,
        )

    def storable(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Copy what a plugin said; a secret in it leaves only its fingerprint."""
        copy: dict[str, Any] = map_leaves(dict(tree), self._without_secret)
        return copy

    def _without_secret(self, leaf: Any) -> Any:
        if isinstance(leaf, Secret):
            return {"$secret": [], "fingerprint": fingerprint(self.key, leaf.reveal())}
        return leaf


def run_record(report: RunReport, command: str, *, since: str) -> RunRecord:
    """Make the record of a run that is over.

    Args:
        since: when it began, as it is recorded.
    """
    failed: dict[Address, Outcome] = {
        result.address: result.outcome
        for result in report.results
        if result.outcome in (Outcome.FAILED, Outcome.SKIPPED, Outcome.UNKNOWN)
    }
    return RunRecord(report.run_id, command, since, utc_now(), failed)
