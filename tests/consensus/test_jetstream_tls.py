"""The adapter with one server behind TLS, for its `tls` option and for one replica."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from consensus.jetstream import JetStreamLog
from consensus.jetstream_layout import GROUP_ROOM
from consensus.log import LogUnavailable
from tests.consensus.contract import append, positions, read
from tests.consensus.lone_server import HOST, lone_server


def write_certificate(folder: Path) -> None:
    """A self-signed one for the loopback address: cert.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))


@pytest.fixture
def tls_server(tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    write_certificate(tmp_path)
    tls = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    with lone_server(tmp_path, unused_tcp_port, tls=tls) as url:
        yield url


async def test_a_log_behind_tls(tls_server: str, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    log = await JetStreamLog.connect([tls_server], "log", replicas=1, tls=trust, timeout=20)
    assert await append(log, b"x") == GROUP_ROOM
    assert positions(await read(log.reader(0), 1)) == [GROUP_ROOM]
    status = await log.status()
    assert (status.last_position, status.term) == (GROUP_ROOM, None)
    await log.close()


async def test_a_certificate_that_is_not_trusted_is_told(tls_server: str) -> None:
    strict = ssl.create_default_context()
    with pytest.raises(LogUnavailable, match=r"(?i)certificate"):
        await JetStreamLog.connect([tls_server], "log", replicas=1, tls=strict, timeout=3)
