"""`StateSide`: the first steps of an invocation: load, expand, order, and whatever concerns the state alone.

Each step is a property or a method that does the steps before it when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstream.engine.emitter import Emitter
from devstream.engine.invocation import DEFAULT_PARALLELISM, Invocation
from devstream.errors import Diagnostic, OptionError, Severity
from devstream.model.events import Notice
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from devstream.config.model import Config
    from devstream.engine.expansion import Expanded
    from devstream.engine.ground import Ground
    from devstream.engine.secrets import SecretResolver
    from devstream.engine.workers import Workers
    from devstream.engine.workshop import Workshop
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.plan import Plan
    from devstream.model.redact import Redactor
    from devstream.model.seen import Seen
    from devstream.model.state import LeaseHolder, State
    from devstream.model.tool import StateLocation, ToolInstance
    from devstream.plugins.manager import PluginManager
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.manager import StateManager

__all__ = ["StateSide"]


class StateSide:
    """One invocation, as far as its config and its state: enough to look, and to edit what is recorded.

    Args:
        emit: is told what happens, from any thread, one event at a time.
        redactor: learns every secret that is looked up.
        wrap_backend: puts something around the state's backend; for tests that break it on purpose.
    """

    def __init__(
        self,
        invocation: Invocation,
        *,
        emit: Callable[[Event], None],
        redactor: Redactor,
        wrap_backend: Callable[[StateBackend], StateBackend] = lambda backend: backend,
    ) -> None:
        self._invocation = invocation
        self._emit = Emitter(emit, self._observe)
        self._redactor = redactor
        self._wrap_backend = wrap_backend

    # ---- config

    @cached_property
    def config(self) -> Config:
        """The config, checked but not expanded. Raises `ConfigError` with every mistake."""
        from devstream.config.load import BrokenConfig, ConfigInputs, load_config

        asked = self._invocation
        inputs = ConfigInputs(
            path=asked.config,
            cwd=asked.cwd,
            variables=asked.variables,
            var_files=asked.var_files,
            env=asked.environ,
            offline=asked.offline,
        )
        try:
            return load_config(inputs)
        except BrokenConfig as broken:
            from devstream.engine.expansion import every_mistake

            plugins = self._plugins_in(broken.config.settings.folder)
            raise every_mistake(broken, plugins, conceal=self._redactor.add) from None

    @cached_property
    def plugins(self) -> PluginManager:
        """The plugins that may be used; none is loaded yet."""
        asked = self._invocation
        alone = asked.bare or (asked.state_url is not None and not asked.local_plugins)
        return self._plugins_in(None if alone else self.folder)

    def _plugins_in(self, folder: Path | None) -> PluginManager:
        from devstream.plugins.manager import PluginManager

        asked = self._invocation
        return PluginManager(
            folder=folder,
            arguments=() if asked.bare else asked.saved.arguments if asked.saved else asked.plugins,
            environ=asked.environ,
            observers=not asked.bare,
            report=lambda diagnostic: self._emit.tell(Notice(diagnostic)),
        )

    @cached_property
    def _expanded(self) -> Expanded:
        from devstream.engine.expansion import expand_config

        secrets = None if self._invocation.offline else self.secrets
        return expand_config(self.config, self.plugins, secrets=secrets, conceal=self._redactor.add)

    @property
    def tools(self) -> tuple[ToolInstance, ...]:
        """Every tool instance of the config, expanded and checked."""
        return self._expanded.tools

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the user should know about the config."""
        return (*self.config.warnings, *self._expanded.warnings)

    @cached_property
    def graph(self) -> Graph[Any]:
        """What waits for what: addresses, and the barrier that stands for all of ``tools:``.

        Raises:
            ConfigError: tools wait for each other.
        """
        from devstream.engine.expansion import graph_of

        return graph_of(self.tools)

    # ---- state

    @property
    def folder(self) -> Path:
        """Where relative paths begin: the config's folder; without a config that of a local state, else ``cwd``."""
        return self._ground.folder

    @cached_property
    def _ground(self) -> Ground:
        from devstream.engine import ground

        asked = self._invocation
        if asked.saved is not None:
            return ground.of_saved_plan(asked.saved)
        if asked.state_url is None:
            return ground.of_config(self.config.settings)
        return ground.of_state_url(asked.state_url, asked.cwd)

    @cached_property
    def _manager(self) -> StateManager:
        from devstream.state.manager import StateManager

        return StateManager(self._opened(self._ground))

    def backend_at(self, url: str) -> StateBackend:
        """Open another place for the same state, with the same encryption.

        Raises:
            UsageError: the URL does not name a state.
        """
        from devstream.engine import ground

        return self._opened(ground.of_state_url(url, self._invocation.cwd))

    def _opened(self, where: Ground) -> StateBackend:
        """Open a place for a state."""
        factory = self.plugins.backend(where.state.backend, where.state.origin.mark)
        try:
            made = factory(where.state.options, where.state_base)
        except OptionError as error:
            from devstream.engine.locations import placed

            placed(error, where.state)
            raise
        return self.encrypting(self._wrap_backend(made))

    def encrypting(self, backend: StateBackend) -> StateBackend:
        """Put the encryption that is asked for around a backend; nothing where none is.

        Raises:
            PluginError: encryption needs a package that is not installed.
        """
        encryption = self.state_settings.encryption
        if encryption is None and not self._invocation.names_keys:
            return backend
        from devstream.engine.state_keys import KeyMaker, keyring
        from devstream.state.sealed_backend import sealed

        maker = KeyMaker(
            folder=self.folder,
            environ=self._invocation.environ,
            secret=self.secrets,
            conceal=self._redactor.add,
            warn=lambda diagnostic: self._emit.tell(Notice(diagnostic)),
            runs_commands=not self._invocation.bare,
        )
        return sealed(backend, keyring(maker, encryption, self._invocation))

    def _as_told(self, plan: Plan) -> Plan:
        """Give a plan as events carry it: without the secret outputs that an encrypted state holds."""
        if not getattr(self.backend, "seals", False):
            return plan
        from devstream.engine.recording import without_secret_outputs

        return without_secret_outputs(plan)

    def _learn_secrets(self, state: State) -> bool:
        """Tell whether the state is encrypted; what is secret in it is masked from then on."""
        if not getattr(self.backend, "seals", False):
            return False
        from devstream.model.recorded import recorded_texts

        for entry in state.tools.values():
            for text in recorded_texts(entry.outputs):
                self._redactor.add(text)
        return True

    @property
    def state_settings(self) -> StateLocation:
        """Which backend has the state, and its options."""
        return self._ground.state

    @property
    def state_location(self) -> str:
        """Where the state is, for people and for ``--state``."""
        return self._manager.location

    def read_state(self) -> State:
        """Read the state, without a lease and without writing anything."""
        return self._manager.read()

    def make_state(self) -> bool:
        """Write the first, empty state where there is none yet; tells whether that was so.

        Raises:
            LeaseError: somebody else is running.
            StateError: what is there cannot be used, or nothing can be written there.
        """
        self._tell_cautions()
        if self.read_state().lineage:
            return False
        timeout = self._invocation.lock_timeout
        with self._manager.acquire(self._holder, timeout=timeout, notice=self._tell_who):
            return True

    def look(self, propose: Propose) -> Proposal:
        """Say what would be recorded, without a lease and without writing anything."""
        return propose(self.backend)

    def edit(
        self, propose: Propose, approve: Callable[[Proposal], None], *, breaking: bool = False
    ) -> Proposal:
        """Record something without touching the world, under the lease.

        Args:
            approve: is shown what is about to be written; raises to prevent it.
            breaking: a lease that lives in the head is not waited for; it ends with what is written.

        Raises:
            LeaseError: somebody else is running.
            StateError: nothing was changed.
        """
        self._tell_cautions()
        return self._manager.edit(
            propose,
            self._holder,
            timeout=self._invocation.lock_timeout,
            notice=self._tell_who,
            approve=approve,
            breaking=breaking,
        )

    @property
    def backend(self) -> StateBackend:
        """Where the state's bytes are."""
        return self._manager.backend

    def look_at(
        self, state: State, addresses: Collection[Address], *, thorough: bool = False
    ) -> tuple[Seen, ...]:
        """Ask `read` about tools that are recorded; changes nothing and records nothing."""
        from devstream.engine.looking import look_at
        from devstream.engine.signals import leaves_in_order

        with leaves_in_order(self._workshop.children.kill):
            reads = self._workshop.reads
            return look_at(state, addresses, provider=self.plugins.tool, reads=reads, thorough=thorough)

    def _tell_cautions(self) -> None:
        """Say what to be careful about where the state is kept, before something is recorded there."""
        from devstream.state.backend import cautions_of

        for caution in cautions_of(self.backend):
            self._emit(Notice(replace(caution, severity=Severity.WARNING)))

    def _tell_who(self, holder: LeaseHolder) -> None:
        self._emit(Notice(Diagnostic(f"waiting for {holder}", "lease-held", Severity.WARNING)))

    # ---- what the steps share

    @cached_property
    def _workshop(self) -> Workshop:
        from devstream.engine.workshop import Workshop

        asked = self._invocation
        return Workshop(
            command=asked.command,
            environ=asked.environ,
            plugins=self.plugins,
            folder=self.folder,
            workers=lambda: self._workers,
            emit=self._emit,
            redactor=self._redactor,
        )

    @property
    def secrets(self) -> SecretResolver:
        """Where secrets get their text."""
        return self._workshop.secrets

    @property
    def holder(self) -> LeaseHolder:
        """This process and its command, as it is recorded."""
        return self._workshop.holder

    @property
    def _holder(self) -> LeaseHolder:
        return self._workshop.holder

    @cached_property
    def _workers(self) -> Workers:
        from devstream.engine.workers import Workers

        return Workers(self._parallelism)

    @property
    def _parallelism(self) -> int:
        return self._invocation.parallelism or self._ground.parallelism or DEFAULT_PARALLELISM

    def _observe(self, event: Event) -> None:
        self.plugins.emit(event)
