import torch

from samplers.child.numerics import make_reproducible


def test_no_choice_that_changes_pixels_is_left_to_the_environment() -> None:
    from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend

    torch.backends.cudnn.benchmark = True
    with attention_backend(AttentionBackendName._NATIVE_MATH):
        make_reproducible()
        from diffusers.models.attention_dispatch import _AttentionBackendRegistry

        assert _AttentionBackendRegistry.get_active_backend()[0] == AttentionBackendName.NATIVE
    assert torch.backends.cudnn.benchmark is False
    assert torch.backends.cudnn.deterministic is True
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cuda.cudnn_sdp_enabled() is False
    assert torch.backends.cuda.flash_sdp_enabled() is True
