"""The first administrator."""

from typing import Annotated

from fastapi import Request
from pydantic import Field, SecretStr

from pilothouse.audit import Action
from pilothouse.core.errors import PilothouseError
from pilothouse.gateway.api.v1.bodies import Answer, Body, Password, Username
from pilothouse.gateway.api.v1.caller import CallerDep
from pilothouse.gateway.api.v1.cookies import check_page
from pilothouse.gateway.api.v1.users import UserAnswer


class SetupBody(Body):
    """The token of the one-time link, and who is to be the first administrator."""

    token: Annotated[SecretStr, Field(max_length=200)]
    username: Username
    password: Password


class SetupAnswer(Answer):
    """Whether nobody can sign in yet."""

    needed: bool


async def get_setup(caller: CallerDep) -> SetupAnswer:
    """Whether Pilothouse waits to be set up."""
    return SetupAnswer(needed=await caller.identity.setup.needed())


async def finish_setup(request: Request, body: SetupBody, caller: CallerDep) -> UserAnswer:
    """Make the first administrator. The token is then used up, and this is closed for good."""
    check_page(request, caller.settings, by_cookie=False)
    try:
        account = await caller.identity.setup.finish(
            body.token.get_secret_value(), username=body.username, password=body.password.get_secret_value()
        )
    except PilothouseError as error:
        await caller.refused(Action.SETUP_FINISH, error)
        raise
    await caller.record(Action.SETUP_FINISH, account.username, details={"id": account.id})
    return UserAnswer.of(account)
