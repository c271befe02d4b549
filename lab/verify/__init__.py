"""The ciphertext proof: every UDP payload of a capture is nothing but ciphertext.

``reading`` and ``frames`` turn captures into datagrams; ``opening`` is the first half, with the key log; ``blind`` is
the second half, without it, whose parts are ``canaries``, ``blocks`` and ``statistics`` over the bounds of ``chance``;
``proof`` joins both into a verdict, ``report`` tells it, and ``controls`` holds what must never pass.
"""
