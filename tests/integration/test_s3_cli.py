"""State on S3 as people use it: the commands, in a folder, against a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.testing.fault_proxy import CUT_REQUEST, DROP, Fault
from devstream.testing.s3 import s3, s3_error, s3_server

if TYPE_CHECKING:
    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

CONFIG = """\
config:
  state:
    backend: s3
    options:
      bucket: {bucket}
      key: team/devstream.state
      endpoint: {endpoint}
      allowHttp: true
{more}
tools:
  - name: noop
    instanceID: a
    options: {{input: 1}}
"""


def configure(bench: Any, s3: Bucket, more: str = "", **change: Any) -> None:
    values = {"bucket": s3.name, "endpoint": s3.proxy.url, "more": more, **change}
    bench.write(CONFIG.format_map(values))


def test_init_run_and_destroy(bench: Any, s3: Bucket) -> None:
    configure(bench, s3)
    made = bench("init", "-o", "json")
    assert (made.code, made.data["made"]) == (0, True)
    assert made.data["state"].startswith(f"s3://{s3.name}/team/devstream.state?endpoint=")
    assert s3.objects() == ["team/devstream.state"]
    assert bench("init", "-o", "json").data["made"] is False
    assert bench("plan", "--detailed-exitcode").code == 2
    assert bench("run", "-y").code == 0
    assert bench("plan", "--detailed-exitcode").code == 0
    shown = bench("show", "state", "--state", made.data["state"], "-o", "json")
    assert list(shown.data["tools"]) == ["noop.a"]
    assert bench("destroy", "-y", "--state", made.data["state"]).code == 0
    assert bench("show", "state", "--state", made.data["state"], "-o", "json").data["tools"] == {}


def test_a_run_makes_the_state_too(bench: Any, s3: Bucket) -> None:
    configure(bench, s3)
    assert bench("run", "-y").code == 0
    assert "team/devstream.state" in s3.objects()
    assert not any("probe" in key for key in s3.objects())


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("      buckett: x", "devstream.yaml:9:16", 'did you mean "bucket"?'),
        ("      pathStyle: sometimes", "devstream.yaml:9:18", "true or false"),
        ("      sse: AES", "devstream.yaml:9:12", "AES256"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(
    bench: Any, s3: Bucket, line: str, place: str, words: str
) -> None:
    configure(bench, s3, more=line)
    ended = bench("plan")
    assert ended.code == 3
    assert place in ended.err
    assert words in ended.err


def test_plain_http_is_refused(bench: Any, s3: Bucket) -> None:
    configure(bench, s3)
    text = (bench.folder / "devstream.yaml").read_text().replace("      allowHttp: true\n", "")
    bench.write(text)
    ended = bench("run", "-y")
    assert ended.code == 3
    assert "devstream.yaml:7:17" in ended.err
    assert "allowHttp: true" in ended.err


def answering(status: int, name: str) -> Fault:
    return Fault(name, reaches=False, status=status, body=s3_error(status, name))


REFUSALS = [
    (answering(403, "InvalidAccessKeyId"), 7, "AWS_ACCESS_KEY_ID"),
    (answering(403, "AccessDenied"), 7, "s3:PutObject"),
    (answering(403, "RequestTimeTooSkewed"), 7, "clock"),
    (answering(301, "PermanentRedirect"), 6, "region"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal[0].name)
@pytest.mark.parametrize("command", ["init", "plan", "run"])
def test_refusals(bench: Any, s3: Bucket, command: str, refusal: tuple[Fault, int, str]) -> None:
    fault, code, words = refusal
    configure(bench, s3)
    s3.proxy.choose = lambda _: fault
    ended = bench(command, *(["-y"] if command == "run" else []))
    assert ended.code == code
    assert words in ended.err
    assert s3.objects() == []


def test_no_permission_to_write(bench: Any, s3: Bucket) -> None:
    """Reading works, and writing does not."""
    configure(bench, s3)
    s3.proxy.choose = lambda asked: answering(403, "AccessDenied") if asked.method == "PUT" else None
    assert bench("plan").code == 0
    for command in (["init"], ["run", "-y"]):
        ended = bench(*command)
        assert ended.code == 7
        assert "allow s3:GetObject, s3:PutObject" in ended.err
    assert s3.objects() == []


def test_a_wrong_bucket(bench: Any, s3: Bucket) -> None:
    configure(bench, s3, bucket="nobody-made-it")
    for command in (["init"], ["plan"], ["run", "-y"]):
        ended = bench(*command)
        assert ended.code == 6
        assert 'no bucket "nobody-made-it"' in ended.err


def test_a_store_that_does_not_speak_tls(bench: Any, s3: Bucket) -> None:
    where = s3.proxy.url.replace("http:", "https:")
    configure(bench, s3, endpoint=where)
    for command in (["init"], ["plan"], ["run", "-y"]):
        ended = bench(*command)
        assert ended.code == 6
        assert f"{where} does not speak TLS" in ended.err
        assert "allowHttp: true" in ended.err


def test_a_network_that_is_cut_for_a_moment(bench: Any, s3: Bucket) -> None:
    """Every third request is lost, before or after it is done: the run succeeds, and each record is there once."""
    configure(bench, s3)
    faults = [None, None, DROP, None, None, CUT_REQUEST] * 50
    s3.proxy.choose = lambda _: faults.pop() if faults else None
    assert bench("run", "-y").code == 0
    assert s3.proxy.counts()
    s3.proxy.choose = lambda _: None
    assert "No changes" in bench("plan").out
    assert bench("state", "history", "--verify").code == 0


def test_a_process_of_its_own_without_credentials(bench: Any, s3: Bucket) -> None:
    configure(bench, s3)
    bench.environ |= {"AWS_METADATA_ENDPOINT": "http://127.0.0.1:1"}
    ended = bench.process("plan")
    assert ended.code == 7, ended.err
    assert "AWS_ACCESS_KEY_ID" in ended.err
