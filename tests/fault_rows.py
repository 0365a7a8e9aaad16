"""All rows of the fault table in their order; `fault_table` says how they are checked and shown."""

from __future__ import annotations

from typing import Final

from tests.fault_rows_orders import ORDERS
from tests.fault_rows_surroundings import SURROUNDINGS

ROWS: Final = (*ORDERS, *SURROUNDINGS)
