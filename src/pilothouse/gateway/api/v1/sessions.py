"""One's own login sessions."""

from pilothouse.audit import Action
from pilothouse.gateway.api.v1.bodies import Answer, Instant
from pilothouse.gateway.api.v1.caller import CallerDep


class SessionAnswer(Answer):
    """One live session; `current` is the one that asks."""

    id: str
    address: str
    user_agent: str
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
    current: bool


class SessionsAnswer(Answer):
    """The one used last first."""

    sessions: list[SessionAnswer]


async def list_sessions(caller: CallerDep) -> SessionsAnswer:
    """The live sessions of the caller."""
    person = caller.person()
    views = await caller.identity.sessions.list(person.id)
    await caller.record(Action.SESSION_LIST, person.username)
    return SessionsAnswer(
        sessions=[
            SessionAnswer(
                id=view.id,
                address=view.address,
                user_agent=view.user_agent,
                created_at=view.created_at,
                last_used_at=view.last_used_at,
                expires_at=view.expires_at,
                current=view.id == person.session_id,
            )
            for view in views
        ]
    )


async def end_session(session_id: str, caller: CallerDep) -> None:
    """End one of the caller's own sessions; its tokens are refused at once, its sockets close."""
    person = caller.person()
    async with caller.acting(Action.SESSION_REVOKE, session_id):
        await caller.identity.sessions.end(person.id, session_id)
