"""How often a password may be guessed, counted over all processes: by account, and by address."""

import ipaddress

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.core.errors import RateLimited
from pilothouse.core.times import MINUTE, SECOND, now_ns
from pilothouse.identity.opaque import hash_secret
from pilothouse.state import Lock, State
from pilothouse.state.models import Throttle

WINDOW = 5 * MINUTE
PER_ACCOUNT = 10
"""A person who forgot their password tries fewer; a guesser gets 2,880 a day, at a password of ten characters."""
PER_ADDRESS = 50
"""An office behind one address has more than one person."""


class Throttles:
    """Counts attempts before they are made, so that a hundred at once are not a hundred guesses."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def attempt(self, account: str, address: str) -> None:
        """Count one. Raises RateLimited, with `retry_after` in seconds; known and unknown accounts are alike."""
        now = now_ns()
        async with self._state.write(Lock.SIGN_IN) as session:
            await session.execute(delete(Throttle).where(Throttle.ends_at <= now))
            wait = 0
            rows = []
            for key, most in (_account_key(account), PER_ACCOUNT), (_address_key(address), PER_ADDRESS):
                row = (await session.execute(select(Throttle).where(Throttle.key == key))).scalar_one_or_none()
                if row is None:
                    row = Throttle(key=key, attempts=0, ends_at=now + WINDOW)
                    session.add(row)
                if row.attempts >= most:
                    wait = max(wait, row.ends_at - now)
                rows.append(row)
            if not wait:
                for row in rows:
                    row.attempts += 1
        if wait:
            seconds = -(-wait // SECOND)
            raise RateLimited(
                f"too many attempts; try again in {seconds} s",
                code="TOO_MANY_ATTEMPTS",
                details={"retry_after": seconds},
            )

    async def forgive(self, session: AsyncSession, account: str, address: str) -> None:
        """It was the right password: the account starts anew, the address gets this one attempt back."""
        await session.execute(delete(Throttle).where(Throttle.key == _account_key(account)))
        row = (
            await session.execute(select(Throttle).where(Throttle.key == _address_key(address)))
        ).scalar_one_or_none()
        if row is not None and row.attempts > 0:
            row.attempts -= 1


def _account_key(account: str) -> bytes:
    return hash_secret(f"account {account}")


def _address_key(address: str) -> bytes:
    # Whoever has one IPv6 address has its whole /64.
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return hash_secret(f"address {address}")
    if ip.version == 6:
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        else:
            return hash_secret(f"address {ipaddress.ip_network((ip, 64), strict=False)}")
    return hash_secret(f"address {ip}")
