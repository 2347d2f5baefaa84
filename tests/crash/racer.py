"""One of several processes that use one state at once: ``racer.py FOLDER NAME WHAT ROUNDS``.

FOLDER has a ``devstream.yaml`` that says where the state is. What came of each round is a line of standard output.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.engine.session import Invocation, Session
from devstream.errors import LeaseError, StateConflictError
from devstream.model.redact import Redactor
from devstream.model.state import Put, PutReason, RunRecord
from devstream.state.head_lease import Terms
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.backends import tool_state
from devstream.testing.shared_folder import be_on_machine

if TYPE_CHECKING:
    from devstream.state.backend import StateBackend

SHORT = Terms(0.3, 0.1)


def backend_in(folder: Path) -> StateBackend:
    invocation = Invocation("race", folder, os.environ)
    return Session(invocation, emit=lambda _: None, redactor=Redactor()).backend


def tell(*words: object) -> None:
    """Write a line at once: this process may be stopped or killed right after."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def ignore(_: Any) -> None:
    pass


def put(name: str) -> Put:
    tool = tool_state(name)
    return Put(tool.address, tool, PutReason.EDITED)


def take_turns(backend: StateBackend, name: str, rounds: int) -> None:
    """Record one entry a run, each under the lease."""
    manager = StateManager(backend)
    for number in range(rounds):
        with manager.acquire(this_process(f"{name}-{number}", "race"), timeout=300, notice=ignore) as writer:
            assert manager.read().serial == writer.state.serial
            writer.record(put(f"{name}{number}"))
        tell("recorded", f"{name}{number}")


def increment(backend: StateBackend, times: int) -> None:
    """Count by swaps alone."""
    while times:
        head = backend.read_head()
        assert head is not None
        try:
            backend.swap_head(b"%d" % (int(head.data) + 1), head.version)
        except StateConflictError:
            continue
        times -= 1


def be_stopped(backend: StateBackend, name: str) -> None:
    """Run again and again, on a machine of its own, until standard input is closed; may be stopped at any moment."""
    be_on_machine(name)
    os.set_blocking(0, False)
    manager = StateManager(backend, terms=SHORT, rescue_folder=Path(os.devnull) / "none")
    number = 0
    while os.read(0, 1) != b"" if readable() else True:
        number += 1
        run_id = f"{name}-{number}"
        try:
            record_some(manager.acquire(this_process(run_id, "race"), timeout=60, notice=ignore), run_id)
        except LeaseError:
            continue
        except StateConflictError:
            tell("refused", run_id)
        else:
            tell("ended", run_id)


def acknowledge(name: str, error: Exception | None) -> None:
    if error is None:
        tell("recorded", name)


def readable() -> bool:
    import select

    return bool(select.select([0], [], [], 0)[0])


def record_some(writer: Any, run_id: str) -> None:
    try:
        for part in "abc":
            name = f"{run_id}-{part}"
            writer.record(put(name), done=partial(acknowledge, name))
            writer.flush()
    finally:
        writer.close(RunRecord(run_id, "race", "then", "now"))


def main(folder: str, name: str, what: str, rounds: str) -> None:
    backend = backend_in(Path(folder))
    if what == "take turns":
        take_turns(backend, name, int(rounds))
    elif what == "increment":
        increment(backend, int(rounds))
    else:
        be_stopped(backend, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
