"""The shared values that one worker has: got for its first test that needs them, let go when its last has run.

Between pytest's fixtures on one side and the run's ownership of values on the other. What a worker does besides never
enters here.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from papertiger_shm.errors import InvalidItem, InvalidRequest
from papertiger_shm.testing.declaration import Call, Declaration, SharedFixtureWarning, declaration_of
from papertiger_shm.testing.dependencies import parametrised_dependency, shared_in
from papertiger_shm.testing.failure import described, raise_again
from papertiger_shm.testing.making import Making, Request
from papertiger_shm.testing.ownership import FAILED, SETTING_UP, Ownership, Record, Wanted, value_id_of
from papertiger_shm.testing.participant import Participant

if TYPE_CHECKING:
    from papertiger_shm.testing.worker import Worker

__all__ = ["Holdings"]

UNTOLD: Final = "the end of a shared fixture could not be told"


@dataclass(eq=False)
class Held:
    """One value that this worker has."""

    key: str
    record: Record
    give: Callable[[], Any]
    making: Making | None
    waited: float
    uses: int = 0


class Answer:
    """What pytest remembers of a session fixture: value, cache key and error; but the value is this test's own.

    pytest keeps a triple and does not tell when it takes the value from it, which a test may have it do by name.
    """

    __slots__ = ("_held", "_key", "_used", "_value")

    def __init__(self, key: object, held: Held, used: dict[str, Held]) -> None:
        self._key = key
        self._held = held
        self._used = used
        self._value: tuple[Any, ...] = ()

    def prepare(self) -> None:
        """Have the value ready."""
        self._used[self._held.key] = self._held
        self._value = (self._held.give(),)

    def __getitem__(self, place: int) -> Any:
        if place:
            return self._key if place == 1 else None
        if not self._value:
            self.prepare()
        return self._value[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(3))


class Holdings:
    """The shared values of one worker."""

    def __init__(self, participant: Participant, ownership: Ownership, worker: Worker) -> None:
        self._participant = participant
        self._ownership = ownership
        self._worker = worker
        self._held: dict[str, Held] = {}
        self._given: dict[Any, tuple[Held, Any]] = {}  # fixture definition -> what it gave last, and to which request
        self._used: dict[str, Held] = {}  # by the test that runs

    # --- getting ------------------------------------------------------------------------------------------------

    def value(self, call: Call) -> Any:
        """The value that pytest asks for: got, or set up, if this worker does not have it yet."""
        __tracebackhide__ = True
        wanted = self._wanted(call)
        held = self._held.get(wanted.key)
        if held is None or not self._ownership.is_current(held.record):
            held = self._get(wanted, call)
        self._given[call.request._fixturedef] = held, call.request
        self._used[wanted.key] = held
        return held.give()

    def _get(self, wanted: Wanted, call: Call) -> Held:
        __tracebackhide__ = True
        began = time.monotonic()
        try:
            record = self._ownership.obtain(wanted, self._show)
        finally:
            self._worker.waited()
        waited = time.monotonic() - began
        if record["state"] == FAILED:
            raise_again(record)
        making = None
        if record["state"] == SETTING_UP:
            waited, making = 0.0, Making()
            record = self._set_up(record, making, call)
        key = wanted.key
        held = Held(key, record, self._giver(record, call.declaration), making, waited)
        self._held[key] = held
        self._tell_uses(held)
        # Not pytest's end of the fixture, which comes with each change of a parameter: that of all tests. What the
        # set-up needed was asked for before, and so goes after it. A value that takes the place of a dead owner's gets
        # an end of its own, at its own place in the order: only so can no two workers wait for each other there.
        call.request.session.addfinalizer(lambda: self._let_go(held))
        if making is not None:
            self._go_before_foundations(held, making, call.request.session)
        return held

    def _go_before_foundations(self, held: Held, making: Making, session: pytest.Session) -> None:
        """Let go of it at the latest when an ordinary fixture that it stands on ends with the session.

        With pytest 7.4 that may be earlier than our own end: it gives a fixture another one with each request for it.
        """

        def ends() -> None:
            if session not in session._setupstate.stack:  # else it is one that pytest sets up again
                self._let_go(held)

        for definition in making.foundations:
            if declaration_of(definition) is None:
                definition.addfinalizer(ends)

    def _show(self, record: Record, seconds: float) -> None:
        self._worker.show_waiting(
            f"the shared fixture {record['name']!r}, {record['state']} by {record['by']}", seconds
        )

    def _set_up(self, record: Record, making: Making, call: Call) -> Record:
        __tracebackhide__ = True
        began = time.monotonic()
        try:
            value = making.run(call.declaration.function, _arguments(call, making))
            stored = call.declaration.packed(value)
            return self._publish(record, stored, making, time.monotonic() - began)
        except KeyboardInterrupt:
            try:
                making.undo()
            finally:  # not before: whoever tries next may need what this one had taken
                self._ownership.give_up(record)
            raise
        except BaseException as error:
            try:
                self._ownership.fail(record, described(error), time.monotonic() - began)
            finally:
                making.undo()
            raise

    def _publish(self, record: Record, stored: Any, making: Making, seconds: float) -> Record:
        __tracebackhide__ = True
        try:
            return self._ownership.publish(record, stored, seconds, to_undo=making.has_to_undo)
        except InvalidItem as problem:
            raise InvalidItem(
                f"the shared fixture {record['name']!r} gave a value that cannot be shared: {problem}; give plain "
                "data, or declare it with shared_fixture(serializer='dill')"
            ) from None

    def _giver(self, record: Record, declaration: Declaration) -> Callable[[], Any]:
        """Gives the value as a test gets it: a fresh one each time, or one for all that cannot be changed."""
        value_id = value_id_of(record)
        if declaration.frozen:
            frozen = declaration.handed_out(self._ownership.value(value_id))
            return lambda: frozen
        return lambda: declaration.handed_out(self._ownership.value(value_id))

    # --- test by test -------------------------------------------------------------------------------------------

    def before_test(self, item: pytest.Item) -> None:
        """Have pytest, which keeps a session fixture's value, give this test a fresh one."""
        self._used.clear()
        foreseen = {*shared_in(item)}
        for definition, (held, request) in self._given.items():
            if not definition.cached_result or definition.cached_result[2] is not None:
                continue
            if not self._ownership.is_current(held.record):
                # With it goes whatever this worker made from the value; both are made anew where they are needed.
                definition.finish(request)
                continue
            answer = Answer(definition.cached_result[1], held, self._used)
            if definition in foreseen and _asks_for_the_same(item, definition.argname, request):
                # Here rather than when it is asked for, which makes that as quick as for any session fixture.
                answer.prepare()
            definition.cached_result = answer

    def after_test(self, item: pytest.Item) -> None:
        """Count the uses, and warn of values whose owner died meanwhile."""
        for held in self._used.values():
            held.uses += 1
            self._tell_uses(held)
            if not self._ownership.is_current(held.record):
                warnings.warn_explicit(
                    f"the shared fixture {held.record['name']!r} was set up by {held.record['owner']}, which died "
                    f"while {item.nodeid} used its value; the next test that needs it sets it up again",
                    SharedFixtureWarning,
                    filename=str(item.path),
                    lineno=(item.location[1] or 0) + 1,
                )
        self._used.clear()

    # --- letting go ---------------------------------------------------------------------------------------------

    def let_go(self) -> None:
        """Let go of what is left: nothing, but where a plugin that runs tests again threw pytest's finalizers away."""
        for held in reversed([*self._held.values()]):
            self._let_go(held)

    def _let_go(self, held: Held) -> None:
        """This worker's tests have run, and everything in it that was made from the value is gone."""
        self._worker.end_tests()
        if self._held.get(held.key) is not held:  # another has taken its place
            return
        del self._held[held.key]
        try:
            if held.making is not None and self._ownership.is_mine(held.record):
                self._tear_down(held)
        finally:
            with self._worker.telling(UNTOLD):
                self._tell_uses(held, released=True)

    def _tell_uses(self, held: Held, *, released: bool = False) -> None:
        value_id = value_id_of(held.record)
        self._participant.hold(value_id, uses=held.uses, waited=held.waited, released=released)

    def _tear_down(self, held: Held) -> None:
        assert held.making is not None
        try:
            with self._worker.telling(UNTOLD):
                self._wait_until_unneeded(held)
        finally:  # also where Ctrl-C ended the wait
            with self._worker.telling(UNTOLD):
                self._ownership.begin_tear_down(held.record)
            try:
                held.making.undo()
            finally:
                with self._worker.telling(UNTOLD):
                    self._ownership.end_tear_down(held.record)

    def _wait_until_unneeded(self, held: Held) -> None:
        began, pause = time.monotonic(), 0.001
        while (workers := self._ownership.needed_by(held.record)) and not self._worker.is_deserted():
            text = f"{', '.join(workers)} before tearing down the shared fixture {held.record['name']!r}"
            self._worker.show_waiting(text, time.monotonic() - began)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        self._worker.waited()

    # --- which value is meant -----------------------------------------------------------------------------------

    def _wanted(self, call: Call) -> Wanted:
        """The same in every worker for the same value: of the fixture, its parameter, and the values it is made of."""
        request, declaration = call.request, call.declaration
        definition = request._fixturedef
        fixture = [definition.baseid or "", declaration.identity, definition.argname, _parameter(definition, request)]
        needs, made_of = [], []
        for name in call.given:
            held, _ = self._given.get(request._get_active_fixturedef(name), (None, None))
            if held is not None:
                needs.append(held.record["fixture"])
                # Where that was set up again, what was made of it has to be too.
                made_of.append(f"{held.key}/{held.record['setups']}")
        name = declaration.name.encode(errors="backslashreplace")[:60].decode(errors="ignore")
        return Wanted(
            f"{name}-{_digest(fixture + made_of)}", _digest(fixture + needs), call.label, declaration.disposal
        )


def _digest(parts: list[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode(errors="backslashreplace"), digest_size=12).hexdigest()


def _asks_for_the_same(item: pytest.Item, name: str, request: Any) -> bool:
    """Whether the test wants the fixture with the parameter of the last request, or neither has one."""
    callspec = getattr(item, "callspec", None)
    wanted = callspec.params.get(name, request) if callspec is not None else request
    return wanted is getattr(request, "param", request)


def _arguments(call: Call, making: Making) -> dict[str, Any]:
    request, declaration = Request(call.request, making), call.declaration
    arguments: dict[str, Any] = {} if call.instance is None else {"self": call.instance}
    for name in declaration.arguments:
        if name == "request":
            arguments[name] = request
            continue
        arguments[name] = request.getfixturevalue(name)
        parametrised = parametrised_dependency(name, call.request)
        if parametrised is not None:
            raise InvalidRequest(
                f"the shared fixture {declaration.name!r} depends on the parametrised fixture {parametrised!r}, which "
                "pytest tears down whenever the parameter changes; make that one a shared_fixture too"
            )
    return arguments


def _parameter(definition: Any, request: Any) -> str:
    if not hasattr(request, "param"):
        return ""
    index = request.param_index
    if definition.params is not None and index < len(definition.params) and definition.params[index] is request.param:
        return f"{index}"
    return _plain(request.param, definition.argname)


def _plain(value: Any, name: str) -> str:
    """A parameter given by a test itself, as text that is the same in every worker."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_plain(item, name) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_plain(key, name)}:{_plain(item, name)}' for key, item in value.items())}}}"
    raise InvalidRequest(
        f"the shared fixture {name!r} is parametrised indirectly with a {type(value).__name__}, which cannot be told "
        "from others in another worker; use plain data, or the fixture's own params"
    )
