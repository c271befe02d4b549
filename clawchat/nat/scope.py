"""Whether an address means the same everywhere, or only inside somebody's network."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from clawchat.values.address import KNOWN_HOSTS

_LOCAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",  # RFC 1918
            "100.64.0.0/10",  # RFC 6598: between a provider's NAT and its customers
            "169.254.0.0/16",  # RFC 3927
            "127.0.0.0/8",
            "0.0.0.0/8",  # RFC 1122
            "fc00::/7",  # RFC 4193
            "fe80::/10",
            "::1/128",
            "::/128",  # RFC 4291
        ),
    )
)
"""Networks nobody routes to from elsewhere. Addresses of documentation are not among them: laboratories use those."""


@lru_cache(KNOWN_HOSTS)
def is_public(host: str) -> bool:
    """Tell whether an IP address means the same host everywhere; False for text that is no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    found = mapped or address
    return not (found.is_multicast or found.is_reserved or any(found in network for network in _LOCAL))


def is_loopback(host: str) -> bool:
    """Tell whether an IP address leads back to this machine; False for text that is no address."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
