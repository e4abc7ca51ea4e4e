"""Passwords: rules, hashing, and that nobody learns from the time it takes."""

import asyncio

import pytest

from pilothouse.core.errors import InvalidRequest, Unavailable
from pilothouse.identity.passwords import MAX_WAITING, Passwords, check_rules, nobodys_hash


@pytest.fixture
def passwords():
    one = Passwords()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 10"),
        ("", "at least 10"),
        ("x" * 1025, "1024 bytes"),
        ("ä" * 513, "1024 bytes"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("margarethe1", "user name"),
        ("MARGARETHE", "user name"),
        ("12margarethe34", "user name"),
    ],
)
def test_weak_passwords_are_refused_and_say_why(password, says):
    """And name the field, so that a form can show it there."""
    with pytest.raises(InvalidRequest, match=says) as caught:
        check_rules(password, username="Margarethe")
    assert caught.value.code == "WEAK_PASSWORD"
    assert caught.value.details == {"field": "password"}


@pytest.mark.parametrize(
    "password", ["correct horse", "0123456789", "パスワードは長いほうがいい", "margarethe likes her horses"]
)
def test_long_enough_passwords_are_taken(password):
    """No rule of digits and capitals: length is what counts."""
    check_rules(password, username="margarethe")


async def test_a_password_verifies_however_it_was_typed(passwords):
    """Composed and decomposed letters are the same; anything else is not."""
    hashed = await passwords.hash("Caf\u00e9 au lait")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(hashed, "Cafe\u0301 au lait")
    assert not await passwords.verify(hashed, "Cafe au lait")
    assert not await passwords.verify("not a hash", "Cafe au lait")


async def test_nobodys_password_is_never_right(passwords):
    """The hash that unknown users are checked against is argon2's full work, and never matches."""
    assert nobodys_hash().startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert not await passwords.verify(None, "anything")
    assert not passwords.is_dated(nobodys_hash())


async def test_a_crowd_is_told_to_come_back(passwords):
    """Beyond what the pool can do in seconds, the answer is 503, not a queue without end."""
    results = await asyncio.gather(
        *(passwords.verify(None, "anything") for _ in range(MAX_WAITING + 5)), return_exceptions=True
    )
    assert sum(isinstance(one, Unavailable) for one in results) == 5
    assert results.count(False) == MAX_WAITING
