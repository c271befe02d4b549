"""Valid inputs for the search to begin with, written into the corpus: ``python -m tests.fuzz.seeds``."""

from __future__ import annotations

import pathlib
import random
from hashlib import sha256
from typing import Final

from clawchat.crypto.credential import make_slot
from clawchat.crypto.relay_text import write_relay
from clawchat.crypto.sealed_log import SealedLog
from clawchat.crypto.secfile import encode_credential, seal_file, seal_slots
from clawchat.nat.stun import encode_request
from clawchat.services.chat import Hello, Join, Message, Received, Rename, Say, ToClient, ToServer, Welcome, Who
from clawchat.services.chat_codec import encode as encode_chat
from clawchat.services.preface import CHAT, write_preface
from clawchat.values.address import Address
from clawchat.wire.frames import (
    Ack,
    Candidates,
    Close,
    Datagram,
    Forward,
    Frame,
    MaxData,
    MaxStreamData,
    MaxStreams,
    PathChallenge,
    PathResponse,
    Ping,
    Punch,
    Register,
    Reset,
    Stop,
    Stream,
    encode,
)
from clawchat.wire.rotation import Compromised, Rekey1, Rekey2, RekeyPlease, Scope
from tests.fuzz.targets.files import KEY
from tests.support.pair import Pair

CORPUS: Final = pathlib.Path(__file__).with_name("corpus")
NAME_LENGTH: Final = 16

FRAMES: Final[list[Frame]] = [
    Ping(),
    Ack(((5, 9), (1, 2)), 7),
    Stream(0, 0, fin=True, data=b"hi"),
    Stream(4, 10, fin=False, data=b"hi"),
    Reset(4, 300, 12),
    Stop(4, 300),
    MaxData(1 << 40),
    MaxStreamData(4, 1 << 40),
    MaxStreams(256),
    Datagram(b"hi"),
    Close(300, "bye"),
    PathChallenge(b"12345678"),
    PathResponse(b"12345678", Address("203.0.113.1", 80)),
    Candidates(9, (Address("::1", 80), Address("203.0.113.1", 9))),
    Punch(3, 7),
    Register(b"0123456789abcdef"),
    Forward(b"0123456789abcdef", b"hi"),
    Rekey1(1, bytes(32)),
    Rekey2(1, bytes(32)),
    RekeyPlease(1),
    Compromised(Scope.SESSION),
]

SAID: Final[list[ToServer]] = [
    Hello("ann", token="t1"),
    Join("kitchen"),
    Say("1", "hi"),
    Say("2", "psst", to="bob"),
    Received((1, 2)),
    Rename("anna"),
    Who("lobby"),
]
TOLD: Final[list[ToClient]] = [Welcome("ann", "home", ("lobby",)), Message(5, "bob", "hi", 1_700_000_000, "lobby")]

HTTP: Final = (
    b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n"
    b"Content-Length: 2\r\n\r\nok"
)
NAT_PMP: Final = (
    b"\x00\x80\x00\x00\x00\x00\x00\x05\xcb\x00q\x05\x00\x81\x00\x00\x00\x00\x00\x05\xc3P\x1f@\x00\x00\x0e\x10"
)
"""The router's address, and a mapping."""
SSDP: Final = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
    b"LOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n"
)
DESCRIPTION: Final = (
    b'<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList><service>'
    b"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl/IPConn</controlURL>"
    b"</service></serviceList></device></root>"
)
LETTER: Final = (
    b'<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b'<u:GetExternalIPAddressResponse xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">'
    b"<NewExternalIPAddress>203.0.113.5</NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>"
)


def seeds() -> dict[str, list[bytes]]:
    """Make them; the same each time."""
    chance = random.Random(1).randbytes
    slot = make_slot(
        chance,
        name="home",
        hello_header_key=bytes(32),
        candidates=[Address("203.0.113.1", 50_000)],
        relays=[],
        timestamp=1,
        validity=600,
    )
    credential = bytes(encode_credential(slot.credential))
    log = SealedLog(KEY, form="clawchat test", random=chance)
    pair = Pair(keylog=True).handshake()
    pair.client.open(b"hello")
    pair.drive()
    datagrams = [sent.data for sent in pair.datagrams]
    bodies = [encode(frame) for frame in FRAMES]
    said = [encode_chat(message) for message in SAID]
    told = [encode_chat(message) for message in TOLD]
    assert pair.keylog is not None
    return {
        "wire-frames": bodies,
        "wire-hello": [b"\x03\x00" + bytes(8 + 32) + b"\x01\x04\xcb\x00q\x01\x00P"],
        "wire-welcome": [b"\x03" + bytes(8 + 32) + b"\x04\xcb\x00q\x01\x00P\x00" + bytes(14)],
        "wire-relay-text": [write_relay(slot.credential).encode()],
        "wire-dissect": datagrams[:6],
        "wire-key-log": ["\n".join(pair.keylog).encode()],
        "wire-replay": [bytes(range(90, 110)), bytes((101, 101, 255, 0))],
        "wire-ranges": [bytes((0, 5, 10, 5, 4, 200))],
        "wire-reassembly": [bytes((0, 5, 10, 69, 5, 70))],
        "endpoint-stranger": [size.to_bytes(2, "big") + datagrams[0] for size in (48, 256, 1200)],
        "endpoint-carried": datagrams[:2],
        "endpoint-authentic": [bytes((choice, 0, 9)) + body for choice in (0, 4) for body in bodies],
        "services-to-server": [b"\x03" + b"".join(said)],
        "services-to-client": [b"\x03" + b"".join(told)],
        "services-client": [b"\x03" + b"".join(told)],
        "services-hub": [b"\n\n".join(part[4:] for part in [said[0], said[0], said[0], *said[1:]])],
        "services-records": [b'{"said":"t","id":"1","number":5}', b'{"in":"t","room":"lobby"}', b'{"seen":4}'],
        "services-framing": [b"\x02" + said[0]],
        "services-preface": [b"\x01" + write_preface(CHAT)],
        "services-handover": [credential],
        "services-control-line": [b'{"request":"status"}'],
        "nat-stun": [encode_request(bytes(12)), b"\x01\x01" + encode_request(bytes(12))[2:]],
        "nat-pcp": [b"\x02\x81\x00\x00" + bytes(4) + b"\x00\x00\x0e\x10" + bytes(12 + 36)],
        "nat-nat-pmp": [NAT_PMP],
        "nat-ssdp": [SSDP],
        "nat-http": [b"\x20" + HTTP],
        "nat-url": [b"http://192.168.1.1:5000/rootDesc.xml"],
        "nat-description": [DESCRIPTION],
        "nat-soap": [LETTER],
        "files-security-file": [seal_file(slot.credential, KEY, chance), seal_slots([slot], KEY, chance)],
        "files-credential": [credential],
        "files-sealed-log": [log.head + log.add([{"a": 1}, {"b": 2}])],
        "files-configuration": [b"server: {id: home, port: 5000}\nsecurity: {file_validity_minutes: 11}\n"],
        "files-topology": [
            b"topology: t\nhosts: {relay: {}}\ngateways: {left: {nat: port-restricted}}\npeers: {anna: left}\n"
        ],
        "files-drop-names": [b"0123abcd.claw/0123abcd (conflict).claw/other"],
    }


def keep(target: str, data: bytes) -> None:
    """Write an input into the corpus, under a name that its contents give it."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha256(data).hexdigest()[:NAME_LENGTH]).write_bytes(data)


if __name__ == "__main__":
    for name, inputs in seeds().items():
        for each in inputs:
            keep(name, each)
