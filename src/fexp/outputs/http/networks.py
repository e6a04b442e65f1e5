"""Who a client is, as far as fairness goes."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """Give what one client can have all addresses of: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    number = ipaddress.IPv6Address(address.partition("%")[0])
    return str(number.ipv4_mapped or ipaddress.IPv6Network((int(number), 64), strict=False))
