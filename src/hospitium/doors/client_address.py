"""From which address a request came, and which unit of addresses a limit counts by.

What a client says of itself counts for nothing. Only a proxy that was named (`TRUSTED_PROXIES`) is believed, in
`X-Forwarded-For` and in nothing else, and only as far as the last entry that such a proxy wrote.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from litestar import Request

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# A peer that has no address speaks through a socket of this machine.
NO_ADDRESS: Address = IPv6Address("::1")
MOST_HOPS = 32
IPV6_UNIT = 64  # bits: what one household or one machine is given, and moves about in as it likes
_ENTRY = re.compile(
    r"\[(?P<bracketed>[0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?"
    r"|(?P<four>[0-9.]{7,15})(?::[0-9]{1,5})?"
    r"|(?P<six>[0-9A-Fa-f:.]{2,45})"
)
_MAPPED = IPv6Network("::ffff:0:0/96")


def client_address(
    connection: Request[Any, Any, Any] | Mapping[str, Any], trusted: Collection[Network]
) -> Address:
    """Return the address a request (or its ASGI scope) came from.

    It is the peer's; if the peer is a trusted proxy, the rightmost entry of `X-Forwarded-For` that isn't one itself.
    An entry that is no address ends the search: what counts is the last address that a trusted proxy vouched for.
    `Forwarded` is not read. A peer without an address (a Unix socket) counts as `::1`.
    """
    scope: Any = getattr(connection, "scope", connection)
    found = peer_address(scope)
    if not trusted or not is_trusted(found, trusted):
        return found
    for entry in _from_the_right(scope["headers"]):
        address = _address(entry)
        if address is None:
            break
        found = address
        if not is_trusted(found, trusted):
            break
    return found


def peer_address(scope: Mapping[str, Any]) -> Address:
    """Return the address at the other end of the connection, whoever that is."""
    client = scope.get("client")
    return (client and _address(str(client[0]).partition("%")[0])) or NO_ADDRESS


def is_trusted(address: Address, trusted: Collection[Network]) -> bool:
    """Whether an address is one of the proxies that are believed."""
    return any(address in network for network in trusted)


def network_of(address: Address) -> Network:
    """Return what limits count by: one IPv4 address, or the /64 of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return IPv4Network(address)
    return IPv6Network((address, IPV6_UNIT), strict=False)


def proxies_named(text: str) -> tuple[Network, ...]:
    """Return the addresses and networks of a list separated by commas.

    Raises ValueError with what it takes. A network of every address there is is refused: then anybody could say who he is.
    """
    wanted = "addresses or networks such as 127.0.0.1, 10.0.0.0/8, fd00::/8, separated by commas"
    try:
        networks = tuple(_plain(ip_network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(wanted) from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("the proxies in front, not a network of every address there is: anybody could be it")
    return networks


def _from_the_right(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return the entries of all X-Forwarded-For headers, the nearest first, and no more than a chain can have."""
    said = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    if not said:
        return []
    entries = said.rsplit(b",", MOST_HOPS)[-MOST_HOPS:]
    return [entry.decode("latin-1").strip(" \t") for entry in reversed(entries)]


def _address(entry: str) -> Address | None:
    """Read `1.2.3.4`, `1.2.3.4:5678`, `::1`, `[::1]` or `[::1]:5678`; None if it is something else."""
    shape = _ENTRY.fullmatch(entry)
    if shape is None:
        return None
    try:
        if shape["four"]:
            return IPv4Address(shape["four"])
        address = IPv6Address(shape["bracketed"] or shape["six"])
    except ValueError:
        return None
    return address.ipv4_mapped or address


def _plain(network: Network) -> Network:
    """Return a network of IPv4 addresses that was written in IPv6 as what it is."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    first = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
    return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))
