"""Run a program as its command does, and write down every key it ever has, for somebody else to look for.

    python -m tests.memory.watched server|client FILE arguments…

The keys are written with every bit turned; this process holds them no longer and nowhere else than the program does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from clawchat.crypto import bootstrap, credential, epoch, header, noise
from clawchat.session import rekeying

TURN = bytes(byte ^ 0xFF for byte in range(256))
Tell = Callable[[str, bytes | bytearray], None]


def watch(tell: Tell) -> None:
    """Let every place where a key comes into being tell of it."""

    def split(_arguments: tuple[Any, ...], keys: tuple[bytearray, bytearray, bytearray]) -> None:
        for name, key in zip(("data", "data", "root"), keys, strict=True):
            tell(name, key)

    def next_epoch(_arguments: tuple[Any, ...], secrets: epoch.EpochSecrets) -> None:
        for name, key in zip(("root", "data", "data"), secrets, strict=True):
            tell(name, key)

    def credential_keys(arguments: tuple[Any, ...], keys: credential.CredentialKeys) -> None:
        tell("hello", keys.hello)
        tell("welcome", keys.welcome)
        tell("psk", keys.psk)
        tell("secret", arguments[0].secret)
        tell("hello header", arguments[0].hello_header_key)

    _after(noise.SymmetricState, "split", split)
    _after(epoch, "next_epoch", next_epoch)
    rekeying.next_epoch = epoch.next_epoch  # type: ignore[attr-defined] # it has imported the name
    _after(credential.Credential, "keys", credential_keys)
    _after(header.HeaderMask, "__init__", lambda arguments, _: tell("header", arguments[1]))
    _after(bootstrap.KeyFile, "__post_init__", lambda arguments, _: tell("bootstrap", arguments[0].key))


def _after(owner: Any, name: str, then: Callable[[tuple[Any, ...], Any], object]) -> None:  # noqa: ANN401 - any function
    original = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
        result = original(*arguments, **named)
        then(arguments, result)
        return result

    setattr(owner, name, wrapper)


def main() -> None:
    """Run the program."""
    which, file, *arguments = sys.argv[1:]
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(name: str, key: bytes | bytearray) -> None:
        # a bytearray's translate and a line of its hexadecimal form never hold the key itself
        turned = key.translate(TURN)
        if len(key) == credential.KEY_BYTES and any(key):
            os.write(descriptor, f"{name} {turned.hex()}\n".encode())

    watch(tell)
    if which == "server":
        from server.cli import main as run

        run(arguments)
    else:
        from client.cli import main as run_client

        run_client(arguments)


if __name__ == "__main__":
    main()
