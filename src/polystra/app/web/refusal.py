"""The one way in which the server says no: a status and one sentence.

What lives here: the exception and its shape on the wire. What must not: who says no, and why.
"""

from __future__ import annotations

import msgspec


class Refused(Exception):
    """Answered as `{"error": sentence}`; the sentence names what is wrong and what to do, and no secret."""

    def __init__(self, status: int, sentence: str, *, after_s: int = 60) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.after_s = after_s
        """Seconds until it may be tried again; told where too much was asked."""


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What every refused request is answered with."""

    error: str
