"""Frames and messages: whole ones come out, whatever the pieces they came in; the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm import errors
from papertiger_shm.codec import pack
from papertiger_shm.shm import wire
from papertiger_shm.shm.wire import FrameReader, WireError


def bodies_of(pieces: list[bytes]) -> list[bytes]:
    reader = FrameReader()
    found = []
    for piece in pieces:
        buffer = bytearray(piece)
        reader.feed(memoryview(buffer))
        found += [bytes(body) for body in reader.bodies()]
        buffer[:] = b"\xee" * len(buffer)  # as the next receive does
    return found


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_frames_come_out_whole_however_they_are_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(wire.frame, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)])]
    assert bodies_of(pieces) == bodies


def test_what_was_not_taken_is_there_after_the_next_feed() -> None:
    reader = FrameReader()
    reader.feed(memoryview(wire.frame(b"one") + wire.frame(b"two")))
    assert reader.next() == b"one"
    reader.keep()
    reader.feed(memoryview(b""))
    assert reader.next() == b"two"
    assert reader.next() is None


@given(st.lists(st.binary(max_size=5), max_size=3), st.binary(max_size=3), st.booleans())
def test_one_frame_is_told_from_more_or_less_and_from_the_end_of_another(
    bodies: list[bytes], rest: bytes, waiting: bool
) -> None:
    reader = FrameReader()
    if waiting:
        reader.feed(memoryview(wire.frame(b"begun")[:-1]))
        assert reader.next() is None
    whole = len(bodies) == 1 and not rest and not waiting
    assert reader.is_one(memoryview(b"".join(map(wire.frame, bodies)) + rest)) == whole


@pytest.mark.parametrize("length", [-1, -(2**31), wire.MAX_FRAME + 1, 2**31 - 1])
@pytest.mark.parametrize("cut", [0, 2])
def test_a_length_that_nobody_may_send_is_refused_at_once(length: int, cut: int) -> None:
    stream = length.to_bytes(4, "big", signed=True) + b"rest"
    reader = FrameReader()
    reader.feed(memoryview(stream[:cut]))
    assert reader.next() is None
    reader.feed(memoryview(stream[cut:]))
    with pytest.raises(WireError, match="claims"):
        reader.next()


@given(st.binary(max_size=60))
def test_garbage_is_a_wire_error_and_nothing_else(garbage: bytes) -> None:
    try:
        message = wire.message_of(garbage)
    except WireError:
        return
    assert isinstance(message, list)


@pytest.mark.parametrize("message", [1, None, [], [1], ["1", 2], {"a": 1}, [1.5, 2], [True, 1]])
def test_a_message_starts_with_two_numbers(message: object) -> None:
    with pytest.raises(WireError):
        wire.message_of(pack(message))


def test_a_request_too_long_is_refused_before_it_is_sent() -> None:
    with pytest.raises(errors.InvalidRequest, match="smaller batches"):
        wire.request_frame([1, wire.COMMIT, [bytes(wire.MAX_FRAME)]])


def test_a_long_answer_comes_in_parts() -> None:
    value = [bytes([n]) * (20 << 20) for n in range(4)]
    frames = wire.answer_frames(7, [7, wire.OK, value])
    assert len(frames) > 1
    assert max(map(len, frames)) <= wire.MAX_FRAME
    parts = [wire.message_of(body) for body in bodies_of(frames)]
    assert [part[1] for part in parts] == [wire.PART] * (len(parts) - 1) + [wire.LAST]
    assert wire.message_of(b"".join(part[2] for part in parts)) == [7, wire.OK, value]


def test_an_answer_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FRAME", 1000)
    monkeypatch.setattr(wire, "MAX_ANSWER", 2000)
    [frame] = wire.answer_frames(7, [7, wire.OK, bytes(3000)])
    number, status, name, text = wire.message_of(frame[4:])
    assert (number, status, name) == (7, wire.ERROR, "InvalidRequest")
    assert "page by page" in text


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_arrive_as_the_class_they_are(name: str) -> None:
    kind = getattr(errors, name)
    _, _, sent, text = wire.error_answer(1, kind("what, why and how"))
    with pytest.raises(kind, match="what, why and how") as caught:
        wire.raise_error(sent, text)
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", ["SystemExit", "os", "annotations", "Strange"])
def test_only_the_contract_s_errors_are_raised(name: str) -> None:
    with pytest.raises(errors.ManagerUnavailable, match="does not know"):
        wire.raise_error(name, "text")
