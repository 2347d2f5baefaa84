"""Made-up configurations go all the way that `validate` goes: no traceback, no signal, no hang, a place for every refusal.

They are made and run in processes of their own (`fuzz_worker.py`), so that a crash in C code or a hang in the middle of
a regular expression is seen for what it is, with the number of the case that did it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER = Path(__file__).with_name("fuzz_worker.py")

SHORT, PARTS = 20_000, 4
LONG, LONG_PARTS = 1_000_000, 40
MEMORY = 256
"""MiB; no input of a few lines may take more."""


def run(first: int, last: int, folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a range of cases; fails with the one that went wrong, and what to type to see it."""
    done = subprocess.run(
        [sys.executable, str(WORKER), str(first), str(last), str(folder)],
        env={**os.environ, **(environ or {})}, capture_output=True, text=True, timeout=3000, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        number = int((folder / "at").read_text())
        how = "hung" if done.returncode == -signal.SIGPROF else f"ended with {done.returncode}"
        command = f"python tests/fuzz/fuzz_worker.py {number}"
        pytest.fail(f"case {number} {how}; `{command}` prints it\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["memory"] < MEMORY, result
    return result


@pytest.mark.parametrize("part", range(PARTS))
def test_configurations(tmp_path: Path, part: int) -> None:
    size = SHORT // PARTS
    result = run(part * size, (part + 1) * size, tmp_path)
    assert result["cases"] == size
    check_variety(result["outcomes"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(LONG_PARTS))
def test_many_configurations(tmp_path: Path, part: int) -> None:
    size = LONG // LONG_PARTS
    first = LONG + part * size
    check_variety(run(first, first + size, tmp_path)["outcomes"])


def check_variety(outcomes: dict[str, int]) -> None:
    """Inputs that all end in syntax errors would prove nothing."""
    total = sum(outcomes.values())
    assert outcomes["valid"] > total * 0.03
    assert outcomes["yaml"] < total * 0.6
    assert len(outcomes) > 25


BROKEN = {
    "a traceback": ("raise KeyError(key)", "ended with 1"),
    "a hang": ("while True: pass", "hung"),
    "a crash": ("import os; os.abort()", "ended with -6"),
    "a hang in C": ("import re; re.match('(a+)+b', 'a' * 60)", "hung"),
    "a place outside of the file": ("offset = 10**6", "ended with 1"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_defect_is_found(tmp_path: Path, defect: str) -> None:
    """Something is broken on purpose, where a key that is written twice is told: the fuzz has to find it."""
    body, expected = BROKEN[defect]
    (tmp_path / "sitecustomize.py").write_text(
        "from devstream.config.findings import Findings\n\nwritten = Findings.error\n\n\n"
        "def error(self, summary, code, offset, suggestion=''):\n"
        "    key = summary\n"
        f"    if code == 'duplicate-key':\n        {body}\n"
        "    written(self, summary, code, offset, suggestion)\n\n\nFindings.error = error\n"
    )
    with pytest.raises(pytest.fail.Exception) as caught:
        run(0, 300, tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert expected in str(caught.value)
