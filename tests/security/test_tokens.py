"""Tokens that are not ours, sent to a real gateway."""

import base64
import hmac
import json
import time

import pytest
from joserfc.jwk import OKPKey

from pilothouse.identity.signing import load_keys


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def by_hand(header, claims, sign):
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(sign(text.encode())).rstrip(b'=').decode()}"


@pytest.fixture
async def parts(house):
    """The key, and the header and claims of a token that is good at this moment."""
    key = next(iter(load_keys(house.settings.key_dir / "jwt.json").values()))
    header, claims, _ = (await house.user(roles=("admin",)))["access_token"].split(".")
    return key, *(json.loads(base64.urlsafe_b64decode(text + "==")) for text in (header, claims))


async def me(house, token):
    return await house.call("GET", "/api/v1/auth/me", token=token)


async def test_the_forger_of_these_tests_can_forge(house, parts):
    """With the true key the gateway believes it; so what is refused below is refused for its own fault."""
    key, header, claims = parts
    assert (await me(house, by_hand(header, claims, key.private_key.sign))).status == 200


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", None])
async def test_alg_none_is_refused(house, parts, alg):
    """With no signature, an empty one, or a true one of other words."""
    key, header, claims = parts
    for sign in (lambda _: b"", key.private_key.sign):
        answer = await me(house, by_hand(header | {"alg": alg}, claims, sign))
        assert (answer.status, answer.code) == (401, "INVALID_TOKEN")


async def test_hs256_with_the_public_key_is_refused(house, parts):
    """What everybody may know signs nothing."""
    key, header, claims = parts
    public = key.as_dict(private=False)
    for secret in (key.as_pem(private=False), base64.urlsafe_b64decode(public["x"] + "="), json.dumps(public).encode()):
        forged = by_hand(header | {"alg": "HS256"}, claims, lambda data, s=secret: hmac.digest(s, data, "sha256"))
        assert (await me(house, forged)).status == 401


async def test_another_key_is_refused(house, parts):
    """Under our kid, its own, none, or with its public half in the header."""
    _, header, claims = parts
    other = OKPKey.generate_key("Ed25519")
    without = {name: value for name, value in header.items() if name != "kid"}
    for head in (
        header, header | {"kid": other.thumbprint()}, without, header | {"jwk": other.as_dict(private=False)},
        header | {"jku": house.url + "/x"}, header | {"kid": "../../jwt.json"}, header | {"kid": "' OR 1=1 --"},
    ):  # fmt: skip
        answer = await me(house, by_hand(head, claims, other.private_key.sign))
        assert (answer.status, answer.code) == (401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "changed",
    [{"exp": None}, {"exp": 1}, {"exp": "2099-01-01"}, {"aud": "other"}, {"iss": "other"}, {"iat": None},
     {"nbf": 4102444800}, {"sid": None}, {"sid": "s_other"}, {"sub": "u_other"}],
)  # fmt: skip
async def test_each_claim_is_demanded(house, parts, changed):
    """Though the signature is true."""
    key, header, claims = parts
    altered = {name: value for name, value in (claims | changed).items() if value is not None}
    assert (await me(house, by_hand(header, altered, key.private_key.sign))).status == 401


async def test_anothers_session_is_not_ones_own(house, parts):
    """A token that pairs one user with another's session is nobody's."""
    key, header, claims = parts
    other = json.loads(base64.urlsafe_b64decode((await house.user())["access_token"].split(".")[1] + "=="))
    mixed = claims | {"sub": other["sub"]}
    assert (await me(house, by_hand(header, mixed, key.private_key.sign))).status == 401


async def test_an_expired_token_is_told_from_a_wrong_one(house, parts):
    """So that the page refreshes instead of asking for the password."""
    key, header, claims = parts
    old = claims | {"iat": claims["iat"] - 2000, "exp": int(time.time()) - 60}
    answer = await me(house, by_hand(header, old, key.private_key.sign))
    assert (answer.status, answer.code) == (401, "TOKEN_EXPIRED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "bearer x y", "Basic cm9vdDpyb290", "Token x", "Bearer " + "A" * 7000, "ph_x"]
)
async def test_noise_in_the_header_is_refused(house, header):
    """With the envelope, whatever it is."""
    answer = await house.call("GET", "/api/v1/auth/me", headers={"Authorization": header})
    assert answer.status == 401
    assert answer.code


async def test_a_token_in_the_url_is_nothing(house):
    """Neither an access token nor a key is read from there."""
    for name in ("token", "access_token", "ticket", "key"):
        assert (await house.call("GET", f"/api/v1/auth/me?{name}={house.admin}")).status == 401
