"""Signing in and out, tokens, tickets, and one's own password."""

from typing import Annotated, Literal
from urllib.parse import unquote

from fastapi import Cookie, Request, Response
from pydantic import Field, SecretStr
from starlette.routing import compile_path

from pilothouse.access import Permission, PrincipalKind, authorize
from pilothouse.audit import Action, Outcome
from pilothouse.core.errors import Forbidden, NotFound, PilothouseError, Unauthenticated
from pilothouse.gateway.api.v1.bodies import Answer, Body, Password, UserInfo, Username
from pilothouse.gateway.api.v1.caller import Caller, CallerDep
from pilothouse.gateway.api.v1.cookies import COOKIE, check_page, clear_cookie, set_cookie
from pilothouse.gateway.table import Kind, Route
from pilothouse.identity import Login, RefreshReused
from pilothouse.identity.accounts import USERNAME
from pilothouse.identity.tickets import LIFETIME as TICKET_LIFETIME

Token = Annotated[SecretStr, Field(max_length=2048)]
RefreshCookie = Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)]


class LoginBody(Body):
    """Who signs in. `client: "api"` asks for the refresh token in the answer, in place of a cookie."""

    username: Username
    password: Password
    otp: Annotated[SecretStr | None, Field(max_length=64)] = None
    client: Literal["browser", "api"] = "browser"


class RefreshBody(Body):
    """A refresh token of a client without cookies."""

    refresh_token: Token | None = None


class TicketBody(Body):
    """The path of the WebSocket that will be opened, without its query."""

    path: Annotated[str, Field(max_length=1000, examples=["/ws/logs/api"])]


class PasswordBody(Body):
    """The present password, and the one to come."""

    current_password: Password
    new_password: Password


class TokenAnswer(Answer):
    """An access token for `expires_in` seconds; `refresh_token` only for a client without cookies."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, as OAuth calls it
    expires_in: int
    user: UserInfo
    refresh_token: Annotated[str | None, Field(exclude_if=lambda token: token is None)] = None


class TicketAnswer(Answer):
    """A one-use ticket, for the `ticket` parameter of the WebSocket; good for `expires_in` seconds."""

    ticket: str
    expires_in: int


class MeAnswer(UserInfo):
    """Who is asking, and by which session or key."""

    kind: PrincipalKind
    session_id: str


async def login(request: Request, response: Response, body: LoginBody, caller: CallerDep) -> TokenAnswer:
    """Sign in with a name and a password.

    A wrong one is answered with 401 WRONG_CREDENTIALS whatever was wrong; too many attempts with 429 and Retry-After.
    """
    check_page(request, caller.settings, by_cookie=False)
    name = body.username if USERNAME.match(body.username) else "(not a name)"
    try:
        made = await caller.identity.login(body.username, body.password.get_secret_value(), caller.client)
    except PilothouseError as error:
        await caller.refused(Action.AUTH_LOGIN, error, actor=name)
        raise
    await caller.audit.record(made.principal, Action.AUTH_LOGIN, address=caller.client.address)
    return answer(request, response, caller, made, cookie=body.client == "browser")


async def refresh(
    request: Request,
    response: Response,
    caller: CallerDep,
    body: RefreshBody | None = None,
    cookie: RefreshCookie = None,
) -> TokenAnswer:
    """Exchange a refresh token, from the cookie or the body, for the next one and a new access token.

    Each is used once. One that comes a second time ends its session: 401 REFRESH_REUSED.
    """
    given = body.refresh_token if body is not None else None
    by_cookie = given is None
    check_page(request, caller.settings, by_cookie=by_cookie)
    token = given.get_secret_value() if given is not None else cookie
    if not token:
        raise Unauthenticated("there is no refresh token", code="NO_REFRESH_TOKEN")
    try:
        made = await caller.identity.refresh(token, caller.client)
    except Unauthenticated as error:
        if isinstance(error, RefreshReused):
            details = {"user": error.user_id, "session": error.session_id}
            await caller.refused(Action.AUTH_REUSE, error, details=details)
        else:
            await caller.refused(Action.AUTH_REFRESH, error)
        raise
    await caller.audit.record(made.principal, Action.AUTH_REFRESH, address=caller.client.address)
    return answer(request, response, caller, made, cookie=by_cookie)


async def logout(
    request: Request,
    response: Response,
    caller: CallerDep,
    body: RefreshBody | None = None,
    cookie: RefreshCookie = None,
) -> None:
    """End the session of the access token, of the cookie, or of the refresh token in the body; at once, everywhere."""
    given = body.refresh_token.get_secret_value() if body is not None and body.refresh_token is not None else None
    by_token = given is not None or caller.principal is not None
    check_page(request, caller.settings, by_cookie=not by_token)
    ends: set[tuple[str, str]] = set()
    if caller.principal is not None:
        person = caller.person()
        ends.add((person.id, person.session_id))
    # The cookie beside a bearer is only ever of the same browser; without our header it ends nothing.
    for token in (given, cookie if not by_token or request.headers.get("x-pilothouse") == "1" else None):
        if token and (found := await caller.identity.sessions.of_token(token)) is not None:
            ends.add(found)
    for user_id, session_id in ends:
        async with caller.acting(Action.AUTH_LOGOUT, object=session_id, details={"user": user_id}):
            try:
                await caller.identity.sessions.end(user_id, session_id)
            except NotFound:
                continue
    clear_cookie(request, response, caller.settings)


async def me(caller: CallerDep) -> MeAnswer:
    """Who is asking, and what they may at this moment."""
    principal = caller.known()
    return MeAnswer(**UserInfo.of(principal).model_dump(), kind=principal.kind, session_id=principal.session_id)


async def change_password(body: PasswordBody, caller: CallerDep) -> None:
    """Change one's own password. All other sessions end."""
    person = caller.person()
    async with caller.acting(Action.AUTH_PASSWORD, object=person.username):
        await caller.identity.change_password(
            person,
            present=body.current_password.get_secret_value(),
            new=body.new_password.get_secret_value(),
            client=caller.client,
        )


async def ws_ticket(request: Request, body: TicketBody, caller: CallerDep) -> TicketAnswer:
    """A one-use ticket for the WebSocket at `path`, for whoever may open that. 404 where there is none."""
    principal, path = caller.known(), unquote(body.path)
    route = socket_at(request, path)
    if route is None:
        raise NotFound("there is no WebSocket at this path", details={"field": "path"})
    if isinstance(route.needs, Permission):
        try:
            authorize(principal, route.needs)
        except Forbidden as error:
            await caller.audit.record(
                principal,
                Action.ACCESS_DENIED,
                object=path,
                outcome=Outcome.DENIED,
                details={"method": "ticket", "code": error.code},
                address=caller.client.address,
                permission=route.needs,
            )
            raise
    ticket = await caller.identity.tickets.issue(principal, path)
    await caller.record(
        Action.AUTH_TICKET, path, permission=route.needs if isinstance(route.needs, Permission) else None
    )
    return TicketAnswer(ticket=ticket, expires_in=TICKET_LIFETIME)


def socket_at(request: Request, path: str) -> Route | None:
    """The row of the URL table that serves a WebSocket at `path`."""
    for route in request.app.state.table:
        if route.kind is Kind.WEBSOCKET and compile_path(route.path)[0].fullmatch(path):
            found: Route = route
            return found
    return None


def answer(request: Request, response: Response, caller: Caller, made: Login, *, cookie: bool) -> TokenAnswer:
    """The tokens of a login or refresh, the refresh token by cookie or in the body."""
    response.headers["Cache-Control"] = "no-store"
    if cookie:
        set_cookie(request, response, caller.settings, made)
    return TokenAnswer(
        access_token=made.access_token,
        expires_in=made.expires_in,
        user=UserInfo.of(made.principal),
        refresh_token=None if cookie else made.refresh_token,
    )
