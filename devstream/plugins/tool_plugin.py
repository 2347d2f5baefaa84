"""`ToolPlugin`: everything the engine and the planner ask about one tool's plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import PluginError
from devstream.model.schema import ToolSchema, Traits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.errors import Diagnostic
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path, SecretRef, Value
    from devstream.plugins.options import OptionsSchema
    from devstream.plugins.tool_hooks import ToolHooks

__all__ = ["ToolPlugin"]

_NO_FLAGS: frozenset[str] = frozenset()


class ToolPlugin:
    """The plugin of one tool.

    Args:
        name: the tool's name, as the config has it.
        distribution: what provides it: a distribution, ``devstream``, or a file's name.
        version: of the distribution; empty where there is none.
        hooks: its five hooks.

    Raises:
        PluginError: its schema cannot be used.
    """

    def __init__(self, name: str, distribution: str, version: str, hooks: ToolHooks) -> None:
        self.name = name
        self.distribution = distribution
        self.version = version
        self.hooks = hooks
        self.schema = self._ask_schema()
        self._options = self._options_schema()
        self._implemented = Traits(
            can_read=hooks.implements("read"),
            can_update=hooks.implements("update"),
            can_delete=hooks.implements("delete"),
            can_integrate=hooks.implements("integrate"),
        )

    @property
    def adopts(self) -> bool:
        """True where an existing thing is taken over without ``adopt: true``."""
        return self.schema.adopts if self.schema else False

    @property
    def parallel(self) -> int | None:
        """How many of its operations may run at once; None means no limit of its own."""
        return self.schema.parallel if self.schema else None

    @property
    def options(self) -> OptionsSchema | None:
        """Its options, for documentation; None where it describes none."""
        return self._options

    def traits(self, options: Mapping[str, Any]) -> Traits:
        """Say what can be done with an instance that has these options.

        Raises:
            PluginError: the plugin's own answer fails.
        """
        if self.schema is None or self.schema.traits is None:
            return self._implemented
        try:
            said: object = self.schema.traits(options)
        except (Exception, SystemExit) as error:
            message = f"{self._owner} cannot tell its traits: {type(error).__name__}: {error}"
            raise PluginError(message, code="plugin-contract") from error
        if not isinstance(said, Traits):
            message = f"the traits of {self._owner} are given as {type(said).__name__}, not as Traits"
            raise PluginError(message, code="plugin-contract")
        return Traits(
            can_read=said.can_read and self._implemented.can_read,
            can_update=said.can_update and self._implemented.can_update,
            can_delete=said.can_delete and self._implemented.can_delete,
            can_integrate=said.can_integrate and self._implemented.can_integrate,
            repeatable=said.repeatable,
            integrates=said.integrates,
        )

    def check(self, instance: ToolInstance) -> list[Diagnostic]:
        """List every mistake and every warning about an instance's options, as far as they are known."""
        return self._options.check(instance) if self._options else []

    def claims(self, instance: ToolInstance) -> tuple[tuple[str, str], ...]:
        """Name what an instance keeps, and in whose name.

        Raises:
            PluginError: the plugin's own answer fails.
        """
        if self.schema is None or self.schema.claims is None:
            return ()
        try:
            return tuple(self.schema.claims(instance.address, instance.app, instance.options))
        except (Exception, SystemExit) as error:
            message = f"{self._owner} cannot tell what it keeps: {type(error).__name__}: {error}"
            raise PluginError(message, code="plugin-contract") from error

    def prepare(self, options: dict[str, Value], env: Callable[[SecretRef], str] | None) -> dict[str, Value]:
        """Bring options into the form they are compared and recorded in; what is wrong with them is for `check`.

        Text at an option marked secret becomes a `Secret` of the source ``literal``; an environment variable at a
        number or boolean becomes one (unless ``env`` is None).
        """
        return self._options.prepare(options, env) if self._options else options

    def convert(self, options: Mapping[str, Value]) -> Any:
        """Make what the hooks get: the schema's Struct, or a dict where there is no schema.

        Raises:
            OperationError: the options, now that all of them are known, do not fit.
        """
        return self._options.convert(options) if self._options else dict(options)

    def flags(self, path: Path) -> frozenset[str]:
        """Give the flags (secret, immutable, record_only, argv) of the option at a path."""
        return self._options.flags(path) if self._options else _NO_FLAGS

    @property
    def _owner(self) -> str:
        return f'tool "{self.name}" of {self.distribution}'

    def _ask_schema(self) -> ToolSchema | None:
        try:
            schema: object = self.hooks.schema(self.name)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{self._owner} fails to describe its options: {type(error).__name__}: {error}"
            raise PluginError(message, code="bad-schema") from error
        if schema is not None and not isinstance(schema, ToolSchema):
            message = (
                f"devstream_tool_schema of {self._owner} returned {type(schema).__name__}, not a ToolSchema"
            )
            raise PluginError(message, code="bad-schema")
        if schema is not None and schema.parallel is not None and schema.parallel < 1:
            message = (
                f"{self._owner} allows {schema.parallel} operations at once: at least 1, or None for no limit"
            )
            raise PluginError(message, code="bad-schema")
        return schema

    def _options_schema(self) -> OptionsSchema | None:
        if self.schema is None:
            return None
        from devstream.plugins.options import OptionsSchema

        return OptionsSchema(self.schema.options, self._owner)
