"""The certificates that this machine trusts, in Java's format."""

import base64
import hashlib
import os
import pathlib
import re
import struct

from report import Problem

PASSWORD = "changeit"
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def write_trust_store(target: pathlib.Path) -> None:
    """Writes the machine's PEM bundle as a Java key store, in the simple old JKS format."""
    places = [os.environ.get("SSL_CERT_FILE", ""), *_BUNDLES]
    bundle = next((place for place in places if place and os.path.exists(place)), None)
    if not bundle:
        raise Problem("no certificates to trust: as root, `apt-get install -y ca-certificates`")
    pem = pathlib.Path(bundle).read_text()
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", pem, re.S)
    body = struct.pack(">III", 0xFEEDFEED, 2, len(blocks))
    for number, block in enumerate(blocks):
        der = base64.b64decode(block)
        trusted, alias, kind = 2, f"certificate-{number}".encode(), b"X.509"
        body += struct.pack(">IH", trusted, len(alias)) + alias + struct.pack(">QH", 0, len(kind)) + kind
        body += struct.pack(">I", len(der)) + der
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
    target.write_bytes(body + seal)
