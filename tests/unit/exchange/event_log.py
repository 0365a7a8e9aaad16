"""The hash of a built-in exchange's whole event log, for tests that compare runs; also a program."""

import hashlib
import sys

from polystra.adapters.clock import LoopClock
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import CoreEvent
from polystra.exchange.simulation import DEFAULT_EPOCH_S
from polystra.exchange.traders.config import CrowdConfig
from polystra.runtime.deterministic import run


def digest(seed: int, crowd: CrowdConfig, seconds: int) -> str:
    """Run an exchange for simulated seconds on the deterministic loop; return its events' hash."""
    config = BuiltInConfig(seed=seed, symbols=("BTC", "ETH"), windows=("5m",), speed=None, crowd=crowd)
    log = hashlib.sha256()

    def note(event: CoreEvent) -> None:
        log.update(repr(event).encode())

    async def main() -> None:
        clock = LoopClock(DEFAULT_EPOCH_S * NS_PER_S)
        exchange = BuiltInExchange(config, clock)
        exchange.core.add_listener(note)
        await exchange.start()
        try:
            async with clock.timeout(float(seconds)):
                await exchange.run()
        except TimeoutError:
            await exchange.close()

    run(main(), seed=seed, start_ns=DEFAULT_EPOCH_S * NS_PER_S)
    return log.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(digest(int(sys.argv[1]), CrowdConfig.every_kind(), int(sys.argv[2])) + "\n")
