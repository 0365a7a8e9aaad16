"""Chance from the operating system, for the modes in which nothing is to be repeated.

The only file that may ask the system for randomness; everything else is given a generator,
and simulations give a seeded one.
"""

from __future__ import annotations

from random import Random, SystemRandom


def system_chance() -> Random:
    """A generator that no seed can repeat: for salts and jitter where real money trades."""
    return SystemRandom()
