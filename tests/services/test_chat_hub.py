from __future__ import annotations

import pytest

from clawchat.services.chat import (
    Accepted,
    Delivered,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    List,
    Members,
    Message,
    Missed,
    Received,
    Refused,
    Rename,
    Renamed,
    Rooms,
    Say,
    ToClient,
    ToServer,
    Welcome,
    Who,
)
from clawchat.services.chat_hub import Hub
from clawchat.services.chat_queue import MAX_QUEUED
from clawchat.values.errors import ProtocolViolation

NOW = 1_700_000_000
EVERYTHING = 1 << 20


class Person:
    """One member, told as a dialogue: what it says, and what it hears."""

    def __init__(self, hub: Hub, name: str, token: str | None = None, *, again: bool = False) -> None:
        self.hub = hub
        self.key = hub.attach()
        self.says(Hello(name, token=token, again=again))

    def says(self, message: ToServer) -> None:
        self.hub.receive(self.key, message, unix_now=NOW)

    def hears(self) -> list[ToClient]:
        return self.hub.take(self.key, EVERYTHING)


@pytest.fixture
def hub() -> Hub:
    return Hub(server="home")


@pytest.fixture
def ann(hub: Hub) -> Person:
    person = Person(hub, "ann")
    person.hears()
    return person


@pytest.fixture
def bob(hub: Hub, ann: Person) -> Person:
    person = Person(hub, "bob")
    person.hears()
    ann.hears()
    return person


def test_a_newcomer_is_welcomed_into_the_lobby(hub: Hub) -> None:
    assert Person(hub, "ann").hears() == [Welcome("ann", "home", ("lobby",)), Joined("lobby", "ann", ("ann",))]


def test_the_others_hear_of_a_newcomer(hub: Hub, ann: Person) -> None:
    Person(hub, "bob")
    assert ann.hears() == [Joined("lobby", "bob")]


def test_a_taken_name_gets_a_number(hub: Hub, ann: Person) -> None:  # noqa: ARG001 - ann has to be there
    assert Person(hub, "Ann").hears()[0] == Welcome("Ann-2", "home", ("lobby",))


def test_a_numbered_name_stays_a_name(hub: Hub) -> None:
    longest = "é" * 32
    Person(hub, longest)
    second = Person(hub, longest)
    assert hub.name_of(second.key) == "é" * 31 + "-2"


def test_nothing_may_be_said_before_hello(hub: Hub) -> None:
    key = hub.attach()
    with pytest.raises(ProtocolViolation):
        hub.receive(key, Say("1", "hi"), unix_now=NOW)


def test_hello_is_said_once(ann: Person) -> None:
    with pytest.raises(ProtocolViolation):
        ann.says(Hello("ann"))


def test_a_text_is_accepted_then_delivered(ann: Person, bob: Person) -> None:
    ann.says(Say("a", "hi"))
    assert ann.hears() == [Accepted("a", 1, 1)]
    assert bob.hears() == [Message(1, "ann", "hi", NOW, room="lobby")]
    bob.says(Received((1,)))
    assert ann.hears() == [Delivered("a", 1, "bob")]


def test_a_receipt_counts_once_and_only_from_a_receiver(ann: Person, bob: Person) -> None:
    ann.says(Say("a", "hi"))
    ann.hears()
    ann.says(Received((1, 99)))
    bob.says(Received((1, 1)))
    bob.says(Received((1,)))
    assert ann.hears() == [Delivered("a", 1, "bob")]


def test_a_whisper_reaches_one_person(hub: Hub, ann: Person, bob: Person) -> None:
    carl = Person(hub, "carl")
    carl.hears()
    ann.hears()
    bob.hears()
    ann.says(Say("a", "psst", to="BOB"))
    assert ann.hears() == [Accepted("a", 1, 1)]
    assert bob.hears() == [Message(1, "ann", "psst", NOW, to="bob")]
    assert carl.hears() == []


def test_a_whisper_to_nobody_is_refused(ann: Person) -> None:
    ann.says(Say("a", "psst", to="zoe"))
    assert ann.hears() == [Refused("a", "nobody-of-that-name")]


def test_a_room_comes_to_be_and_ends_with_its_members(hub: Hub, ann: Person) -> None:
    ann.says(Join("garden"))
    assert ann.hears() == [Joined("garden", "ann", ("ann",))]
    ann.says(Leave("garden"))
    assert ann.hears() == [Left("garden", "ann", "left")]
    assert hub.rooms() == {"lobby": ("ann",)}


def test_only_members_speak_in_a_room(ann: Person, bob: Person) -> None:
    bob.says(Join("garden"))
    ann.says(Say("a", "hi", room="garden"))
    assert ann.hears() == [Refused("a", "not-in-room")]


def test_who_and_list_answer(ann: Person, bob: Person) -> None:
    bob.says(Join("garden"))
    ann.says(Who("garden"))
    ann.says(Who("cellar"))
    ann.says(List())
    assert ann.hears() == [
        Members("garden", ("bob",)),
        Refused("who", "no-such-room"),
        Rooms(("lobby", "garden"), (2, 1)),
    ]


def test_a_new_name_is_told_to_everybody_who_sees_it(ann: Person, bob: Person) -> None:
    bob.says(Rename("rob"))
    assert ann.hears() == bob.hears() == [Renamed("bob", "rob")]
    ann.says(Rename("ROB"))
    assert ann.hears() == [Refused("rename", "name-taken")]


def test_one_may_change_the_case_of_ones_name(ann: Person) -> None:
    ann.says(Rename("Ann"))
    assert ann.hears() == [Renamed("ann", "Ann")]


def test_the_others_hear_who_went(hub: Hub, ann: Person, bob: Person) -> None:
    hub.detach(bob.key, "lost")
    assert ann.hears() == [Left("lobby", "bob", "lost")]
    assert Person(hub, "bob").hears()[0] == Welcome("bob", "home", ("lobby",))


def test_no_history_unless_asked_for(ann: Person, hub: Hub) -> None:
    ann.says(Say("a", "before"))
    assert not any(isinstance(told, Message) for told in Person(hub, "bob").hears())


def test_history_keeps_the_last_messages() -> None:
    hub = Hub(server="home", history=2)
    ann = Person(hub, "ann")
    for number in range(3):
        ann.says(Say(str(number), f"text {number}"))
    past = [told for told in Person(hub, "bob").hears() if isinstance(told, Message)]
    assert [(told.text, told.past) for told in past] == [("text 1", True), ("text 2", True)]


def test_a_repeat_is_accepted_again_but_not_said_again(ann: Person, bob: Person) -> None:
    ann.says(Say("a", "hi"))
    ann.says(Say("a", "hi"))
    assert [type(told) for told in ann.hears()] == [Accepted, Accepted]
    assert len(bob.hears()) == 1


class TestSlowMembers:
    def test_are_told_how_many_messages_they_missed(self, ann: Person, bob: Person) -> None:
        for number in range(MAX_QUEUED + 10):
            ann.says(Say(str(number), "x"))
            ann.hears()
        heard = bob.hears()
        assert len(heard) == MAX_QUEUED
        assert bob.hears() == [Missed(10)]

    def test_count_as_missed_before_what_follows(self, ann: Person, bob: Person, hub: Hub) -> None:
        for number in range(MAX_QUEUED + 10):
            ann.says(Say(str(number), "x"))
            ann.hears()
        hub.take(bob.key, MAX_QUEUED - 1)
        ann.says(Say("last", "y"))
        assert [type(told) for told in bob.hears()] == [Message, Missed, Message]

    def test_are_not_listened_to(self, ann: Person, bob: Person, hub: Hub) -> None:
        for number in range(MAX_QUEUED // 2):
            ann.says(Say(str(number), "x"))
            ann.hears()
        assert hub.accepting(ann.key)
        assert not hub.accepting(bob.key)
        bob.hears()
        assert hub.accepting(bob.key)

    def test_are_bounded_by_bytes(self, ann: Person, bob: Person) -> None:
        for number in range(100):
            ann.says(Say(str(number), "x" * 16_000))
            ann.hears()
        assert len(bob.hears()) < 70


class TestAClientThatComesBack:
    def test_takes_its_own_place(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        ann.hears()
        new = Person(hub, "bob", token="b0b")
        assert new.hears()[0] == Welcome("bob", "home", ("lobby",))
        assert hub.displaced == [old.key]
        assert ann.hears() == [Left("lobby", "bob", "came back"), Joined("lobby", "bob")]

    @pytest.mark.parametrize("how", ["taken", "queued"])
    def test_gets_what_it_has_not_confirmed(self, hub: Hub, ann: Person, how: str) -> None:
        old = Person(hub, "bob", token="b0b")
        ann.says(Say("a", "hi"))
        if how == "taken":
            old.hears()
        new = Person(hub, "bob", token="b0b")
        assert Message(1, "ann", "hi", NOW, room="lobby") in new.hears()
        ann.hears()
        new.says(Received((1,)))
        assert ann.hears() == [Delivered("a", 1, "bob")]

    def test_gets_it_after_it_was_given_up(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        ann.says(Say("a", "hi"))
        hub.detach(old.key, "lost")
        new = Person(hub, "bob", token="b0b")
        assert Message(1, "ann", "hi", NOW, room="lobby") in new.hears()

    def test_does_not_get_what_it_has_confirmed(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        ann.says(Say("a", "hi"))
        old.hears()
        old.says(Received((1,)))
        new = Person(hub, "bob", token="b0b")
        assert not any(isinstance(told, Message) for told in new.hears())

    def test_is_not_heard_twice(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        old.says(Say("x", "once"))
        new = Person(hub, "bob", token="b0b", again=True)
        new.says(Say("x", "once"))
        assert Accepted("x", 1) in new.hears()
        assert sum(isinstance(told, Message) for told in ann.hears()) == 1

    def test_still_gets_its_receipts(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        old.says(Say("x", "hi"))
        ann.hears()
        new = Person(hub, "bob", token="b0b", again=True)
        new.hears()
        ann.says(Received((1,)))
        assert new.hears() == [Delivered("x", 1, "ann")]

    def test_begins_anew_with_its_ids_when_its_program_did(self, hub: Hub, ann: Person) -> None:
        old = Person(hub, "bob", token="b0b")
        old.says(Say("1", "before"))
        new = Person(hub, "bob", token="b0b")
        new.hears()
        ann.says(Received((1,)))
        new.says(Say("1", "after"))
        assert new.hears() == [Accepted("1", 2, 1)]
        assert [told.text for told in ann.hears() if isinstance(told, Message)] == ["before", "after"]


def test_rooms_are_bounded(ann: Person) -> None:
    for number in range(40):
        ann.says(Join(f"room-{number}"))
    assert Refused("join", "full") in ann.hears()


def test_numbers_start_where_the_server_says(hub: Hub) -> None:
    later = Hub(server="home", first_number=5000)
    ann = Person(later, "ann")
    ann.says(Say("a", "hi"))
    assert ann.hears()[-1] == Accepted("a", 5000, 0)
    assert hub.rooms() == {"lobby": ()}
