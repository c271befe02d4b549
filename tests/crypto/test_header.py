from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.header import SPARE_BYTES, HeaderCipher
from clawchat.values.limits import BLOCK

KEY = bytes(range(32))
BLOCKS = st.integers(1, 64).flatmap(lambda count: st.binary(min_size=count * BLOCK, max_size=count * BLOCK))


def test_the_published_vector() -> None:
    # FIPS 197, appendix C.3: AES-256.
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert HeaderCipher(KEY).mask(plain).hex() == "8ea2b7ca516745bfeafc49904b496089"


@given(plain=BLOCKS)
def test_many_blocks_at_once_are_the_same_as_one_by_one(plain: bytes) -> None:
    header = HeaderCipher(KEY)
    one_by_one = b"".join(header.mask(plain[i : i + BLOCK]) for i in range(0, len(plain), BLOCK))
    out = bytearray(len(plain) + SPARE_BYTES)
    assert header.mask_into(plain, out) == len(plain)
    assert out[: len(plain)] == one_by_one
    assert header.unmask_into(one_by_one, out) == len(plain)
    assert out[: len(plain)] == plain
    assert header.unmask(one_by_one) == plain


def test_a_cipher_serves_any_number_of_blocks_in_any_order() -> None:
    header = HeaderCipher(KEY)
    reference = Cipher(algorithms.AES256(KEY), modes.ECB())  # noqa: S305 - the permutation itself is compared
    for number in (5, 1, 5, 0):
        block = number.to_bytes(BLOCK, "big")
        encryptor = reference.encryptor()
        assert header.mask(block) == encryptor.update(block) + encryptor.finalize()
        assert header.unmask(header.mask(block)) == block


def test_the_callers_key_is_left_alone() -> None:
    key = bytearray(KEY)
    masked = HeaderCipher(key).mask(bytes(BLOCK))
    assert key == KEY
    assert masked == HeaderCipher(KEY).mask(bytes(BLOCK))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="key size"):
        HeaderCipher(bytes(16))
