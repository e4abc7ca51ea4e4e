"""Access tokens: who and which session, for fifteen minutes. What they may is never in the token, but looked up."""

import time
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import GuestProtocol, OKPKey

from pilothouse.core.errors import Unauthenticated
from pilothouse.identity.opaque import new_secret
from pilothouse.identity.signing import ALGORITHM, SigningKeys

LIFETIME = 15 * 60
"""Seconds."""
ISSUER = AUDIENCE = "pilothouse"
TYPE = "at+jwt"
"""RFC 9068: a token that was made for something else is not taken for an access token."""
MAX_CHARACTERS = 2_048
CLOCK_SKEW = 5
"""Seconds by which the clocks of two gateways may differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What an access token says."""

    user_id: str
    session_id: str


class AccessTokens:
    """Makes and reads them."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._wanted = jwt.JWTClaimsRegistry(
            leeway=CLOCK_SKEW,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            sid={"essential": True},
        )

    def issue(self, claims: Claims) -> str:
        """A token that expires in LIFETIME seconds."""
        now, key = int(time.time()), self._keys.signer()
        return jwt.encode(
            {"alg": ALGORITHM, "kid": key.thumbprint(), "typ": TYPE},
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": claims.user_id,
                "sid": claims.session_id,
                "iat": now,
                "exp": now + LIFETIME,
                "jti": new_secret()[:16],
            },
            key,
            algorithms=[ALGORITHM],
        )

    def read(self, token: str) -> Claims:
        """What a good token says. Raises Unauthenticated: TOKEN_EXPIRED, or INVALID_TOKEN for every other fault."""
        if len(token) > MAX_CHARACTERS or not token.isascii():
            raise invalid()
        try:
            read = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            self._wanted.validate(read.claims)
        except ExpiredTokenError:
            raise Unauthenticated("the access token has expired; refresh it", code="TOKEN_EXPIRED") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise invalid() from None
        subject, session = read.claims["sub"], read.claims["sid"]
        if read.header.get("typ") != TYPE or not isinstance(subject, str) or not isinstance(session, str):
            raise invalid()
        return Claims(user_id=subject, session_id=session)

    def _key_of(self, token: GuestProtocol) -> OKPKey:
        kid = token.headers().get("kid")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidKeyIdError("unknown kid")
        return key


def invalid() -> Unauthenticated:
    """The one answer to every token that is not ours."""
    return Unauthenticated("the access token is not valid", code="INVALID_TOKEN")
