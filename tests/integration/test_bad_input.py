"""Bad input ends well: an exit code, the place, the reason, what would be right, no traceback, and nothing changed.

The mistakes that can be written down are in tests/cases/bad_input, a folder a case. Each is met by `validate`, `plan` and
`run`, for people and as data. The fixture `bench` makes sure of the tracebacks, and that nothing takes long.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = Path(__file__).parents[1] / "cases" / "bad_input"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())

COMMANDS = (("validate",), ("plan",), ("run", "-y"))
NOOP = "tools:\n  - name: noop\n    instanceID: a\n"


# ---- what can be written down


def lay_out(bench: Any, case: Path) -> dict[str, Any]:
    """Copy a case's files; what would not compile is kept as ``.txt``. Give what is expected."""
    for path in case.rglob("*"):
        name = str(path.relative_to(case)).removesuffix(".txt")
        if path.is_file() and name != "case.yaml":
            bench.write(path.read_bytes(), name)
    settings: dict[str, Any] = yaml.safe_load((case / "case.yaml").read_text())
    bench.environ |= settings.get("env", {})
    return settings


@pytest.mark.parametrize("name", NAMES)
def test_case(bench: Any, name: str) -> None:
    settings = lay_out(bench, CASES / name)
    arguments = settings.get("arguments", ())
    before = bench.contents()
    for command in COMMANDS:
        code = settings.get(command[0], 3)
        severity = "error" if code else "warning"
        ended = bench(*command, *arguments)
        assert ended.code == code, ended
        assert (ended.out == "") is (code != 0)
        for expected in settings["errors"]:
            check_text(ended.err, severity, expected)
        machine = bench(*command, *arguments, "-o", "json")
        assert (machine.code, machine.err, machine.data["exit_code"]) == (code, "", code)
        check_data(machine.data["diagnostics"], severity, settings["errors"])
    assert bench.contents() == before


def check_text(text: str, severity: str, expected: dict[str, str]) -> None:
    """Look for one mistake among what people are shown."""
    paragraphs = [" ".join(part.split()) for part in ("\n" + text).split(f"\n{severity.title()}: ")]
    place = f"at {expected['place'].removeprefix('/')} " if "place" in expected else ""
    pieces = [place, *(expected.get(key, "") for key in ("summary", "detail", "suggestion"))]
    assert any(all(piece in told for piece in pieces) for told in paragraphs), (expected, paragraphs)


def check_data(found: list[dict[str, Any]], severity: str, expected: list[dict[str, str]]) -> None:
    """Compare the mistakes with what machines are told: all of them, in order, and no others."""
    assert [item["severity"] for item in found] == [severity] * len(expected), found
    for item, wanted in zip(found, expected, strict=True):
        place = f"{item['file']}:{item['line']}:{item['column']}" if item["file"] else ""
        assert item["code"] == wanted["code"], found
        assert place.removeprefix(str(Path.cwd())) == wanted.get("place", ""), found
        for key in ("summary", "detail", "suggestion"):
            assert wanted.get(key, "") in item[key], found


# ---- what an editor would not save

BOMB = "vars:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
MANY = 100_000

BYTES: dict[str, tuple[bytes, str, str, str]] = {
    # the file, the place, a piece of the summary, a piece of the suggestion
    "nul": (b"tools:\n- name: no\0op\n", "2:11", "the character U+0000 is not allowed", "an escape"),
    "escape": (b"tools:\n- name: no\x1b[31mop\n", "2:11", "the character U+001B is not allowed", ""),
    "bell-in-a-comment": (b"# \x07\ntools: []\n", "1:3", "the character U+0007 is not allowed", ""),
    "every-byte": (bytes(range(256)), "3:115", "not UTF-8: byte 128", "save it as UTF-8"),
    "a-program": (b"\x7fELF\x02\x01\x01\0\0\0\0", "1:1", "the character U+007F is not allowed", ""),
    "an-archive": (b"\x1f\x8b\x08\0\0\0\0\0", "1:2", "not UTF-8: byte 1", "save it as UTF-8"),
    "no-utf-8": (b"tools:\n- name: no\xffop\n", "2:11", "not UTF-8: byte 17", "save it as UTF-8"),
    "latin-1": ("# caf\u00e9\ntools: []\n".encode("latin-1"), "1:6", "not UTF-8: byte 5", "save it as UTF-8"),
    "half-a-character": (NOOP.encode() + b"# \xe2\x82", "4:3", "not UTF-8", "save it as UTF-8"),
    "a-surrogate": (b"a: \xed\xa0\x80\n", "1:4", "not UTF-8", "save it as UTF-8"),
    "odd-utf-16": (b"\xff\xfea\0b", "1:2", "not UTF-16", "save it as UTF-8"),
    "joined-with-its-mark": (b"vars: {}\n\xef\xbb\xbftools: []\n", "2:2", "", "byte order mark"),
    "brackets": (b"[" * MANY, "1:65", "nested more than 64 deep", ""),
    "brackets-closed": (b"vars: " + b"[" * MANY + b"]" * MANY, "1:70", "nested more than 64 deep", ""),
    "braces": (b"{" * MANY, "1:2", "a key must be text", ""),
    "dashes": (b"- " * MANY, "1:129", "nested more than 64 deep", ""),
    "parentheses": (b"vars:\n  a: [[ " + b"(" * MANY, "2:6", "not closed on this line", ""),
    "alias-bomb": (BOMB.encode(), "7:", "aliases stand for more than 400,000 values", ""),
    "too-large": (b"# " + b"x" * (20 << 20), "1:1", "larger than 16 MiB", ""),
    "too-large-in-lines": (b"- name: noop\n" * (2 << 20), "1:1", "larger than 16 MiB", ""),
    "one-long-line": (b"tool: [" + b"x, " * 500_000 + b"x]\n", "1:1", 'no section "tool"', "tools"),
    "one-long-word": (b"tool: " + b"x" * (15 << 20) + b"\n", "1:1", 'no section "tool"', "tools"),
    "a-long-way-to-a-secret": (b"tool: token" + b" " * (4 << 20) + b"x\n", "1:1", 'no section "tool"', ""),
    "a-long-key": (
        NOOP.encode() + b"    " + b"k" * 2000 + b": 1\n",
        "4:2005",
        "",
        "has at most 1024 characters",
    ),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes(bench: Any, name: str) -> None:
    data, place, summary, suggestion = BYTES[name]
    bench.write(data)
    before = bench.contents()
    ended = bench("plan")
    assert (ended.code, ended.out) == (3, "")
    assert f"\n  at devstream.yaml:{place}" in ended.err
    assert summary in ended.err
    assert suggestion in ended.err
    assert "\x1b" not in ended.err
    assert max(map(len, ended.err.splitlines())) < 400
    assert bench("validate", "-o", "json").data["diagnostics"][0]["line"] == int(place.split(":")[0])
    assert bench.contents() == before


# ---- what is there instead of a file


def test_a_link_that_leads_nowhere(bench: Any) -> None:
    (bench.folder / "devstream.yaml").symlink_to("shared/devstream.yaml")
    ended = bench("plan")
    assert ended.code == 3
    assert "there is no devstream.yaml" in ended.err
    assert "a symbolic link that leads nowhere" in ended.err


def test_a_folder_that_is_gone(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = bench.folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    ended = bench("plan")
    assert (ended.code, ended.err.splitlines()[0]) == (3, "Error: the current folder does not exist any more")


def test_a_file_without_an_end(bench: Any) -> None:
    ended = bench("plan", "-f", "/dev/zero")
    assert (ended.code, "larger than 16 MiB" in ended.err) == (3, True)


def test_an_unknown_backend(bench: Any) -> None:
    bench.write(f"config:\n  state: {{backend: loca}}\n{NOOP}")
    for command in COMMANDS:
        ended = bench(*command)
        assert ended.code == 3
        assert 'there is no state backend "loca"' in ended.err
        assert 'did you mean "local"?' in ended.err
    assert "at devstream.yaml:2:10" in bench("validate").err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("{statefile: x}", 'has no option "statefile"'),
        ("{stateFile: 3}", "stateFile is 3: it has to be a path"),
        ('{stateFile: ""}', "stateFile is '': it has to be a path"),
        ("{stateFile: devstream.yaml}", 'the state "devstream.yaml" would be read as configuration'),
    ],
)
def test_a_wrong_option_of_the_backend(bench: Any, option: str, said: str) -> None:
    bench.write(f"config:\n  state: {{backend: local, options: {option}}}\n{NOOP}")
    ended = bench("plan")
    assert ended.code == 3
    assert said in ended.err


# ---- as a process of its own

PROCESSES = {
    "empty": ("", "devstream.yaml:1:1"),
    "unknown key": (NOOP + "    dependOn: []\n", 'did you mean "dependsOn"?'),
    "binary": ("\x00\x01", "U+0000"),
    "nested": ("[" * MANY, "nested more than 64 deep"),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_ends_the_same_way(bench: Any, name: str) -> None:
    text, said = PROCESSES[name]
    bench.write(text)
    before = bench.contents()
    ended = bench.process("run", "-y")
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert bench.contents() == before


# ---- one slip of the hand in a real configuration

SLIPS: dict[str, Callable[[str], str]] = {
    "a line is gone": lambda line: "",
    "a line is there twice": lambda line: f"{line}\n{line}",
    "a line is cut": lambda line: line[: len(line) // 2],
    "a line is indented with a tab": lambda line: f"\t{line}",
    "a line is indented by one more": lambda line: f" {line}",
    "two letters change places": lambda line: line[:-4] + line[-4:-2][::-1] + line[-2:],
    "a colon is gone": lambda line: line.replace(":", "", 1),
    "a bracket is gone": lambda line: line.replace("]", "", 1),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_quickstart(bench: Any, slip: str) -> None:
    quickstart = Path(__file__).parents[2] / "examples" / "quickstart"
    texts = {path.name: path.read_text() for path in quickstart.glob("*.yaml")}
    for name, text in texts.items():
        bench.write(text, name)
    codes = []
    for name, text in texts.items():
        lines = text.split("\n")
        for number, line in enumerate(lines):
            changed = SLIPS[slip](line)
            if line.lstrip().startswith("#") or not line.strip() or changed == line:
                continue
            bench.write("\n".join([*lines[:number], changed, *lines[number + 1 :]]), name)
            ended = bench("validate", "-f", ".")
            assert ended.code in (0, 3), ended
            assert ended.code == 0 or "\n  at " in ended.err, ended
            codes.append(ended.code)
        bench.write(text, name)
    assert 3 in codes
