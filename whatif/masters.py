"""Addresses of standalone Spark masters."""

from __future__ import annotations

import socket

from whatif.errors import SessionError

MASTER_TIMEOUT_SECONDS = 5.0


def on_this_host(master: str) -> bool:
    """Return whether a master is reached without leaving this machine."""
    hosts = {host for host, _ in _addresses(master)}
    return not master.startswith("spark://") or hosts <= {"localhost", "127.0.0.1", "::1"}


def _addresses(master: str) -> list[tuple[str, int]]:
    if not master.startswith("spark://"):
        return []
    pairs = (address.rpartition(":") for address in master.removeprefix("spark://").split(","))
    return [(host, int(port)) if port.isdigit() else (port, 0) for host, _, port in pairs]


def check_master(master: str) -> None:
    """Ask a standalone master for an answer now; Spark itself would take a minute to give up.

    Raises
    ------
    SessionError
        If none of the hosts of a `spark://` address answers.
    """
    addresses = _addresses(master)
    for host, port in addresses:
        try:
            socket.create_connection((host, port), timeout=MASTER_TIMEOUT_SECONDS).close()
            return
        except OSError:
            continue
    if addresses:
        raise SessionError(
            f"Spark master {master} does not answer: start it, or use another master, such as local[*]"
        )
