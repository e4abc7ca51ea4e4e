"""IP addresses within text, and the ranges they are held against."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_CANDIDATE = re.compile(
    r"(?=[0-9](?:\...|.\..|..\.))[0-9.]+|(?=::[0-9a-fA-F]|[0-9a-fA-F]{1,4}:)[0-9a-fA-F:.]+", re.DOTALL
)
"""What Loki takes for the beginning of an address, and all the characters of one that follow."""


class AddressError(ValueError):
    """A text that names neither an address, a range nor a block."""


@lru_cache(maxsize=256)
def parse_addresses(text: str) -> Callable[[Address], bool]:
    """A test for the addresses that `10.0.0.1`, `10.0.0.0/8` or `10.0.0.1-10.0.0.9` names. Raises AddressError."""
    try:
        if "/" in text:
            network = ip_network(text, strict=False)
            return lambda address: address.version == network.version and address in network
        if "-" in text:
            low, _, high = text.partition("-")
            first, last = ip_address(low.strip()), ip_address(high.strip())
            if first.version != last.version or int(first) > int(last):
                raise ValueError(text)  # noqa: TRY301 - joins the errors of ipaddress
            return lambda address: address.version == first.version and int(first) <= int(address) <= int(last)
        single = ip_address(text)
        return lambda address: address == single
    except ValueError as error:
        raise AddressError(f'ip: invalid pattern: "{text}"') from error


def holds(test: Callable[[Address], bool], text: str) -> bool:
    """Whether any address within `text` passes `test`."""
    at = 0
    while match := _CANDIDATE.search(text, at):
        try:
            if test(ip_address(match[0])):
                return True
        except ValueError:
            pass
        at = match.end() + 1
    return False
