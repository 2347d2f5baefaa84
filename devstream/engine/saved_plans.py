"""Plans in files: what is put into one, and whether all of it is still so when it is to be carried out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.engine.basis import GONE, entry_digest, read_digest, secrets_of, stands_on
from devstream.engine.recording import utc_now
from devstream.engine.second_look import second_look
from devstream.engine.settle import Settled
from devstream.errors import ConfigError, DevstreamError, Diagnostic, Severity, StalePlanError
from devstream.graph.dag import Graph
from devstream.model.plan import Action
from devstream.model.recorded import fingerprint
from devstream.model.values import Secret, iter_leaves
from devstream.planning.saved import Basis, Provided, SavedPlan
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from devstream.config.files import ConfigFiles
    from devstream.engine.ground import Ground
    from devstream.engine.invocation import Invocation
    from devstream.model.address import Address
    from devstream.model.plan import Change, Plan
    from devstream.model.state import State, ToolState
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.planning.provider import ReadAnswer, Reads
    from devstream.plugins.tool_plugin import ToolPlugin

__all__ = ["SavedPlans", "changed_files", "graph_of_saved", "refuse_another_state", "wanted_by"]


class SavedPlans:
    """Makes plans that can be saved, and makes sure of saved ones.

    Args:
        plugin: finds a tool's plugin by its name.
        secrets: gives the text of a secret.
        reads: calls `read`.
        location: where the state is, for people.
    """

    def __init__(
        self,
        *,
        plugin: Callable[[str], ToolPlugin],
        secrets: Callable[[SecretRef], str],
        reads: Reads,
        location: str,
    ) -> None:
        self._plugin = plugin
        self._secrets = secrets
        self._reads = reads
        self._location = location

    def make(  # noqa: PLR0917 - one caller, which has all of it at hand
        self,
        plan: Plan,
        state: State,
        graph: Graph[Any],
        ground: Ground,
        asked: Invocation,
        found: ConfigFiles,
    ) -> SavedPlan:
        """Put a plan together with all it stands on.

        Args:
            state: what the plan was made from.
            found: the files of the config.

        Raises:
            ConfigError: a secret is written in the config itself, so there is nothing to name it by.
            CredentialsError: a secret cannot be looked up.
        """
        changes = {change.address: change for change in plan.changes}
        addresses = stands_on(plan, graph, self._plugin)
        tools = [tool for address in addresses if (tool := _tool_of(changes.get(address)))]
        _refuse_written_secrets(tools)
        key = b"" if state.lineage else os.urandom(32)
        keyed = state.hmac_key or key
        return SavedPlan(
            plan=plan,
            dependencies={tool.address: graph.dependencies(tool.address) for tool in tools},
            basis={
                address: _basis(changes.get(address), state.tools.get(address), keyed)
                for address in addresses
            },
            secrets={ref: fingerprint(keyed, self._secrets(ref)) for ref in secrets_of(tools)},
            plugins=self._all_provided(addresses, asked, ground.folder),
            key=key,
            state=ground.state,
            location=self._location,
            state_base=ground.state_base,
            folder=ground.folder,
            parallelism=ground.parallelism,
            arguments=tuple(_absolute(argument, asked.cwd) for argument in asked.plugins),
            source=str(found.folder if found.is_folder else found.files[0]),
            config=_digests([*found.files, *(asked.cwd / file for file in asked.var_files)]),
            made=utc_now(),
            command=asked.command,
        )

    def _all_provided(
        self, addresses: Iterable[Address], asked: Invocation, folder: Path
    ) -> dict[str, Provided]:
        """Say what provides the tools; what ``-p`` names is called as it will be when the plan is carried out."""
        names = dict.fromkeys(address.name for address in addresses)
        given = {argument: _absolute(argument, asked.cwd) for argument in asked.plugins}
        return {name: self._provided(name, folder, given) for name in names}

    def _provided(self, name: str, folder: Path, given: Mapping[str, str]) -> Provided:
        """Say what provides a tool; a file's version is the beginning of its digest."""
        plugin = self._plugin(name)
        distribution, version = given.get(plugin.distribution, plugin.distribution), plugin.version
        if not version and distribution.endswith(".py"):
            (digest,) = _digests([folder / distribution]).values()
            version = digest[:12]
        return Provided(distribution, version, plugin.schema.version if plugin.schema else 1)

    def renew(self, saved: SavedPlan, settled: Settled) -> Plan:
        """Give a saved plan's changes with what is recorded and read now, which is what it was made from.

        Raises:
            StalePlanError: something is not as it was; every difference is named.
        """
        key = saved.key or settled.state.hmac_key
        found = [
            *_other_place(saved, self._location),
            *_other_state(saved, settled.state),
            *self._other_plugins(saved),
            *self._other_secrets(saved, key),
        ]
        of_entries = list(_other_entries(saved, settled))
        answers = {}
        if not found:
            answers = self._look(saved, settled.state, {difference.address for difference in of_entries})
        refuse([*found, *of_entries, *_other_reads(saved, answers, key)])
        changes = tuple(_renewed(change, settled.state, answers) for change in saved.plan.changes)
        return replace(
            saved.plan, changes=changes, lineage=settled.state.lineage, serial=settled.state.serial
        )

    def _look(
        self, saved: SavedPlan, state: State, left_out: Collection[str | None]
    ) -> dict[Address, ReadAnswer]:
        """Ask `read` again, where it was asked for the plan."""
        asked = [
            address for address, basis in saved.basis.items() if basis.read and str(address) not in left_out
        ]
        return second_look(
            saved.plan.changes,
            asked,
            state=state,
            provider=self._plugin,
            reads=self._reads,
            secrets=self._secrets,
        )

    def _other_plugins(self, saved: SavedPlan) -> Iterator[Diagnostic]:
        for name, before in saved.plugins.items():
            try:
                now = self._provided(name, saved.folder, {})
            except DevstreamError as error:
                yield _difference(f'the plugin of "{name}": {error.diagnostics[0].summary}')
                continue
            if now != before:
                yield _difference(f'the plugin of "{name}" is {_named(now)}; it was {_named(before)}')

    def _other_secrets(self, saved: SavedPlan, key: bytes) -> Iterator[Diagnostic]:
        for ref, before in saved.secrets.items():
            try:
                now = fingerprint(key, self._secrets(ref))
            except DevstreamError as error:
                yield _difference(f"the secret {ref} cannot be looked up: {error.diagnostics[0].summary}")
                continue
            if now != before and key:
                yield _difference(f"the secret {ref} has another value")


def _absolute(argument: str, cwd: Path) -> str:
    """Let ``-p FILE.py`` name the same file from anywhere."""
    return str(cwd / argument) if argument.endswith(".py") else argument


def _tool_of(change: Change | None) -> ToolInstance | None:
    return change.tool if change else None


def _refuse_written_secrets(tools: Iterable[ToolInstance]) -> None:
    found = []
    for tool in tools:
        for path, leaf in iter_leaves(dict(tool.options)):
            if isinstance(leaf, Secret) and any(ref.source == "literal" for ref in leaf.refs):
                origin = tool.origins.at(path)
                found.append(_written(tool, leaf, origin.mark if origin else None))
    if found:
        raise ConfigError(found)


def _written(tool: ToolInstance, secret: Secret, mark: Any) -> Diagnostic:
    names = ", ".join(ref.key for ref in secret.refs)
    return Diagnostic(
        f"the secret {names} is written in the config itself, and a saved plan holds no secrets",
        "secret-in-config",
        mark=mark or tool.origin.mark,
        address=str(tool.address),
        suggestion='take it from the environment: [[ env "NAME" ]]',
    )


def _basis(change: Change | None, entry: ToolState | None, key: bytes) -> Basis:
    was_read = change is not None and change.was_read
    return Basis(entry_digest(entry), read_digest(change.observed, key) if change and was_read else "")


def _renewed(change: Change, state: State, answers: Mapping[Address, ReadAnswer]) -> Change:
    answer = answers.get(change.address)
    observed = answer.status if answer else None
    return replace(change, recorded=state.tools.get(change.address), observed=observed)


def graph_of_saved(saved: SavedPlan) -> Graph[Any]:
    """Give what waits for what among the tools that a saved plan holds, and whom they wait for."""
    edges: dict[Any, tuple[Any, ...]] = {
        node: () for before in saved.dependencies.values() for node in before
    }
    return Graph({**edges, **saved.dependencies})


def wanted_by(saved: SavedPlan) -> set[Address]:
    """Give the addresses that the config had; of tools that stay as they are, a saved plan holds only the address."""
    return {
        change.address
        for change in saved.plan.changes
        if change.tool is not None or (change.action is Action.NOOP and not change.protected)
    }


def changed_files(saved: SavedPlan) -> list[Diagnostic]:
    """Remark on the files of the config that are not as when the plan was made; they do not count."""
    now = _digests(map(Path, saved.config))
    changed = [file for file, digest in saved.config.items() if now[file] != digest]
    if not changed:
        return []
    return [
        Diagnostic(
            f"the configuration has changed since the plan was made: {', '.join(changed)}",
            "config-changed",
            Severity.WARNING,
            suggestion="the plan is carried out as it was made",
        )
    ]


def _digests(files: Iterable[Path]) -> dict[str, str]:
    """Give the digest of each file; of one that cannot be read, an empty one."""
    import hashlib

    found = {}
    for file in files:
        try:
            found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            found[str(file)] = ""
    return found


def refuse_another_state(saved: SavedPlan, state: State, location: str) -> None:
    """Refuse to touch anything where not even the state is the one that the plan was made from.

    Raises:
        StalePlanError: it is another state, or the folder is gone.
    """
    found = [*_other_place(saved, location), *_other_state(saved, state)]
    refuse([*found, *(_other_entries(saved, Settled(state)) if found else ())])


def refuse(differences: list[Diagnostic]) -> None:
    """Raise where there is any difference."""
    if differences:
        count = "one thing is" if len(differences) == 1 else f"{len(differences)} things are"
        message = f"the plan is stale, nothing was done: {count} not as when it was made"
        raise StalePlanError(message, differences, suggestion="make it again: devstream plan --out FILE")


def _difference(summary: str, address: Address | None = None) -> Diagnostic:
    return Diagnostic(summary, "stale-plan", address=str(address) if address else None)


def _other_place(saved: SavedPlan, location: str) -> Iterator[Diagnostic]:
    if not saved.folder.is_dir():
        yield _difference(f"the folder {saved.folder} is not there")
    if location != saved.location:
        yield _difference(f"the state is {location} now; it was {saved.location}")


def _other_state(saved: SavedPlan, state: State) -> Iterator[Diagnostic]:
    before = saved.plan.lineage
    if before == state.lineage:
        return
    if not state.lineage:
        yield _difference(f"the state {saved.location} is not there any more")
    elif before:
        yield _difference(f"the state {saved.location} is another one: lineage {state.lineage}, not {before}")
    elif not state.is_empty or state.last_run is not None:
        yield _difference(f"there was no state {saved.location} yet, and now it is in use")


def _other_entries(saved: SavedPlan, settled: Settled) -> Iterator[Diagnostic]:
    changes = {change.address: change for change in saved.plan.changes}
    for address, basis in saved.basis.items():
        now = entry_digest(settled.state.tools.get(address))
        if now != basis.entry:
            yield _difference(_other_entry(basis.entry, now), address)
        elif address in settled.unfinished.undecidable:
            yield _difference(settled.unfinished.undecidable[address].summary, address)
        elif _retry(changes.get(address)) != settled.unfinished.retries.get(address):
            yield _difference("making it was begun or ended by another run", address)


def _retry(change: Change | None) -> tuple[str, int] | None:
    return (change.op_id, change.attempt) if change and change.op_id else None


def _other_entry(before: str, now: str) -> str:
    if not before:
        return "is recorded now; it was not"
    return "what is recorded of it has changed" if now else "is not recorded any more"


def _other_reads(saved: SavedPlan, answers: Mapping[Address, ReadAnswer], key: bytes) -> Iterator[Diagnostic]:
    for address in saved.basis:
        answer = answers.get(address)
        if answer is None:
            continue
        if answer.error is not None:
            yield _difference(f"cannot be looked at: {answer.error.summary}", address)
            continue
        before, now = saved.basis[address].read, read_digest(answer.status, key)
        if before != now:
            yield _difference(_other_read(before, now), address)


def _other_read(before: str, now: str) -> str:
    if now == GONE:
        return "is gone; it was there"
    return "is there now; it was not" if before == GONE else "has changed outside of devstream"


def _named(provided: Provided) -> str:
    version = f"{provided.distribution} {provided.version}".strip()
    return f"{version} (options of version {provided.schema})" if provided.schema != 1 else version
