"""Polystra: a trading daemon for Polymarket's crypto up/down markets."""

__version__ = "0.1.0"
