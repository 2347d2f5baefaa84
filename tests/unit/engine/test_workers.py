from __future__ import annotations

import threading

import pytest

from devstream.engine.workers import Abandoned, Cancellation, Finished, Workers


def test_a_call_comes_back_with_its_value_or_its_error() -> None:
    workers = Workers(2)

    def fail(_: Cancellation) -> None:
        raise KeyError("x")

    workers.submit("good", lambda _: 42, timeout=5)
    workers.submit("bad", fail, timeout=5)
    answers = {message.key: message for message in (workers.wait(), workers.wait())}
    assert answers["good"] == Finished("good", 42)
    assert isinstance(answers["bad"].error, KeyError)
    assert workers.idle == 2


def test_at_most_so_many_run_at_once() -> None:
    workers = Workers(3)
    lock = threading.Lock()
    running = peak = 0
    gate = threading.Barrier(3)

    def call(_: Cancellation) -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        gate.wait(5)
        with lock:
            running -= 1

    for number in range(9):
        workers.submit(number, call, timeout=10)
    for _ in range(9):
        assert workers.wait().error is None
    assert peak == 3


def test_a_call_that_takes_too_long_is_told_so_and_may_still_answer() -> None:
    workers = Workers(1)

    def call(cancellation: Cancellation) -> str:
        assert cancellation.wait(5)
        return cancellation.reason

    workers.submit("slow", call, timeout=0.01)
    assert workers.wait() == Finished("slow", "took too long")


def test_a_call_that_does_not_listen_is_abandoned_and_its_place_is_free_again() -> None:
    workers = Workers(1, patience=0.02)
    release = threading.Event()
    workers.submit("deaf", lambda _: release.wait(10), timeout=0.01)
    assert workers.wait() == Abandoned("deaf", "took too long")
    workers.submit("next", lambda _: "ran", timeout=5)
    assert workers.wait() == Finished("next", "ran")
    release.set()
    workers.submit("later", lambda _: "ran", timeout=5)
    assert workers.wait() == Finished("later", "ran"), (
        "the late answer of the abandoned call must not be heard"
    )


def test_cancel_all_reaches_every_call_and_posts_are_heard() -> None:
    workers = Workers(2)
    for key in ("a", "b"):
        workers.submit(key, lambda cancellation: cancellation.wait(5), timeout=10)
    workers.post("hello")
    assert workers.wait() == "hello"
    workers.cancel_all("stopping")
    assert {workers.wait().value, workers.wait().value} == {True}


@pytest.mark.parametrize("reasons", [("first", "second")])
def test_the_first_reason_stays(reasons: tuple[str, str]) -> None:
    cancellation = Cancellation()
    for reason in reasons:
        cancellation.cancel(reason)
    assert cancellation.reason == "first"
