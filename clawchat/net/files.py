"""Files with secrets in them: nobody else's, readable by nobody else, and never half written.

On Windows the rights of the directory protect the files; there are no mode bits to check.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import secrets
import shlex
import stat
from collections.abc import Callable
from typing import Final

from clawchat.crypto.bootstrap import KEY_FILE_BYTES, Bootstrap, KeyFile, Passphrase
from clawchat.values.errors import PersonalError, SecurityFileError

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700
MAX_PASSPHRASE_BYTES: Final = 1024

_POSIX: Final = os.name == "posix"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
# What a system doesn't have is 0. O_NONBLOCK: opening a FIFO would wait for its writer.
_COMMON: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _COMMON


def read_private(path: pathlib.Path, limit: int) -> bytes:
    """Read a file of at most ``limit`` bytes that is our own and that nobody else can read or swap.

    Raises SecurityFileError whose action is the exact mend.
    """
    if not _POSIX and path.is_symlink():
        raise _kind(path, "a symbolic link")
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _check_file(path, os.fstat(descriptor))
        _check_directory(path)
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise SecurityFileError("CC-FILE-FORMAT", f"{path} is larger than {limit} bytes")
    return data


def write_private(path: pathlib.Path, data: bytes) -> None:
    """Write a file that only we can read, all of it or nothing: an old one stays until the new one is complete.

    Raises SecurityFileError: CC-DISK-FULL, CC-READ-ONLY, CC-FILE-MISSING (no such directory), CC-FILE-KIND.
    """
    try:
        replace_file(path, data, PRIVATE_FILE)
        _sync_directory(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def replace_file(path: pathlib.Path, data: bytes, mode: int) -> None:
    """Write a file, all of it or nothing, with a mode; whoever reads meanwhile sees the old one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, _WRITE, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            if hasattr(os, "fchmod"):  # whatever the umask is
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def private_directory(path: pathlib.Path) -> pathlib.Path:
    """Make a directory, and the ones above it, that only we can enter; return it.

    One that is there already must be like that; if it is empty it is made so. Raises SecurityFileError.
    """
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        found = path.stat()
        if _POSIX and found.st_uid == os.geteuid() and found.st_mode & _OTHERS and not any(path.iterdir()):
            path.chmod(PRIVATE_DIRECTORY)
            found = path.stat()
    except FileExistsError:
        raise _kind(path, "not a directory") from None
    except OSError as error:
        raise unwritable(path, error) from error
    if not _POSIX:
        return path
    if found.st_uid != os.geteuid():
        raise _owner(path, found, "directory")
    if found.st_mode & _OTHERS:
        raise SecurityFileError(
            "CC-FILE-MODE", f"the directory {path} is open to other users (mode {_mode(found)})", _chmod("700", path)
        )
    return path


def remove(path: pathlib.Path) -> None:
    """Remove a file, if it is there, and wait until the disk knows. Raises SecurityFileError."""
    try:
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def destroy(path: pathlib.Path) -> bool:
    """Overwrite a file and remove it, if it is there; tell whether it was. Raises SecurityFileError.

    A symbolic link is removed and what it leads to is not touched. File systems that keep what was overwritten, and
    disks that write elsewhere, are beyond our reach.
    """
    there = os.path.lexists(path)
    with contextlib.suppress(OSError):  # what can't be overwritten can perhaps be removed
        descriptor = os.open(path, os.O_WRONLY | _COMMON)
        try:
            os.write(descriptor, bytes(os.fstat(descriptor).st_size))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    remove(path)
    return there


def load_bootstrap(
    key_file: pathlib.Path | None = None,
    passphrase_file: pathlib.Path | None = None,
    prompt: Callable[[], str] | None = None,
) -> Bootstrap:
    """Load the bootstrap key from the one place that was given; ``prompt`` asks a person if none was.

    A key file holds 32 bytes, as they are or in hexadecimal; a passphrase file one line of UTF-8. Raises
    PersonalError.
    """
    if key_file is not None and passphrase_file is not None:
        raise PersonalError("CC-USAGE", "both a key file and a passphrase file were given", "Give one of them.")
    if key_file is not None:
        return _load_key(key_file)
    if passphrase_file is not None:
        return _load_passphrase(passphrase_file)
    text = prompt() if prompt else ""
    if not text:
        raise SecurityFileError("CC-BOOTSTRAP-MISSING", "neither a key file nor a passphrase was given")
    return Passphrase(text)


def _load_key(path: pathlib.Path) -> KeyFile:
    data = read_private(path, MAX_PASSPHRASE_BYTES)
    if len(data) == KEY_FILE_BYTES:
        return KeyFile(bytearray(data))
    try:
        return KeyFile(bytearray.fromhex(data.decode()))
    except ValueError:
        raise SecurityFileError(
            "CC-FILE-FORMAT",
            f"{path} isn't a key file: it doesn't hold {KEY_FILE_BYTES} bytes, nor those in hexadecimal",
            "Copy the bootstrap key again from the server: `clawchat-server bootstrap`.",
        ) from None


def _load_passphrase(path: pathlib.Path) -> Passphrase:
    try:
        text = read_private(path, MAX_PASSPHRASE_BYTES).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise SecurityFileError(
            "CC-FILE-FORMAT",
            f"{path} doesn't hold one line of text in UTF-8",
            f"Write the passphrase, and nothing else, into {path}.",
        )
    return Passphrase(text)


def _check_file(path: pathlib.Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _kind(path, "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file")
    if not _POSIX:
        return
    if found.st_uid != os.geteuid():
        raise _owner(path, found, "file")
    if found.st_mode & _OTHERS:
        raise SecurityFileError(
            "CC-FILE-MODE", f"{path} is open to other users (mode {_mode(found)})", _chmod("600", path)
        )


def _check_directory(path: pathlib.Path) -> None:
    # In a directory with the sticky bit, such as /tmp, others can add files but can't swap ours.
    found = path.parent.stat()
    if not _POSIX or not found.st_mode & _OTHERS_WRITE or found.st_mode & stat.S_ISVTX:
        return
    cause = f"other users can swap files in the directory {path.parent} (mode {_mode(found)})"
    if found.st_uid == os.geteuid():
        raise SecurityFileError("CC-FILE-MODE", cause, _chmod("700", path.parent))
    raise SecurityFileError("CC-FILE-MODE", cause, "Move the file into a directory of your own.")


def _sync_directory(path: pathlib.Path) -> None:
    # Windows can't open directories; its file system orders renames by itself.
    if not _POSIX:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(path: pathlib.Path, error: OSError) -> SecurityFileError:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return SecurityFileError("CC-FILE-MISSING", f"there is no file {path}")
    if error.errno in {errno.ELOOP, errno.EMLINK}:  # the second on FreeBSD
        return _kind(path, "a symbolic link")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return SecurityFileError("CC-FILE-OWNER", f"this user may not read {path}", _chown(path))
    return SecurityFileError("CC-FILE-KIND", f"{path} can't be read: {error.strerror}")


def unwritable(path: pathlib.Path, error: OSError) -> SecurityFileError:
    """Make the error of a file that can't be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return SecurityFileError("CC-DISK-FULL", f"there is no space left to write {path}")
    if error.errno in {errno.EISDIR, errno.ENOTDIR}:
        return _kind(path, "a directory" if path.is_dir() else "below something that isn't a directory")
    if error.errno == errno.ENOENT:
        return SecurityFileError(
            "CC-FILE-MISSING",
            f"there is no directory {path.parent}",
            f"Make it: `mkdir -m 700 -p {_quoted(path.parent)}`.",
        )
    return SecurityFileError("CC-READ-ONLY", f"{path} can't be written: {error.strerror}")


def _kind(path: pathlib.Path, what: str) -> SecurityFileError:
    return SecurityFileError("CC-FILE-KIND", f"{path} is {what}")


def _owner(path: pathlib.Path, found: os.stat_result, what: str) -> SecurityFileError:
    cause = f"the {what} {path} belongs to another user (uid {found.st_uid}, this program runs as {os.geteuid()})"
    return SecurityFileError("CC-FILE-OWNER", cause, _chown(path))


def _quoted(path: pathlib.Path) -> str:
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _chown(path: pathlib.Path) -> str:
    if not _POSIX:
        return "Give yourself the right to read it, in the file's properties."
    return f"Take it over as the administrator: `sudo chown {os.geteuid()} {_quoted(path)}`."


def _chmod(mode: str, path: pathlib.Path) -> str:
    return f"Close it: `chmod {mode} {_quoted(path)}`."


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):03o}"
