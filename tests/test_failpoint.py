"""A manager killed at each exact stage of a commit and of a recovery: what was answered is there, once, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from papertiger_shm import AlreadyExists, Connection, Events, InvalidRequest, Manager, ManagerUnavailable, connect
from papertiger_shm.engine import Memory
from papertiger_shm.shm import failpoint
from patience import set_timeout
from torture.waiting import eventually

SIZE = "16 MiB"
COMMIT_STAGES = [stage for stage in failpoint.COMMIT_STAGES if stage != "epoch-moved"]
SECONDS = 30.0


@pytest.fixture(autouse=True)
def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(failpoint.VARIABLE, raising=False)


def started(monkeypatch: pytest.MonkeyPatch, told: str, **options: Any) -> Manager:
    """A manager that is to die as told; those after it are not."""
    with monkeypatch.context() as environment:
        environment.setenv(failpoint.VARIABLE, told)
        return Manager(max_size=SIZE, **options).start()


@pytest.fixture
def generation(request: pytest.FixtureRequest) -> Iterator[Any]:
    connections: list[Connection] = []

    def of(url: str) -> int:
        if not connections:
            connections.append(connect(url, timeout=SECONDS))
        found: int = connections[0].stats()["generation"]
        return found

    yield of
    for connection in connections:
        connection.close()


def leave_a_second_insert_unanswered(dying: Manager) -> None:
    """Through one connection: one that goes is forgotten in a commit of its own, which would be the second."""
    with connect(dying.url, timeout=SECONDS) as connection:
        events = Events(connection)
        events.insert({"id": "evt_1", "created": 1})
        set_timeout(connection._backend, 0.5)
        with pytest.raises(ManagerUnavailable):
            events.insert_new({"id": "evt_2", "created": 2})
    eventually(lambda: has_died(dying), "the death")


def has_died(manager: Manager) -> bool:
    """Whether its owner knows."""
    try:
        return not manager.pid
    except InvalidRequest:
        return True


@pytest.mark.parametrize("stage", COMMIT_STAGES)
def test_killed_at_a_stage_of_a_commit(stage: str, monkeypatch: pytest.MonkeyPatch, generation: Any) -> None:
    with started(monkeypatch, f"{stage}:3") as manager, connect(manager.url, timeout=SECONDS) as connection:
        first = manager.pid
        events = Events(connection)
        events.insert_many([{"id": f"evt_{number}", "type": "a", "created": number, "n": 0} for number in range(5)])
        for _ in range(20):
            events.increment("evt_1", "n")
            events.insert_new({"type": "b", "created": 9})
            with events.transaction():
                events.increment("evt_2", "n")
                events.increment("evt_3", "n")
        assert connection.stats()["writer_pid"] != first
        assert generation(manager.url) == 2
        assert [item["n"] for item in events.get_many(["evt_1", "evt_2", "evt_3"])] == [20, 20, 20]
        assert (len(events.find_by_type("b")), events.count()) == (20, 25)
        connection.verify()


@pytest.mark.parametrize("stage", COMMIT_STAGES)
def test_a_commit_has_happened_from_the_journal_pointer_on(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(monkeypatch, f"{stage}:2", restart=False) as dying:
        leave_a_second_insert_unanswered(dying)
        with Manager(dying.name, max_size=SIZE) as heir, heir.connect() as connection:
            events = Events(connection)
            assert "evt_1" in events
            assert ("evt_2" in events) is (stage != "journal-written")
            connection.verify()


def test_the_count_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with started(monkeypatch, "journal-set:4") as manager, connect(manager.url, timeout=SECONDS) as connection:
        first = manager.pid
        events = Events(connection)
        for number in range(3):
            events.insert({"id": f"evt_{number}"})
        assert manager.pid == first
        events.insert({"id": "evt_3"})
        assert connection.stats()["writer_pid"] != first
        assert events.count() == 4


def test_killed_as_the_epoch_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    with started(monkeypatch, "epoch-moved") as manager, connect(manager.url, timeout=SECONDS) as connection:
        events = Events(connection)
        for round in range(6):
            events.insert_many([{"id": f"evt_{number}", "text": "x" * 500, "round": round} for number in range(200)])
        assert connection.stats()["generation"] == 2
        assert {item["round"] for item in events} == {5}
        assert events.count() == 200
        connection.verify()


@pytest.mark.parametrize("stage", failpoint.RECOVERY_STAGES)
@pytest.mark.parametrize("before", ["journal-set", "changes-half", "sequences-even"])
def test_killed_while_recovering(stage: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(monkeypatch, f"{before}:2", restart=False) as dying:
        leave_a_second_insert_unanswered(dying)
        # Once a recovery has got to its end there is no commit left to be finished, and the next one just opens.
        for _ in range(1 if stage == "recovery-done" else 3):
            with (
                pytest.raises(ManagerUnavailable, match="ended before it was ready"),
                monkeypatch.context() as environment,
            ):
                environment.setenv(failpoint.VARIABLE, stage)
                Manager(dying.name, max_size=SIZE).start()
        with Manager(dying.name, max_size=SIZE) as heir, heir.connect() as connection:
            assert [item["id"] for item in Events(connection)] == ["evt_2", "evt_1"]
            connection.verify()
            assert connection.stats()["generation"] == 2


def test_an_owner_goes_on_until_a_recovery_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    with started(monkeypatch, "changes-half:2") as manager, connect(manager.url, timeout=SECONDS) as connection:
        events = Events(connection)
        with connect(manager.url, timeout=SECONDS) as hasty, monkeypatch.context() as environment:
            Events(hasty).insert({"id": "evt_1", "n": 1})
            environment.setenv(failpoint.VARIABLE, "recovery-half")
            set_timeout(hasty._backend, 0.5)
            with pytest.raises(ManagerUnavailable):
                Events(hasty).increment("evt_1", "n")
            eventually(lambda: has_failed_to_restart(manager), "a recovery that fails")
        events.increment("evt_1", "n")
        assert events["evt_1"]["n"] == 3
        connection.verify()


def has_failed_to_restart(manager: Manager) -> bool:
    """The owner says so when it is asked for a connection, until an attempt succeeds."""
    try:
        manager.connect().close()
    except ManagerUnavailable as refusal:
        return "could not be restarted" in str(refusal)
    return False


@pytest.mark.parametrize("stage", failpoint.RECOVERY_STAGES)
def test_without_a_commit_to_finish_no_recovery_stage_is_reached(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoint.VARIABLE, stage)
    with Manager(max_size=SIZE) as manager, manager.connect() as connection:
        Events(connection).insert({"id": "evt_1"})
        assert connection.stats()["generation"] == 1


@pytest.mark.parametrize(
    "told", ["nowhere", "journal-set:", "journal-set:0", "journal-set:-1", "journal-set:x", ":1", "journal-set:²"]
)
def test_a_stage_that_does_not_exist_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoint.VARIABLE, told)
    with pytest.raises(InvalidRequest, match=r"PAPERTIGER_FAILPOINT is .*unset it.*journal-written"):
        Manager(max_size=SIZE).start()


def test_a_name_is_free_again_after_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(failpoint.VARIABLE, "nowhere")
        with pytest.raises(InvalidRequest):
            Manager("refused", max_size=SIZE).start()
    with Manager("refused", max_size=SIZE), pytest.raises(AlreadyExists):
        Manager("refused", max_size=SIZE).start()


@pytest.mark.parametrize("told", [None, ""])
def test_nothing_is_asked_for_by_default(told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if told is not None:
        monkeypatch.setenv(failpoint.VARIABLE, told)
    assert failpoint.asked() is None


def test_only_what_is_asked_for_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(bytearray(1024))
    monkeypatch.setenv(failpoint.VARIABLE, "journal-set:7")
    asked = failpoint.asked()
    assert asked is not None
    assert type(memory.words) is memoryview
    asked.watch(memory)
    assert type(memory.words) is not memoryview
    memory.words[3] = 8
    assert (memory.words[3], memory.words[2:4].tolist(), len(memory.words)) == (8, [0, 8], 128)
    memory.release()
