"""A certificate authority of the simulation's own, and a server certificate for this machine's loopback."""

import os
import ssl
from pathlib import Path

import trustme

from armsim.proxy import AZURE_HOSTS

# Azure's own names are for clients that come through the proxy.
NAMES = ("127.0.0.1", "localhost", "::1", *AZURE_HOSTS)


def prepare(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The CA bundle for clients and the context for the server; a CA that is already there is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle, key = folder / "ca.pem", folder / "ca.key"
    if bundle.exists() and key.exists():
        authority = trustme.CA.from_pem(bundle.read_bytes(), key.read_bytes())
    else:
        authority = trustme.CA(organization_name="armsim")
        write_private(key, authority.private_key_pem.bytes())
        bundle.write_bytes(authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    return bundle, context


def write_private(path: Path, content: bytes) -> None:
    """A file that only its owner reads, there all at once."""
    temporary = path.with_name(path.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)
