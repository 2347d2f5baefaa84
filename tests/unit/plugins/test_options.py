"""Options against a schema: one row a rule, and laws over random options."""

from __future__ import annotations

import enum
from contextlib import nullcontext
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.api import Secret, WrongOption, option
from devstream.errors import CredentialsError, Diagnostic, Mark, OperationError, PluginError, Severity
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.tool import ToolInstance
from devstream.model.values import Interpolation, Path, Reference, SecretRef, Unknown, format_path
from devstream.plugins.options import OptionsSchema


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, rename="camel"):
    name: str
    portNumber: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 80  # noqa: N815


class Git(msgspec.Struct, tag="git", tag_field="kind"):
    url: str


class Folder(msgspec.Struct, tag="folder", tag_field="kind"):
    path: str
    depth: int = 1


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    level: int = 0


class Options(msgspec.Struct, rename="camel"):
    text: Annotated[str, msgspec.Meta(min_length=2, max_length=5)] = "ab"
    pattern: Annotated[str, msgspec.Meta(pattern="^a")] = "a"
    count: Annotated[int, msgspec.Meta(ge=1, lt=10)] = 1
    steps: Annotated[int, msgspec.Meta(gt=0, multiple_of=5)] = 5
    ratio: Annotated[float, msgspec.Meta(le=1)] = 0.5
    flag: bool = False
    maybe: int | None = None
    either: int | str = 0
    color: Color = Color.RED
    level: Literal["low", "high", 3] = "low"
    items: Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: ["x"]
    )
    numbers: list[int] = []
    pair: tuple[str, int] = ("a", 1)
    by_name: dict[str, int] = {}
    part: Part | None = None
    parts: list[Part] = []
    parts_by_name: dict[str, Part] = {}
    source: Git | Folder | None = None
    strict: Strict | None = None
    anything: Any = None
    token: Secret | None = None
    password: Annotated[Secret | None, option("Kept.", secret=True)] = None
    login: Annotated[dict[str, Any] | None, option(secret=True)] = None
    argv: Annotated[list[str], option(argv=True)] = []
    loose_argv: Annotated[Any, option(argv=True)] = None
    where: Annotated[Part | None, option(immutable=True)] = None


class Simple(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    host_name: str
    port: Annotated[int, msgspec.Meta(ge=1)] = 80
    token: Secret | None = None
    flag: bool = False
    data: Any = None


SCHEMA = OptionsSchema(Options, 'tool "t" of d')
SIMPLE = OptionsSchema(Simple, 'tool "s" of d')
TOKEN = Secret((SecretRef("env", "TOKEN"),))
MIXED = Secret(("a", SecretRef("env", "TOKEN")))
REFERENCE = Reference(Address("a", "b"), ("c",))


class Places:
    """Gives each path a place of its own."""

    def at(self, path: Path) -> Origin:
        return Origin(Mark(format_path(path), 1, 1), ("app svc",) if path == ("flag",) else ())


def instance(options: dict[str, Any]) -> ToolInstance:
    return ToolInstance(Address("t", "a"), options, Origin(None), origins=Places())


def check(options: dict[str, Any], schema: OptionsSchema = SCHEMA) -> list[Diagnostic]:
    return schema.check(instance(options))


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "text": {"text": "abc"},
    "whole number": {"count": 9, "steps": 10},
    "whole number as number": {"ratio": 1},
    "null where it may be": {"maybe": None, "part": None},
    "either": {"either": "x"},
    "choice": {"color": "blue", "level": 3},
    "list": {"items": ["a", "b"], "pair": ["x", 2]},
    "nested": {"part": {"name": "n", "portNumber": 1}, "parts": [{"name": "a"}, {"name": "b"}]},
    "tagged": {"source": {"kind": "folder", "path": "p", "depth": 2}},
    "anything": {"anything": {"a": [1, None, TOKEN, REFERENCE]}},
    "secret or text": {"token": TOKEN, "password": "clear"},
    "mixed secret": {"token": MIXED},
    "not known yet": {
        "text": REFERENCE, "count": Unknown(), "items": REFERENCE, "part": {"name": Unknown("x")},
        "color": Interpolation(("a", REFERENCE)), "source": REFERENCE, "parts": [REFERENCE],
    },
    "tag not known yet": {"source": {"kind": REFERENCE, "path": "p"}},
    "number from a variable": {"count": TOKEN, "flag": TOKEN, "maybe": TOKEN, "numbers": [TOKEN]},
    "text that only looks like a secret": {"text": Secret.plain("abc"), "items": [Secret.plain("a")]},
    "reference in argv": {"argv": ["x", REFERENCE], "looseArgv": [REFERENCE]},
}  # fmt: skip


@pytest.mark.parametrize("options", GOOD.values(), ids=GOOD)
def test_good(options: dict[str, Any]) -> None:
    assert check(options) == []


BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "unknown": ({"txt": 1}, "txt", 'there is no option "txt"', 'did you mean "text"?'),
    "unknown, case": ({"byname": {}}, "byname", "no option", 'did you mean "byName"?'),
    "unknown, python name": ({"by_name": {}}, "by_name", "no option", 'did you mean "byName"?'),
    "unknown, far off": ({"zzz": 1}, "zzz", "no option", "there are: text, pattern"),
    "unknown, nested": ({"part": {"name": "n", "port": 1}}, "part.port", '"part.port"', "portNumber"),
    "unknown, in a list": ({"parts": [{"name": "n"}, {"name": "n", "nmae": 1}]}, "parts[1].nmae", '"parts[1].nmae"', '"name"'),
    "unknown, in a mapping": ({"partsByName": {"x": {"name": "n", "nme": 1}}}, "partsByName.x.nme", "nme", '"name"'),
    "unknown, in a union": ({"source": {"kind": "git", "url": "u", "depht": 1}}, "source.depht", "depht", "there are: url"),
    "unknown, in a strict one": ({"strict": {"levle": 1}}, "strict.levle", "levle", '"level"'),
    "unknown, no text": ({"part": {"name": "n", 1: 2}}, "part.1", "part.1", ""),
    "missing": ({"part": {}}, "part.name", '"part.name" is missing', ""),
    "text: number": ({"text": 80}, "text", '"text" takes text, not the number 80', "put it in quotes"),
    "text: bool": ({"text": True}, "text", "takes text, not true", "put it in quotes"),
    "text: null": ({"text": None}, "text", "takes text, not null", ""),
    "text: list": ({"text": ["a"]}, "text", "takes text, not a list", ""),
    "text: short": ({"text": "a"}, "text", "takes at least 2 characters, not 1", ""),
    "text: long": ({"text": "abcdef"}, "text", "takes at most 5 characters, not 6", ""),
    "text: pattern": ({"pattern": "b"}, "pattern", 'is the text "b", which does not match the pattern ^a', ""),
    "text: cut": ({"pattern": "b" * 99}, "pattern", f'"{"b" * 39}…"', ""),
    "number: text": ({"count": "5"}, "count", 'takes a whole number, not the text "5"', "leave out the quotes"),
    "number: words": ({"count": "five"}, "count", 'not the text "five"', ""),
    "number: bool": ({"count": True}, "count", "takes a whole number, not true", ""),
    "number: fraction": ({"count": 1.5}, "count", "takes a whole number, not the number 1.5", ""),
    "number: low": ({"count": 0}, "count", '"count" must be at least 1, not 0', ""),
    "number: high": ({"count": 10}, "count", "must be less than 10, not 10", ""),
    "number: more than": ({"steps": 0}, "steps", "must be more than 0, not 0", ""),
    "number: multiple": ({"steps": 7}, "steps", "must be a multiple of 5, not 7", ""),
    "number: at most": ({"ratio": 1.5}, "ratio", "must be at most 1, not 1.5", ""),
    "bool: number": ({"flag": 1}, "flag", "takes true or false, not the number 1", ""),
    "bool: text": ({"flag": "maybe"}, "flag", 'not the text "maybe"', ""),
    "null or number": ({"maybe": "x"}, "maybe", 'takes a whole number, not the text "x"', ""),
    "either": ({"either": []}, "either", "takes a whole number or text, not a list", ""),
    "choice": ({"color": "redd"}, "color", 'it takes one of "red", "blue"', 'did you mean "red"?'),
    "choice: type": ({"level": "3"}, "level", 'is the text "3"; it takes one of', ""),
    "choice: true is not 1": ({"level": True}, "level", "is true; it takes one of", ""),
    "list: text": ({"items": "a"}, "items", 'takes a list, not the text "a"', ""),
    "list: empty": ({"items": []}, "items", "takes at least 1 item, not 0", ""),
    "list: long": ({"items": ["a", "b", "c"]}, "items", "takes at most 2 items, not 3", ""),
    "list: item": ({"numbers": [1, "x"]}, "numbers[1]", '"numbers[1]" takes a whole number', ""),
    "pair: length": ({"pair": ["x"]}, "pair", "takes 2 items, not 1", ""),
    "pair: item": ({"pair": ["x", "y"]}, "pair[1]", "takes a whole number", ""),
    "mapping: list": ({"byName": []}, "byName", "takes a mapping, not a list", ""),
    "mapping: value": ({"byName": {"a": "x"}}, "byName.a", '"byName.a" takes a whole number', ""),
    "struct: text": ({"part": "x"}, "part", 'takes a mapping, not the text "x"', ""),
    "deep": ({"parts": [{"name": "n", "portNumber": 0}]}, "parts[0].portNumber", "must be at least 1", ""),
    "tag": ({"source": {"kind": "gti", "url": "u"}}, "source.kind", 'it takes one of "git", "folder"', '"git"'),
    "no tag": ({"source": {"url": "u"}}, "source.kind", '"source.kind" is missing', ""),
    "secret in clear": ({"text": TOKEN}, "text", "takes text in clear, and env:TOKEN is a secret", 'env("TOKEN", secret=false)'),
    "secret in a choice": ({"color": TOKEN}, "color", "env:TOKEN is a secret", "secret=false"),
    "secret as a mapping": ({"part": TOKEN}, "part", "takes a mapping in clear", ""),
    "secret in a list": ({"items": [TOKEN]}, "items[0]", "takes text in clear", ""),
    "secret in text with a reference": ({"text": Interpolation((SecretRef("env", "T"), REFERENCE))}, "text", "env:T is a secret", ""),
    "secret of another source": ({"text": Secret((SecretRef("vault", "x"),))}, "text", "vault:x", "cannot keep it secret"),
    "mixed secret as number": ({"count": MIXED}, "count", "takes a whole number in clear", ""),
    "secret in argv": ({"argv": ["x", TOKEN]}, "argv[1]", "ends up on a command line", "`env:`"),
    "secret in argv, text": ({"argv": [MIXED]}, "argv[0]", "ends up on a command line", "standard input"),
    "secret in argv, with a reference": ({"argv": [Interpolation((REFERENCE, SecretRef("env", "T")))]}, "argv[0]", "command line", "`env:`"),
    "secret in argv of any type": ({"looseArgv": {"a": [TOKEN]}}, "looseArgv", "ends up on a command line", "`env:`"),
    "token: number": ({"token": 12345}, "token", "takes text, not what is there (not shown", "put it in quotes"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "place", "summary", "hint"), BAD.values(), ids=BAD)
def test_bad(options: dict[str, Any], place: str, summary: str, hint: str) -> None:
    (found,) = check(options)
    assert summary in found.summary
    assert hint in found.suggestion
    assert found.severity is Severity.ERROR
    assert found.address == "t.a"
    assert found.mark == Mark(place, 1, 1)


def test_every_mistake_at_once() -> None:
    options = {name: value for row in BAD.values() for name, value in row[0].items()}
    found = check(options)
    assert {str(item.mark).partition(":")[0].partition(".")[0].partition("[")[0] for item in found} == set(
        options
    )


def test_a_number_at_a_secret_is_not_shown() -> None:
    assert "12345" not in str(check({"token": 12345, "password": 12345}))


WORDS = [("yes", True), ("No", False), ("ON", True), ("off", False), ("true", True), ("False", False)]


@pytest.mark.parametrize(("word", "meant"), WORDS)
def test_words_for_booleans_are_taken_with_a_warning(word: str, meant: bool) -> None:
    (found,) = check({"flag": word})
    assert found.severity is Severity.WARNING
    assert found.suggestion == f"write {str(meant).lower()}"
    assert found.detail == "by way of app svc"
    prepared = SCHEMA.prepare({"flag": word}, None)
    assert [item.severity for item in check(prepared)] == [Severity.WARNING]
    assert SCHEMA.convert(prepared).flag is meant  # type: ignore[attr-defined]  # the Struct of above


# preparing


def refuse(ref: SecretRef) -> str:
    raise CredentialsError(f"{ref.key} is not set")


FROM_ENV: dict[str, tuple[str, str, Any]] = {
    "whole": ("count", "8", 8),
    "negative": ("maybe", "-8", -8),
    "spaces": ("count", " 8\n", 8),
    "fraction": ("ratio", "0.25", 0.25),
    "true": ("flag", "true", True),
    "yes": ("flag", "yes", True),
    "off": ("flag", "OFF", False),
}


@pytest.mark.parametrize(("name", "text", "value"), FROM_ENV.values(), ids=FROM_ENV)
def test_a_variable_at_a_number_is_plain_and_converted(name: str, text: str, value: object) -> None:
    prepared = SCHEMA.prepare({name: TOKEN}, lambda _: text)
    assert prepared == {name: value}
    assert type(prepared[name]) is type(value)
    assert check(prepared) == []
    resolved = {name: Secret(TOKEN.parts, text)}
    assert getattr(SCHEMA.convert(resolved), name) == value


NOT_FROM_ENV = {
    "no number": ("count", "hunter2", "takes a whole number, and env:TOKEN holds something else"),
    "fraction": ("count", "1.5", "takes a whole number, and env:TOKEN holds something else"),
    "one is not true": ("flag", "1", "takes true or false, and env:TOKEN holds something else"),
    "out of bounds": ("count", "0", "must be at least 1"),
}


@pytest.mark.parametrize(("name", "text", "message"), NOT_FROM_ENV.values(), ids=NOT_FROM_ENV)
def test_a_variable_that_holds_something_else(name: str, text: str, message: str) -> None:
    prepared = SCHEMA.prepare({name: TOKEN}, lambda _: text)
    (found,) = check(prepared)
    assert message in found.summary
    assert "hunter2" not in str(found)


def test_variables_are_only_asked_where_a_number_is_wanted() -> None:
    options = {"token": TOKEN, "password": TOKEN, "anything": [TOKEN], "text": TOKEN}
    assert SCHEMA.prepare(options, refuse) == options
    with pytest.raises(CredentialsError):
        SCHEMA.prepare({"count": TOKEN}, refuse)


def test_without_variables_they_wait() -> None:
    assert SCHEMA.prepare({"count": TOKEN}, None) == {"count": TOKEN}


def test_clear_text_at_a_secret_option_becomes_a_secret_named_by_its_path() -> None:
    prepared = SCHEMA.prepare({"password": "pw", "login": {"user": "u", "n": 1}, "token": "t"}, None)
    assert prepared["password"] == Secret((SecretRef("literal", "password"),))
    assert prepared["password"].reveal() == "pw"
    assert prepared["login"]["user"].refs == (SecretRef("literal", "login.user"),)
    assert prepared["login"]["n"] == 1
    assert prepared["token"] == "t"
    assert SCHEMA.prepare(prepared, None) == prepared
    assert check(prepared) == []


def test_preparing_leaves_what_it_was_given_alone() -> None:
    options = {"password": "pw", "parts": [{"name": "n"}]}
    SCHEMA.prepare(options, None)
    assert options == {"password": "pw", "parts": [{"name": "n"}]}


# converting


def test_convert() -> None:
    secret = Secret(TOKEN.parts, "s3cr3t")
    struct: Any = SCHEMA.convert(
        {"token": "plain", "password": secret, "parts": [{"name": "n"}], "flag": "yes"}
    )
    assert struct.token.reveal() == "plain"
    assert struct.token.is_plain
    assert struct.password is secret
    assert struct.parts == [Part("n")]
    assert struct.flag is True


def test_convert_quickly() -> None:
    struct: Any = SIMPLE.convert({"hostName": "h", "token": Secret(TOKEN.parts, "x"), "data": [1]})
    assert (struct.host_name, struct.port, struct.token.reveal(), struct.data) == ("h", 80, "x", [1])


@pytest.mark.parametrize("schema", [SCHEMA, SIMPLE])
def test_convert_names_everything_that_is_wrong(schema: OptionsSchema) -> None:
    with pytest.raises(OperationError) as caught:
        schema.convert({"hostName": 1, "token": 99999, "prt": 1})
    text = caught.value.diagnostic.summary + caught.value.diagnostic.detail
    assert '"token" takes text' in text
    assert '"prt"' in text
    assert "99999" not in text


def test_convert_never_shows_a_secret() -> None:
    secret = Secret(TOKEN.parts, "s3cr3t-text")
    with pytest.raises(OperationError) as caught:
        SCHEMA.convert({"text": secret, "count": secret, "numbers": [secret], "part": secret})
    assert "s3cr3t-text" not in str(caught.value) + caught.value.diagnostic.detail


class Rules(msgspec.Struct):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Outer(msgspec.Struct):
    rules: list[Rules] = []
    seen: Any = None


def test_rules_of_the_struct_itself_come_last() -> None:
    schema = OptionsSchema(Outer, "t")
    (found,) = check({"rules": [{"low": 0}, {"low": 5}]}, schema)
    assert found.summary == '"rules[1]": low is above high'
    assert found.mark == Mark("rules[1]", 1, 1)
    assert [item.summary for item in check({"rules": [{"low": 5, "hihg": 1}]}, schema)] == [
        'there is no option "rules[0].hihg"'
    ]
    assert check({"rules": [{"low": 5, "high": REFERENCE}]}, schema) == []


class Ranges(msgspec.Struct):
    rules: list[Rules] = []
    deep: Any = None

    def __post_init__(self) -> None:
        if self.deep == 1:
            raise WrongOption("deep is shallow", "deep", suggestion="dig")
        if self.deep == 2:
            raise WrongOption("the first rule is low", "rules.0.low")


@pytest.mark.parametrize(
    ("options", "summary", "mark", "suggestion"),
    [
        ({"deep": 1}, '"deep": deep is shallow', "deep", "dig"),
        ({"deep": 2, "rules": [{}]}, '"rules[0].low": the first rule is low', "rules[0].low", ""),
    ],
)
def test_a_rule_may_say_which_option_breaks_it(
    options: dict[str, Any], summary: str, mark: str, suggestion: str
) -> None:
    (found,) = check(options, OptionsSchema(Ranges, "t"))
    assert (found.summary, found.mark, found.suggestion) == (summary, Mark(mark, 1, 1), suggestion)


# schemas


class OddType(msgspec.Struct):
    where: PluginError | None = None


class ClearSecret(msgspec.Struct):
    token: Annotated[str, option(secret=True)] = ""


class NestedClearSecret(msgspec.Struct):
    tokens: Annotated[dict[str, list[str]], option(secret=True)] = {}


class Unresolved(msgspec.Struct):
    where: NoSuchName  # type: ignore[name-defined]  # noqa: F821 - what is tested


@pytest.mark.parametrize(
    ("struct", "message"),
    [
        (OddType, "PluginError"),
        (ClearSecret, "its type is str"),
        (NestedClearSecret, "its type is str"),
        (Unresolved, "NoSuchName"),
        (dict, "no msgspec Struct"),
    ],
)
def test_schemas_that_cannot_be_used(struct: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        OptionsSchema(struct, 'tool "t" of d')


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    children: list[Tree] = []


def test_a_struct_may_hold_itself() -> None:
    schema = OptionsSchema(Tree, "t")
    assert check({"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}, schema) == []
    (found,) = check({"name": "a", "children": [{"name": "b", "children": [{"name": 1}]}]}, schema)
    assert found.mark == Mark("children[0].children[0].name", 1, 1)
    assert schema.flags(("children", 0, "name")) == frozenset()


# flags


class Flags(msgspec.Struct, rename="camel"):
    plain_name: str = ""
    fixed: Annotated[Part | None, option(immutable=True)] = None
    logins: dict[str, Annotated[dict[str, Secret], option(secret=True)]] = {}
    steps: list[Annotated[Part, option(record_only=True)]] = []
    either: Git | Annotated[Folder, option(immutable=True)] | None = None
    loose: Annotated[Any, option(argv=True, record_only=True)] = None


FLAGS: list[tuple[Path, set[str]]] = [
    ((), set()),
    (("plainName",), set()),
    (("plain_name",), set()),
    (("fixed",), {"immutable"}),
    (("fixed", "name"), {"immutable"}),
    (("logins",), set()),
    (("logins", "x"), {"secret"}),
    (("logins", "x", "password"), {"secret"}),
    (("steps", 7, "name"), {"record_only"}),
    (("steps", 0), {"record_only"}),
    (("either", "path"), {"immutable"}),
    (("either", "url"), set()),
    (("loose", "a", 0, "b"), {"argv", "record_only"}),
    (("nowhere", "x"), set()),
]


@pytest.mark.parametrize(("path", "expected"), FLAGS, ids=[format_path(path) or "." for path, _ in FLAGS])
def test_flags(path: Path, expected: set[str]) -> None:
    assert OptionsSchema(Flags, "t").flags(path) == expected


# laws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 12) | st.floats(-1, 2) | st.text("abxyz", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abxyz", max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = st.sampled_from([field.encode_name for field in msgspec.structs.fields(Options)])
OPTIONS = st.dictionaries(NAMES | st.text("abc", max_size=3), JSON, max_size=5)


@given(OPTIONS)
def test_what_checks_also_converts_and_what_does_not_does_not(options: dict[str, Any]) -> None:
    wrong = [item for item in check(options) if item.severity is Severity.ERROR]
    with pytest.raises(OperationError) if wrong else nullcontext():
        SCHEMA.convert(options)


@given(st.dictionaries(st.sampled_from(["hostName", "port", "token", "flag", "data", "x"]), JSON, max_size=5))
def test_the_quick_way_and_the_walk_agree(options: dict[str, Any]) -> None:
    slow = OptionsSchema(Simple, "s")
    slow._quick = False
    assert SIMPLE.check(instance(options)) == slow.check(instance(options))
    assert SIMPLE.prepare(options, None) == slow.prepare(options, None)


@given(OPTIONS)
def test_preparing_twice_changes_nothing_more(options: dict[str, Any]) -> None:
    prepared = SCHEMA.prepare(options, None)
    assert SCHEMA.prepare(prepared, None) == prepared
    assert [item.summary for item in check(prepared)] == [item.summary for item in check(options)]


class Registry(msgspec.Struct):
    user: Annotated[str, option("Who pushes.", plain=True)] = ""


@pytest.mark.parametrize(
    ("parts", "text"),
    [((SecretRef("env", "NAME"),), "ann"), (("team-", SecretRef("env", "NAME")), "team-ann")],
)
def test_a_variable_at_a_plain_option_is_text_in_clear(parts: tuple[str | SecretRef, ...], text: str) -> None:
    schema = OptionsSchema(Registry, "a plugin")
    assert schema.prepare({"user": Secret(parts)}, lambda ref: {"NAME": "ann"}[ref.key]) == {"user": text}
    waiting = {"user": Secret(parts)}
    assert schema.prepare(waiting, None) == waiting
