"""What a phone in the same network needs: this machine's address, a certificate for https, and a QR code."""

from __future__ import annotations

import datetime
import io
import ipaddress
import socket
from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.assets import cache_folder
from avatar.io.files import atomic_write

VALID_DAYS = 365  # browsers refuse certificates that are good for much longer
LEAST_DAYS = 7  # left of a certificate that is used again
NEEDED = 'needs the extra "lan": pip install "splat-avatar[lan]"'


def lan_address() -> str:
    """This machine's address in its network.

    Raises:
        AvatarError: it is in none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: nothing is sent, but a route is chosen
            return str(probe.getsockname()[0])
        except OSError as error:
            raise AvatarError("This machine is in no network: connect it, or go without --lan.") from error


def self_signed_certificate(address: str) -> tuple[Path, str]:
    """A file with a certificate for `address` and its key (PEM), and the certificate's SHA-256 fingerprint.

    It lies in the user's cache, so that a browser that has accepted it once knows it the next time.

    Raises:
        UsageError: the extra "lan" is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise UsageError(f"--lan {NEEDED}.") from error
    path = cache_folder() / "live" / f"{address}.pem"
    now = datetime.datetime.now(datetime.UTC)
    if path.is_file():
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc > now + datetime.timedelta(days=LEAST_DAYS):
            return path, _fingerprint(certificate.fingerprint(hashes.SHA256()))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "avatar live")])
    names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)  # the key is nobody else's
    with atomic_write(path) as temporary:
        temporary.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return path, _fingerprint(certificate.fingerprint(hashes.SHA256()))


def _fingerprint(digest: bytes) -> str:
    """As browsers show it."""
    return digest.hex(":").upper()


def qr_code(text: str) -> str:
    """A QR code in characters of a terminal.

    Raises:
        UsageError: the extra "lan" is not installed.
    """
    try:
        import segno
    except ImportError as error:
        raise UsageError(f"--lan {NEEDED}.") from error
    drawn = io.StringIO()
    segno.make(text, micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()
