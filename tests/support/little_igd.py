"""A UPnP router without sockets: its description, its answers, and what it has mapped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clawchat.nat.portmap import igd
from clawchat.nat.portmap.igd import WAN_IP_1, WAN_IP_2

CONTROL = "/ctl/IPConn"


def description(*services: str, base: str = "", control: str = CONTROL) -> bytes:
    """Write a description with connections of these kinds, as deep inside as routers have them."""
    listed = "".join(
        f"<service><serviceType>{kind}</serviceType><serviceId>x</serviceId>"
        f"<controlURL>{control}</controlURL></service>"
        for kind in services
    )
    return (
        '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">'
        + (f"<URLBase>{base}</URLBase>" if base else "")
        + "<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList>"
        "<service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType>"
        "<controlURL>/ctl/L3F</controlURL></service></serviceList>"
        f"<deviceList><device><deviceList><device><serviceList>{listed}</serviceList>"
        "</device></deviceList></device></deviceList></device></root>"
    ).encode()


def response(kind: str, action: str, **values: str) -> bytes:
    """Write what an action returned."""
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<u:{action}Response xmlns:u="{kind}">{inside}</u:{action}Response></s:Body></s:Envelope>'
    ).encode()


def fault(code: int, words: str) -> bytes:
    """Write a fault."""
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        "<faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        f'<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>{code}</errorCode>'
        f"<errorDescription>{words}</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    ).encode()


@dataclass
class LittleIgd:
    """Answer requests as bytes; ``taken`` ports are somebody else's."""

    kinds: tuple[str, ...] = (WAN_IP_1,)
    public: str = "203.0.113.9"
    taken: set[int] = field(default_factory=set)
    permanent_only: bool = False
    same_port_only: bool = False
    knows_any: bool = True
    mappings: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def answer(self, request: bytes) -> tuple[int, bytes]:
        """Return a status and a body."""
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"GET /rootDesc.xml "):
            return 200, description(*self.kinds)
        called = re.search(rb'SOAPAction: "(?P<kind>[^#]+)#(?P<action>\w+)"', head)
        if not head.startswith(f"POST {CONTROL} ".encode()) or called is None:
            return 404, b"not found"
        kind, action = called["kind"].decode(), called["action"].decode()
        self.calls.append(action)
        values = dict(re.findall(r"<(New\w+)>([^<]*)<", body.decode()))
        return self._act(kind, action, values)

    def _act(self, kind: str, action: str, values: dict[str, str]) -> tuple[int, bytes]:
        if action == "GetExternalIPAddress":
            return 200, response(kind, action, NewExternalIPAddress=self.public)
        if action == "DeletePortMapping":
            found = self.mappings.pop(int(values["NewExternalPort"]), None)
            return (200, response(kind, action)) if found else (500, fault(714, "NoSuchEntryInArray"))
        if action not in {"AddPortMapping", "AddAnyPortMapping"} or (action != "AddPortMapping" and not self.knows_any):
            return 500, fault(401, "Invalid Action")
        external, internal = int(values["NewExternalPort"]), int(values["NewInternalPort"])
        lifetime = int(values["NewLeaseDuration"])
        if action == "AddAnyPortMapping":
            external = next(port for port in range(external, 65536) if port not in self.taken)
        problem = (
            (igd.CONFLICT if external in self.taken else None)
            or (igd.SAME_PORT if self.same_port_only and external != internal else None)
            or (igd.ONLY_PERMANENT if self.permanent_only and lifetime else None)
        )
        if problem is not None:
            return 500, fault(problem.number, problem.name)
        self.mappings[external] = (values["NewInternalClient"], internal, lifetime)
        reserved = {"NewReservedPort": str(external)} if kind == WAN_IP_2 and action == "AddAnyPortMapping" else {}
        return 200, response(kind, action, **reserved)
