"""The environment of processes that open strangers' files: what is on a list, and set to work offline.

A list of what is passed on, because no list of secrets is complete: a password may be in a variable of any name. A
variable on the list whose name is that of a secret (NVIDIA_API_KEY) is not passed on either.
"""

import os
import re
from collections.abc import Mapping

#: What is passed on: names, and beginnings of names, which end in *. docs/sandbox.md has the same list.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TMP", "TEMP", "LANG", "LANGUAGE", "LC_*", "TZ"),
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CF_WITHOUT_WALL"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONHASHSEED", "PYTHONWARNINGS"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONUNBUFFERED"),
    *("PYTHONFAULTHANDLER", "PYTHONMALLOC", "MALLOC_*", "GLIBC_TUNABLES"),
    # Devices and their libraries.
    *("CUDA_*", "NVIDIA_*", "CUBLAS_*", "CUDNN_*", "HIP_*", "ROCR_*", "ROCM_*", "HSA_*", "MIOPEN_*", "GPU_*"),
    *("TORCH_*", "PYTORCH_*", "ATEN_*"),
    # How many threads. Not which core each one has (OMP_PROC_BIND): a process in the sandbox sets that for all at once.
    *("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_SCHEDULE", "OMP_STACKSIZE", "OMP_WAIT_POLICY"),
    *("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "MKL_*", "OPENBLAS_*", "BLIS_NUM_THREADS", "NUMEXPR_*", "RAYON_NUM_THREADS"),
)

_SECRET = re.compile(r"TOKEN|SECRET|PASSW|PWD|CREDENTIAL|AUTH|PRIVATE|(^|_)KEY($|_)|_PROXY$", re.IGNORECASE)
_PASSED_ON = re.compile("|".join(name.replace("*", ".*") for name in PASSED_ON))

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a process that opens strangers' files: of `environment` what is on the list, and offline."""
    return {**{name: value for name, value in environment.items() if is_passed_on(name)}, **_OFFLINE}


def is_passed_on(name: str) -> bool:
    """Whether a process that opens strangers' files gets the variable of this name."""
    return bool(_PASSED_ON.fullmatch(name)) and not _SECRET.search(name)
