from __future__ import annotations

import pickle
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import CredentialsError, OperationCancelled, RetryableError
from devstream.engine import operations as operations_module
from devstream.engine.children import Children
from devstream.engine.operations import Hook, OperationRequest, Operations
from devstream.engine.workers import Cancellation
from devstream.errors import StateConflictError
from devstream.model.address import Address
from devstream.model.redact import Redactor
from devstream.model.state import ToolState
from devstream.model.values import Secret, SecretRef
from devstream.plugins.manager import PluginManager
from devstream.testing.world import Thing, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.model.events import Event

CANARY = "canary-99aa77"
A = Address("thing", "a")


def operations(thing: Thing, secrets: Callable[[SecretRef], str], events: list[Event]) -> Operations:
    plugins = PluginManager(folder=None, environ={})
    plugins.add(thing)
    return Operations(
        plugin=plugins.tool,
        secrets=secrets,
        emit=events.append,
        conceal=Redactor().add,
        children=Children(),
        environ={},
        lock=lambda _lineage, _op_id: nullcontext(0),
    )


def request(folder: Path, hook: Hook = Hook.CREATE, **fields: Any) -> OperationRequest:
    options = {"value": 1, "token": Secret((SecretRef("env", "TOKEN"),), CANARY)}
    return OperationRequest(hook, A, fields.pop("options", options), folder, op_id="op-1", **fields)


def test_a_request_runs_from_its_pickle_and_names_its_secrets(tmp_path: Path) -> None:
    recorded = ToolState(A, outputs={"id": "x"}, tags=("t",))
    sent = pickle.dumps(request(tmp_path, recorded=recorded, upstream={"noop.b": {"x": [1]}}, tags=("t",)))
    assert CANARY.encode() not in sent
    seen: list[str] = []
    thing = Thing()
    thing.before["create"] = lambda tool, _: seen.append(tool.options.token.reveal())
    asked: list[SecretRef] = []

    def secrets(ref: SecretRef) -> str:
        asked.append(ref)
        return CANARY

    result = operations(thing, secrets, []).run(pickle.loads(sent), Cancellation())
    assert result.error is None
    assert (seen, asked) == ([CANARY], [SecretRef("env", "TOKEN")])
    assert World(tmp_path / "world").names() == ["thing.a"]
    again = pickle.loads(pickle.dumps(result))
    assert again == result


def refuse(ref: SecretRef) -> str:
    message = f"{ref} is not there"
    raise CredentialsError(message)


@pytest.mark.parametrize("hook", [Hook.CREATE, Hook.UPDATE, Hook.DELETE])
def test_what_fails_before_the_hook_is_called_has_changed_nothing(tmp_path: Path, hook: Hook) -> None:
    options = {"token": Secret((SecretRef("env", "TOKEN"),))}
    asked = request(tmp_path, hook, options=options, recorded=ToolState(A), look_after=True)
    result = operations(Thing(), refuse, []).run(asked, Cancellation())
    assert result.error is not None
    assert result.error.address == "thing.a"
    assert result.unchanged
    assert result.looked is None


def test_a_failure_says_whether_the_run_is_being_stopped(tmp_path: Path) -> None:
    def give_up(*_: object) -> None:
        message = "gave up"
        raise OperationCancelled(message)

    thing = Thing()
    thing.before["create"] = give_up
    run = operations(thing, lambda _: CANARY, []).run
    stopped, overdue = Cancellation(), Cancellation()
    stopped.cancel("the run is being stopped")
    overdue.cancel("took too long", overdue=True)
    assert run(request(tmp_path), stopped).cancelled
    assert not run(request(tmp_path), overdue).cancelled, "its own time was up: that is a failure"
    assert not run(request(tmp_path), Cancellation()).cancelled, "nobody asked it to"


def test_a_run_that_stops_does_not_wait_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations_module, "RETRY_DELAY", 60.0)
    cancellation = Cancellation()
    thing = Thing()

    def fail(*_: object) -> None:
        cancellation.cancel("the run is being stopped")
        message = "later"
        raise RetryableError(message)

    thing.before["create"] = fail
    result = operations(thing, lambda _: CANARY, []).run(request(tmp_path, retries=3), cancellation)
    assert (result.cancelled, result.unchanged) == (True, True)


def test_looking_after_a_failure_happens_even_if_the_run_is_being_stopped(tmp_path: Path) -> None:
    cancellation = Cancellation()
    thing = Thing()

    def fail(*_: object) -> None:
        cancellation.cancel("the run is being stopped")
        raise OSError

    thing.after["create"] = fail
    thing.before["read"] = lambda _, context: None if not context.cancelled else fail()
    result = operations(thing, lambda _: CANARY, []).run(request(tmp_path, look_after=True), cancellation)
    assert result.looked is not None
    assert result.looked.status is not None
    assert result.looked.status.properties["value"] == 1


def test_what_is_not_permitted_is_not_called(tmp_path: Path) -> None:
    """The lease is asked for right before each call of a hook that acts: it may have run out since the begin."""
    asked: list[str] = []

    def lost() -> None:
        asked.append("asked")
        message = "somebody else has the lease"
        raise StateConflictError(message)

    wanted = request(tmp_path, look_after=True, retries=3)
    result = operations(Thing(), lambda _: CANARY, []).run(wanted, Cancellation(), permit=lost)
    assert asked == ["asked"]
    assert World(tmp_path / "world").names() == []
    assert (result.unchanged, result.cancelled, result.looked) == (True, True, None)
    assert result.error is not None
    assert (result.error.summary, result.error.address) == ("somebody else has the lease", "thing.a")
