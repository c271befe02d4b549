"""The part of the catalog that is about security files, key files and passphrases."""

from __future__ import annotations

from typing import Final

from clawchat.values.codes import Entry, ExitCode

ENTRIES: Final[dict[str, Entry]] = {
    "CC-FILE-MISSING": Entry(
        "File not found",
        "There is no file at the path that was given.",
        "Check the path; on the server, `clawchat-server status` prints where the security file is.",
        ExitCode.SETUP,
        "A security file is written by the server into its security directory and carried to the client by hand. "
        "The server removes it as soon as a client has joined with it, so a path that worked yesterday may be "
        "gone today. A client that joined once needs no file any more: `clawchat connect NAME` uses the sealed "
        "credential the server handed over through the session.",
    ),
    "CC-FILE-MODE": Entry(
        "File open to other users",
        "The file or its directory can be read or changed by other users of this machine.",
        "Take the rights of group and others away: `chmod 600 FILE`, `chmod 700 DIRECTORY`.",
        ExitCode.SETUP,
        "Whoever can read a security file and its key can join in your place, so ClawChat refuses files that "
        "others can read and directories in which others can swap files. The message names the exact `chmod`. If "
        "the file was open on a machine with other users, treat it as seen: let the server make a new one.",
    ),
    "CC-FILE-OWNER": Entry(
        "File owned by another user",
        "The file or its directory belongs to another user than the one who runs this program.",
        "Copy the file into a directory of your own, or run `chown` as the administrator.",
        ExitCode.SETUP,
        "A file that belongs to somebody else can be changed by them at any time, so its mode says nothing. This "
        "happens when a file was made with `sudo`, or copied into a container with another user id. The message "
        "names the exact `chown`.",
    ),
    "CC-FILE-KIND": Entry(
        "Not a regular file",
        "The path leads to a symbolic link, a directory or a device.",
        "Give the path of the file itself.",
        ExitCode.SETUP,
        "ClawChat follows no symbolic link when it opens secrets: a link in a directory that others can write "
        "would let them choose what is read or overwritten. `readlink -f PATH` prints the real path.",
    ),
    "CC-FILE-FORMAT": Entry(
        "File damaged or not a security file",
        "The content isn't that of a security file, or it was changed on its way.",
        "Copy the file again, byte for byte; if that doesn't help, let the server make a new one.",
        ExitCode.SETUP,
        "A security file is a small JSON document that no editor or chat program may change. The whole of it is "
        "authenticated, its header too. The key was right if the message says that the file is damaged; a wrong "
        "key is CC-PASSPHRASE.",
    ),
    "CC-FILE-EXPIRED": Entry(
        "Security file expired",
        "By this machine's clock the file's time is over.",
        "Ask for a new security file; if this clock is wrong, try anyway with `--ignore-clock`.",
        ExitCode.SETUP,
        "A security file lives some minutes only, since whoever holds it and its key can join. The server "
        "replaces it every few minutes until a client has joined. The server's own clock decides; this message "
        "comes from the client's clock and saves you the wait for an answer that won't come.",
    ),
    "CC-FILE-USED": Entry(
        "Security file already used",
        "This file was used to join before, and it serves once.",
        "Connect by the server's name (`clawchat connect NAME`), or ask for a new security file.",
        ExitCode.SETUP,
        "The first client that joins burns the file: the server erases the secret in it. If it wasn't you who "
        "joined, somebody else had your file: compare the safety words with the operator, and have the session "
        "ended: `clawchat-server sessions --disconnect NUMBER`, then `clawchat-server bootstrap --new`.",
    ),
    "CC-PASSPHRASE": Entry(
        "Wrong passphrase or key",
        "The passphrase or key file isn't the one this security file was sealed with.",
        "Type the passphrase again, or copy the server's current bootstrap key: `clawchat-server bootstrap`.",
        ExitCode.SETUP,
        "The file carries a commitment to its key, and the key that was given doesn't match it. Keyboard layout "
        "and capital letters are the usual reason for passphrases; for key files it is a server that was set up "
        "anew, or that replaced its key after COMPROMISED. A file whose header was damaged looks the same.",
    ),
    "CC-BOOTSTRAP-MISSING": Entry(
        "No passphrase and no key file",
        "The security file is sealed, and nothing was given to open it with.",
        "Give `--key-file PATH`, or `--passphrase-file PATH`, or run in a terminal to be asked.",
        ExitCode.SETUP,
        "The security file and the bootstrap key (a key file or a passphrase) travel on two ways, so that one "
        "stolen message isn't enough to join. Secrets are never taken from the command line or the environment, "
        "where other users and logs see them.",
    ),
    "CC-NAME": Entry(
        "Name can't be used",
        "The name is empty, too long, or has characters that aren't allowed.",
        "Use up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
        ExitCode.USAGE,
        "Names become file names and are shown to other people, so they are kept to characters that mean nothing "
        "to a file system, a terminal or a shell.",
    ),
}
