"""Settings: where the venue is and who trades there.

What lives here: the fields of that section. What must not: checks between settings (`settings`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings

from polystra.app.setting_rules import DAYS, HTTP, MORE_DOLLARS, PATH_OR_NONE, SECRET, WHERE, WS, YES_NO
from polystra.app.setting_values import (
    Address,
    ChainId,
    DatabaseUrl,
    Days,
    Flag,
    Folder,
    HttpUrl,
    Mode,
    OptionalFile,
    PositiveDollars,
    PrivateKey,
    SecretUrl,
    SignatureType,
    WsUrl,
    parse_mode,
    parse_upper_word,
    parse_word,
    setting,
)


class WhereSettings(BaseSettings):
    """Endpoints, wallet, database, logs."""

    mode: Annotated[Mode, BeforeValidator(parse_mode)] = setting(
        "sim",
        WHERE,
        "sim trades against the built-in exchange, paper on the venue's books with a simulated account, live against "
        "the venue with real money",
        "sim, paper or live",
    )
    paper_balance_dollars: PositiveDollars = setting(
        "1000", WHERE, "dollars that a new paper account begins with; one that exists goes on as it is", MORE_DOLLARS
    )
    live_armed: Address = setting(
        "", WHERE, "the account's address, typed out, without which MODE=live does not start", "an address, or empty"
    )
    poly_private_key: PrivateKey = setting(
        "", WHERE, "the signer's key; live only", "a private key of 64 hex digits, with or without 0x, or empty"
    )
    poly_api_key: SecretStr = setting("", WHERE, "credentials of the API; empty: derived from the key", SECRET)
    poly_api_secret: SecretStr = setting("", WHERE, "goes with POLY_API_KEY", SECRET)
    poly_api_passphrase: SecretStr = setting("", WHERE, "goes with POLY_API_KEY", SECRET)
    keystore_file: OptionalFile = setting(
        "", WHERE, "an encrypted file that holds secrets, made by `polystra secrets init`; empty: none", PATH_OR_NONE
    )
    keystore_passphrase_file: OptionalFile = setting(
        "", WHERE, "a file that holds the keystore's passphrase; empty: asked for at the terminal", PATH_OR_NONE
    )
    poly_funder_address: Address = setting(
        "",
        WHERE,
        "the wallet that holds the funds (deposit wallet, proxy, Safe); empty: the signer's own address",
        "an address of 0x and 40 hex digits, or empty",
    )
    poly_signature_type: SignatureType = setting(
        "",
        WHERE,
        "0 EOA, 1 proxy, 2 Safe, 3 deposit wallet; empty: 3 if a funder is set, else 0",
        "0, 1, 2 or 3, or empty",
    )
    poly_chain_id: ChainId = setting(
        "137", WHERE, "the chain of the contracts; 137 is Polygon", "a whole number from 1"
    )
    clob_url: HttpUrl = setting(
        "", WHERE, "orders; empty: the venue's in live and paper, the built-in exchange's in sim", HTTP
    )
    gamma_url: HttpUrl = setting("", WHERE, "markets; empty as CLOB_URL", HTTP)
    data_api_url: HttpUrl = setting("", WHERE, "holdings, the second source; empty as CLOB_URL", HTTP)
    market_ws_url: WsUrl = setting("", WHERE, "books; empty as CLOB_URL", WS)
    user_ws_url: WsUrl = setting("", WHERE, "own orders and fills; empty as CLOB_URL", WS)
    price_ws_url: WsUrl = setting("", WHERE, "the feed that markets settle on; empty as CLOB_URL", WS)
    spot_ws_url: WsUrl = setting("", WHERE, "the spot prices that lead it; empty: Binance's in live and paper", WS)
    rpc_url: SecretUrl = setting(
        "",
        WHERE,
        "a node of the chain, asked by `polystra doctor` whether the wallet is deployed; empty: not asked",
        HTTP,
    )
    database_url: DatabaseUrl = setting(
        "sqlite:///{data_dir}/polystra-{mode}.db",
        WHERE,
        "SQLite, or postgresql://user:password@host/name; {data_dir} and {mode} stand for those settings",
        "a URL that begins with sqlite:/// or postgresql://",
    )
    database_durable: Flag = setting(
        "NO", WHERE, "SQLite: every commit waits for the disk, so that a power cut loses none", YES_NO
    )
    data_dir: Folder = setting("data", WHERE, "the folder for the database and the lock", "a path")
    api_audit_keep_days: Days = setting(
        "30",
        WHERE,
        "days that requests to the venue are kept for `polystra audit` (heartbeats and other routine 3); 0 keeps all",
        DAYS,
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(parse_upper_word)] = setting(
        "INFO", WHERE, "DEBUG shows the traffic too", "DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(parse_word)] = setting(
        "auto", WHERE, "auto is console on a terminal and json elsewhere", "auto, console or json"
    )
