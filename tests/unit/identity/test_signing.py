"""Signing keys: made, given, refused, rotated."""

import json
import subprocess

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from pilothouse.core.errors import Unauthenticated
from pilothouse.identity import signing
from pilothouse.identity.signing import SigningKeys, load_keys, rotate
from pilothouse.identity.tokens import AccessTokens, Claims
from pilothouse.settings import SettingsError, load


@pytest.fixture
def own(tmp_path):
    return load({}, data_dir=tmp_path)


def given(tmp_path, content, mode=0o600):
    path = tmp_path / "given"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return load({}, data_dir=tmp_path, jwt_key_file=path)


def test_the_first_start_makes_a_key_that_only_we_read(own):
    """0600 in a directory of 0700; the next start finds it."""
    first = SigningKeys(own).signer()
    path = own.key_dir / "jwt.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert SigningKeys(own).signer().thumbprint() == first.thumbprint()


def test_openssls_own_key_is_taken(tmp_path):
    """As the error message of a wrong one advises."""
    pem = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True, text=True
    ).stdout
    tokens = AccessTokens(SigningKeys(given(tmp_path, pem)))
    assert tokens.read(tokens.issue(Claims(user_id="u", session_id="s"))) == Claims(user_id="u", session_id="s")


def test_several_keys_sign_with_the_first_and_verify_with_all(tmp_path):
    """That is how an operator rotates: the new one in front, the old one behind."""
    old, new = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    token = AccessTokens(SigningKeys(given(tmp_path, old.as_pem(private=True).decode()))).issue(
        Claims(user_id="u", session_id="s")
    )
    pem = new.as_pem(private=True).decode() + old.as_pem(private=True).decode()
    keys = SigningKeys(given(tmp_path, pem))
    assert keys.signer().thumbprint() == new.thumbprint()
    assert AccessTokens(keys).read(token).user_id == "u"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds none"),
        ("nonsense", "holds none"),
        ("{", "can't be read"),
        ({"keys": []}, "holds none"),
        ({"keys": [{"kty": "OKP", "crv": "Ed25519"}]}, "can't be read"),
        ({"keys": [OctKey.generate_key(256).as_dict(private=True)]}, "type oct"),
        ({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}, "type EC"),
        ({"keys": [OKPKey.generate_key("Ed448").as_dict(private=True)]}, "type OKP Ed448"),
        ({"keys": [OKPKey.generate_key("Ed25519").as_dict(private=False)]}, "public"),
        (RSAKey.generate_key(2048).as_pem(private=True).decode(), "can't be read"),
        (OKPKey.generate_key("Ed448").as_pem(private=True).decode(), "Ed448"),
        (OKPKey.generate_key("Ed25519").as_pem(private=False).decode(), "public"),
    ],
)
def test_keys_that_are_not_fit_stop_the_start(tmp_path, content, says):
    """By the setting's name, with what is wrong and what makes a right one; the key itself is not shown."""
    with pytest.raises(SettingsError, match=says) as caught:
        SigningKeys(given(tmp_path, content))
    assert "PILOTHOUSE_JWT_KEY_FILE" in str(caught.value)
    assert "openssl genpkey" in str(caught.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    """With the command that mends it."""
    pem = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    with pytest.raises(SettingsError, match="chmod 600"):
        SigningKeys(given(tmp_path, pem, mode=0o644))


def test_a_key_file_that_is_not_there_is_refused(tmp_path):
    """It is not made in the operator's place."""
    with pytest.raises(SettingsError, match="can't read"):
        SigningKeys(load({}, data_dir=tmp_path, jwt_key_file=tmp_path / "none"))


def test_rotation_counts_without_a_restart_and_the_old_key_verifies(own, monkeypatch):
    """Tokens signed before stay good for one rotation, not for two."""
    monkeypatch.setattr(signing, "LOOK_EVERY", 0.0)
    tokens = AccessTokens(SigningKeys(own))
    before = tokens.issue(Claims(user_id="u", session_id="s"))
    kid = rotate(own)
    assert next(iter(load_keys(own.key_dir / "jwt.json"))) == kid
    after = tokens.issue(Claims(user_id="u", session_id="s"))
    assert tokens.read(before) == tokens.read(after)
    rotate(own)
    with pytest.raises(Unauthenticated):
        tokens.read(before)
    assert tokens.read(after).user_id == "u"


def test_a_key_file_broken_while_we_run_changes_nothing(own, monkeypatch):
    """The keys held stay good until the file is right again."""
    monkeypatch.setattr(signing, "LOOK_EVERY", 0.0)
    tokens = AccessTokens(SigningKeys(own))
    token = tokens.issue(Claims(user_id="u", session_id="s"))
    (own.key_dir / "jwt.json").write_text("{")
    assert tokens.read(token).user_id == "u"
    (own.key_dir / "jwt.json").unlink()
    assert tokens.read(token).user_id == "u"
