"""Access tokens that are not ours, in every way they can be not ours."""

import base64
import hmac
import json
import time

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from pilothouse.core.errors import Unauthenticated
from pilothouse.identity.signing import SigningKeys, load_keys
from pilothouse.identity.tokens import LIFETIME, AccessTokens, Claims
from pilothouse.settings import load


@pytest.fixture
def own(tmp_path):
    return load({}, data_dir=tmp_path)


@pytest.fixture
def tokens(own):
    return AccessTokens(SigningKeys(own))


@pytest.fixture
def key(own, tokens):
    return next(iter(load_keys(own.key_dir / "jwt.json").values()))


def good_claims(**changed):
    now = int(time.time())
    claims = {"iss": "pilothouse", "aud": "pilothouse", "sub": "u", "sid": "s", "iat": now, "exp": now + 60}
    return {name: value for name, value in (claims | changed).items() if value is not None}


def signed(key, claims, **header):
    return jwt.encode(
        {"alg": "Ed25519", "kid": key.thumbprint(), "typ": "at+jwt"} | header, claims, key, algorithms=["Ed25519"]
    )


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def test_the_test_itself_can_make_a_good_token(tokens, key):
    """Else every refusal below would prove nothing."""
    assert tokens.read(signed(key, good_claims())) == Claims(user_id="u", session_id="s")


def test_a_token_lives_for_fifteen_minutes(tokens):
    """As the contract's expires_in says."""
    payload = tokens.issue(Claims(user_id="u", session_id="s")).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] - claims["iat"] == LIFETIME == 900


def test_alg_none_is_refused(tokens, key):
    """With an empty signature, and with a copied one; in any spelling."""
    signature = signed(key, good_claims()).rpartition(".")[2]
    for alg in ("none", "None", "NONE", ""):
        header = part({"alg": alg, "kid": key.thumbprint(), "typ": "at+jwt"})
        for end in ("", signature):
            with pytest.raises(Unauthenticated):
                tokens.read(f"{header}.{part(good_claims())}.{end}")


def test_a_symmetric_signature_with_the_public_key_is_refused(tokens, key):
    """The classic confusion: HS256, keyed with what everybody may know, in each of its forms."""
    header = {"alg": "HS256", "kid": key.thumbprint(), "typ": "at+jwt"}
    public = key.as_dict(private=False)
    for secret in (
        key.as_pem(private=False),
        json.dumps(public).encode(),
        base64.urlsafe_b64decode(public["x"] + "="),
        public["x"].encode(),
    ):
        with pytest.raises(Unauthenticated):
            tokens.read(by_hand(header, lambda data, secret=secret: hmac.digest(secret, data, "sha256")))


def test_another_key_is_refused(tokens, key):
    """Under its own id, under ours, under none, and with its public half carried along in the header."""
    other = OKPKey.generate_key("Ed25519")
    good = {"alg": "Ed25519", "kid": key.thumbprint(), "typ": "at+jwt"}
    without = {"alg": "Ed25519", "typ": "at+jwt"}
    public = other.as_dict(private=False)
    assert tokens.read(by_hand(good, key.private_key.sign)).user_id == "u"
    for header in (
        good,
        good | {"kid": other.thumbprint()},
        without,
        without | {"jwk": public},
        good | {"jwk": public},
    ):
        with pytest.raises(Unauthenticated):
            tokens.read(by_hand(header, other.private_key.sign))


def by_hand(header, sign):
    """A token as an attacker makes it, without a library that refuses."""
    text = f"{part(header)}.{part(good_claims())}"
    return f"{text}.{base64.urlsafe_b64encode(sign(text.encode())).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": None}, {"exp": 1}, {"exp": "never"}, {"exp": None, "iat": None}, {"iat": None}, {"iss": None},
        {"iss": "other"}, {"aud": None}, {"aud": "other"}, {"sub": None}, {"sid": None}, {"sub": 1}, {"sid": ["s"]},
        {"iat": int(time.time()) + 3600}, {"nbf": int(time.time()) + 3600}, {"sub": ""},
    ],
)  # fmt: skip
def test_each_claim_is_demanded(tokens, key, changed):
    """A token that lacks one, or has a wrong one, is refused though the signature is right."""
    with pytest.raises(Unauthenticated):
        tokens.read(signed(key, good_claims(**changed)))


def test_an_expired_token_says_so(tokens, key):
    """Then the browser refreshes it; the code is its own, since the signature was right."""
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(signed(key, good_claims(exp=int(time.time()) - 10)))
    assert caught.value.code == "TOKEN_EXPIRED"


@pytest.mark.parametrize("header", [{"kid": "unknown"}, {"typ": "JWT"}, {"crit": ["exp"]}, {"kid": 7}])
def test_the_header_must_be_ours(tokens, key, header):
    """An unknown kid, another type, a critical extension we do not know."""
    whole = {"alg": "Ed25519", "kid": key.thumbprint(), "typ": "at+jwt"} | header
    with pytest.raises(Unauthenticated):
        tokens.read(by_hand(whole, key.private_key.sign))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é", "x" * 5000, "e30.e30.", "\0", "bnVsbA.bnVsbA.", "W10.W10.W10", "a.b.c.d.e"]
)
def test_noise_is_refused(tokens, token):
    """With the same answer as everything else."""
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token)
    assert caught.value.code == "INVALID_TOKEN"


def test_one_changed_bit_is_refused(tokens):
    """In the header, in the claims or in the signature."""
    token = tokens.issue(Claims(user_id="u", session_id="s"))
    for at in (5, token.index(".") + 5, token.rindex(".") + 5):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(Unauthenticated):
            tokens.read(changed)
