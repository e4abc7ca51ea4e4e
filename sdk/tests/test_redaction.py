"""Secrets and personal data never reach the file."""

import logging
import time

import pytest

from pilothouse_sdk import setup_structured_logging
from pilothouse_sdk.redaction import REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    ["password", "user_password", "X-API-Key", "apiKey", "Authorization", "set-cookie", "client_secret", "access_token",
     "csrftoken", "pin", "IBAN", "cvv", "user_pin", "cardCvc", "SECRET_KEY", "password_hash", "auth", b"password"],
)  # fmt: skip
def test_by_name(name):
    """However it is spelt, and however deep."""
    shown = name.decode() if isinstance(name, bytes) else name
    assert Redactor().value({"a": [{name: "hunter2", "b": 1}]}) == {"a": [{shown: REDACTED, "b": 1}]}


@pytest.mark.parametrize("name", ["pinned", "option", "message", "passage", "spinner", "user", "keyboard", "monkey", "secretary",
                                  "tokenizer", "auth_method", "bypass"])  # fmt: skip
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
        ('{"password": "correct horse, \\"battery\\"", "n": 1}', f'{{"password": "{REDACTED}", "n": 1}}'),
        ("{'password': b'hunter2', 'n': 1}", f"{{'password': b'{REDACTED}', 'n': 1}}"),
        ('{\\"password\\": \\"two words\\", \\"n\\": 1}', f'{{\\"password\\": \\"{REDACTED}\\", \\"n\\": 1}}'),
        ("Set-Cookie: sid=hunter2; Path=/\nnext", f"Set-Cookie: {REDACTED}\nnext"),
        ('Authorization: Digest username="u", response="f00"', f"Authorization: {REDACTED}"),
        ("Authorization: Token hunter2", f"Authorization: {REDACTED}"),
        ('curl -H "Authorization: Bearer abc" https://x', f'curl -H "Authorization: {REDACTED}" https://x'),
        ("[(b'authorization', b'Token hunter2')]", f"[(b'authorization', b'{REDACTED}')]"),
        ("SECRET_KEY=hunter2 DEBUG=1", f"SECRET_KEY={REDACTED} DEBUG=1"),
        ("<password>hunter2</password>", f"<password>{REDACTED}</password>"),
        ("https://x/y?key=hunter2&n=1", f"https://x/y?key={REDACTED}&n=1"),
        ("https://ann:p@ss@host/x", f"https://{REDACTED}@host/x"),
        ("ghp_abcdefghijklmnopqrstuvwx", REDACTED),
        ("pinned: password=hunter2", f"pinned: password={REDACTED}"),
        ("basic configuration of prompt_tokens=512", "basic configuration of prompt_tokens=512"),
        ("paid by 378282246310005", f"paid by {REDACTED}"),
        ("at 1795532745048747501 ns", "at 1795532745048747501 ns"),
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


def test_numbers():
    """A card's is taken out; a count of what has a secret's name stays, a secret that is a number does not."""
    given = {"n": 4111111111111111, "ns": 1795532745048747501, "prompt_tokens": 512, "pin": 1234, "password": 7}
    shown = {"n": REDACTED, "ns": 1795532745048747501, "prompt_tokens": 512, "pin": REDACTED, "password": REDACTED}
    assert Redactor().value(given) == shown


def test_headers_as_asgi_has_them():
    """A pair in a list is a name and its value."""
    headers = [(b"host", b"x"), (b"cookie", b"sid=hunter2"), ["Authorization", "Token hunter2"]]
    assert Redactor().value(headers) == [["host", "x"], ["cookie", REDACTED], ["Authorization", REDACTED]]


@pytest.mark.parametrize("at", range(32_700, 32_790, 7))
def test_half_a_secret_is_not_left_before_a_cut(at):
    """Wherever the cut falls."""
    shown = Redactor().text("x " * (at // 2) + "postgres://ann:" + "hunter2" * 9 + "@db " + "y" * 9000)
    assert "hunter2" not in shown
    assert JWT[:12] not in Redactor().text("x " * (at // 2) + JWT + " " + "y" * 9000)


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
    logging.getLogger().info("patient_id=77 seen", extra={"PatientId": "77", "ward": "b"})
    (line,) = lines()
    assert (line["message"], line["PatientId"], line["ward"]) == (f"patient_id={REDACTED} seen", REDACTED, "b")


@pytest.mark.parametrize(
    "text",
    ["a" * 30_000 + "@", "password" * 4000, "1 " * 16_000, "eyJ" * 10_000, ":" * 32_000, "://" + "a:" * 16_000, "- " * 16_000,
     "pin " * 8000 + "=", 'password="' * 3000, "token:" + '\\"' * 16_000, "cookie:" + '="' * 16_000, "-pin" * 8000 + ":",
     "pin:" * 8000],
)  # fmt: skip
def test_no_text_takes_long(text):
    """A hostile one costs no more than a plain one: far under a second, where backtracking would take minutes."""
    began = time.perf_counter()
    Redactor().text(text)
    assert time.perf_counter() - began < 5
