"""Safety words: what two people compare to know that their two ends share one handshake.

One 24-bit number of the handshake hash in two forms: three words of a list of 256, and its last six decimal digits.
Somebody who sits between two people with a handshake of his own with each has one chance in 16,777,216 that the
words agree, and one in 1,000,000 that the digits do, for every handshake he makes them go through.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

WORD_COUNT: Final = 3
_NUMBER_BYTES: Final = WORD_COUNT  # one byte chooses one of 256 words
_DIGITS: Final = 6

# Plain English nouns and colours. Any two differ in two letters or more, and within their first four.
WORDS: Final[tuple[str, ...]] = tuple(
    """
    acorn album amber anchor angel ankle apple apron arrow atlas attic autumn badge bagel bamboo banjo barrel basket
    beacon beaver bell bench berry bicycle bishop blanket bottle bridge bronze bucket button cabin cactus camel
    candle canoe carpet castle cedar cello chalk cherry chimney circus clay clock cloud clover cobra coffee comet
    copper coral cousin crayon cricket crown crystal curtain daisy dancer desert diamond dinner doctor dolphin
    dragon drum duck eagle easel echo elbow elephant emerald engine fabric falcon farmer feather fennel fiddle flame
    flute forest fossil fox frog galaxy garden garlic gecko ghost giant ginger giraffe glacier glove goblet golden
    gorilla grape guitar hammer harbor hazel hedgehog helmet heron honey hotel hunter iceberg igloo indigo insect
    iris island ivory jacket jaguar jasmine jelly jewel jigsaw jungle kayak kettle kitchen kiwi koala ladder lagoon
    lamp lantern lemon leopard lettuce library lilac lion lobster lotus lunch magnet mango maple marble meadow
    mirror mitten monkey moon mosaic mountain muffin museum mustard napkin needle nest nickel nutmeg oasis ocean
    octopus olive orange orchid ostrich otter owl oyster palace panda paper parrot peanut pebble pelican pencil
    pepper piano pigeon pillow pirate planet plum poem polar pony popcorn prairie pumpkin puzzle python quartz queen
    rabbit radio rainbow raven ribbon river robin rocket rose ruby saddle salmon sandal saturn scarf school shadow
    shark silver sketch snow spider sponge squirrel stable statue summer sunset swan teapot temple thunder tiger
    tomato tractor trumpet tulip tunnel turtle umbrella uncle unicorn valley vanilla velvet violin volcano waffle
    walrus water whale window winter wizard yellow yogurt zebra zipper
    """.split()  # noqa: SIM905 - one word a line would take four pages
)


def safety_words(handshake_hash: bytes) -> str:
    """Return the words and digits of a handshake, such as ``otter violin cedar (417 093)``."""
    number = sha256(b"clawchat/3 safety words" + handshake_hash).digest()[:_NUMBER_BYTES]
    words = " ".join(WORDS[byte] for byte in number)
    digits = f"{int.from_bytes(number, 'big') % 10**_DIGITS:0{_DIGITS}}"
    return f"{words} ({digits[:3]} {digits[3:]})"
