"""Addresses that webhooks may go to: https, and nothing inside the server's own network.

A name is looked up once, and the connection goes to the address that was checked: a name server that changes its mind
gets nothing.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import urllib3

from core.outgoing.time_limits import LimitedHTTPPool, LimitedHTTPSPool

SECONDS = 10.0
LOCAL = ("localhost", "127.0.0.1", "::1")
_STANDS_FOR_IPV4 = [
    ipaddress.ip_network(each) for each in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
]
_LOCAL_SITE = ipaddress.ip_network("fec0::/10")


class AddressRefused(ValueError):
    """The address cannot be used; the message says why."""


def checked_address(address: str, *, is_strict: bool, allows_private: bool = False) -> str:
    """The address without white space. Raises AddressRefused for one that no webhook goes to.

    Unless `is_strict`, which holds in production, plain http to this machine is allowed, for trying things out. With
    `allows_private`, plain http is allowed to any machine (CLAR-75).
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("This is no web address.") from None
    if len(address) > 2_000 or not address.isprintable() or " " in address or not host:
        raise AddressRefused("This is no web address.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The address must not hold a user name or password; messages can be signed instead.")
    may_be_plain = allows_private or (host in LOCAL and not is_strict)
    if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain):
        raise AddressRefused("The address must begin with https://.")
    return address


def pool_for(
    address: str, *, is_strict: bool, allows_private: bool = False
) -> tuple[urllib3.HTTPConnectionPool, str, str]:
    """A pool that connects to the checked address, the target of the request, and the Host header.

    Raises AddressRefused for a name that is unknown, or that leads into a private network, unless `allows_private`.
    """
    parts = urlsplit(checked_address(address, is_strict=is_strict, allows_private=allows_private))
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused("The address's host is not known.") from None
    numbers = [str(each[4][0]) for each in found]
    if not allows_private and (is_strict or host not in LOCAL):
        numbers = [number for number in numbers if _is_public(number)]
    if not numbers:
        raise AddressRefused("The address leads into a private network.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    timeout = urllib3.Timeout(total=SECONDS)
    bracketed = f"[{host}]" if ":" in host else host
    header = bracketed if parts.port is None else f"{bracketed}:{parts.port}"
    if parts.scheme == "http":
        return LimitedHTTPPool(numbers[0], port, timeout=timeout), target, header
    pool = LimitedHTTPSPool(
        numbers[0], port, timeout=timeout, server_hostname=host, assert_hostname=host, cert_reqs="CERT_REQUIRED"
    )
    return pool, target, header


def _is_public(number: str) -> bool:
    """Whether the number belongs to the internet at large; one of IPv6 may stand for one of IPv4."""
    at = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(at, ipaddress.IPv6Address):
        if any(at in network for network in (*_STANDS_FOR_IPV4, _LOCAL_SITE)) or at.sixtofour or at.teredo:
            return False
        at = at.ipv4_mapped or at
    return at.is_global and not at.is_multicast
