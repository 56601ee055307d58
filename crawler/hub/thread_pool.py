"""Asking about many models at the same time."""

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from crawler.hub.client import Hub

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], items: Iterable[T], workers: int, hub: Hub) -> Iterator[R]:
    """`work` of every item, in `workers` threads, as it is finished; the first error ends it all."""
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=workers, thread_name_prefix="crawl")
    try:
        futures = {pool.submit(work, item) for item in items}
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except BaseException:
        hub.stop()
        raise
    finally:
        # After an error or Ctrl-C: what runs ends with its request, what waits never starts.
        pool.shutdown(wait=True, cancel_futures=True)
