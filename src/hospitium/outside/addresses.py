"""Which addresses one may connect to: public ones, private ones if the operator said so, and those nobody ever may.

What Python calls global differs with its version (of NAT64, 6to4, `3fff::/20` and others), and it takes multicast for
global. So the answer stands on the registries of IANA for special addresses (IPv4, IPv6), written out here where Python's
own can't be relied on, and only then on `is_global`. An IPv6 address that carries an IPv4 address in it is no better than
that one (threats G-02).
"""

from __future__ import annotations

import enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


class Reach(enum.Enum):
    """From where an address can be reached."""

    PUBLIC = "public"
    PRIVATE = "private"  # in this machine, or in somebody's own network
    NEVER = "never"  # nothing one would ask is there: link-local, metadata, multicast, unspecified, reserved, tunnels


_PRIVATE_4 = tuple(
    map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
_PRIVATE_6 = tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
# Where clouds tell a machine who it is, keys and all. Most are link-local; these pass for private or public.
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")))
_NEVER_4 = tuple(
    map(
        IPv4Network,
        (
            "192.0.0.0/24",  # protocol assignments, of which Python takes some for global
            "192.88.99.0/24",  # relays of 6to4
        ),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NEVER_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/32",  # Teredo, and
            "2002::/16",  # 6to4: tunnels to an IPv4 address inside, which nobody serves from
            "2001:db8::/32",  # documentation, likewise
            "3fff::/20",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


@lru_cache(1_000)
def reach(text: str) -> Reach:
    """Return from where an address (as text, as a resolver gives it) can be reached; NEVER for what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return Reach.NEVER
    if address in _METADATA:
        return Reach.NEVER
    return _reach_4(address) if isinstance(address, IPv4Address) else _reach_6(address)


def _reach_4(address: IPv4Address) -> Reach:
    if any(address in network for network in _PRIVATE_4):
        return Reach.PRIVATE
    if any(address in network for network in _NEVER_4):
        return Reach.NEVER
    return Reach.PUBLIC if _is_public(address) else Reach.NEVER


def _reach_6(address: IPv6Address) -> Reach:
    if address.scope_id is not None:
        return Reach.NEVER
    if address.ipv4_mapped is not None:
        return reach(str(address.ipv4_mapped))
    inside = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        # How a machine without IPv4 reaches one that has only that; into a private network it leads nobody.
        return Reach.PUBLIC if reach(str(inside)) is Reach.PUBLIC else Reach.NEVER
    if any(address in network for network in _PRIVATE_6):
        return Reach.PRIVATE
    if address not in _GLOBAL_UNICAST or any(address in network for network in _NEVER_6):
        return Reach.NEVER
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP and reach(str(inside)) is not Reach.PUBLIC:
        return Reach.NEVER
    return Reach.PUBLIC if _is_public(address) else Reach.NEVER


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
