"""I9: no binary float where money, shares or prices are computed: no float literal, no float(), no true division."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "polystra"
MONEY_PATHS = (
    "domain",
    "matching",
    "engine/positions",
    "engine/bookkeeper.py",
    "engine/gateway.py",
    "engine/risk.py",
    "engine/validation.py",
    "adapters/polymarket/signing",
    "adapters/polymarket/decode_account.py",
    "adapters/polymarket/decode_market.py",
    "adapters/polymarket/wire.py",
    "adapters/store",
    "exchange/matcher.py",
    "exchange/accounts.py",
    "exchange/chain.py",
    "exchange/validation.py",
)
NOT_MONEY = {
    "domain/facts.py": "decisions carry probabilities",
    "adapters/store/encode.py": "decisions carry probabilities",
    "adapters/store/decode.py": "decisions carry probabilities",
    "adapters/store/tables.py": "decisions carry probabilities",
    "adapters/store/database.py": "a time-out in seconds",
    "adapters/store/migrations.py": "paths are joined by a slash",
}
FILES = sorted(
    path
    for each in MONEY_PATHS
    for path in ([PACKAGE / each] if each.endswith(".py") else (PACKAGE / each).rglob("*.py"))
    if str(path.relative_to(PACKAGE)) not in NOT_MONEY
)


def floats(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        conversion = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
        division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        if literal or conversion or division:
            found.append(f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:60]}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_money_modules_have_no_float(path: Path) -> None:
    assert floats(path.read_text()) == []


def test_the_search_finds_what_it_looks_for() -> None:
    assert len(floats("a = 1.5\nb = float('2')\nc = a / b\nd = 1\nd /= 2\ne = 4 // 2")) == 4
