"""The state on disk: one SQLite file, written before the answer leaves the server.

Write-ahead log with synchronous=NORMAL: a commit is in the operating system's hands when it returns, so that it
survives any death of the process (not a power cut, for which a rehearsal server need not pay a disk flush per call).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from connect_tasks.emulator.records import KINDS, Record
from connect_tasks.emulator.state import State

SCHEMA: Final = 1
#: Where the numbers of a new directory may begin: who remembers what was said at this address (our client knows which
#: commit a bundle was made of) shall not take a new server's bundles for those of one that is gone.
BEGINNINGS: Final = 10_000


class DataDirectoryRefused(Exception):
    """The data directory cannot be used; the text is one line for the user."""


class Store:
    """The only writer of the state: `commit` writes to disk first and changes the state in memory after that."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the database. Raises DataDirectoryRefused: in use, damaged, or written by a later version."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.state = State()
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            self._open(path)
        except sqlite3.OperationalError as error:
            raise DataDirectoryRefused(f"{path.parent} is in use by another server ({error})") from error
        except sqlite3.DatabaseError as error:
            raise DataDirectoryRefused(f"{path} is not a database of this server ({error})") from error

    def _open(self, path: Path) -> None:
        # The exclusive lock is the guard against two servers on one directory; it dies with the process.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN EXCLUSIVE")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise DataDirectoryRefused(f"{path} was written by a later version of this server")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records"
            " (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS numbers (used INTEGER NOT NULL)")
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        self._db.execute("COMMIT")
        (used,) = self._db.execute("SELECT max(used) FROM numbers").fetchone()
        self._used: int = used or 100 * (1 + secrets.randbelow(BEGINNINGS))
        self.state.apply([_decoded(kind, body) for kind, body in self._db.execute("SELECT kind, body FROM records")])

    def number(self) -> str:
        """A decimal id that was never given out before; kept by the next commit."""
        self._used += 1
        return str(self._used)

    def commit(self, *puts: Record, removes: Iterable[Record] = ()) -> None:
        """All of it or nothing, on disk and then in memory."""
        removed = tuple(removes)
        self._db.execute("BEGIN")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
                [(record.kind, record.key, json.dumps(asdict(record))) for record in puts],
            )
            self._db.executemany(
                "DELETE FROM records WHERE kind = ? AND key = ?", [(record.kind, record.key) for record in removed]
            )
            self._db.execute("DELETE FROM numbers")
            self._db.execute("INSERT INTO numbers VALUES (?)", [self._used])
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self.state.apply(puts, removed)

    def close(self) -> None:
        self._db.close()


def _decoded(kind: str, body: str) -> Record:
    record = KINDS[kind]
    known = {field.name for field in fields(record)}
    # JSON has lists where a few records have tuples.
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(body).items()
        if name in known
    }
    return record(**values)
