"""``devstream apps outdated``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.exit_codes import worst
from devstream.cli.lazy import LazyGroup
from devstream.cli.options import epilog, output_options
from devstream.cli.state_session import looking, open_recorded
from devstream.errors import ExitCode
from devstream.model.seen import Verdict
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.seen import Seen
    from devstream.report.terminal import Look

__all__ = ["apps"]

_SHORT = 19
"""Characters that are shown of the pin; a newer tag or commit is shown whole, to be copied into the configuration."""


class _Templated(Immutable, frozen=True):
    """What a tool says of its template (``info.template``).

    Attributes:
        latest: what there is now, as it would be written to get it.
    """

    address: Address
    app: str | None
    url: str
    pinned: str | None
    latest: str | None
    behind: bool


@click.group(cls=LazyGroup, epilog=epilog("devstream apps outdated"))
@output_options
def apps() -> None:
    """Look after apps."""


@apps.command(
    short_help="Which apps are behind their template.",
    epilog=epilog(
        "devstream apps outdated                        ask every template's source what it has now",
        "devstream apps outdated app:shop               that of one app",
        "devstream apps outdated --detailed-exitcode    exit code 2 where some are behind",
        "devstream apps outdated -o json | jq -r '.apps[] | select(.behind).address'",
    ),
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where some are behind.")
@looking
@click.pass_obj
def outdated(
    app: Application, *, addresses: tuple[str, ...], detailed_exitcode: bool, parallelism: int | None
) -> Answer:
    """List the apps whose template has moved on since they were made or last updated. Changes nothing.

    Tools are looked at by their recorded options: no configuration is needed.
    """
    app.begin("apps outdated")
    session, recorded, meant = open_recorded(app, addresses, parallelism)
    if meant is None:
        meant = [address for address, tool in recorded.tools.items() if "template" in tool.properties]
    seen = session.look_at(recorded, meant, thorough=True)
    said = [templated for one in seen if (templated := _templated(one)) is not None]
    found = sorted(said, key=lambda one: str(one.address))

    def data(mask: Any) -> Mapping[str, Any]:
        return {"apps": [_data(one, mask) for one in found], "behind": sum(one.behind for one in found)}

    wrong = tuple(one.error for one in seen if one.error)
    codes = _codes(seen, found, detailed=detailed_exitcode)
    return Answer(data, lambda look: _lines(found, look), worst(codes), wrong)


def _templated(seen: Seen) -> _Templated | None:
    """Read what `read` said of the template; None where it said nothing."""
    said = seen.observed.info.get("template") if seen.observed else None
    if not isinstance(said, dict):
        return None
    pinned, latest = (None if said.get(name) is None else str(said[name]) for name in ("pinned", "latest"))
    app = seen.recorded.app if seen.recorded else None
    return _Templated(seen.address, app, str(said.get("url", "")), pinned, latest, bool(said.get("behind")))


def _codes(seen: Sequence[Seen], found: Sequence[_Templated], *, detailed: bool) -> Iterator[ExitCode]:
    if detailed and any(one.behind for one in found):
        yield ExitCode.CHANGES
    if any(one.verdict is Verdict.FAILED for one in seen):
        yield ExitCode.FAILED


def _lines(found: Sequence[_Templated], look: Look) -> Sequence[str]:
    from devstream.report.tables import table
    from devstream.report.terminal import one_line

    if not found:
        return ["No app is made from a template."]
    head = ("app", "template", "pinned", "latest", "is")
    rows = [
        (
            one_line(one.app or str(one.address)),
            one_line(one.url),
            one_line(_short(one.pinned)),
            one_line(_whole(one.latest)),
            "behind" if one.behind else "up to date",
        )
        for one in found
    ]
    behind = sum(one.behind for one in found)
    return [*table(head, rows, look), "", f"{behind} of {len(found)} behind."]


def _short(version: str | None) -> str:
    return "-" if version is None else version[:_SHORT]


def _whole(version: str | None) -> str:
    """Give a tag or a commit in full; a digest is too long for a table."""
    return _short(version) if version is None or version.startswith("sha256:") else version


def _data(one: _Templated, mask: Any) -> dict[str, Any]:
    return {
        "address": str(one.address),
        "app": mask(one.app) if one.app else None,
        "template": mask(one.url),
        "pinned": mask(one.pinned) if one.pinned else None,
        "latest": mask(one.latest) if one.latest else None,
        "behind": one.behind,
    }
