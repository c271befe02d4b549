"""The bootstrap key: a key file or a passphrase, and how a sealing key is derived from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from clawchat.crypto.derive import derive, wipe
from clawchat.crypto.fields import FieldError, Fields

KEY_FILE_BYTES: Final = 32
SALT_BYTES: Final = 16
"""RFC 9106 section 3.1 recommends 16 bytes."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """32 random bytes in a file of their own."""

    key: bytes | bytearray = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != KEY_FILE_BYTES:
            raise ValueError(f"a bootstrap key has {KEY_FILE_BYTES} bytes")

    def wipe(self) -> None:
        """Overwrite the key, if it lies in memory that can be."""
        if isinstance(self.key, bytearray):
            wipe(self.key)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Words that a person remembers; spellings that look the same are the same (Unicode NFC)."""

    text: str = field(repr=False)

    @property
    def encoded(self) -> bytes:
        """The bytes to derive keys from."""
        return unicodedata.normalize("NFC", self.text).encode()

    def wipe(self) -> None:
        """Do nothing: a text can't be overwritten, only let go of."""


Bootstrap = KeyFile | Passphrase


class Kdf(NamedTuple):
    """A key derivation function and its parameters, as a file's header names them."""

    name: str
    parameters: Mapping[str, int]


class _Function(NamedTuple):
    """One function: the bounds of its parameters, and itself, giving ``length`` bytes."""

    bounds: Mapping[str, tuple[int, int]]
    derive: Callable[[Bootstrap, bytes, int, Mapping[str, int]], bytearray]


HKDF: Final = Kdf("hkdf-sha256", {})
ARGON2ID: Final = Kdf("argon2id", {"iterations": 3, "lanes": 4, "memory_kib": 64 * 1024})
"""RFC 9106 section 4, the second recommended option."""
SCRYPT: Final = Kdf("scrypt", {"log2_n": 17, "p": 1, "r": 8})
"""OWASP's password storage advice, where OpenSSL is older than 3.2 and has no Argon2id."""
PBKDF2: Final = Kdf("pbkdf2-sha256", {"iterations": 600_000})
"""OWASP's password storage advice, where OpenSSL was built without scrypt."""


def default_kdf(bootstrap: Bootstrap) -> Kdf:
    """Return the best function this machine has for a kind of bootstrap key."""
    return HKDF if isinstance(bootstrap, KeyFile) else _best_for_passphrases()


def read_kdf(name: str, parameters: dict[str, object]) -> Kdf:
    """Read a function from a file's header, before anything is derived. Raises FieldError.

    The bounds keep a planted file from taking a machine's memory or its time.
    """
    function = _FUNCTIONS.get(name)
    if function is None:
        raise FieldError("`kdf` isn't known")
    fields = Fields(parameters)
    kdf = Kdf(name, {key: fields.number(key, *bounds) for key, bounds in function.bounds.items()})
    fields.end()
    return kdf


def fits(kdf: Kdf, bootstrap: Bootstrap) -> bool:
    """Tell whether a function is made for this kind of bootstrap key."""
    return (kdf.name == HKDF.name) == isinstance(bootstrap, KeyFile)


def stretch(bootstrap: Bootstrap, kdf: Kdf, salt: bytes, length: int) -> bytearray:
    """Derive ``length`` bytes; a passphrase takes a noticeable time and memory on purpose."""
    return _FUNCTIONS[kdf.name].derive(bootstrap, salt, length, kdf.parameters)


@cache
def _best_for_passphrases() -> Kdf:
    try:
        Argon2id(salt=bytes(SALT_BYTES), length=32, iterations=1, lanes=1, memory_cost=8)
    except UnsupportedAlgorithm:
        pass
    else:
        return ARGON2ID
    try:
        Scrypt(bytes(SALT_BYTES), 32, n=2, r=1, p=1)
    except UnsupportedAlgorithm:
        return PBKDF2
    return SCRYPT


def _secret(bootstrap: Bootstrap) -> bytes | bytearray:
    return bootstrap.key if isinstance(bootstrap, KeyFile) else bootstrap.encoded


def _hkdf(bootstrap: Bootstrap, salt: bytes, length: int, _: Mapping[str, int]) -> bytearray:
    return derive(salt, _secret(bootstrap), b"clawchat/3 file", length)


def _argon2id(bootstrap: Bootstrap, salt: bytes, length: int, parameters: Mapping[str, int]) -> bytearray:
    function = Argon2id(
        salt=salt,
        length=length,
        iterations=parameters["iterations"],
        lanes=parameters["lanes"],
        memory_cost=parameters["memory_kib"],
    )
    key = bytearray(length)
    function.derive_into(bytes(_secret(bootstrap)), key)
    return key


def _scrypt(bootstrap: Bootstrap, salt: bytes, length: int, parameters: Mapping[str, int]) -> bytearray:
    key = bytearray(length)
    Scrypt(salt, length, n=1 << parameters["log2_n"], r=parameters["r"], p=parameters["p"]).derive_into(
        _secret(bootstrap), key
    )
    return key


def _pbkdf2(bootstrap: Bootstrap, salt: bytes, length: int, parameters: Mapping[str, int]) -> bytearray:
    key = bytearray(length)
    PBKDF2HMAC(SHA256(), length, salt, parameters["iterations"]).derive_into(_secret(bootstrap), key)
    return key


# The lower bounds are those of the algorithms; the upper ones keep to 256 MiB and some seconds.
_FUNCTIONS: Final[dict[str, _Function]] = {
    HKDF.name: _Function({}, _hkdf),
    ARGON2ID.name: _Function({"iterations": (1, 12), "lanes": (1, 16), "memory_kib": (128, 256 * 1024)}, _argon2id),
    SCRYPT.name: _Function({"log2_n": (1, 18), "p": (1, 4), "r": (1, 8)}, _scrypt),
    PBKDF2.name: _Function({"iterations": (1, 2_400_000)}, _pbkdf2),
}
