"""The one tree of settings. Nobody else reads the environment.

Order: `pilothouse.toml` (PILOTHOUSE_CONFIG names another file), then `PILOTHOUSE_*` variables, then what the
command line gives. A variable ending in `_FILE` names a file that holds the value, for secrets.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.times import format_span, parse_span

PREFIX = "PILOTHOUSE_"
CLIENT_VARIABLES = {PREFIX + "CONFIG", PREFIX + "URL", PREFIX + "API_KEY"}
"""Variables that are not settings: where the file is, and what the command line needs of a remote Pilothouse."""


class SettingsError(Exception):
    """A setting with a wrong value: says its name, what it got and what it wants."""


def _span(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_span(value)
        except InvalidRequest as error:
            raise ValueError("want a duration such as 30s, 12h or 7d") from error
    return value


def _words(value: object) -> object:
    if isinstance(value, str):
        return [word for word in (part.strip() for part in value.split(",")) if word]
    return value


Span = Annotated[int, BeforeValidator(_span)]
"""Nanoseconds, given as a duration such as `7d`."""
Words = Annotated[list[str], BeforeValidator(_words)]
"""A list, given in a variable as words separated by commas."""


class Settings(BaseModel):
    """Every setting, its type and its default. docs/settings.md is tested to name each one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    listen: str = Field("127.0.0.1:4080", description="host:port, the only open port")
    data_dir: Path = Field(Path("var"), description="where everything is kept; made 0700")
    public_url: str = Field("", description="the address that browsers use, where it is not http://LISTEN")
    database_url: str = Field("", description="SQLAlchemy URL of the state; SQLite under DATA_DIR where empty")
    loki_url: str = Field("", description="a real Loki; the embedded store where empty")
    docker_host: str = Field("", description="unix:///path or tcp://host:port; /var/run/docker.sock where empty")
    docker: bool = Field(True, description="collect the logs of containers where a Docker socket can be read")
    journal: bool = Field(True, description="collect from journald where journalctl is there")
    log_files: Words = Field(default_factory=list, description="globs of files to collect, NAME=GLOB or GLOB")
    retention: Span = Field(parse_span("7d"), description="how long lines are kept")
    max_disk: int = Field(0, ge=0, description="bytes the log store may use, oldest go first; 0 means no bound")
    admin_password: SecretStr | None = Field(None, description="sets the first administrator's password (user admin)")
    jwt_key_file: Path | None = Field(
        None, description="a PEM or JWK set of signing keys; made at first start where empty"
    )
    metrics_token: SecretStr | None = Field(None, description="a bearer token with which Prometheus may read /metrics")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="of Pilothouse's own log")
    store_memory: int = Field(192 << 20, ge=64 << 20, description="bytes DuckDB may use for one query")
    query_timeout: Span = Field(parse_span("30s"), description="how long a query may run")
    host_name: str = Field("", description="the `host` label of collected lines; the machine's name where empty")

    @field_validator("listen")
    @classmethod
    def _listen_is_host_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise ValueError("want host:port, such as 127.0.0.1:4080")
        return value

    @property
    def host(self) -> str:
        """The address to bind."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to bind."""
        return int(self.listen.rpartition(":")[2])

    @property
    def run_dir(self) -> Path:
        """Unix sockets of the processes, 0700."""
        return self.data_dir / "run"

    @property
    def store_socket(self) -> Path:
        """Where the embedded store listens."""
        return self.run_dir / "store.sock"

    @property
    def worker_socket(self) -> Path:
        """Where the worker answers /ready and /metrics."""
        return self.run_dir / "worker.sock"

    @property
    def key_dir(self) -> Path:
        """Signing keys, 0700, files 0600."""
        return self.data_dir / "keys"

    @property
    def logs_dir(self) -> Path:
        """The embedded log store's own directory."""
        return self.data_dir / "logs"

    @property
    def loki(self) -> str:
        """The URL of the log backend: LOKI_URL, or the embedded store as `unix:///…`."""
        return self.loki_url.rstrip("/") or f"unix://{self.store_socket.absolute()}"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the state."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / 'state.db').absolute()}"

    @property
    def base_url(self) -> str:
        """The address that browsers use."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """These settings as `PILOTHOUSE_*` variables, for a child process. Holds secrets: never print it."""
        out = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if value is None or value == info.get_default(call_default_factory=True):
                continue
            if isinstance(value, SecretStr):
                text = value.get_secret_value()
            elif name in {"retention", "query_timeout"}:
                text = format_span(value)
            elif isinstance(value, list):
                text = ",".join(value)
            else:
                text = str(value)
            out[PREFIX + name.upper()] = text
        return out


def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Read the tree. `given` wins over the environment, the environment over the file. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    path = Path(environ.get(PREFIX + "CONFIG", "pilothouse.toml"))
    if path.exists():
        try:
            values |= {key.lower(): value for key, value in tomllib.loads(path.read_text()).items()}
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from error
    elif PREFIX + "CONFIG" in environ:
        raise SettingsError(f"{PREFIX}CONFIG names {path}, which does not exist")
    known = Settings.model_fields
    for key, value in environ.items():
        if not key.startswith(PREFIX) or key in CLIENT_VARIABLES:
            continue
        name = key.removeprefix(PREFIX).lower()
        text = value
        if name not in known and name.endswith("_file"):
            name = name.removesuffix("_file")
            try:
                text = Path(value).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{key}: can't read {value}: {error}") from error
        if name not in known:
            raise SettingsError(f"{key} is not a setting; docs/settings.md lists them")
        values[name] = text
    values |= given
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(f"{path}: {unknown[0]} is not a setting; docs/settings.md lists them")
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        got = "(hidden)" if "SecretStr" in str(known[name].annotation) else repr(values.get(name))
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{PREFIX}{name.upper()}: got {got}; {message}") from error
