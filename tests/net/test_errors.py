from __future__ import annotations

import errno
import sys

import pytest

from clawchat.net.socket_errors import (
    LINUX_NAMES,
    NAMES,
    OFFLOAD_REFUSALS,
    Operation,
    System,
    Verdict,
    classify,
    error_name,
    system_of,
)

SEND, RECEIVE = Operation.SEND, Operation.RECEIVE
LINUX, BSD, WINDOWS = System.LINUX, System.BSD, System.WINDOWS


@pytest.mark.parametrize(
    ("platform", "system"),
    [
        ("linux", LINUX),
        ("android", LINUX),
        ("darwin", BSD),
        ("ios", BSD),
        ("freebsd14", BSD),
        ("win32", WINDOWS),
        ("cygwin", WINDOWS),
    ],
)
def test_platforms_belong_to_families(platform: str, system: System) -> None:
    assert system_of(platform) is system


@pytest.mark.parametrize(
    ("system", "operation", "code", "verdict"),
    [
        # a full queue
        (LINUX, SEND, 11, Verdict.RETRY),
        (LINUX, SEND, 105, Verdict.RETRY),
        (BSD, SEND, 35, Verdict.RETRY),
        (BSD, SEND, 55, Verdict.RETRY),
        (WINDOWS, SEND, 10035, Verdict.RETRY),
        (WINDOWS, SEND, 10055, Verdict.RETRY),
        # a socket that the network left behind
        (BSD, SEND, 1, Verdict.REBIND),
        (BSD, SEND, 49, Verdict.REBIND),
        (LINUX, SEND, 99, Verdict.REBIND),
        (WINDOWS, SEND, 10049, Verdict.REBIND),
        (BSD, RECEIVE, 57, Verdict.REBIND),
        # the host's firewall
        (LINUX, SEND, 1, Verdict.REPORT),
        (LINUX, SEND, 13, Verdict.REPORT),
        (WINDOWS, SEND, 10013, Verdict.REPORT),
        # a path that can't be used
        (LINUX, SEND, 90, Verdict.REPORT),
        (LINUX, SEND, 101, Verdict.REPORT),
        (LINUX, SEND, 113, Verdict.REPORT),
        (BSD, SEND, 40, Verdict.REPORT),
        (BSD, SEND, 51, Verdict.REPORT),
        (WINDOWS, SEND, 10040, Verdict.REPORT),
        (WINDOWS, SEND, 10051, Verdict.REPORT),
        (WINDOWS, SEND, 10065, Verdict.REPORT),
        # ICMP about some earlier datagram
        (WINDOWS, RECEIVE, 10054, Verdict.IGNORE),
        (WINDOWS, RECEIVE, 10052, Verdict.IGNORE),
        (WINDOWS, SEND, 10054, Verdict.IGNORE),
        (LINUX, RECEIVE, 111, Verdict.IGNORE),
        (LINUX, RECEIVE, 113, Verdict.IGNORE),
        (BSD, RECEIVE, 61, Verdict.IGNORE),
        # a datagram longer than the room we gave it
        (WINDOWS, RECEIVE, 10040, Verdict.IGNORE),
        # what nobody foresaw
        (LINUX, SEND, 9999, Verdict.REPORT),
        (LINUX, RECEIVE, 9999, Verdict.IGNORE),
    ],
)
def test_every_error_has_its_verdict(system: System, operation: Operation, code: int, verdict: Verdict) -> None:
    assert classify(system, operation, error_name(system, code)) is verdict


def test_an_unknown_number_still_has_a_name() -> None:
    assert error_name(WINDOWS, 10099) == "E10099"
    assert error_name(LINUX, None) == "ENone"


@pytest.mark.skipif(sys.platform != "linux", reason="these are the numbers of Linux")
def test_the_numbers_of_this_system_are_right() -> None:
    assert {code: errno.errorcode[code] for code in LINUX_NAMES if code not in {11, 95}} == {
        code: name for code, name in LINUX_NAMES.items() if code not in {11, 95}
    }
    assert errno.EAGAIN == 11
    assert errno.EOPNOTSUPP == 95


def test_systems_agree_on_the_names() -> None:
    assert set(NAMES[BSD].values()) <= set(NAMES[LINUX].values())
    assert set(NAMES[WINDOWS].values()) <= set(NAMES[LINUX].values())
    assert set(NAMES[LINUX].values()) >= OFFLOAD_REFUSALS
