"""What the plots show can be told apart."""

from __future__ import annotations

from benchmarks.peers.everyone import EVERYONE
from benchmarks.plots import look


def test_no_two_peers_look_the_same() -> None:
    data = {"peers": dict.fromkeys(EVERYONE)}
    looks = [look(peer, data) for peer in [*EVERYONE, "another line"]]
    assert len({(one["color"], one["marker"]) for one in looks}) == len(EVERYONE) + 1


def test_ours_lies_above_the_rest() -> None:
    data = {"peers": dict.fromkeys(EVERYONE)}
    assert max(EVERYONE, key=lambda peer: look(peer, data)["zorder"]) == "papertiger-shm"
