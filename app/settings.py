"""Reads the environment, once, into a frozen `Settings`.

Nothing else in the product may read an environment variable. Must never print or log a
value: some are secrets (kept out of `repr`). docs/SETTINGS.md describes every variable.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "GUARDIAN_"
MIN_SECRET_KEY_CHARS = 32
MAX_PORT = 65_535
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What Kubernetes sets in every pod for each Service of the namespace: docker's old links.
_LINK = re.compile(r"(?:tcp|udp|sctp)://\S+")
_LINK_NAME = re.compile(
    r"GUARDIAN(?:_[A-Z0-9_]+)?_"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)"
)
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """An environment variable is missing or has a value that cannot be used."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process. `None` means that the variable is not set."""

    database_url: str | None = field(default=None, repr=False)
    nats_url: str | None = field(default=None, repr=False)
    """One URL or several with commas, as nats-py takes them after `nats_servers`."""
    nats_credentials: Path | None = None
    nats_ca: Path | None = None
    nats_monitor_urls: tuple[str, ...] = ()
    """Monitoring ports of the Raft members, without a path: the only source of the term."""
    stream: str = "guardian"
    data_dir: Path = Path(".guardian")
    host: str = "127.0.0.1"
    port: int = 8080
    web_concurrency: int = 1
    process_port: int = 0
    """A port of the first web process alone, the next one of the second and so on; 0: none."""
    secret_key: str | None = field(default=None, repr=False)
    admin_email: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    max_content_bytes: int = 262_144
    read_model_bytes: int = 512 * 1024 * 1024
    """What a web process keeps of configs in memory, about."""
    cors_origins: tuple[str, ...] = ()
    public_url: str | None = None
    """Where browsers reach the service; https makes the session's cookie Secure."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    requests_per_second: int = 1000
    """Of one key or user at one web process, in the long run; 0: no limit."""
    request_burst: int = 5000
    account_requests_per_second: int = 0
    """Of one account, all its keys together, at one web process; 0: no limit."""
    account_watchers: int = 12_000
    """Watches that one account may have open at one web process, and as many held requests."""
    log_level: str = "info"

    @property
    def embedded(self) -> bool:
        """Whether `guardian up` brings its own PostgreSQL or Raft group."""
        return self.database_url is None or self.nats_url is None

    @property
    def process_ports(self) -> range:
        """The ports of the web processes of `guardian up`, in their order; empty without any."""
        count = self.web_concurrency if self.process_port else 0
        return range(self.process_port, self.process_port + count)

    @property
    def speaks_tls(self) -> bool:
        """Whether every client reaches the service by TLS."""
        return (self.public_url or "").startswith("https://")

    @property
    def logs_requests(self) -> bool:
        """Whether each request's line is wanted."""
        return self.log_level in ("debug", "info")

    @property
    def nats_servers(self) -> list[str]:
        """`nats_url` as a list; raises SettingsError when it is not set."""
        return [url.strip() for url in self.require_nats_url().split(",")]

    def require_database_url(self) -> str:
        """`database_url`; raises SettingsError when it is not set."""
        return _required("DATABASE_URL", self.database_url)

    def require_nats_url(self) -> str:
        """`nats_url`; raises SettingsError when it is not set."""
        return _required("NATS_URL", self.nats_url)

    def require_secret_key(self) -> str:
        """`secret_key`; raises SettingsError when it is not set."""
        return _required("GUARDIAN_SECRET_KEY", self.secret_key)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; an empty value counts as not set. Raises SettingsError."""
    return _load(_Reader(environ))


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """What is set, begins like a variable of ours and is none; each with the nearest that is one.

    Nothing to refuse: an older release beside a newer environment, or one that was rolled back,
    must start. What Kubernetes sets for a Service named like us is nobody's mistake, and left out.
    """
    empty = _Reader({})
    _load(empty)
    nearest = {name.removeprefix(PREFIX): name for name in empty.asked}
    unknown: dict[str, str | None] = {}
    for name, value in sorted(environ.items()):
        given = name.upper()
        if _LINK_NAME.fullmatch(name) or _LINK.fullmatch(value):
            continue
        if given.startswith(PREFIX) and name not in empty.asked and value.strip():
            close = difflib.get_close_matches(given.removeprefix(PREFIX), nearest, 1)
            unknown[name] = nearest[close[0]] if close else None
    return unknown


def _load(read: _Reader) -> Settings:
    settings = Settings(
        database_url=read.urls("DATABASE_URL", ("postgres", "postgresql")),
        nats_url=read.urls("NATS_URL", ("nats", "tls", "ws", "wss")),
        nats_credentials=read.file("GUARDIAN_NATS_CREDENTIALS"),
        nats_ca=read.file("GUARDIAN_NATS_CA"),
        nats_monitor_urls=read.url_list("GUARDIAN_NATS_MONITOR_URLS"),
        stream=read.stream("GUARDIAN_STREAM", "guardian"),
        data_dir=Path(read.text("GUARDIAN_DATA_DIR") or ".guardian"),
        host=read.text("GUARDIAN_HOST") or "127.0.0.1",
        port=read.whole("GUARDIAN_PORT", 8080, 0, MAX_PORT),
        web_concurrency=read.whole("WEB_CONCURRENCY", 1, 1, 64),
        process_port=read.whole("GUARDIAN_PROCESS_PORT", 0, 0, MAX_PORT),
        secret_key=read.secret("GUARDIAN_SECRET_KEY"),
        admin_email=read.text("GUARDIAN_ADMIN_EMAIL"),
        admin_password=read.text("GUARDIAN_ADMIN_PASSWORD"),
        max_content_bytes=read.whole("GUARDIAN_MAX_CONTENT_BYTES", 262_144, 1, 4 * 1024 * 1024),
        read_model_bytes=read.whole("GUARDIAN_READ_MODEL_MB", 512, 1, 1_000_000) * 1024 * 1024,
        cors_origins=read.url_list("GUARDIAN_CORS_ORIGINS"),
        public_url=read.url("GUARDIAN_PUBLIC_URL"),
        trusted_proxies=read.networks("GUARDIAN_TRUSTED_PROXIES"),
        requests_per_second=read.whole("GUARDIAN_REQUESTS_PER_SECOND", 1000, 0, 1_000_000),
        request_burst=read.whole("GUARDIAN_REQUEST_BURST", 5000, 1, 1_000_000),
        account_requests_per_second=read.whole(
            "GUARDIAN_ACCOUNT_REQUESTS_PER_SECOND", 0, 0, 1_000_000
        ),
        account_watchers=read.whole("GUARDIAN_ACCOUNT_WATCHERS", 12_000, 1, 20_000),
        log_level=read.choice("GUARDIAN_LOG_LEVEL", "info", LOG_LEVELS),
    )
    if (settings.admin_email is None) != (settings.admin_password is None):
        missing = "EMAIL" if settings.admin_email is None else "PASSWORD"
        raise SettingsError(
            f"GUARDIAN_ADMIN_{missing}", "the e-mail address and the password go together"
        )
    if settings.process_port and settings.process_port == settings.port:
        raise SettingsError("GUARDIAN_PROCESS_PORT", "must not be GUARDIAN_PORT")
    return settings


def _required(variable: str, value: str | None) -> str:
    if value is None:
        raise SettingsError(variable, "is not set")
    return value


class _Reader:
    """Reads and checks single variables of one environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()
        """The variables that were read, set or not."""

    def text(self, variable: str) -> str | None:
        self.asked.add(variable)
        return self._environ.get(variable, "").strip() or None

    def whole(self, variable: str, default: int, lowest: int, highest: int) -> int:
        text = self.text(variable)
        if text is None:
            return default
        if _LINK.fullmatch(text):
            service = variable.removesuffix("_PORT").lower().replace("_", "-")
            raise SettingsError(
                variable,
                f"must be a whole number, not what Kubernetes sets for a Service named {service!r}:"
                " rename the Service, or give the pod `enableServiceLinks: false`",
            )
        if not re.fullmatch(r"[0-9]{1,12}", text) or not lowest <= int(text) <= highest:
            raise SettingsError(variable, f"must be a whole number from {lowest} to {highest}")
        return int(text)

    def choice(self, variable: str, default: str, choices: tuple[str, ...]) -> str:
        text = (self.text(variable) or default).lower()
        if text not in choices:
            raise SettingsError(variable, f"must be one of {', '.join(choices)}")
        return text

    def file(self, variable: str) -> Path | None:
        text = self.text(variable)
        if text is None:
            return None
        if not Path(text).is_file():
            raise SettingsError(variable, f"there is no file {text}")
        return Path(text)

    def secret(self, variable: str) -> str | None:
        text = self.text(variable)
        if text is not None and len(text) < MIN_SECRET_KEY_CHARS:
            raise SettingsError(variable, f"must have {MIN_SECRET_KEY_CHARS} characters or more")
        return text

    def stream(self, variable: str, default: str) -> str:
        text = self.text(variable) or default
        # The name is a NATS subject token and a directory name on every server.
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
            raise SettingsError(variable, "must be 1 to 64 letters, digits, '_' or '-'")
        return text

    def urls(self, variable: str, schemes: tuple[str, ...]) -> str | None:
        """One URL, or several with commas. The value may hold a password: never quote it."""
        text = self.text(variable)
        if text is None:
            return None
        parts = text.split(",") if "nats" in schemes else [text]
        for part in parts:
            if _scheme(variable, part.strip()) not in schemes:
                wanted = " or ".join(f"{scheme}://" for scheme in schemes[:2])
                raise SettingsError(variable, f"must start with {wanted}")
        return text

    def url(self, variable: str) -> str | None:
        """One web address without a path."""
        found = self.url_list(variable)
        if len(found) > 1:
            raise SettingsError(variable, "must be one address")
        return found[0] if found else None

    def networks(self, variable: str) -> tuple[Network, ...]:
        """IP addresses and networks with commas."""
        parts = (self.text(variable) or "").split(",")
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in parts if part.strip())
        except ValueError:
            raise SettingsError(
                variable, "must be addresses or networks like 10.0.0.0/8, with commas"
            ) from None

    def url_list(self, variable: str) -> tuple[str, ...]:
        """Web addresses with commas, each without a path, as browsers write an origin."""
        parts = (self.text(variable) or "").split(",")
        return tuple(_origin(variable, part.strip()) for part in parts if part.strip())


def _origin(variable: str, url: str) -> str:
    """`url` as a browser sends it in `Origin` (RFC 6454 section 6.2), which is compared as text.

    Lower case, and without the scheme's own port. A host that is not ASCII comes as punycode.
    Raises SettingsError for what is more or less than scheme, host and port.
    """
    match = _ORIGIN.fullmatch(url.rstrip("/"))
    problem = SettingsError(
        variable, "must be addresses like https://host:port, without user, path, '?' or '#'"
    )
    if match is None:
        raise problem
    scheme, host = match[1].lower(), match[2].lower()
    port = int(match[3] or _DEFAULT_PORTS[scheme])
    if not 1 <= port <= MAX_PORT:
        raise problem
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise problem from None
    return f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")


def _scheme(variable: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is not a number
    except ValueError:
        raise SettingsError(variable, "is not a valid URL") from None
    return parts.scheme
