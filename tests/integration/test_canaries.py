"""Secrets go through runs that fail in many ways; then everything that was said and written is searched for them."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from devstream.testing.s3 import s3, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

CANARIES = ("canary-4f1e9b7c/+ä", 'canary "quoted" \\ 77aa')

SPY = """
import json, os, sys
told = open("argv", "a")
pid = os.getpid()
while pid > 1:
    told.write(open(f"/proc/{pid}/cmdline").read().replace(chr(0), " ") + chr(10))
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
told.close()
"""
KINDS = {
    "succeeds": SPY + "print(json.dumps({'outputs': {'length': len(os.environ['T'])}}))",
    "fails": SPY + "print('using', os.environ['T']); print(os.environ['T'], file=sys.stderr); sys.exit(1)",
    "raises": SPY + "raise SystemExit('refused: ' + os.environ['T'])",
    "says nonsense": SPY + "print('{\"outputs\": ' + os.environ['T'])",
    "repeats it encoded": SPY
    + "import base64; print(base64.b64encode(os.environ['T'].encode()).decode()); sys.exit(3)",
}
COMMANDS = (
    ["validate", "-vv"],
    ["show", "config"],
    ["show", "expanded", "-o", "json"],
    ["plan", "-vv"],
    ["plan", "--debug", "--full"],
    ["plan", "-o", "json"],
    ["plan", "--out", "plan.json"],
    ["run", "-y", "-vvv"],
    ["run", "-y", "-o", "ndjson"],
    ["run", "plan.json", "-y"],
    ["show", "state", "-o", "json"],
    ["show", "outputs", "-o", "json"],
    ["state", "pull"],
    ["state", "show", "noop.direct"],
    ["state", "history", "-o", "json"],
    ["verify", "-vv"],
    ["destroy", "-y", "-vv"],
)


def forms(canary: str) -> Iterator[str]:
    """Give a text as it is, and as programs encode it."""
    yield canary
    yield base64.b64encode(canary.encode()).decode()
    yield quote(canary, safe="")
    yield json.dumps(canary)[1:-1]


DIRECT: list[dict[str, Any]] = [
    {"name": "noop", "instanceID": "direct", "options": {"input": "[[ env('CANARY_0') ]]"}},
    {"name": "noop", "instanceID": "composed", "options": {"input": "x:[[ env('CANARY_1') ]]:y"}},
]


def tools() -> list[dict[str, Any]]:
    made = list(DIRECT)
    for number, (kind, script) in enumerate(KINDS.items()):
        create = [sys.executable, "-c", script]
        options = {"create": create, "env": {"T": f"[[ env('CANARY_{number % 2}') ]]"}}
        made.append({"name": "command", "instanceID": kind.replace(" ", "-"), "options": options})
    return made


def searched(bench: Any, *more: str) -> tuple[int, int]:
    """Search all files, and what was said; give how many bytes were searched and how many places were found."""
    paths = [path for root in (bench.folder, bench.home) for path in root.rglob("*") if path.is_file()]
    haystack = b"\n".join([*(path.read_bytes() for path in paths), *(text.encode() for text in more)])
    found = [form for canary in CANARIES for form in forms(canary) if form.encode() in haystack]
    return len(haystack), len(found)


def run_all(bench: Any, state: dict[str, Any]) -> str:
    bench.write(json.dumps({"config": {"state": state}, "tools": tools()}))
    said = ""
    for argv in COMMANDS:
        ended = bench(*argv)
        assert ended.code in (0, 3, 4, 9), (argv, ended.err)
        said += ended.out + ended.err
    return said


@pytest.fixture
def told(bench: Any) -> Any:
    for number, canary in enumerate(CANARIES):
        bench.environ[f"CANARY_{number}"] = canary
    return bench


def test_nothing_tells_on_this_machine(told: Any) -> None:
    said = run_all(told, {"backend": "local", "options": {}})
    size, found = searched(told, said)
    assert "refused: (secret)" in said, "the canaries were on their way"
    assert (told.folder / "argv").read_text().count("\n") > 4 * len(KINDS)
    print(f"{len(COMMANDS)} commands, {size} bytes of output and files: {found} of them a secret")
    assert found == 0


def test_nothing_tells_in_a_bucket(told: Any, s3: Bucket) -> None:
    said = run_all(told, {"backend": "s3", "options": s3.options(region="us-east-1")})
    stored = (s3.client.get_object(Bucket=s3.name, Key=key)["Body"].read().decode() for key in s3.objects())
    size, found = searched(told, said, *stored)
    print(f"{len(COMMANDS)} commands, {size} bytes of output, files and objects: {found} of them a secret")
    assert found == 0


def test_a_rescue_file_does_not_tell(told: Any) -> None:
    path = shlex.quote(str(told.folder / "devstream.state"))
    options = {"create": ["sh", "-c", f"printf ' ' >> {path}"], "env": {"T": "[[ env('CANARY_0') ]]"}}
    after = ["noop.direct", "noop.composed"]  # so that nothing is written while it breaks the state
    breaks = {"name": "command", "instanceID": "breaks", "dependsOn": after, "options": options}
    told.write(json.dumps({"tools": [*DIRECT, breaks]}))
    ended = told("run", "-y", "-vv")
    assert ended.code == 6, ended.err
    (rescue,) = told.folder.glob("*.rescue-*")
    assert b"fingerprint" in rescue.read_bytes()
    size, found = searched(told, ended.out, ended.err)
    print(f"a run that loses its state, {size} bytes of output and files: {found} of them a secret")
    assert found == 0
