"""Be the other end of the demonstration: a handler that answers what is said in the chat, one JSON line each."""

from __future__ import annotations

import json
import sys

HELP = "I am a small program behind the server. Say anything; I repeat it backwards. /status shows the session."


def answer(text: str) -> str:
    """Return what the bot says to a text."""
    return HELP if text.strip().lower() in {"help", "hello", "hi"} else text[::-1]


def main() -> None:
    """Answer line by line until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        print(json.dumps({"reply_to": message["number"], "text": answer(message["text"])}), flush=True)


if __name__ == "__main__":
    main()
