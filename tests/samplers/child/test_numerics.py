import os

import pytest
import torch

from samplers.child.numerics import cpu_arithmetic, cpu_threads, make_reproducible


def test_no_choice_that_changes_pixels_is_left_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend

    wanted = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NVIDIA_TF32_OVERRIDE": "0", "PYTORCH_TUNABLEOP_ENABLED": "0"}
    for name in wanted:
        monkeypatch.setenv(name, "1")
    preferred: list[object] = []
    monkeypatch.setattr(torch._C, "_set_blas_preferred_backend", preferred.append)
    monkeypatch.setattr(torch._C, "_set_linalg_preferred_backend", preferred.append)
    torch.backends.cudnn.benchmark = True
    with attention_backend(AttentionBackendName._NATIVE_MATH):
        make_reproducible()
        from diffusers.models.attention_dispatch import _AttentionBackendRegistry

        assert _AttentionBackendRegistry.get_active_backend()[0] == AttentionBackendName.NATIVE
    assert {name: os.environ[name] for name in wanted} == wanted
    assert preferred == [torch._C._BlasBackend.Default, torch._C._LinalgBackend.Default]
    assert torch.backends.cudnn.benchmark is False
    assert torch.backends.cudnn.deterministic is True
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cuda.cudnn_sdp_enabled() is False
    assert torch.backends.cuda.flash_sdp_enabled() is True


def test_a_block_computes_with_as_many_threads_as_it_is_told_and_a_row_of_a_cpu_says_how_many() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 2):
        threads, instructions = cpu_arithmetic("cpu")
        assert threads == before + 2
        assert instructions == torch.backends.cpu.get_cpu_capability()
    assert cpu_arithmetic("cpu")[0] == before
    with cpu_threads(None):
        assert torch.get_num_threads() == before
    assert cpu_arithmetic("cuda:0") == (None, None)
