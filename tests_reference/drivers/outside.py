"""What the public code of detectors needs and is not here, replaced from outside: a GPU, and modules.

Nothing of the code itself is changed. Numbers of devices mean the CPU, and the GPU's calls do nothing.
"""

import sys
import types
from typing import Any

import torch
import torch.distributed as dist
from torch.overrides import TorchFunctionMode

_CPU = torch.device("cpu")


def _on_cpu(device: Any) -> Any:
    """The CPU in place of a GPU, by its number or name."""
    return _CPU if type(device) is int or (isinstance(device, torch.device) and device.type == "cuda") else device


class OnCpu(TorchFunctionMode):
    """Every tensor that would be made on a GPU, or moved there, stays on the CPU."""

    def __torch_function__(self, function: Any, kinds: Any, arguments: Any = (), named: Any = None) -> Any:
        named = dict(named or {})
        if "device" in named:
            named["device"] = _on_cpu(named["device"])
        if function is torch.Tensor.to:
            arguments = (arguments[0], *map(_on_cpu, arguments[1:]))
        return function(*arguments, **named)


def without_gpu() -> None:
    """Calls of torch that need a GPU do what is left of them on a CPU."""
    to = torch.nn.Module.to
    torch.nn.Module.to = lambda self, *places, **named: to(self, *map(_on_cpu, places), **named)
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *_: self
    for name in ("set_device", "empty_cache", "ipc_collect"):
        setattr(torch.cuda, name, lambda *_: None)
    torch.cuda.device_count = lambda: 1
    OnCpu().__enter__()


def without_nccl() -> None:
    """One process of gloo, which has no mean over processes: that of one is its sum."""
    start, reduce, parallel = dist.init_process_group, dist.all_reduce, torch.nn.parallel.DistributedDataParallel
    dist.init_process_group = lambda _, **named: start("gloo", **named)
    dist.all_reduce = lambda tensor, op: reduce(tensor, op=dist.ReduceOp.SUM)
    torch.nn.parallel.DistributedDataParallel = lambda module, device_ids: parallel(module)


def module(name: str, **content: Any) -> types.ModuleType:
    """A module that the code imports and that is not installed."""
    made = types.ModuleType(name)
    vars(made).update(content)
    sys.modules[name] = made
    return made
