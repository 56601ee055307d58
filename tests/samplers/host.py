"""A host of a cluster, for tests: `python host.py WORKSPACE HUB SHARD WEIGHTS IMAGES PIDS` in namespaces of its own.

It has a Hub that only it reaches and samples a shard from it; PIDS gets the numbers of both processes.
"""

import os
import sys
from pathlib import Path

from engines import claims
from localhub.process import HubProcess
from samplers.assignment import units
from samplers.options import SampleOptions
from samplers.running import supervisor
from workspace import process_folder
from workspace.command_line import run
from workspace.layout import Workspace

if __name__ == "__main__":
    root, hub_root, shard, weights, images, pids = sys.argv[1:]
    # Seconds until a claim of another host is free, and until who has nothing else looks again: less than usual.
    process_folder.SILENT_SECONDS = claims.SILENT_SECONDS = 5.0
    claims.TOUCH_SECONDS, supervisor._LOOK_SECONDS, units.UNIT_SECONDS = 1.0, 1.0, 1e-9
    with HubProcess(Path(hub_root)) as hub:
        assert hub._process is not None
        Path(pids).write_text(f"{os.getpid()} {hub._process.pid}")
        options = SampleOptions(
            images=int(images),
            batch_size=2,
            steps=2,
            shard=shard,
            endpoint=hub.endpoint,
            weights_dir=Path(weights),
            device="cpu",
        )
        run(lambda: supervisor.sample(Workspace(Path(root)), options))
