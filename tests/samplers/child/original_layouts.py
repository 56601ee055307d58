"""Tiny pipelines in the layouts of single-file checkpoints: the inverse of diffusers' conversion, for tests only.

The names are those of the files that people share: of Stable Diffusion's first code (SD 1, SD 2, SDXL), of Stable
Diffusion 3, and of ComfyUI's files of Flux.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]


def write(pipeline: Any, family: str, path: Path, parts: tuple[str, ...] | None = None, **more: torch.Tensor) -> Path:
    """Write the weights of a pipeline as one file; `parts`: only those of these components."""
    tensors: Tensors = {}
    for name, convert in LAYOUTS[family].items():
        if parts is None or name in parts:
            tensors |= convert(getattr(pipeline, name))
    save_file({name: tensor.contiguous().clone() for name, tensor in (tensors | more).items()}, path)
    return path


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def renamed(tensors: Tensors, *rules: tuple[str, str]) -> Tensors:
    def name_of(name: str) -> str:
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        return name

    return {name_of(name): tensor for name, tensor in tensors.items()}


def unet(model: Any) -> Tensors:
    """A UNet as CompVis' code names it: blocks in one row, three places a block."""
    a_block = model.config.layers_per_block + 1

    def place(match: re.Match[str]) -> str:
        side, block, what, number = match[1], int(match[2]), match[3], int(match[4])
        at = block * a_block + number + (1 if side == "down" else 0)
        row = "input_blocks" if side == "down" else "output_blocks"
        return f"{row}.{at}.{0 if what == 'resnets' else 1}."

    def sampler(match: re.Match[str]) -> str:
        side, block = match[1], int(match[2])
        if side == "down":
            return f"input_blocks.{(block + 1) * a_block}.0.op."
        has_attention = hasattr(model.up_blocks[block], "attentions")
        return f"output_blocks.{block * a_block + a_block - 1}.{2 if has_attention else 1}.conv."

    found: Tensors = {}
    for name, tensor in model.state_dict().items():
        new = re.sub(r"^(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", place, name)
        new = re.sub(r"^(down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.conv\.", sampler, new)
        new = re.sub(r"^mid_block\.attentions\.0\.", "middle_block.1.", new)
        new = re.sub(r"^mid_block\.resnets\.(\d)\.", lambda match: f"middle_block.{2 * int(match[1])}.", new)
        if "resnets" in name:
            new = new.replace("norm1", "in_layers.0").replace("conv1", "in_layers.2")
            new = new.replace("norm2", "out_layers.0").replace("conv2", "out_layers.3")
            new = new.replace("time_emb_proj", "emb_layers.1").replace("conv_shortcut", "skip_connection")
        for old, first in (("time_embedding", "time_embed"), ("add_embedding", "label_emb.0")):
            new = new.replace(f"{old}.linear_1", f"{first}.0").replace(f"{old}.linear_2", f"{first}.2")
        new = re.sub(r"^conv_in\.", "input_blocks.0.0.", new)
        new = re.sub(r"^conv_norm_out\.", "out.0.", new)
        found[re.sub(r"^conv_out\.", "out.2.", new)] = tensor
    return prefixed("model.diffusion_model.", found)


def autoencoder(prefix: str) -> Callable[[Any], Tensors]:
    def convert(model: Any) -> Tensors:
        last = len(model.config.up_block_types) - 1
        found: Tensors = {}
        for name, tensor in model.state_dict().items():
            new = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
            new = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", new)
            new = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{last - int(m[1])}.block.", new)
            new = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{last - int(m[1])}.upsample.", new)
            new = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", new)
            new = new.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
            if "mid_block.attentions.0." in new:
                new = new.replace("mid_block.attentions.0.", "mid.attn_1.").replace("group_norm", "norm")
                new = new.replace("to_out.0", "proj_out").replace("to_", "")
                if tensor.dim() == 2:
                    tensor = tensor[:, :, None, None]
            found[new] = tensor
        return prefixed(prefix, found)

    return convert


def clip(prefix: str) -> Callable[[Any], Tensors]:
    """A CLIP text encoder as transformers named its tensors when these files were made."""

    def convert(model: Any) -> Tensors:
        tensors = {
            name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}": tensor
            for name, tensor in model.state_dict().items()
        }
        count = tensors["text_model.embeddings.position_embedding.weight"].shape[0]
        tensors["text_model.embeddings.position_ids"] = torch.arange(count)[None]
        return prefixed(prefix, tensors)

    return convert


def sd3_clip(prefix: str, *, projection: bool) -> Callable[[Any], Tensors]:
    def convert(model: Any) -> Tensors:
        tensors = clip(prefix)(model)
        return tensors if projection else {name: one for name, one in tensors.items() if "text_projection" not in name}

    return convert


def open_clip(prefix: str, *, last_layers: int = 0) -> Callable[[Any], Tensors]:
    """A text encoder of OpenCLIP, with `last_layers` more layers than the pipeline uses."""

    def convert(model: Any) -> Tensors:
        state = {name.removeprefix("text_model."): tensor for name, tensor in model.state_dict().items()}
        count, width = model.config.num_hidden_layers, model.config.hidden_size
        found: Tensors = {
            "positional_embedding": state["embeddings.position_embedding.weight"],
            "token_embedding.weight": state["embeddings.token_embedding.weight"],
            "ln_final.weight": state["final_layer_norm.weight"],
            "ln_final.bias": state["final_layer_norm.bias"],
            "logit_scale": torch.tensor(4.6),
            "text_projection": state.get("text_projection.weight", torch.randn(width, width)).T,
        }
        for layer in range(count + last_layers):
            old = f"encoder.layers.{min(layer, count - 1)}."
            block = f"transformer.resblocks.{layer}."
            for kind in ("weight", "bias"):
                parts = [state[f"{old}self_attn.{part}_proj.{kind}"] for part in "qkv"]
                found[f"{block}attn.in_proj_{kind}"] = torch.cat(parts)
                for part, new in (
                    ("self_attn.out_proj", "attn.out_proj"),
                    ("layer_norm1", "ln_1"),
                    ("layer_norm2", "ln_2"),
                    ("mlp.fc1", "mlp.c_fc"),
                    ("mlp.fc2", "mlp.c_proj"),
                ):
                    found[f"{block}{new}.{kind}"] = state[f"{old}{part}.{kind}"]
        return prefixed(prefix, found)

    return convert


def t5(prefix: str) -> Callable[[Any], Tensors]:
    return lambda model: prefixed(prefix, dict(model.state_dict()))


def shift_and_scale(tensor: torch.Tensor) -> torch.Tensor:
    """The halves of a modulation in the other order."""
    return torch.cat(tensor.chunk(2)[::-1])


def sd3_transformer(model: Any) -> Tensors:
    state, found = dict(model.state_dict()), {}
    last = model.config.num_layers - 1
    for layer in range(last + 1):
        old, new = f"transformer_blocks.{layer}.", f"joint_blocks.{layer}."
        for kind in ("weight", "bias"):
            for block, names in (("x_block", ("to_q", "to_k", "to_v")), ("context_block", _ADDED)):
                parts = [state[f"{old}attn.{name}.{kind}"] for name in names]
                found[f"{new}{block}.attn.qkv.{kind}"] = torch.cat(parts)
            pairs = [
                ("attn.to_out.0", "x_block.attn.proj"),
                ("norm1.linear", "x_block.adaLN_modulation.1"),
                ("norm1_context.linear", "context_block.adaLN_modulation.1"),
                ("ff.net.0.proj", "x_block.mlp.fc1"),
                ("ff.net.2", "x_block.mlp.fc2"),
            ]
            if layer != last:
                pairs += [
                    ("attn.to_add_out", "context_block.attn.proj"),
                    ("ff_context.net.0.proj", "context_block.mlp.fc1"),
                    ("ff_context.net.2", "context_block.mlp.fc2"),
                ]
            for one, other in pairs:
                tensor = state[f"{old}{one}.{kind}"]
                swapped = layer == last and one == "norm1_context.linear"
                found[f"{new}{other}.{kind}"] = shift_and_scale(tensor) if swapped else tensor
    for kind in ("weight", "bias"):
        found[f"final_layer.adaLN_modulation.1.{kind}"] = shift_and_scale(state[f"norm_out.linear.{kind}"])
        for one, other in (
            ("pos_embed.proj", "x_embedder.proj"),
            ("time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
            ("time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
            ("time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"),
            ("time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"),
            ("context_embedder", "context_embedder"),
            ("proj_out", "final_layer.linear"),
        ):
            found[f"{other}.{kind}"] = state[f"{one}.{kind}"]
    found["pos_embed"] = state["pos_embed.pos_embed"]
    return prefixed("model.diffusion_model.", found)


_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")


def flux_transformer(prefix: str) -> Callable[[Any], Tensors]:
    def convert(model: Any) -> Tensors:
        state, found = dict(model.state_dict()), {}
        for kind in ("weight", "bias"):
            for layer in range(model.config.num_layers):
                old, new = f"transformer_blocks.{layer}.", f"double_blocks.{layer}."
                for side, names in (("img", ("to_q", "to_k", "to_v")), ("txt", _ADDED)):
                    parts = [state[f"{old}attn.{name}.{kind}"] for name in names]
                    found[f"{new}{side}_attn.qkv.{kind}"] = torch.cat(parts)
                for one, other in (
                    ("norm1.linear", "img_mod.lin"),
                    ("norm1_context.linear", "txt_mod.lin"),
                    ("attn.to_out.0", "img_attn.proj"),
                    ("attn.to_add_out", "txt_attn.proj"),
                    ("ff.net.0.proj", "img_mlp.0"),
                    ("ff.net.2", "img_mlp.2"),
                    ("ff_context.net.0.proj", "txt_mlp.0"),
                    ("ff_context.net.2", "txt_mlp.2"),
                ):
                    found[f"{new}{other}.{kind}"] = state[f"{old}{one}.{kind}"]
            for layer in range(model.config.num_single_layers):
                old, new = f"single_transformer_blocks.{layer}.", f"single_blocks.{layer}."
                names = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
                found[f"{new}linear1.{kind}"] = torch.cat([state[f"{old}{name}.{kind}"] for name in names])
                found[f"{new}linear2.{kind}"] = state[f"{old}proj_out.{kind}"]
                found[f"{new}modulation.lin.{kind}"] = state[f"{old}norm.linear.{kind}"]
            found[f"final_layer.adaLN_modulation.1.{kind}"] = shift_and_scale(state[f"norm_out.linear.{kind}"])
            for one, other in (
                ("x_embedder", "img_in"),
                ("context_embedder", "txt_in"),
                ("proj_out", "final_layer.linear"),
                *(
                    (f"time_text_embed.{part}_embedder.linear_{number}", f"{name}.{place}_layer")
                    for part, name in (("timestep", "time_in"), ("text", "vector_in"), ("guidance", "guidance_in"))
                    for number, place in ((1, "in"), (2, "out"))
                    if part != "guidance" or model.config.guidance_embeds
                ),
            ):
                found[f"{other}.{kind}"] = state[f"{one}.{kind}"]
        for name, tensor in state.items():
            match = re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.attn\.norm_(added_)?([qk])\.weight", name)
            if match is not None:
                what = {"q": "query_norm", "k": "key_norm"}[match[4]]
                inner = "norm" if match[1] else f"{'txt' if match[3] else 'img'}_attn.norm"
                found[f"{'single' if match[1] else 'double'}_blocks.{match[2]}.{inner}.{what}.scale"] = tensor
        return prefixed(prefix, found)

    return convert


_LDM_VAE, _SD3 = autoencoder("first_stage_model."), "text_encoders."
LAYOUTS: dict[str, dict[str, Callable[[Any], Tensors]]] = {
    "sd1": {"unet": unet, "vae": _LDM_VAE, "text_encoder": clip("cond_stage_model.transformer.")},
    "sd2": {"unet": unet, "vae": _LDM_VAE, "text_encoder": open_clip("cond_stage_model.model.", last_layers=1)},
    "sdxl": {
        "unet": unet,
        "vae": _LDM_VAE,
        "text_encoder": clip("conditioner.embedders.0.transformer."),
        "text_encoder_2": open_clip("conditioner.embedders.1.model."),
    },
    "sd3": {
        "transformer": sd3_transformer,
        "vae": _LDM_VAE,
        "text_encoder": sd3_clip(f"{_SD3}clip_l.transformer.", projection=False),
        "text_encoder_2": sd3_clip(f"{_SD3}clip_g.transformer.", projection=True),
        "text_encoder_3": t5(f"{_SD3}t5xxl.transformer."),
    },
    "flux": {
        "transformer": flux_transformer("model.diffusion_model."),
        "vae": autoencoder("vae."),
        "text_encoder": clip(f"{_SD3}clip_l.transformer."),
        "text_encoder_2": t5(f"{_SD3}t5xxl.transformer."),
    },
}
