"""Python models of a contract, made by datamodel-code-generator in a child that ends with them.

Why a child: the library is big and the schema a stranger's. `python_models_worker` says what it may
do. Two of them run at a time in one process; who waits longer than a few seconds is told to retry.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final

from portal.kernel.errors import InvalidError, UnavailableError

logger = logging.getLogger(__name__)
WORKER: Final = Path(__file__).with_name("python_models_worker.py")
SECONDS: Final = 20  # of the clock; of the processor it has two, and loading the library
PATIENCE_SECONDS: Final = 5
_slots: Final = BoundedSemaphore(2)


def python_models(document: Mapping[str, Any], class_name: str) -> str:
    """Pydantic models of a schema. Raises InvalidError when it has none, UnavailableError when
    too many are being made."""
    if not _slots.acquire(timeout=PATIENCE_SECONDS):
        raise UnavailableError("Typed code is being made for others just now.")
    try:
        done = subprocess.run(  # noqa: S603  # our own file, with nothing from outside in its words
            [sys.executable, "-I", str(WORKER)],
            input=json.dumps({"schema": document, "class_name": class_name}).encode(),
            capture_output=True,
            check=False,
            cwd="/",
            env={},
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal() from error
    finally:
        _slots.release()
    if done.returncode:
        logger.info(
            "no Python models: exit %s, %s",
            done.returncode,
            done.stderr.decode("utf-8", "replace")[-300:],
        )
        raise _refusal()
    return done.stdout.decode()


def _refusal() -> InvalidError:
    return InvalidError(
        "This contract is beyond what Python models can be made of within the limits.",
        code="code_unavailable",
    )
