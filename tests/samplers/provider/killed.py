"""Runs of `cf-sample --remote` that may be killed: `python -m tests.samplers.provider.killed ARGUMENTS`.

Each line of standard input starts a run, as a process that has imported everything: importing takes longer than what
is to be killed. Its number is printed, and its exit status when it has ended. Unless CF_TESTS_EXAMINER is set, images
are examined in the run's own process.
"""

import os
import sys

import openai  # noqa: F401 - imported once, for all runs

from samplers.cli import main
from samplers.provider import forecast, inference_providers, run  # noqa: F401 - likewise
from samplers.weights.store import WeightStore
from tests.samplers.provider.examining import HereExaminer, no_files

if __name__ == "__main__":
    if "CF_TESTS_EXAMINER" not in os.environ:
        run.Examiner = HereExaminer  # type: ignore[assignment,misc]
        WeightStore.fetch_checker = no_files  # type: ignore[method-assign]
    sys.argv = ["cf-sample", *sys.argv[1:]]
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            os.dup2(2, 1)
            main()
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)
