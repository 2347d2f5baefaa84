"""How much work a run is, counted: what is encoded, told, flushed and loaded; time says too little on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from devstream.model.events import OperationEnded, OperationStarted
from devstream.state import codec
from devstream.state import session as state_session

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.model.events import Event
    from devstream.testing.project import Project

TOOLS = 60


def noop(number: int) -> dict[str, Any]:
    return {"name": "noop", "instanceID": f"t{number}", "options": {"input": {"n": number, "list": [1, 2]}}}


@pytest.fixture
def busy(project: Project) -> Project:
    project.tools(*(noop(number) for number in range(TOOLS)))
    return project


def test_each_operation_is_encoded_twice_and_never_walked(
    busy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(state_session, "encode_record", counted("encoded", codec.encode_record))
    monkeypatch.setattr(codec, "_not_json", counted("walked", codec._not_json))
    busy.run().assert_success()
    assert calls == {"encoded": 2 * TOOLS + 1}, "a begin and an end each, and the run"


def test_each_operation_is_told_twice(busy: Project) -> None:
    told: list[Event] = []
    assert busy.session(told.append).run(lambda _: True)
    counts = Counter(type(event).__name__ for event in told)
    assert counts["OperationStarted"] == counts["OperationEnded"] == TOOLS
    assert sum(counts.values()) <= 2 * TOOLS + 4
    for number in range(TOOLS):
        where = f"noop.t{number}"
        own = [type(event) for event in told if str(getattr(event, "address", "")) == where]
        ends = [
            event
            for event in told
            if isinstance(event, OperationEnded) and str(event.result.address) == where
        ]
        assert own == [OperationStarted]
        assert len(ends) == 1


def test_flushes_come_together(busy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        flushed.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    busy.run().assert_success()
    assert len(flushed) < 2 * TOOLS, "a swap takes two, for the file and its folder; many records share one"


CONFIG = "tools:\n" + "".join(
    f"- {{name: noop, instanceID: t{number}, options: {{input: {number}}}}}\n" for number in range(TOOLS)
)


def test_a_long_run_in_which_all_went_well_loads_no_tables(tmp_path: Path) -> None:
    (tmp_path / "devstream.yaml").write_text(CONFIG)
    code = "import sys; from devstream.__main__ import main; import os; os._exit = sys.exit; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "run", "--yes"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}
    assert f"{TOOLS} succeeded" in done.stdout
    assert "devstream.engine.runner" in loaded
    assert loaded & {"tabulate", "rich", "httpx", "jinja2"} == set()
