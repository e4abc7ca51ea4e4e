"""Secrets and personal data never reach the file."""

import time

import pytest

from pilothouse_sdk import setup_structured_logging
from pilothouse_sdk.redaction import REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    ["password", "user_password", "X-API-Key", "apiKey", "Authorization", "set-cookie", "client_secret", "access_token",
     "csrftoken", "pin", "IBAN", "cvv"],
)  # fmt: skip
def test_by_name(name):
    """However it is spelt, and however deep."""
    assert Redactor().value({"a": [{name: "hunter2", "b": 1}]}) == {"a": [{name: REDACTED, "b": 1}]}


@pytest.mark.parametrize("name", ["pinned", "option", "message", "passage", "spinner", "user", "keyboard", "monkey"])
def test_names_that_only_sound_alike_stay(name):
    """A log without its fields is of no use."""
    assert Redactor().value({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token is {JWT} ok", f"token is {REDACTED} ok"),
        ("Authorization: Bearer abcdefghijkl", f"Authorization: {REDACTED}"),
        ("sent Basic dXNlcjpwYXNz to it", f"sent Basic {REDACTED} to it"),
        ("postgres://ann:s3cret@db:5432/x", f"postgres://{REDACTED}@db:5432/x"),
        ("redis://:s3cret@cache", f"redis://{REDACTED}@cache"),
        ("login password=hunter2&next=/", f"login password={REDACTED}&next=/"),
        ('{"api_key": "abc123", "n": 1}', f'{{"api_key": "{REDACTED}", "n": 1}}'),
        ("key AKIAIOSFODNN7EXAMPLE leaked", f"key {REDACTED} leaked"),
        ("mail ann.b+c@example.co.uk now", f"mail {REDACTED} now"),
        ("card 4111 1111 1111 1111 paid", f"card {REDACTED} paid"),
        ("card 4111-1111-1111-1112 paid", "card 4111-1111-1111-1112 paid"),
        ("request 1795532745048747500 took 5", "request 1795532745048747500 took 5"),
        ("a: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", f"a: {REDACTED} b"),
        ("GET /orders/5?page=2 at 10:30:00", "GET /orders/5?page=2 at 10:30:00"),
    ],
)
def test_by_form(text, shown):
    """In the middle of any text; what is none stays as it is."""
    assert Redactor().text(text) == shown


def test_personal_data_can_stay_where_it_is_wanted():
    """Secrets never do."""
    assert Redactor(personal=False).text("ann@example.com password=x1y2") == f"ann@example.com password={REDACTED}"


def test_in_messages_fields_exceptions_and_arguments(log, lines):
    """All ways into a line."""
    log.info("login with password=%s", "hunter2", extra={"headers": {"Cookie": "sid=hunter2"}})
    try:
        raise ValueError("connect to amqp://u:hunter2@mq failed")  # noqa: TRY301 - for its text
    except ValueError:
        log.exception("no")
    assert "hunter2" not in str([{**one, "exception": {**one.get("exception", {}), "frames": []}} for one in lines()])


def test_further_names(path, lines):
    """What only this application knows to be secret."""
    setup_structured_logging(log_path=path, redact=["patient_id"])
    import logging  # noqa: PLC0415 - after the set-up, as an application might

    logging.getLogger().info("seen", extra={"PatientId": "77", "ward": "b"})
    (line,) = lines()
    assert (line["PatientId"], line["ward"]) == (REDACTED, "b")


@pytest.mark.parametrize(
    "text",
    ["a" * 30_000 + "@", "password" * 4000, "1 " * 16_000, "eyJ" * 10_000, ":" * 32_000, "://" + "a:" * 16_000, "- " * 16_000],
)  # fmt: skip
def test_no_text_takes_long(text):
    """A hostile one costs no more than a plain one: far under a second, where backtracking would take minutes."""
    began = time.perf_counter()
    Redactor().text(text)
    assert time.perf_counter() - began < 5
