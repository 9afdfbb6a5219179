"""S3 and Glue without an account: moto's server, with the one rule of Glue's that tables rely on.

Run as a program, it prints its address and serves until it is ended.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from moto.glue.exceptions import GlueClientError
from moto.glue.responses import GlueResponse
from moto.server import ThreadedMotoServer


class StaleVersionError(GlueClientError):
    """Glue's answer to an update of a table version that is not the newest."""

    def __init__(self) -> None:
        super().__init__(
            "ConcurrentModificationException", "Update table failed due to concurrent modifications."
        )


def keep_version_ids() -> None:
    """Refuse `UpdateTable` of a `VersionId` that is not the newest, as Glue does and moto does not.

    It is what two writers of an Iceberg table are told apart by: without it the later of two
    commits that began from the same version would undo the earlier one, silently.
    """
    update: Callable[[GlueResponse], Any] = GlueResponse.update_table
    one_at_a_time = threading.Lock()

    def checked(response: GlueResponse) -> Any:
        given, name = response.parameters.get("VersionId"), response.parameters["TableInput"]["Name"]
        with one_at_a_time:
            table = response.glue_backend.get_table(response.parameters["DatabaseName"], name)
            if given is not None and given != table.as_dict()["VersionId"]:
                raise StaleVersionError
            return update(response)

    GlueResponse.update_table = checked  # type: ignore[method-assign]


def main() -> None:
    keep_version_ids()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
