"""The same on a Dask cluster: a worker that dies has its models done by another."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from normonnx.errors import EnvironmentLacksError

_SECONDS_TO_CONNECT = 30
_RETRIES = 2


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An executor on a Dask cluster, whose workers see the same files and have normonnx.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``. Whoever answers there is trusted:
            Dask runs what it is sent.

    Raises:
        EnvironmentLacksError: Dask is not installed, or nobody answers.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise EnvironmentLacksError(
            "Dask is not installed", hint="pip install 'normonnx[dask]'"
        ) from error
    try:
        client = distributed.Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EnvironmentLacksError(
            f"no Dask scheduler answers at {address!r}", hint="start one with `dask scheduler`"
        ) from error
    with client:
        yield client.get_executor(retries=_RETRIES, pure=False)
