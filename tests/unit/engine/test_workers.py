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


def test_a_worker_finds_its_next_call_without_being_told() -> None:
    workers = Workers(2)
    ran: list[str] = []
    for number in range(workers.room):
        workers.submit(number, lambda _: ran.append(threading.current_thread().name), timeout=5)
    assert workers.room == 0
    assert workers.idle == -2
    for _ in range(4):
        workers.wait()
    assert len(ran) == 4
    assert workers.idle == 2


def test_calls_that_are_over_at_once_wake_one_thread_and_not_all() -> None:
    workers = Workers(50)
    for number in range(200):
        workers.submit(number, lambda _: None, timeout=5)
    for _ in range(200):
        assert workers.wait().error is None
    assert workers._threads < 50, "threads are started only where calls do not come back by themselves"


def test_calls_that_wait_run_all_at_once() -> None:
    """Each thread that took a call has woken the next, so that the last one may let all of them go."""
    workers = Workers(20)
    gate = threading.Barrier(20)
    for number in range(20):
        workers.submit(number, lambda _: gate.wait(10), timeout=20)
    assert all(workers.wait().error is None for _ in range(20))


def test_what_has_not_started_is_taken_back() -> None:
    workers = Workers(1)
    started, release = threading.Event(), threading.Event()

    def hold(_: Cancellation) -> None:
        started.set()
        release.wait(10)

    workers.submit("first", hold, timeout=20)
    assert started.wait(10)
    for key in ("second", "third"):
        workers.submit(key, lambda _: None, timeout=20)
    assert workers.revoke() == ["second", "third"]
    assert workers.idle == 0
    release.set()
    assert workers.wait() == Finished("first")
    workers.submit("fourth", lambda _: "ran", timeout=5)
    assert workers.wait() == Finished("fourth", "ran")


def test_the_time_limit_counts_from_the_start_of_a_call() -> None:
    workers = Workers(1)
    workers.submit("slow", lambda cancellation: cancellation.wait(0.2), timeout=20)
    workers.submit("quick", lambda cancellation: cancellation.requested, timeout=0.1)
    assert workers.wait() == Finished("slow", value=False)
    assert workers.wait() == Finished("quick", value=False)


def test_calls_behind_one_that_hangs_go_on_elsewhere() -> None:
    workers = Workers(1, patience=0.02)
    release = threading.Event()
    workers.submit("deaf", lambda _: release.wait(10), timeout=0.01)
    workers.submit("next", lambda _: "ran", timeout=5)
    assert workers.wait() == Abandoned("deaf", "took too long")
    assert workers.wait() == Finished("next", "ran")
    release.set()


def test_a_call_that_is_cancelled_before_it_starts_hears_of_it() -> None:
    workers = Workers(1, patience=5)
    started = threading.Event()

    def hold(cancellation: Cancellation) -> bool:
        started.set()
        return cancellation.wait(10)

    workers.submit("first", hold, timeout=20)
    workers.submit("second", hold, timeout=20)
    assert started.wait(10)
    workers.cancel_all("stopping")
    assert [workers.wait().value, workers.wait().value] == [True, True]


def test_closed_workers_finish_what_there_is_and_let_their_threads_go() -> None:
    seen: list[threading.Thread] = []

    def call(_: Cancellation) -> None:
        seen.append(threading.current_thread())

    workers = Workers(2)
    workers.submit("before", call, timeout=5)
    workers.wait()
    workers.close()
    workers.submit("after", call, timeout=5)
    assert workers.wait().key == "after"
    for thread in seen:
        thread.join(10)
        assert not thread.is_alive()
