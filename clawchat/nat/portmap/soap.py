"""Call an action of a UPnP service (UPnP Device Architecture 1.1, section 3.2): an XML letter each way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from xml.sax import saxutils

from clawchat.nat.portmap.document import parse
from clawchat.nat.portmap.http import Answer
from clawchat.values.errors import BadDatagram

OK: Final = 200
SERVER_ERROR: Final = 500
"""With this status a fault comes (section 3.2.5)."""

_CODE: Final = re.compile(r"-?\d{1,6}")
_MAX_DESCRIPTION: Final = 128


class Call(NamedTuple):
    """An action of a service, and its arguments in the service's own order."""

    service: str
    action: str
    arguments: Mapping[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the letter."""
        return {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": f'"{self.service}#{self.action}"'}

    @property
    def body(self) -> bytes:
        """Write the letter."""
        arguments = "".join(f"<{name}>{saxutils.escape(value)}</{name}>" for name, value in self.arguments.items())
        return (
            '<?xml version="1.0"?>\r\n'
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
            ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">'
            f'<s:Body><u:{self.action} xmlns:u="{self.service}">{arguments}</u:{self.action}></s:Body>'
            "</s:Envelope>\r\n"
        ).encode()


class Fault(NamedTuple):
    """A service did not do it: its error code, and its words."""

    code: int
    description: str


def read(answer: Answer, call: Call) -> dict[str, str] | Fault:
    """Read what a call returned: the values by name, or a fault. Raises BadDatagram."""
    if answer.status not in {OK, SERVER_ERROR}:
        return Fault(answer.status, f"HTTP status {answer.status}")
    letter = parse(answer.body)
    if answer.status == SERVER_ERROR:
        code = letter.value("errorCode")
        if not _CODE.fullmatch(code):
            raise BadDatagram("upnp")
        words = "".join(c if c.isprintable() else " " for c in letter.value("errorDescription"))
        return Fault(int(code), words[:_MAX_DESCRIPTION])
    returned = next(letter.find(f"{call.action}Response"), None)
    if returned is None:
        raise BadDatagram("upnp")
    return {child.name: child.text.strip() for child in returned.children}
