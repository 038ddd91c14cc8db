"""Whoever is told to end ends, wherever it stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connect_tasks import process
from connect_tasks.interrupts import terminated_as_interrupt, uninterrupted


class Interrupted:
    """Told to end while it is finalized."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):  # the handler runs between two steps of ours
            pass


def told_to_end(deed: Callable[[], object]) -> None:
    with terminated_as_interrupt():
        deed()
        time.sleep(10)


def test_term_is_an_interrupt_and_afterwards_what_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        told_to_end(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_of_a_finalizer_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        told_to_end(lambda: Interrupted() and None)
    assert "Traceback" not in capfd.readouterr().err


def test_a_second_interrupt_ends_the_patience_with_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ignores TERM is given a grace; who interrupts again does not wait for that."""
    monkeypatch.setattr(process, "GRACE", 60.0)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    impatient = f"import os, time; time.sleep(0.5); os.kill({os.getpid()}, 15)"
    with subprocess.Popen([sys.executable, "-c", impatient]), pytest.raises(KeyboardInterrupt):
        told_to_end(lambda: process.end_group(child))
    child.stdout.close()
    assert child.returncode == -signal.SIGKILL


def test_an_interrupt_waits_for_what_is_half_done() -> None:
    """Also where another thread might take the signal."""
    done, over = [], threading.Event()
    threading.Thread(target=over.wait, args=(20,), daemon=True).start()

    def deed() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all of it")
        done.append("and more")

    with pytest.raises(KeyboardInterrupt):
        told_to_end(deed)
    over.set()
    assert done == ["all of it"]
    with pytest.raises(KeyboardInterrupt):
        told_to_end(lambda: os.kill(os.getpid(), signal.SIGTERM))
