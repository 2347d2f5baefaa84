"""A swap ends in certainty, whatever a backend answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from devstream.errors import (
    CredentialsError,
    Refusal,
    StateConflictError,
    StateDamagedError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
)
from devstream.model.state import Put, PutReason
from devstream.state.head import RECENT, encode_head, first_head, new_id
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.state.swap import Swapper
from devstream.testing.backends import MemoryBackend, tool_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.state.backend import Head


class Time:
    """Time that passes only when somebody sleeps; what is due happens then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for when, action in [item for item in self.due if item[0] <= self.now]:
            self.due.remove((when, action))
            action()


class Faulty(MemoryBackend):
    """Answers swaps as it is told, one word a swap, then rightly."""

    def __init__(self, time: Time, script: list[str]) -> None:
        super().__init__()
        self.time = time
        self.script = script
        self.sent: list[tuple[bytes, str | None]] = []
        self.between: Callable[[], None] = lambda: None

    def swap_head(self, data: bytes, expected: str | None) -> str:
        self.sent.append((data, expected))
        word = self.script.pop(0) if self.script else "right"
        if word == "late":
            self.time.due.append((self.time.now + 2.5, lambda: self._late(data, expected)))
            raise SwapUnsettled("timed out")
        if word.startswith("lost"):
            super().swap_head(data, expected)
            self.between()
            raise {"lost": SwapUnsettled("dropped"), "lost conflict": StateConflictError("412")}.get(
                word, RuntimeError("a library's own error")
            )
        if word == "nothing":
            raise SwapUnsettled("dropped")
        if word in list(Refusal):
            raise SwapRefused("no", Refusal(word))
        if word == "gone":
            raise StateUnreachableError("no answer")
        return super().swap_head(data, expected)

    def _late(self, data: bytes, expected: str | None) -> None:
        try:
            super().swap_head(data, expected)
        except StateConflictError:
            return


class Scene:
    """A head in a faulty backend, and the head that is to replace it."""

    def __init__(self, *script: str) -> None:
        self.time = Time()
        self.backend = Faulty(self.time, [])
        self.old = first_head("then")
        self.version = self.backend.swap_head(encode_head(self.old), None)
        self.backend.sent.clear()
        self.backend.script = list(script)
        self.write_id, self.data = self.head_after(self.old.write_id)
        self.swapper = Swapper(self.backend, monotonic=self.time.monotonic, sleep=self.time.sleep)

    def head_after(self, *recent: str) -> tuple[str, bytes]:
        from msgspec.structs import replace

        write_id = new_id()
        head = replace(self.old, write_id=write_id, recent=recent, serial=self.old.serial + len(recent))
        return write_id, encode_head(head)

    def somebody_writes(self, *recent: str) -> None:
        _, data = self.head_after(*recent)
        MemoryBackend.swap_head(self.backend, data, self.head.version)

    @property
    def head(self) -> Head:
        head = self.backend.read_head()
        assert head is not None
        return head

    @property
    def stored(self) -> bool:
        return self.head.data == self.data


def swap(scene: Scene) -> tuple[bool, str]:
    swapped = scene.swapper.swap(scene.data, scene.write_id, scene.version)
    return swapped.overtaken, swapped.version


COMMITTED = {
    "right": 1,
    "lost": 1,
    "lost conflict": 1,
    "lost defect": 1,
    "nothing": 2,
    "late": 2,
}


@pytest.mark.parametrize("word", COMMITTED)
def test_it_is_stored_once_whatever_the_answer(word: str) -> None:
    scene = Scene(word)
    overtaken, version = swap(scene)
    assert (overtaken, version) == (False, scene.head.version)
    assert scene.stored
    assert len(scene.backend.sent) == COMMITTED[word]
    assert set(scene.backend.sent) == {(scene.data, scene.version)}
    scene.time.sleep(10)  # a late request lands now, and loses
    assert scene.head.version == version


def test_back_off_doubles() -> None:
    scene = Scene(*["nothing"] * 5)
    swap(scene)
    assert scene.time.now == pytest.approx(0.02 + 0.04 + 0.08 + 0.16 + 0.32)


def test_settling_ends_after_a_minute() -> None:
    scene = Scene(*["nothing"] * 100)
    with pytest.raises(StateUnreachableError, match="does not say") as caught:
        swap(scene)
    assert caught.value.diagnostic.code == "swap-unsettled"
    assert 30 < scene.time.now <= 60
    assert not scene.stored


def test_stored_and_overtaken() -> None:
    scene = Scene("lost")
    scene.backend.between = lambda: scene.somebody_writes(scene.write_id, scene.old.write_id)
    overtaken, version = swap(scene)
    assert overtaken
    assert version == scene.head.version
    assert not scene.stored


@pytest.mark.parametrize("word", ["right", "nothing", "late"])
def test_somebody_was_first(word: str) -> None:
    scene = Scene(word)
    scene.somebody_writes(scene.old.write_id)
    with pytest.raises(StateConflictError, match="somebody else has changed the state memory://tests"):
        swap(scene)
    scene.time.sleep(10)
    assert not scene.stored


def test_a_state_that_was_removed_is_a_conflict() -> None:
    scene = Scene("right")
    scene.backend.store.head = None
    with pytest.raises(StateConflictError, match="has been removed"):
        swap(scene)
    assert scene.backend.read_head() is None


def test_a_state_that_was_garbled_is_said_so() -> None:
    scene = Scene("nothing")
    MemoryBackend.swap_head(scene.backend, b"", scene.version)
    with pytest.raises(StateDamagedError):
        swap(scene)


@pytest.mark.parametrize("refusal", Refusal)
def test_refusals_are_believed_after_one_look(refusal: Refusal) -> None:
    scene = Scene(refusal.value)
    with pytest.raises(SwapRefused) as caught:
        swap(scene)
    assert caught.value.exit_code == (7 if refusal in {Refusal.CREDENTIALS, Refusal.FORBIDDEN} else 6)
    assert len(scene.backend.sent) == 1


def test_unreachable_is_believed() -> None:
    scene = Scene("gone")
    with pytest.raises(StateUnreachableError, match="no answer"):
        swap(scene)
    assert len(scene.backend.sent) == 1


def test_a_read_back_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("lost")
    answers: list[Exception] = [StateUnreachableError("no answer"), StateUnreachableError("no answer")]
    read = scene.backend.read_head

    def read_head() -> Head | None:
        if answers:
            raise answers.pop()
        return read()

    monkeypatch.setattr(scene.backend, "read_head", read_head)
    assert swap(scene) == (False, scene.head.version)


def test_credentials_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("credentials")

    def read_head() -> Head | None:
        raise CredentialsError("expired")

    monkeypatch.setattr(scene.backend, "read_head", read_head)
    with pytest.raises(CredentialsError):
        swap(scene)
    assert scene.time.now == 0


def test_credentials_that_end_while_a_swap_is_open_are_told_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first request may still land: nothing is said to have failed before that is over."""
    scene = Scene("late", *["credentials"] * 100)
    read, answers = scene.backend.read_head, [CredentialsError("expired")] * 3

    def read_head() -> Head | None:
        if answers:
            raise answers.pop()
        return read()

    monkeypatch.setattr(scene.backend, "read_head", read_head)
    assert swap(scene) == (False, scene.head.version)
    assert scene.time.now > 2.5

    scene = Scene("nothing", *["credentials"] * 100)
    with pytest.raises(SwapRefused) as caught:
        swap(scene)
    assert caught.value.exit_code == 7
    assert scene.time.now > 30


@pytest.mark.parametrize(("others", "code"), [(RECENT, "state-conflict"), (RECENT + 1, "swap-unsettled")])
def test_a_head_remembers_only_so_many_writers(others: int, code: str) -> None:
    scene = Scene("lost")
    ids = [new_id() for _ in range(others)]

    def many_write() -> None:
        for number in range(1, others + 1):
            head = msgspec.structs.replace(
                scene.old, write_id=ids[number - 1], serial=scene.old.serial + 1 + number, recent=()
            )
            MemoryBackend.swap_head(scene.backend, encode_head(head), scene.head.version)

    scene.backend.between = many_write
    with pytest.raises(StateConflictError) as caught:
        swap(scene)
    assert caught.value.diagnostic.code == code


def test_a_run_under_faults_loses_nothing_and_invents_nothing() -> None:
    time = Time()
    words = ["lost", "nothing", "late", "lost conflict", "lost defect", "right", "right"]
    backend = Faulty(time, [])
    manager = StateManager(backend, monotonic=time.monotonic, sleep=time.sleep)
    acknowledged: list[str] = []
    with manager.acquire(this_process("run", "tests"), timeout=1, notice=lambda _: None) as writer:
        for number in range(60):
            backend.script = [words[number % len(words)]]
            tool = tool_state(f"t{number}")
            name = str(tool.address)
            writer.record(
                Put(tool.address, tool, PutReason.EDITED),
                done=lambda error, name=name: acknowledged.append(name) if error is None else None,  # type: ignore[misc]
            )
            writer.flush()
    head = backend.read_head()
    assert head is not None
    assert len(acknowledged) == 60
    assert [str(address) for address in manager.read().tools] == acknowledged
    assert decode_head(head.data, "here").lease is None
