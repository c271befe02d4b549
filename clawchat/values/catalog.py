"""The catalog of every error code a person can meet: its cause, the next action, the exit code, the long form.

A code never changes its meaning and is never used again for another one; scripts may depend on both the
code and the exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from clawchat.values import catalog_files
from clawchat.values.codes import Entry, ExitCode

_ENTRIES: Final[dict[str, Entry]] = {
    # The machine
    "CC-DISK-FULL": Entry(
        "No space left",
        "The file could not be written because the disk or the quota is full.",
        "Free some space and run the command again.",
        ExitCode.OTHER,
        "Files are written beside the old one and put in its place only when complete, so nothing was lost: the "
        "old content is still there.",
    ),
    "CC-READ-ONLY": Entry(
        "Place can't be written",
        "The directory is on a read-only file system, or this user may not write there.",
        "Choose another directory, or mount it writable.",
        ExitCode.SETUP,
        "The usual reason is a container with a read-only root: its security and state directories must be "
        "volumes. `clawchat paths` prints every directory in use.",
    ),
    "CC-CONFIG": Entry(
        "Configuration wrong",
        "The configuration file has an unknown key or a value that can't be used.",
        "Mend the line that the message names; `clawchat-server config check` checks the whole file.",
        ExitCode.SETUP,
        "Unknown keys are errors, since a misspelt key would otherwise be a setting that silently isn't in "
        "force. Flags win over the environment (CLAWCHAT_*), which wins over the file, which wins over defaults.",
    ),
    "CC-PORT-BUSY": Entry(
        "Port in use",
        "Another program uses this UDP port.",
        "Leave the port out to get a free one, or choose another: `--port NUMBER`.",
        ExitCode.SETUP,
        "`ss -ulpn` lists who uses which UDP port on Linux. A second instance of the server is the usual reason.",
    ),
    "CC-ADDRESS": Entry(
        "Address can't be used",
        "This machine has no such address, or may not use this port.",
        "Use 0.0.0.0 for all IPv4 addresses, or one that `ip address` lists; ports below 1024 need rights.",
        ExitCode.SETUP,
        "The address to listen on must be one of this machine's own. A public address that a router maps to this "
        "machine belongs into `networking.public_address` instead.",
    ),
    "CC-ALREADY-RUNNING": Entry(
        "Already running",
        "A server with this security directory is running.",
        "Use the running one (`clawchat-server status`), or stop it first.",
        ExitCode.SETUP,
        "Two servers with one security directory would replace each other's files. A second server needs a "
        "directory of its own: `--config OTHER.yaml`.",
    ),
    "CC-NOT-RUNNING": Entry(
        "Not running",
        "No running program answers at the control socket.",
        "Start it (`clawchat-server run`), and name the same --directory in both commands.",
        ExitCode.OTHER,
        "Commands such as `status` talk to the running program through a unix socket in its state directory. If "
        "it runs as another user or in a container, run the command there.",
    ),
    "CC-CONTROL-DENIED": Entry(
        "Control refused",
        "The control socket belongs to another user.",
        "Run the command as the user who runs the server.",
        ExitCode.REFUSED,
        "Only the user who runs the program may control it, since control includes the sessions and the keys.",
    ),
    # The network and the session
    "CC-NETWORK": Entry(
        "No network",
        "This machine can't send to the network at all.",
        "Connect to a network and run the command again.",
        ExitCode.OTHER,
        "The operating system refused to send: no route, no interface, or a firewall on this machine. A network "
        "that comes back while the program runs is picked up by itself.",
    ),
    "CC-STUN-SILENT": Entry(
        "No STUN server answered",
        "None of the STUN servers that were named answered.",
        "Check the names; try from another network to see whether this one blocks UDP.",
        ExitCode.TIMEOUT,
        "`clawchat netcheck` asks the STUN servers that you name which address they see it come from. If all of "
        "several independent ones are silent, it is most likely this network that lets no UDP out; a single one may "
        "just be down. What can be known without them is printed all the same.",
    ),
    "CC-SERVER-SILENT": Entry(
        "Server silent",
        "No answer came from the server in time.",
        "Ask the operator whether the server is up and the file still current; ask for a new file if in doubt.",
        ExitCode.SERVER_SILENT,
        "A dark server answers nobody but the holder of a live credential, so it can't say why it is silent. The "
        "reasons, most likely first: the security file has expired or was replaced; somebody else joined with "
        "it; the server is down or its address has changed; a firewall between drops UDP; both sides are behind "
        "NATs that can't be punched. What can be seen from this side stands in the message itself.",
    ),
    "CC-PEER-CLOSED": Entry(
        "Closed by the other end",
        "The other end closed the session.",
        "Connect again when you want to.",
        ExitCode.OTHER,
        "The close was authentic: it came from the peer itself. The message gives its code and its reason.",
    ),
    "CC-PEER-LOST": Entry(
        "Other end lost",
        "Nothing was heard from the other end for three minutes, so the session was wiped.",
        "Connect again by the server's name: `clawchat connect NAME`.",
        ExitCode.PEER_ABSENT,
        "Sleep, a lost network or a stopped process look alike from here. Keys of a session nobody answers on "
        "are destroyed; the sealed next credential brings the session back without a new security file.",
    ),
    "CC-SESSION-CLOSED": Entry(
        "Session closed",
        "The session is over on this end.",
        "Connect again to go on.",
        ExitCode.OTHER,
        "The session was closed here, by a command or because the program is ending.",
    ),
    "CC-NO-PATH": Entry(
        "No path to the other end",
        "No way between the two networks was found.",
        "Try from another network, or have a UDP port mapped to the server and set `networking.public_address`.",
        ExitCode.NO_DIRECT_PATH,
        "Two NATs that give every destination another port, and filter by port, can't always be punched. It is "
        "enough that one of the two ends has a port mapped to it, or is in a network with a simpler NAT.",
    ),
    "CC-NO-DIRECT-PATH": Entry(
        "No direct path",
        "The server answered over a relay, but no direct path to it was found in time.",
        "Let the relay carry it: leave out `--path direct`.",
        ExitCode.NO_DIRECT_PATH,
        "With `--path direct` a relay only helps to find a direct path. NATs that give every destination another "
        "port, and filter by port, can't always be punched; some networks let no UDP through but to few addresses. "
        "`clawchat netcheck` says what this network does. It is enough that one of the two ends has a port mapped.",
    ),
    "CC-DROP": Entry(
        "Drop folder can't be used",
        "The directory for the handshake's files is missing, or files can't be written there.",
        "Check the path and its rights; both ends must be able to write there.",
        ExitCode.SETUP,
        "A drop folder is a directory that both ends reach: a shared disk, or one that a service keeps in step on both "
        "machines. Each end writes one small sealed file there and reads the other's; nothing else passes through it.",
    ),
    "CC-DROP-SILENT": Entry(
        "No answer by file",
        "No answer to our HELLO came by the drop folder, or by hand, in time.",
        "Check that the server runs with the same folder (`networking.drop`), and that the folder is kept in step.",
        ExitCode.SERVER_SILENT,
        "The server answers only files made with a live credential, within the security file's own time. Reasons, most "
        "likely first: the folder isn't the same on both ends or isn't kept in step; the server isn't running or has "
        "no `networking.drop`; the security file has expired or was used.",
    ),
    "CC-COMPROMISED": Entry(
        "All keys destroyed",
        "Somebody declared the keys compromised, and every key and file was destroyed.",
        "Get a new security file and a new bootstrap key from the operator, and carry both over by hand.",
        ExitCode.OTHER,
        "COMPROMISED destroys all keys, credentials and files of both ends and makes new ones on the server. It "
        "can't be undone, and nothing that was stolen before works any more. `clawchat-server compromised`, "
        "`/compromised` in the chat and the signal SIGUSR2 set it off.",
    ),
    "CC-VERSION": Entry(
        "Versions don't match",
        "The other end, or the file, speaks another version of the protocol.",
        "Install the same version on both ends; `clawchat --version` and `clawchat-server --version` print it.",
        ExitCode.OTHER,
        "The wire format has one version at a time. What is not understood is refused, never guessed at.",
    ),
    "CC-REFUSED": Entry(
        "Refused by the other end",
        "The other end doesn't allow this.",
        "Ask the operator; the server's policy lists what is allowed.",
        ExitCode.REFUSED,
        "Files must be accepted by their receiver, and forwarded connections must stand in the server's policy, "
        "which is empty at first.",
    ),
    # The programs
    "CC-HANDLER": Entry(
        "Handler failed",
        "The program set as handler could not be started, or it ended.",
        "Run the handler command by hand and read what it prints on stderr.",
        ExitCode.OTHER,
        "A handler gets one JSON line for each message on its standard input and answers with one JSON line. It "
        "must flush its output after each line.",
    ),
    "CC-DOCTOR": Entry(
        "Something is not in order",
        "The doctor found at least one thing that keeps ClawChat from working as well as it could.",
        "Do what stands below each line that begins with FAIL, and run the doctor again.",
        ExitCode.OTHER,
        "`clawchat doctor` and `clawchat-server doctor` look at files, rights, clocks, the network and the kernel, one "
        "by one. PASS is in order, FAIL is not and says what to do, SKIP could not be looked at from here. With --json "
        "each is a line of JSON. The exit code is 0 only when nothing failed. A connection may work all the same: some "
        "failures only make it slower, or its server easier to find.",
    ),
    "CC-UNHEALTHY": Entry(
        "Server not well",
        "The running server failed its self-test.",
        "Read its log and `clawchat-server status`; restart it if that doesn't say why.",
        ExitCode.OTHER,
        "`clawchat-server health` asks the running server whether its event loop turns in time, whether a datagram "
        "sent to its own socket arrives, whether every open invitation has its security file as it was written, and "
        "whether anybody can join. A container or a service manager can use the exit code.",
    ),
    "CC-USAGE": Entry(
        "Command used wrongly",
        "The arguments don't fit the command.",
        "See `clawchat COMMAND --help`.",
        ExitCode.USAGE,
        "Every command prints its own help, with examples.",
    ),
    "CC-INTERRUPTED": Entry(
        "Interrupted",
        "The program was stopped by Ctrl-C or a signal.",
        "Run the command again.",
        ExitCode.INTERRUPTED,
        "An interrupted program closes its sessions and removes what it must not leave behind.",
    ),
    "CC-UNEXPECTED": Entry(
        "Unexpected error",
        "The program met a situation it was not made for. This is a bug.",
        "Run it again with CLAWCHAT_DEBUG=1 in the environment, and report what it prints; secrets are not in it.",
        ExitCode.OTHER,
        "Please report what you did, what you expected and what the program printed.",
    ),
}

CATALOG: Final[Mapping[str, Entry]] = MappingProxyType(catalog_files.ENTRIES | _ENTRIES)

__all__ = ["CATALOG", "Entry", "ExitCode"]
