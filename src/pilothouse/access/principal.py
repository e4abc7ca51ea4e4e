from dataclasses import dataclass
from enum import StrEnum

from pilothouse.access.permissions import Grant


class PrincipalKind(StrEnum):
    """How somebody proved who they are."""

    USER = "user"
    API_KEY = "api_key"
    SCRAPE = "scrape"
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who is asking, proved by identity, with all that their roles and grants allow at this moment.

    `id` is the user's id also for an API key; `session_id` names the login session or the key, and is what
    revocation closes.
    """

    kind: PrincipalKind
    id: str
    username: str
    session_id: str
    roles: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
