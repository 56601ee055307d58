"""What the fork server imports leaves CUDA alone: a process that is forked from one with CUDA cannot use it. And it
does once what each child would do again.

Seconds of imports are the thing that is tested here, so it runs in a process of its own.
"""

import subprocess
import sys

#: A torch that was built with CUDA, as far as Python sees, on a machine with a GPU; whoever asks its driver is noted.
IMPORTS = """
import traceback
import torch

asked = []

def driver(*_):
    asked.append("".join(traceback.format_stack(limit=8)))
    return 1

for name in ("getDeviceCount", "init", "getArchFlags", "getDevice", "getCurrentRawStream"):
    setattr(torch._C, f"_cuda_{name}", driver)
torch.accelerator.current_accelerator = lambda check_available=False: torch.device("cuda")

import samplers.child.preload

assert not asked, "the driver was asked by:\\n" + "\\n".join(asked)
assert not torch.cuda.is_initialized()
# The child asks it.
assert torch.cuda.is_available() and asked
from diffusers.utils.torch_utils import get_device
assert get_device() == "cuda"

# What a child does for each component.
import sys
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES, get_class_obj_and_candidates
get_class_obj_and_candidates("diffusers", "UNet2DModel", LOADABLE_CLASSES["diffusers"], None, False)
assert "onnxruntime" not in sys.modules
from workspace.sandbox import reach
assert reach.imported.cache_info().currsize
"""


def test_the_imports_of_the_fork_server_do_not_start_the_driver_of_a_gpu_and_are_those_of_every_child() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
