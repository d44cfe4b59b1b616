"""Goal: every variable is read, checked, explained and documented, and secrets stay secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load_settings, unknown_variables

ROOT = Path(__file__).resolve().parents[2]


class _Recorder(Mapping[str, str]):
    """An empty environment that remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, variable: str) -> str:
        self.asked.add(variable)
        raise KeyError(variable)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    assert load_settings({}) == Settings()
    assert Settings().embedded


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings({"GUARDIAN_PORT": "", "DATABASE_URL": " "}) == Settings()


def test_everything_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    settings = load_settings(
        {
            "DATABASE_URL": "postgres://u:p@db:5432/g",
            "NATS_URL": "nats://a:4222,nats://b:4222",
            "GUARDIAN_NATS_CREDENTIALS": str(file),
            "GUARDIAN_NATS_CA": str(file),
            "GUARDIAN_NATS_MONITOR_URLS": "http://a:8222, http://b:8222/",
            "GUARDIAN_STREAM": "prod-1",
            "GUARDIAN_DATA_DIR": "/data",
            "GUARDIAN_HOST": "0.0.0.0",
            "GUARDIAN_PORT": "0",
            "WEB_CONCURRENCY": "4",
            "GUARDIAN_PROCESS_PORT": "9100",
            "GUARDIAN_SECRET_KEY": "k" * 32,
            "GUARDIAN_ADMIN_EMAIL": "a@example.com",
            "GUARDIAN_ADMIN_PASSWORD": "correct horse",
            "GUARDIAN_MAX_CONTENT_BYTES": "1000",
            "GUARDIAN_CORS_ORIGINS": "https://a.example,http://localhost:3000",
            "GUARDIAN_LOG_LEVEL": "DEBUG",
        }
    )
    assert settings == Settings(
        database_url="postgres://u:p@db:5432/g",
        nats_url="nats://a:4222,nats://b:4222",
        nats_credentials=file,
        nats_ca=file,
        nats_monitor_urls=("http://a:8222", "http://b:8222"),
        stream="prod-1",
        data_dir=Path("/data"),
        host="0.0.0.0",
        port=0,
        web_concurrency=4,
        process_port=9100,
        secret_key="k" * 32,
        admin_email="a@example.com",
        admin_password="correct horse",
        max_content_bytes=1000,
        cors_origins=("https://a.example", "http://localhost:3000"),
        log_level="debug",
    )
    assert settings.process_ports == range(9100, 9104)
    assert not settings.embedded
    assert settings.nats_servers == ["nats://a:4222", "nats://b:4222"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://u:hush@db/g"),
        ("DATABASE_URL", "postgres://u:hush@db:port/g"),
        ("NATS_URL", "http://u:hush@a"),
        ("NATS_URL", "nats://a,b:hush"),
        ("GUARDIAN_NATS_CREDENTIALS", "/nowhere/at/all"),
        ("GUARDIAN_NATS_CA", "/nowhere/at/all"),
        ("GUARDIAN_NATS_MONITOR_URLS", "a:8222"),
        ("GUARDIAN_STREAM", "has.dots"),
        ("GUARDIAN_PORT", "65536"),
        ("GUARDIAN_PORT", "eighty"),
        ("GUARDIAN_PORT", "-1"),
        ("WEB_CONCURRENCY", "0"),
        ("GUARDIAN_PROCESS_PORT", "65536"),
        ("GUARDIAN_PROCESS_PORT", "8080"),
        ("GUARDIAN_SECRET_KEY", "hush"),
        ("GUARDIAN_MAX_CONTENT_BYTES", "1e6"),
        ("GUARDIAN_MAX_CONTENT_BYTES", "²"),
        ("GUARDIAN_CORS_ORIGINS", "https://a.example/path"),
        ("GUARDIAN_CORS_ORIGINS", "*"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example/path"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example,https://b.example"),
        ("GUARDIAN_PUBLIC_URL", "https://a b"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example?x=1"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example#f"),
        ("GUARDIAN_PUBLIC_URL", "https://u:hush@a.example"),
        ("GUARDIAN_PUBLIC_URL", "https://"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example:"),
        ("GUARDIAN_PUBLIC_URL", "https://a.example:65536"),
        ("GUARDIAN_PUBLIC_URL", "https://[::1::]"),
        ("GUARDIAN_PUBLIC_URL", "https://müller.example"),
        ("GUARDIAN_CORS_ORIGINS", "https://a.example, ftp://b.example"),
        ("GUARDIAN_NATS_MONITOR_URLS", "http://u:hush@a:8222"),
        ("GUARDIAN_TRUSTED_PROXIES", "proxy.example.com"),
        ("GUARDIAN_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("GUARDIAN_REQUESTS_PER_SECOND", "-1"),
        ("GUARDIAN_REQUEST_BURST", "0"),
        ("GUARDIAN_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_names_its_variable_and_keeps_secrets(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert str(caught.value).startswith(f"{variable}: ")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://Guardian.Example.com", "https://guardian.example.com"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("HTTPS://a.example:08443", "https://a.example:8443"),
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
        ("http://a_b.internal:8222", "http://a_b.internal:8222"),
    ],
)
def test_a_web_address_is_written_as_browsers_do(given: str, origin: str) -> None:
    assert load_settings({"GUARDIAN_PUBLIC_URL": given}).public_url == origin
    variables = ("GUARDIAN_CORS_ORIGINS", "GUARDIAN_NATS_MONITOR_URLS")
    settings = load_settings(dict.fromkeys(variables, f"{given}, https://b.example"))
    assert settings.cors_origins == settings.nats_monitor_urls == (origin, "https://b.example")


def test_a_process_that_was_given_its_port_takes_the_highest() -> None:
    """`guardian up` gives its second process the next port, and leaves it WEB_CONCURRENCY."""
    environ = {"GUARDIAN_PROCESS_PORT": "65535", "WEB_CONCURRENCY": "2"}
    assert load_settings(environ).process_port == 65_535


@pytest.mark.parametrize("given", ["EMAIL", "PASSWORD"])
def test_half_a_sign_in_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="go together"):
        load_settings({f"GUARDIAN_ADMIN_{given}": "x@example.com"})


@pytest.mark.parametrize(
    ("ask", "variable"),
    [
        (Settings.require_database_url, "DATABASE_URL"),
        (Settings.require_nats_url, "NATS_URL"),
        (Settings.require_secret_key, "GUARDIAN_SECRET_KEY"),
    ],
)
def test_what_is_required_and_missing_is_named(ask: object, variable: str) -> None:
    assert callable(ask)
    with pytest.raises(SettingsError, match=f"{variable}: is not set"):
        ask(Settings())


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings(
        database_url="hush1", nats_url="hush2", secret_key="hush3", admin_password="hush4"
    )
    assert "hush" not in repr(settings)


def test_the_document_has_every_variable_with_its_default() -> None:
    environ = _Recorder()
    load_settings(environ)
    table = re.findall(
        r"^\| `(\w+)` \| (.+?) \| .+ \|$", (ROOT / "docs/SETTINGS.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in table} == environ.asked
    given = {name: default.strip("`") for name, default in table if default != "not set"}
    assert load_settings(given) == Settings()


def test_only_settings_reads_variables_of_the_product() -> None:
    """Goal: one documented place. Method: no other module names one where it reads os.environ."""
    reading = re.compile(
        r"os\.(environ\.get\(|environ\[|getenv\()\s*[\"'](GUARDIAN_|DATABASE_|NATS_)"
    )
    places = [
        str(path.relative_to(ROOT))
        for room in ("app", "domain", "projections", "consensus")
        for path in (ROOT / room).rglob("*.py")
        if "node_modules" not in path.parts and reading.search(path.read_text(encoding="utf-8"))
    ]
    assert places == []


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("GUARDIAN_REQUEST_PER_SECOND", "GUARDIAN_REQUESTS_PER_SECOND"),
        ("GUARDIAN_REQUESTS_BURST", "GUARDIAN_REQUEST_BURST"),
        ("GUARDIAN_DATABASE_URL", "DATABASE_URL"),
        ("GUARDIAN_WEB_CONCURENCY", "WEB_CONCURRENCY"),
        ("guardian_port", "GUARDIAN_PORT"),
        ("GUARDIAN_SERVICE_XQZ", None),
    ],
)
def test_a_variable_that_is_not_known_is_told_with_the_nearest(
    given: str, nearest: str | None
) -> None:
    assert unknown_variables({given: "1", "PATH": "/bin", "GUARDIAN_HOST": "::1"}) == {
        given: nearest
    }


def test_a_variable_that_is_known_or_empty_is_not_told() -> None:
    environ = _Recorder()
    load_settings(environ)
    assert unknown_variables(dict.fromkeys(environ.asked, "1") | {"GUARDIAN_OLD": " "}) == {}


def _links(service: str) -> dict[str, str]:
    """What Kubernetes sets in every pod for a Service with the port 8080."""
    port = f"{service}_PORT_8080_TCP"
    return {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "8080",
        f"{service}_SERVICE_PORT_HTTP": "8080",
        f"{service}_PORT": "tcp://10.0.0.1:8080",
        port: "tcp://10.0.0.1:8080",
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "8080",
        f"{port}_ADDR": "10.0.0.1",
    }


@pytest.mark.parametrize(
    ("service", "variable", "name"),
    [
        ("GUARDIAN", "GUARDIAN_PORT", "guardian"),
        ("GUARDIAN_PROCESS", "GUARDIAN_PROCESS_PORT", "guardian-process"),
    ],
)
def test_a_kubernetes_service_that_takes_a_setting_is_named(
    service: str, variable: str, name: str
) -> None:
    """It was called no whole number, behind seven warnings of other names."""
    with pytest.raises(SettingsError) as refused:
        load_settings(_links(service))
    assert str(refused.value) == (
        f"{variable}: must be a whole number, not what Kubernetes sets for a Service named"
        f" '{name}': rename the Service, or give the pod `enableServiceLinks: false`"
    )


@pytest.mark.parametrize("service", ["GUARDIAN", "GUARDIAN_WEB", "GUARDIAN_NATS_2"])
def test_what_kubernetes_sets_is_nobodys_mistake(service: str) -> None:
    assert unknown_variables(_links(service)) == {}
