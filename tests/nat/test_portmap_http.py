from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.portmap.document import MAX_DEPTH, MAX_ELEMENTS, MAX_TEXT, parse
from clawchat.nat.portmap.http import Answer, Place, Reader, read_url, write_get, write_post
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

ROUTER = Address("192.168.1.1", 5000)
PLACE = Place(ROUTER, "/igd/desc.xml?a=b")


class TestUrls:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("http://192.168.1.1:5000/igd/desc.xml?a=b", PLACE),
            ("http://192.168.1.1/x", Place(Address("192.168.1.1", 80), "/x")),
            ("http://192.168.1.1:5000", Place(ROUTER, "/")),
            ("http://[fd00::1]:5000/x", Place(Address("fd00::1", 5000), "/x")),
        ],
    )
    def test_an_address_and_a_path(self, text: str, place: Place) -> None:
        assert read_url(text) == place

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "https://192.168.1.1/",
            "http://router.lan/",
            "http://192.168.1.1:0/",
            "http://192.168.1.1:65536/",
            "http://192.168.1.1@10.0.0.1/",
            "http://192.168.1.1/a b",
            "http://192.168.1.1/\r\nHost: x",
            "http://192.168.1/",
            "http://0192.168.1.1/",
            "http://3232235777/",
            "file:///etc/passwd",
            "http://192.168.1.1/" + "a" * 1100,
        ],
    )
    def test_nothing_else(self, text: str) -> None:
        with pytest.raises(BadDatagram):
            read_url(text)

    @pytest.mark.parametrize(
        ("reference", "path"),
        [
            ("/ctl", "/ctl"),
            ("ctl", "/igd/ctl"),
            ("?x", "/igd/?x"),
            ("http://192.168.1.1:5000/ctl", "/ctl"),
            ("/ctl?to=http://elsewhere/", "/ctl?to=http://elsewhere/"),
        ],
    )
    def test_a_reference_stays_on_its_server(self, reference: str, path: str) -> None:
        assert PLACE.beside(reference) == Place(ROUTER, path)

    @pytest.mark.parametrize(
        "reference",
        [
            "http://192.168.1.1:80/ctl",
            "http://10.0.0.1:5000/ctl",
            "https://192.168.1.1:5000/ctl",
            "//10.0.0.1/ctl",
            "/a\r\nHost: x",
            "/a b",
            "/ä",
            "/" + "a" * 1100,
        ],
    )
    def test_a_reference_that_leads_away_is_refused(self, reference: str) -> None:
        with pytest.raises(BadDatagram):
            PLACE.beside(reference)

    @given(st.text(max_size=60))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        for read in (read_url, PLACE.beside):
            try:
                place = read(text)
            except BadDatagram:
                continue
            assert place.path.startswith("/")
            assert write_get(place).count(b"\r\n") == 5


def read(data: bytes, *, pieces: int = 1, end: bool = False) -> Answer | None:
    """Let an answer arrive in pieces of a size."""
    reader = Reader()
    for at in range(0, len(data), pieces):
        if (answer := reader.feed(data[at : at + pieces])) is not None:
            return answer
    return reader.end() if end else None


class TestRequests:
    def test_a_get(self) -> None:
        assert write_get(PLACE) == (
            b"GET /igd/desc.xml?a=b HTTP/1.1\r\nHost: 192.168.1.1:5000\r\nUser-Agent: clawchat UPnP/1.1\r\n"
            b"Connection: close\r\n\r\n"
        )

    def test_a_post(self) -> None:
        data = write_post(PLACE, b"letter", {"X": "y"})
        assert data.startswith(b"POST /igd/desc.xml?a=b HTTP/1.1\r\n")
        assert data.endswith(b"\r\nX: y\r\nContent-Length: 6\r\n\r\nletter")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nWiki\r\n00a\r\npedia in c\r\n0\r\n\r\n"


class TestAnswers:
    @pytest.mark.parametrize("pieces", [1, 7, 1000])
    @pytest.mark.parametrize(
        ("data", "status", "body"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
            (b"HTTP/1.0 500 Internal Server Error\r\ncontent-length:0\r\n\r\n", 500, b""),
            (b"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", 404, b"no"),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
            (CHUNKED, 200, b"Wikipedia in c"),
        ],
    )
    def test_a_whole_answer_is_recognised(self, data: bytes, status: int, body: bytes, pieces: int) -> None:
        answer = read(data, pieces=pieces)
        assert answer is not None
        assert (answer.status, answer.body) == (status, body)

    def test_an_answer_may_end_with_its_connection(self) -> None:
        data = b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall of it"
        assert read(data) is None
        answer = read(data, end=True)
        assert answer is not None
        assert (answer.headers, answer.body) == ({"server": "old"}, b"all of it")

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
            CHUNKED[:-12],
        ],
    )
    def test_half_an_answer_is_none(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            read(data, end=True)

    @pytest.mark.parametrize(
        "data",
        [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 999 x\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 2000,
            b"x" * 200_000,
        ],
    )
    def test_what_is_no_answer_or_too_much_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            read(data)

    def test_many_answers_before_the_answer_do_no_harm(self) -> None:
        assert read(b"HTTP/1.1 100 C\r\n\r\n" * 5000, pieces=100_000) is None

    @given(st.binary(max_size=300), st.integers(1, 50))
    def test_arbitrary_bytes_are_refused_or_awaited(self, data: bytes, pieces: int) -> None:
        for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:48]):
            try:
                read(start + data, pieces=pieces, end=True)
            except BadDatagram:
                continue


class TestDocuments:
    def test_elements_are_found_by_their_own_names(self) -> None:
        root = parse(b'<a:x xmlns:a="u"><a:y> one </a:y><z><y>two</y></z></a:x>')
        assert [each.text.strip() for each in root.find("y")] == ["one", "two"]
        assert (root.value("y"), root.value("q")) == ("one", "")
        assert next(root.find("x")).child("y") == "one"
        assert next(root.find("x")).child("q") == ""

    @pytest.mark.parametrize(
        "data",
        [
            b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
            b'<!DOCTYPE x SYSTEM "http://192.168.1.1/evil.dtd"><x/>',
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
            b"<!DOCTYPE x><x/>",
        ],
    )
    def test_entities_are_refused_before_they_can_grow(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            parse(data)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"<a>",
            b"<a></b>",
            b"<a/><b/>",
            b"not xml",
            b"\xff\xfe\x00",
            b'<?xml version="1.0" encoding="no-such"?><a/>',
            b"<a>&undefined;</a>",
            b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
            b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
            b"<a>" + b"x" * (MAX_TEXT + 1) + b"</a>",
        ],
    )
    def test_what_is_no_document_or_too_much_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            parse(data)

    @given(st.one_of(st.binary(max_size=200), st.text("<>/abc&;!?=\"' ", max_size=200).map(str.encode)))
    def test_arbitrary_bytes_are_read_or_refused(self, data: bytes) -> None:
        try:
            parse(data)
        except BadDatagram:
            return
