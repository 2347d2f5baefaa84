"""What users write above tools: an `App`, its pipelines, and the `PipelineTemplate` that several may share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.address import Address
    from devstream.model.origin import Origin
    from devstream.model.values import Value

__all__ = ["Treatment", "Pipeline", "PipelineTemplate", "App"]

T = TypeVar("T")


class Treatment(NamedTuple):
    """How a tool instance is to be treated, beside its options; None where it is not written.

    Attributes:
        timeout: seconds a hook may take.
        tags: words to select it by.

    The others mean what they mean in `ToolInstance`.
    """

    adopt: bool | None = None
    allow_delete: bool | None = None
    protect: bool | None = None
    retries: int | None = None
    timeout: float | None = None
    connection: str | None = None
    tags: tuple[str, ...] = ()

    def over(self, other: Treatment) -> Treatment:
        """Give the treatment that takes this one's fields where written, else the other's; tags unite."""
        return Treatment(
            adopt=_either(self.adopt, other.adopt),
            allow_delete=_either(self.allow_delete, other.allow_delete),
            protect=_either(self.protect, other.protect),
            retries=_either(self.retries, other.retries),
            timeout=_either(self.timeout, other.timeout),
            connection=_either(self.connection, other.connection),
            tags=tuple(dict.fromkeys((*other.tags, *self.tags))),
        )


def _either(first: T | None, second: T | None) -> T | None:
    return second if first is None else first


NO_TREATMENT = Treatment()


class Pipeline(NamedTuple):
    """One item under an app's ``ci`` or ``cd``.

    Attributes:
        kind: ``ci`` or ``cd``.
        type: the tool it becomes; None where a template says it.
        template: name of the pipeline template; None with a direct type.
        name: tells two of one type apart: the instanceID is ``<app>-<name>`` then.
        options: as written; rendered when the app is expanded, since ``vars`` are known in it.
        vars: rendered; known inside the template and the options.
        source: the item as written, for the places of its fields.
    """

    kind: str
    type: str | None
    template: str | None
    name: str | None
    options: Any
    vars: Mapping[str, Value]
    origin: Origin
    treatment: Treatment = NO_TREATMENT
    source: Any = None


class PipelineTemplate(NamedTuple):
    """A named set of options for one type of tool.

    Attributes:
        options: as written; rendered anew at every use, with that use's variables.
        source: the template as written, for the places of its fields.
    """

    name: str
    type: str
    options: Any
    origin: Origin
    treatment: Treatment = NO_TREATMENT
    source: Any = None


class App(NamedTuple):
    """A repository with its pipelines; it expands into tool instances.

    Attributes:
        spec: ``language``, ``framework`` and whatever else is written there.
        repo: the repository, with its name filled in; DevStream's names.
        repo_template: what the repository is made from, without ``vars``; None where nothing is made.
        template_vars: ``repoTemplate.vars``; None where not written.
        depends_on: None where not written: its tools wait for all of ``tools:`` then.
        source: the app as written, for the places of its fields.
    """

    name: str
    origin: Origin
    spec: Mapping[str, Value]
    repo: Mapping[str, Value]
    repo_template: Mapping[str, Value] | None = None
    template_vars: Value = None
    pipelines: tuple[Pipeline, ...] = ()
    depends_on: tuple[Address, ...] | None = None
    treatment: Treatment = NO_TREATMENT
    source: Any = None
