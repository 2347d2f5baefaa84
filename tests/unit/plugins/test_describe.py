"""The description of options for the reference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from devstream.api import Secret, option
from devstream.plugins.describe import OptionDoc, describe
from devstream.plugins.options import OptionsSchema


class Job(msgspec.Struct, rename="camel"):
    job_name: Annotated[str, option("Its name.")]
    needs: list[str] = []


class Described(msgspec.Struct, rename="camel"):
    repo: Annotated[str, option("The repository.", immutable=True)]
    level: Annotated[Literal["low", "high"], option("How much.")] = "low"
    token: Annotated[Secret | None, option("Who asks.", secret=True)] = None
    jobs: Annotated[dict[str, list[Job]], option("What runs.", record_only=True)] = {}
    extra: Any = None


class Chain(msgspec.Struct):
    then: Chain | None = None


NONE: frozenset[str] = frozenset()
LATER = frozenset({"record_only"})


def test_describe() -> None:
    assert describe(OptionsSchema(Described, "t")) == (
        OptionDoc("repo", "text", True, None, "The repository.", frozenset({"immutable"})),
        OptionDoc("level", 'one of "high", "low"', False, "low", "How much.", NONE),
        OptionDoc("token", "text, may be a secret", False, None, "Who asks.", frozenset({"secret"})),
        OptionDoc("jobs", "a mapping of a list of a mapping", False, {}, "What runs.", LATER),
        OptionDoc("jobs.<name>[].jobName", "text", True, None, "Its name.", LATER),
        OptionDoc("jobs.<name>[].needs", "a list of text", False, [], "", LATER),
        OptionDoc("extra", "any value", False, None, "", NONE),
    )


def test_a_struct_that_holds_itself_ends() -> None:
    assert [item.name for item in describe(OptionsSchema(Chain, "t"))] == ["then"]
