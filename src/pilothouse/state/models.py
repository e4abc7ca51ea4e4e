"""The tables. Times are integer nanoseconds since the epoch; secrets are there only as hashes."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID = String(40)
HASH = LargeBinary(32)


class Base(DeclarativeBase):
    """All tables of the state. Constraints are named, so that a later migration can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Version(Base):
    """A counter that every change of who may do what increments; gateways poll it to learn of revocations."""

    __tablename__ = "versions"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class SetupToken(Base):
    """The one-time token with which the first administrator is made. At most one row."""

    __tablename__ = "setup_tokens"

    token_hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger)


class User(Base):
    """An account. `name_key` is the name as it is compared: NFKC, case-folded."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    username: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    password_hash: Mapped[str] = mapped_column(Text)
    roles: Mapped[str] = mapped_column(Text)
    """JSON list of role names."""
    grants: Mapped[str] = mapped_column(Text)
    """JSON list of grants beside those of the roles."""
    disabled: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[int] = mapped_column(BigInteger)
    last_login_at: Mapped[int | None] = mapped_column(BigInteger)


class CustomRole(Base):
    """A role that an administrator made."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str] = mapped_column(Text)
    grants: Mapped[str] = mapped_column(Text)
    """JSON list of grants."""
    created_at: Mapped[int] = mapped_column(BigInteger)


class LoginSession(Base):
    """One login: what access tokens name, what a family of refresh tokens belongs to, what logout ends."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[int] = mapped_column(BigInteger)
    last_used_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class RefreshToken(Base):
    """One refresh token of a session's family. `next_sealed` is its successor, readable only with the token."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
    next_sealed: Mapped[bytes | None] = mapped_column(HASH)


class ApiKey(Base):
    """A key that acts for its owner, with a part of what the owner may; without owner, for this machine's."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    key_hash: Mapped[bytes] = mapped_column(HASH, unique=True)
    name: Mapped[str] = mapped_column(String(100))
    grants: Mapped[str | None] = mapped_column(Text)
    """JSON list of grants; null means all that the owner holds."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)


class Ticket(Base):
    """A WebSocket ticket: one use, for one path, on behalf of one session or key."""

    __tablename__ = "tickets"

    ticket_hash: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    session_id: Mapped[str] = mapped_column(ID)
    path: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class Throttle(Base):
    """Attempts counted within one window, for an account or an address. Keys are hashes: names typed are not kept."""

    __tablename__ = "throttles"

    key: Mapped[bytes] = mapped_column(HASH, primary_key=True)
    attempts: Mapped[int] = mapped_column(Integer)
    ends_at: Mapped[int] = mapped_column(BigInteger, index=True)


class AuditEntry(Base):
    """One link of the audit chain; see pilothouse.audit.chain for how the hashes are made."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index(None, "at"),
        Index(None, "actor", "id"),
        Index(None, "action", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(200))
    actor_id: Mapped[str] = mapped_column(ID)
    session: Mapped[str] = mapped_column(ID)
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(40))
    permission: Mapped[str] = mapped_column(String(40))
    object: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(String(20))
    details: Mapped[str] = mapped_column(Text)
    """Canonical JSON."""
    hash: Mapped[bytes] = mapped_column(HASH)
    seal: Mapped[bytes] = mapped_column(HASH)


class AuditHead(Base):
    """Where the chain ends. One row; its seal tells a chain that was cut short."""

    __tablename__ = "audit_head"

    one: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_id: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(HASH)
    seal: Mapped[bytes] = mapped_column(HASH)
