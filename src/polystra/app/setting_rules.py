"""The words in which a setting's rule is told, and the names of the sections.

What lives here: texts that several settings share. What must not: settings, checks.
"""

from __future__ import annotations

WHERE = "Where and who"
WHAT = "What to trade"
POSITIONS = "Positions"
RISK = "Risk and shutdown"
ALERTS = "Alerts"
API = "Control API and dashboard"

YES_NO = "YES or NO"
HTTP = "an http or https URL without credentials, or empty"
WS = "a ws or wss URL without credentials, or empty"
DOLLARS = "a number of dollars from 0 to 10000000, at most six decimals"
MORE_DOLLARS = "a number of dollars above 0 and up to 10000000, at most six decimals"
PERCENT = "a number of percent above 0 and up to 10000, at most six decimals"
PERCENT_OR_ZERO = "a number of percent from 0 to 10000, at most six decimals"
SECONDS = "a whole number of seconds from 0 to 86400"
MORE_SECONDS = "a whole number of seconds from 1 to 86400"
FINE_SECONDS = "a number of seconds above 0 and up to 3600"
COUNT = "a whole number from 1 to 1000000"
COUNT_OR_ZERO = "a whole number from 0 to 1000000"
DAYS = "a whole number of days from 0 to 36500"
CHAT_IDS = "whole numbers separated by commas, a group's with a minus sign, or empty"
TELEGRAM = "a bot's token, digits and a colon first, or empty"
SECRET = "one line of text, or empty"  # noqa: S105 -- a rule, not a secret
FACTOR = "a number from 0 to 10, at most six decimals"
PATH_OR_NONE = "a path, or empty"
PORT = "a whole number from 0 to 65535"
TOKEN = "16 to 200 printable ASCII characters without spaces, or empty"  # noqa: S105 -- a rule, not a secret
HOST = "an IP address, or localhost"
HOSTS = "host names or addresses separated by commas, or empty"
