"""Who calls an endpoint, from where, with what services, and how what they do is written down."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from pilothouse.access import Permission, Principal, PrincipalKind
from pilothouse.audit import Action, AuditLog, Outcome
from pilothouse.core.errors import Forbidden, PilothouseError, RateLimited, Unauthenticated
from pilothouse.gateway.dependencies import address_of, services_of
from pilothouse.gateway.table import Denials
from pilothouse.identity import Client, Identity
from pilothouse.settings import Settings

_refusals = Denials()


@dataclass(kw_only=True, slots=True)
class Act:
    """An action while it happens; what is added to `details` is in its second entry."""

    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """One request's caller. `principal` is None where nobody is signed in."""

    settings: Settings
    identity: Identity
    audit: AuditLog
    principal: Principal | None
    client: Client

    def known(self) -> Principal:
        """The principal. Raises Unauthenticated."""
        if self.principal is None:
            raise Unauthenticated("sign in first")
        return self.principal

    def person(self) -> Principal:
        """The principal of a login session; what is one's own is not for keys to change. Raises Forbidden."""
        principal = self.known()
        if principal.kind is not PrincipalKind.USER:
            raise Forbidden("this is for a person who signed in, not for a key", code="LOGIN_NEEDED")
        return principal

    async def record(
        self,
        action: Action,
        object: str = "",  # noqa: A002 - the trail's own word
        *,
        details: Mapping[str, Any] | None = None,
        permission: Permission | None = None,
    ) -> None:
        """Write down that something was looked at."""
        await self.audit.record(
            self.principal,
            action,
            object=object,
            details=details,
            address=self.client.address,
            permission=permission,
        )

    async def refused(
        self,
        action: Action,
        error: PilothouseError,
        *,
        details: Mapping[str, Any] | None = None,
        actor: str = "",
    ) -> None:
        """Write down that something was refused.

        Who is not signed in can't fill the trail by it: beyond a number for each address and minute nothing is
        written, but for wrong passwords, which the throttle bounds.
        """
        if self.principal is not None or error.code == "WRONG_CREDENTIALS" or _refusals.admits(self.client.address):
            await self.audit.record(
                self.principal,
                action,
                outcome=outcome_of(error),
                details={**(details or {}), "error": error.code},
                address=self.client.address,
                actor=actor,
            )

    @asynccontextmanager
    async def acting(
        self,
        action: Action,
        object: str = "",  # noqa: A002 - the trail's own word
        *,
        details: Mapping[str, Any] | None = None,
        permission: Permission | None = None,
    ) -> AsyncIterator[Act]:
        """Write an action down before it happens, and how it came out after."""
        act = Act(details=dict(details or {}))
        common: dict[str, Any] = {"address": self.client.address, "permission": permission, "object": object}
        act.details["entry"] = await self.audit.record(
            self.principal, action, outcome=Outcome.STARTED, details=act.details, **common
        )
        try:
            yield act
        except BaseException as error:
            act.details["error"] = error.code if isinstance(error, PilothouseError) else type(error).__name__
            await self.audit.record(self.principal, action, outcome=outcome_of(error), details=act.details, **common)
            raise
        await self.audit.record(self.principal, action, outcome=Outcome.OK, details=act.details, **common)


def outcome_of(error: BaseException) -> Outcome:
    """Whether somebody was kept from it, or it went wrong."""
    return Outcome.DENIED if isinstance(error, Forbidden | Unauthenticated | RateLimited) else Outcome.FAILED


def caller_of(request: Request) -> Caller:
    """The caller of this request, as the gateway's middleware found it."""
    services = services_of(request)
    return Caller(
        settings=services.settings,
        identity=services.identity,
        audit=services.audit,
        principal=request.state.principal,
        client=Client(address=address_of(request), user_agent=request.headers.get("user-agent", "")),
    )


CallerDep = Annotated[Caller, Depends(caller_of)]
