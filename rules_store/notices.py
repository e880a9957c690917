"""PostgreSQL's notices that rules have changed. They wake the poll sooner and carry nothing.

Lost notices lose nothing: they go where nobody listens while a connection is down, and PgBouncer
in transaction mode passes none on. So a test at the start says whether they come, and the poll
stays the truth.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine

from rules_store.sql import database_errors
from rules_store.tables import CHANNEL
from schemas.errors import PushError, StoreUnavailable

logger = logging.getLogger(__name__)

SELF_TEST = 2.0  # seconds that a notice of our own may take
LOOK_UP = 1.0  # seconds until a look whether to stop
PAUSE = 5.0  # seconds before connecting anew

SILENT = (
    "no notice came: PgBouncer in transaction mode passes none on. Changes are felt by polling; "
    "give PUSH_DATABASE_URL a session, or set PUSH_RULES_NOTIFY=false"
)


class Notices:
    """Listens on a thread of its own, and calls `wake` at each notice."""

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="notices", daemon=True)
        self.is_heard = False  #: whether notices come at present

    def start(self) -> None:
        """Begin to listen, if the database is one that gives notices."""
        if self._engine.dialect.name == "postgresql":
            self._thread.start()

    def stop(self) -> None:
        """End the listening."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * SELF_TEST)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with database_errors(), self._engine.connect() as connection:
                    if not self._pass_on(connection):
                        return
            except PushError as error:
                logger.info("rules_notices_interrupted", extra={"detail": str(error)})
            finally:
                self.is_heard = False
            self._stopping.wait(PAUSE)

    def _pass_on(self, connection: Connection) -> bool:
        """Pass notices on until asked to stop; return False where none can come."""
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        if not self._hears_itself(connection):
            logger.warning("rules_notices_silent", extra={"detail": SILENT})
            return False
        self.is_heard = True
        self._wake()  # for what was missed until now
        while not self._stopping.is_set():
            for _ in _payloads(connection, LOOK_UP):
                self._wake()
        return True

    def _hears_itself(self, connection: Connection) -> bool:
        said = f"self-test {secrets.token_hex(8)}"
        with connection.engine.begin() as other:
            other.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}', '{said}')")
        return said in _payloads(connection, SELF_TEST)


def _payloads(connection: Connection, within: float) -> Iterator[str]:
    """Yield what notices say as they come, for so many seconds."""
    driver: Any = connection.connection.driver_connection
    dialect: Any = connection.dialect
    try:
        for notice in driver.notifies(timeout=within):
            yield notice.payload
    except dialect.dbapi.Error as error:
        kind = type(error).__name__
        raise StoreUnavailable(f"the rules store gives no notices: {kind}") from error
