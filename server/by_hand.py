"""Answer a HELLO that a person brought as a file, through the running server."""

from __future__ import annotations

import base64
import pathlib

from clawchat.net import control
from clawchat.net.drop import DirectoryDrop
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MAX_HELLO
from server.home import Home


def answer_hello(home: Home, hello: pathlib.Path, welcome: pathlib.Path) -> float:
    """Write the answer to a HELLO; return how many seconds it is good for.

    Raises PersonalError: CC-FILE-MISSING, CC-REFUSED, CC-DROP, CC-NOT-RUNNING.
    """
    data = DirectoryDrop(hello.absolute().parent, limit=MAX_HELLO).get(hello.name)
    if not data:
        cause = f"{hello} is missing, or not what `clawchat offer` writes"
        raise PersonalError("CC-FILE-MISSING", cause, "Check the path.")
    answer = control.call(home.control, "answer", hello=base64.b64encode(data).decode())
    target = welcome.absolute()
    DirectoryDrop(target.parent).put(target.name, base64.b64decode(answer["welcome"]))
    return float(answer["seconds"])
