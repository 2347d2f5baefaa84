from __future__ import annotations

from pathlib import Path

import pytest

from devstream.cli.application import Shared
from devstream.cli.options import Duration
from devstream.cli.wording import next_command, recorded_command


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["run", "-y"], "devstream run -y"),
        (["run", "--var", "a=secret"], "devstream run --var a=..."),
        (["run", "--var=a=secret"], "devstream run --var=a=..."),
        (["run", "--var", "a=env:NAME", "--var", "b"], "devstream run --var a=env:NAME --var b"),
        (["run", "-f", "my conf"], "devstream run -f 'my conf'"),
    ],
)
def test_recorded_command(argv: list[str], text: str) -> None:
    assert recorded_command("devstream", argv) == text


def test_next_command() -> None:
    shared = Shared(
        config_file=Path("x.yaml"),
        variables={"a": "b c"},
        var_files=(Path("v.yaml"),),
        plugins=("no:file",),
        chdir="sub",
        quiet=True,
    )
    expected = "dtm show outputs --chdir sub -f x.yaml --var 'a=b c' --var-file v.yaml -p no:file"
    assert next_command("dtm", "show outputs", shared) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("0", 0)]
)
def test_duration(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "soon", "1d", "-5", "1 m", "5mm", "1.2.3s"])
def test_no_duration(text: str) -> None:
    import click

    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)
