"""Webhooks go to https addresses outside the server's own network, and to what was checked."""

import socket
from typing import Any

import pytest

from core.outgoing.addresses import AddressRefused, checked_address, pool_for


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://x.example", "https://"),
        ("http://x.example/hook", "https://"),
        ("http://127.0.0.1:9/hook", "https://"),
        ("https://user:word@x.example", "user name or password"),
        ("https://", "no web address"),
        ("https://x.example:99999/", "no web address"),
        ("https://[::1", "no web address"),
        ("https://x.example/a b", "no web address"),
        ("https://x.example/\x00", "no web address"),
        ("", "no web address"),
    ],
)
def test_an_address_that_no_webhook_goes_to_is_refused(address: str, reason: str):
    with pytest.raises(AddressRefused, match=reason):
        checked_address(address, is_strict=True)


def test_this_machine_may_be_reached_outside_production_only():
    assert checked_address(" http://localhost:8000/hook ", is_strict=False) == "http://localhost:8000/hook"
    with pytest.raises(AddressRefused):
        checked_address("http://localhost:8000/hook", is_strict=True)


@pytest.mark.parametrize(
    "number",
    (
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "224.0.0.1", "::1", "fe80::1%1", "fd00::1"),
        *("::7f00:1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ),
)
def test_a_name_that_leads_into_a_private_network_is_refused(number: str, monkeypatch: pytest.MonkeyPatch):
    """Such as the address of a cloud machine's own credentials."""

    def found(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with pytest.raises(AddressRefused, match="private network"):
        pool_for("https://x.example/hook", is_strict=True)


def test_the_connection_goes_to_the_number_that_was_checked(monkeypatch: pytest.MonkeyPatch):
    """A name server that answers differently the second time changes nothing; the certificate is the name's."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.215.14", 443))])
    pool, target, host = pool_for("https://x.example/hook?a=1", is_strict=True)
    assert (pool.host, target, host) == ("93.184.215.14", "/hook?a=1", "x.example")
    assert pool.conn_kw["server_hostname"] == "x.example" and pool.assert_hostname == "x.example"


def test_an_unknown_host_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressRefused, match="not known"):
        pool_for("https://x.example", is_strict=True)
