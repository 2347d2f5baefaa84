"""What a tool says about itself: its options, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.record import Immutable, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import msgspec

    from devstream.model.address import Address

__all__ = ["Traits", "ToolSchema", "AppDefaults", "WrongOption", "option"]


class Traits(Immutable, frozen=True):
    """What can be done with one instance of a tool; it may depend on its options.

    Attributes:
        repeatable: calling `create` again is harmless (state protocol, rule 3).
        integrates: the outputs of upstreams that `integrate` looks at. It is called only where an upstream has, or
            had, one of them, and again when they change. Empty: it looks at all outputs, and is always called.
    """

    can_read: bool = True
    can_update: bool = True
    can_delete: bool = True
    can_integrate: bool = False
    repeatable: bool = False
    integrates: tuple[str, ...] = ()


class AppDefaults(Immutable, frozen=True):
    """What is known of the app a tool is generated for, handed to `ToolSchema.app_options`.

    Attributes:
        name: the app's name.
        language: ``spec.language``, or None.
        framework: ``spec.framework``, or None.
        repo: the app's ``repo`` with its name filled in.
        image_repo: the ``imageRepo`` of an earlier ci or cd item, or None.
    """

    name: str
    language: str | None
    framework: str | None
    repo: Mapping[str, Any]
    image_repo: Mapping[str, Any] | None = None


class ToolSchema(Immutable, frozen=True):
    """The answer to `devstream_tool_schema`.

    Attributes:
        options: a msgspec Struct (use ``rename="camel"``): names, types, constraints, defaults. Its fields
            say more by ``Annotated[T, option(...)]``. A field of type `Secret` takes text or a secret.
        doc: one line for ``list plugins`` and the reference.
        adopts: an existing thing that is not recorded is taken over without ``adopt: true``.
        parallel: at most so many operations of this tool at once; None means no limit of its own.
        traits: what can be done with an instance, by its options as written; None: what it implements.
        app_options: fills in what an app implies when the tool stands under ``ci`` or ``cd``; gets the app
            and the options as expanded, gives the options to use.
        version: grows when recorded options need a migration.
        claims: names what a tool keeps and two tools would take from each other, run after run: pairs of a thing
            (``.gitlab-ci.yml of git.example.org/acme/shop``) and a name in which it is kept; tools that keep it in
            the same name agree. Gets the instance's address, its app (or None) and its options as expanded, some of
            which may not be known yet.
        example: options that are enough for a valid instance, for `devstream show config --plugin`.
    """

    options: type[msgspec.Struct]
    doc: str = ""
    adopts: bool = False
    parallel: int | None = None
    traits: Callable[[Mapping[str, Any]], Traits] | None = None
    app_options: Callable[[AppDefaults, dict[str, Any]], dict[str, Any]] | None = None
    version: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)
    claims: Callable[[Address, str | None, Mapping[str, Any]], Iterable[tuple[str, str]]] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)


class WrongOption(ValueError):
    """What ``__post_init__`` of a tool's options raises to say which option is wrong.

    A plain ValueError does as well; it is shown at the mapping that the option is in.

    Args:
        message: what is wrong.
        option: its name as written in YAML, below the Struct that raises; ``a.b`` for one further down.
        suggestion: what would be right; empty where the message says it.
    """

    def __init__(self, message: str, option: str, *, suggestion: str = "") -> None:
        super().__init__(message)
        self.option = option
        self.suggestion = suggestion


def option(
    doc: str = "",
    *,
    secret: bool = False,
    immutable: bool = False,
    record_only: bool = False,
    argv: bool = False,
    plain: bool = False,
) -> msgspec.Meta:
    """Describe one option: ``Annotated[str, option("The branch.", immutable=True)]``.

    Args:
        doc: what it means, for the reference.
        secret: text written here in clear is treated as a secret too, and never recorded.
        immutable: a change means delete and create (REPLACE).
        record_only: a change is recorded and nothing is called (it only matters at the next operation).
        argv: the option ends up on a command line, so a secret in it is refused.
        plain: what it holds is no secret: an environment variable in it is read as plain text.
    """
    from msgspec import Meta

    flags = {
        "secret": secret,
        "immutable": immutable,
        "record_only": record_only,
        "argv": argv,
        "plain": plain,
    }
    return Meta(description=doc or None, extra={name: True for name, value in flags.items() if value})
