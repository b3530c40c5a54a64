"""The application of the web processes behind their HTTP protocol, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from portal.http import server


@contextmanager
def served() -> Iterator[int]:
    """Its port on this machine."""
    from portal.asgi import application

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            application, http=server.Protocol, ws="none", loop="uvloop", lifespan="off",
            log_level="warning",
        )  # fmt: skip
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        running.should_exit = True
        thread.join()
