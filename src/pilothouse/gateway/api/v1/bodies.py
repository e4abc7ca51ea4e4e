"""What all request and response bodies of the accounts API share."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr

from pilothouse.access import Principal
from pilothouse.core.times import format_instant


class Body(BaseModel):
    """A request's JSON. An unknown field is an error: a misspelt one must not be ignored in silence."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Answer(BaseModel):
    """A response's JSON."""


Instant = Annotated[
    int,
    PlainSerializer(format_instant, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]
"""Nanoseconds within, RFC 3339 on the wire."""

Username = Annotated[str, Field(max_length=256, examples=["ann"])]
Password = Annotated[SecretStr, Field(max_length=4096)]
Permissions = Annotated[
    list[Annotated[str, Field(max_length=1000)]],
    Field(max_length=100, examples=[["logs:read", 'metrics:read{project="shop"}']]),
]
Names = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=20, examples=[["developer"]])]


class UserInfo(Answer):
    """The signed-in user, as the UI needs it."""

    id: str
    username: str
    roles: list[str]
    permissions: list[str]

    @classmethod
    def of(cls, principal: Principal) -> "UserInfo":
        """What a principal is and holds at this moment."""
        return cls(
            id=principal.id,
            username=principal.username,
            roles=list(principal.roles),
            permissions=[str(grant) for grant in principal.grants],
        )


def nanoseconds(when: datetime) -> int:
    """An aware datetime as nanoseconds since the epoch."""
    return round(when.timestamp() * 1_000_000) * 1_000
