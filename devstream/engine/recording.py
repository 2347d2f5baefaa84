"""What is recorded of a tool: from the config's side and the plugin's answer to a `ToolState`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plain import plain_copy
from devstream.model.plan import Outcome
from devstream.model.recorded import encode, has_marks, hidden, recorded_texts, without_texts
from devstream.model.state import RunRecord, ToolState
from devstream.model.values import Secret, map_leaves
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Change, Plan, RunReport
    from devstream.model.recorded import Resolver
    from devstream.model.state import State
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance

__all__ = ["Recorder", "run_record", "untried", "utc_now", "without_secret_outputs"]


def utc_now() -> str:
    """Give the time as it is recorded: UTC, ISO 8601 with Z, to the second."""
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Recorder(Immutable, frozen=True):
    """Builds entries of the state.

    Attributes:
        key: the lineage's key for fingerprints.
        keeps_secrets: the state is encrypted, so that secret outputs may be in it.
        clock: gives the time as it is recorded.
    """

    key: bytes
    clock: Callable[[], str] = utc_now
    keeps_secrets: bool = False

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
            outputs=self.storable_outputs(status.outputs) if status.outputs is not None else entry.outputs,
            info=self.storable(status.info) if status.info else entry.info,
        )

    def storable(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Copy what a plugin said; a secret in it leaves only its fingerprint."""
        copy = plain_copy(tree)
        return map_leaves(dict(tree), self._without_secret) if copy is None else copy

    def storable_outputs(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Copy outputs; a secret among them is stored whole where the state is encrypted."""
        if not self.keeps_secrets:
            return self.storable(outputs)
        copy: dict[str, Any] = map_leaves(
            dict(outputs),
            lambda leaf: hidden(leaf.reveal(), self.key, keep=True) if isinstance(leaf, Secret) else leaf,
        )
        return copy

    def _without_secret(self, leaf: Any) -> Any:
        return hidden(leaf.reveal(), self.key) if isinstance(leaf, Secret) else leaf


def without_secret_outputs(plan: Plan) -> Plan:
    """Give a plan whose recorded entries hold only the fingerprints of secret outputs."""
    changes = tuple(_without_secret_outputs(change) for change in plan.changes)
    return replace(plan, changes=changes)


def _without_secret_outputs(change: Change) -> Change:
    recorded = change.recorded
    if recorded is None or not any(True for _ in recorded_texts(recorded.outputs)):
        return change
    return replace(change, recorded=replace(recorded, outputs=without_texts(recorded.outputs)))


def untried(plan: Plan, report: RunReport, state: State) -> dict[Address, Outcome]:
    """Say what did not succeed before and was not tried this time: not selected, or called off."""
    before = state.last_run.not_succeeded if state.last_run else {}
    planned = {change.address for change in plan.changes}
    called_off = {result.address for result in report.results if result.outcome is Outcome.CANCELLED}
    left_out = set(before) - planned if plan.selection is not None else set()
    return {address: before[address] for address in before if address in left_out | called_off}


def run_record(
    report: RunReport, command: str, *, since: str, untried: Mapping[Address, Outcome] | None = None
) -> RunRecord:
    """Make the record of a run that is over.

    Args:
        since: when it began, as it is recorded.
        untried: what did not succeed before and was no part of this run.
    """
    failed: dict[Address, Outcome] = {
        result.address: result.outcome
        for result in report.results
        if result.outcome in (Outcome.FAILED, Outcome.SKIPPED, Outcome.UNKNOWN)
    }
    return RunRecord(report.run_id, command, since, utc_now(), {**(untried or {}), **failed})
