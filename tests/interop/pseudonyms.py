"""Pseudonyms of a release, computed from their definition and independently of flowlake (docs/FORMAT.md)."""

from __future__ import annotations

import hmac
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# An IPv4 address as the last 32 of 128 bits, ::ffff:0:0/96.
MAPPED = 0xFFFF << 32


def digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()


class IpcryptPfx:
    """ipcrypt-pfx of draft-denis-ipcrypt."""

    def __init__(self, key: bytes):
        halves = key[:16], key[16:]
        self._encryptors = [Cipher(algorithms.AES(half), modes.ECB()).encryptor() for half in halves]

    def _bit(self, prefix: int, length: int) -> int:
        """What the bit behind a prefix of this length is flipped by."""
        padded = (1 << length | prefix).to_bytes(16, "big")
        first, second = (encryptor.update(padded) for encryptor in self._encryptors)
        return (first[15] ^ second[15]) & 1

    def encrypt(self, text: str) -> str:
        address = ip_address(text)
        is_ipv4 = isinstance(address, IPv4Address)
        mapped = is_ipv4 or address.ipv4_mapped is not None
        bits = int(address) | MAPPED if is_ipv4 else int(address)
        start = 96 if mapped else 0
        encrypted = bits >> (128 - start)
        for length in range(start, 128):
            prefix, bit = bits >> (128 - length), bits >> (127 - length) & 1
            encrypted = encrypted << 1 | bit ^ self._bit(prefix, length)
        if is_ipv4:
            return str(IPv4Address(encrypted & 0xFFFF_FFFF))
        if mapped:
            return f"::ffff:{IPv4Address(encrypted & 0xFFFF_FFFF)}"
        return str(IPv6Address(encrypted))


class Pseudonyms:
    """Pseudonyms with the key of a file of these bytes."""

    def __init__(self, file: bytes):
        key = file.removesuffix(b"\n").removesuffix(b"\r") if file.endswith(b"\n") else file
        self._mac, self._ip = digest(key, b"flowlake mac"), digest(key, b"flowlake ip")
        self._pfx = IpcryptPfx(digest(key, b"flowlake ipcrypt-pfx"))
        self.key_check = digest(key, b"flowlake key check")[:8].hex()
        self.ipcrypt_pfx = cache(self._pfx.encrypt)

    def mac(self, text: str) -> str:
        return digest(self._mac, text.encode())[:16].hex()

    def ip(self, text: str) -> str:
        return digest(self._ip, text.encode())[:16].hex()

    def ipcrypt_pfx_number(self, number: int) -> int:
        return int(IPv4Address(self.ipcrypt_pfx(str(IPv4Address(number)))))
