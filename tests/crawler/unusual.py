"""Repositories in layouts and with adapters that a reader of the usual ones does not expect."""

from collections.abc import Mapping
from typing import Any

from tests.crawler.repositories import LORA, SD_INDEX, as_json, stable_diffusion

Files = dict[str, bytes]
FLUX_INDEX = {
    "_class_name": "FluxPipeline",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
SD3_INDEX = {
    **FLUX_INDEX,
    "_class_name": "StableDiffusion3Pipeline",
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "text_encoder_3": ["transformers", "T5EncoderModel"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "tokenizer_3": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "SD3Transformer2DModel"],
}
DECODER_INDEX = {
    "_class_name": "KandinskyV22Pipeline",
    "movq": ["diffusers", "VQModel"],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}
PRIOR_INDEX = {
    "_class_name": "KandinskyV22PriorPipeline",
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
    "image_processor": ["transformers", "CLIPImageProcessor"],
    "prior": ["diffusers", "PriorTransformer"],
    "scheduler": ["diffusers", "UnCLIPScheduler"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
}
CALL = "image = pipe('a cat', {}).images[0]"


def pipeline(index: Mapping[str, Any], card: str = "", **changes: bytes | None) -> Files:
    """A repository of this index, in the layout that save_pretrained writes."""
    files: dict[str, bytes | None] = {"model_index.json": as_json(index), "README.md": card.encode()}
    for name, value in index.items():
        if not isinstance(value, list) or value[0] is None:
            continue
        library, class_name = value
        if "Scheduler" in class_name:
            files[f"{name}/scheduler_config.json"] = as_json({"_class_name": class_name})
        elif "Tokenizer" in class_name:
            files[f"{name}/tokenizer.json"] = as_json({})
        elif "Processor" in class_name:
            files[f"{name}/preprocessor_config.json"] = as_json({})
        else:
            files[f"{name}/config.json"] = as_json({"_class_name": class_name})
            weights = "diffusion_pytorch_model" if library == "diffusers" else "model"
            files[f"{name}/{weights}.safetensors"] = f"weights of {class_name}".encode()
    return {path: content for path, content in {**files, **changes}.items() if content is not None}


def card(front: str, *code: str, text: str = "") -> str:
    lines = "\n".join(code)
    return f"---\nlibrary_name: diffusers\n{front}\n---\n{text}\n" + (f"```python\n{lines}\n```\n" if code else "")


def lora(front: str, *code: str, text: str = "", files: Files | None = None) -> Files:
    return {
        "README.md": card(f"{front}\ntags: [lora]", *code, text=text).encode(),
        **(LORA if files is None else files),
    }


def inversion(*code: str, text: str = "", files: Files | None = None, front: str = "base_model: odd/sd") -> Files:
    text_of = card(f"{front}\ntags: [textual_inversion]", *code, text=text)
    return {"README.md": text_of.encode(), **({"learned_embeds.safetensors": b"e"} if files is None else files)}


def _load(base: str, adapter: str, more: str = "") -> tuple[str, str]:
    return f"pipe = DiffusionPipeline.from_pretrained('{base}')", f"pipe.load_lora_weights('{adapter}'{more})"


def layouts() -> dict[str, Files]:
    unet = as_json({"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3})
    root = {
        "model_index.json": as_json(
            {
                "_class_name": "DDPMPipeline",
                "scheduler": ["diffusers", "DDPMScheduler"],
                "unet": ["diffusers", "UNet2DModel"],
            }
        ),
        "config.json": unet,
        "scheduler_config.json": as_json({"_class_name": "DDPMScheduler"}),
        "diffusion_pytorch_model.safetensors": b"w",
        "diffusion_pytorch_model.bin": b"w",
        "training_log.json": b"{}",
    }
    index = as_json({**SD_INDEX, "controlnet_list": ["controlnet", "MultiControlNet"], "extra": ["a", "b", "c"]})
    widened = {"_class_name": "UNet2DConditionModel", "sample_size": 64, "in_channels": 9, "out_channels": 4}
    fill = {"_class_name": "FluxTransformer2DModel", "in_channels": 384, "out_channels": 64}
    quantized = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    clip = {"architectures": ["CLIPTextModel"], **quantized, "note": "x" * 700}
    without = {name: value for name, value in SD_INDEX.items() if name != "vae"}
    optimum = {"_class_name": "StableDiffusionPipeline", **SD_INDEX, "unet": ["optimum.onnxruntime", "ORTModelForUnet"]}
    no_weights = dict.fromkeys(
        (
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors",
        )
    )
    openvino: dict[str, bytes | None] = {
        f"{folder}/openvino_model.{suffix}": b"x"
        for folder in ("unet", "vae", "text_encoder")
        for suffix in ("xml", "bin")
    }
    qwen = {"_class_name": "LongCatImagePipeline", "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}
    qwen |= {"text_processor": ["transformers", "Qwen2VLProcessor"], "vae": ["diffusers", "AutoencoderKL"]}
    qwen |= {"text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"]}
    qwen |= {
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "LongCatImageTransformer2DModel"],
    }
    return {
        "odd/scheduler-of-another-file": pipeline(
            SD_INDEX,
            **{"scheduler/scheduler_config.json": as_json({"_class_name": "DDIMScheduler", "beta_start": 0.001})},
        ),
        "odd/sd": stable_diffusion("---\nlicense: mit\n---\n"),
        "odd/root": {**root, "README.md": b"---\nlicense: mit\n---\n"},
        "odd/root-of-another": stable_diffusion(
            "",
            **{
                "unet/config.json": None,
                "unet/diffusion_pytorch_model.safetensors": None,
                "config.json": as_json({"_class_name": "ControlNetModel"}),
                "diffusion_pytorch_model.safetensors": b"w",
            },
        ),
        "odd/extra-entries": stable_diffusion("", **{"model_index.json": index}),
        "odd/no-vae": stable_diffusion("", **{"model_index.json": as_json(without)}),
        "odd/sd3-without-t5": pipeline({**SD3_INDEX, "text_encoder_3": [None, None], "tokenizer_3": [None, None]}),
        "odd/sd3-unnamed-t5": pipeline({name: value for name, value in SD3_INDEX.items() if not name.endswith("_3")}),
        "odd/inpainting-unet": stable_diffusion("", **{"unet/config.json": as_json(widened)}),
        "odd/flux-fill": pipeline(FLUX_INDEX, **{"transformer/config.json": as_json(fill)}),
        "odd/t5-in-8-bits": pipeline(FLUX_INDEX, **{"text_encoder_2/config.json": as_json(quantized)}),
        "odd/clip-in-8-bits": stable_diffusion("", **{"text_encoder/config.json": as_json(clip)}),
        "odd/onnxruntime": pipeline({"_class_name": "ORTStableDiffusionPipeline", "unet": ["optimum", "ORTModelUnet"]}),
        "odd/onnxruntime-part": stable_diffusion("", **{"model_index.json": as_json(optimum)}),
        "odd/openvino": pipeline({"_class_name": "OVStableDiffusionXLPipeline", "unet": ["optimum", "OVModelUnet"]}),
        "odd/neuron": pipeline({"_class_name": "NeuronStableDiffusionPipeline", "unet": ["optimum", "X"]}),
        "odd/openvino-beside-index": stable_diffusion("", **no_weights, **openvino),
        "odd/qwen": pipeline(qwen),
        "hf-internal-testing/tiny-sd-pipe": stable_diffusion(""),
        "someone/tiny-random-flux": stable_diffusion(""),
    }


def adapters() -> dict[str, Files]:
    turbo = (
        "pipe = AutoPipelineForText2Image.from_pretrained('odd/turbo')",
        CALL.format("num_inference_steps=1, guidance_scale=0.0"),
    )
    two = "base_model: [odd/sd, odd/turbo]"
    tokens = "pipe.load_textual_inversion(state['clip_l'], token=['<s0>', '<s1>'], text_encoder=pipe.text_encoder)"
    negative = (
        "pipe.load_textual_inversion('odd/negative-in-code', token='<bad>')",
        CALL.format("negative_prompt='<bad>, blurry'"),
    )
    pickles = {"unet/diffusion_pytorch_model.safetensors": None, "unet/diffusion_pytorch_model.bin": b"p"}
    return {
        "odd/turbo": stable_diffusion(card("license: other\nlicense_name: flux-1-dev-non-commercial-license", *turbo)),
        "odd/in-pickles": stable_diffusion("", **pickles),
        "odd/lora-by-relation": {
            "README.md": card("base_model: odd/sd\nbase_model_relation: adapter").encode(),
            "MyStyle.safetensors": b"w",
        },
        "odd/controlnet": {
            "README.md": card("base_model: odd/sd\nbase_model_relation: adapter").encode(),
            "config.json": as_json({"_class_name": "ControlNetModel"}),
            "diffusion_pytorch_model.safetensors": b"w",
        },
        "odd/base-in-code": lora("license: mit", *_load("odd/sd", "odd/base-in-code")),
        "odd/one-of-two-in-code": lora(two, *_load("odd/turbo", "odd/one-of-two-in-code")),
        "odd/two-bases": lora(two),
        "odd/in-subfolder": lora(
            "base_model: odd/sd",
            *_load("odd/sd", "odd/in-subfolder", ", subfolder='v2', weight_name='style.safetensors'"),
            files={
                "v2/style.safetensors": b"w",
                "v1/style.safetensors": b"w",
                "a.safetensors": b"w",
                "b.safetensors": b"w",
            },
        ),
        "odd/on-turbo": lora("license: mit\nbase_model: odd/turbo\ninstance_prompt: pixel art"),
        "odd/on-turbo-with-steps": lora(
            "base_model: odd/turbo",
            *_load("odd/turbo", "odd/on-turbo-with-steps"),
            CALL.format("num_inference_steps=8"),
        ),
        "odd/pivotal": lora(
            "base_model: odd/sd\ninstance_prompt: a <s0><s1> toy",
            *_load("odd/sd", "odd/pivotal", ", weight_name='pytorch_lora_weights.safetensors'"),
            "state = load_file(hf_hub_download(repo_id='odd/pivotal', filename='toy_emb.safetensors'))",
            tokens,
            files={**LORA, "toy_emb.safetensors": b"e", "toy.safetensors": b"w"},
        ),
        "odd/pivotal-without-code": lora(
            "base_model: odd/sd\ninstance_prompt: a <s0><s1> toy",
            files={"toy.safetensors": b"w", "embeddings.safetensors": b"e"},
        ),
        "odd/pivotal-without-embeddings": lora("base_model: odd/sd\ninstance_prompt: a <s0><s1> toy"),
        "odd/control-in-code": lora(
            "base_model: odd/sd",
            "pipe = FluxControlPipeline.from_pretrained('odd/sd')",
            "pipe.load_lora_weights('odd/control-in-code')",
            "image = pipe('a cat', control_image=edges).images[0]",
        ),
        "odd/sd-control-lora": lora("base_model: odd/sd"),
        "odd/lora-on-pickles": lora("base_model: odd/in-pickles"),
        "odd/lora-in-pickle": lora("base_model: odd/sd", files={"pytorch_lora_weights.bin": b"p"}),
        "odd/inversion-in-pickle": inversion(files={"learned_embeds.bin": b"p", "token_identifier.txt": b"<toy>"}),
        "odd/inversion-in-pickle-without-base": inversion(files={"learned_embeds.bin": b"p"}, front="license: mit"),
        "odd/web-ui": inversion(text="Write MyStyle into the prompt.", files={"MyStyle.pt": b"p"}),
        "odd/concept": inversion(text="This is the `<toy>` concept taught to Stable Diffusion via Textual Inversion."),
        "odd/negative-in-code": inversion(*negative),
        "odd/negative-in-words": inversion(
            text="# EasyBad\nUse it in the negative prompt: EasyBad", files={"EasyBad.safetensors": b"e"}
        ),
        "odd/not-negative": inversion(
            text="This is the `<toy>` concept. In the negative prompt I had: blurry. Negative embeddings help too."
        ),
        "odd/scheduler-of-tomorrow": stable_diffusion(
            card(
                "license: mit",
                "pipe = DiffusionPipeline.from_pretrained('odd/scheduler-of-tomorrow')",
                "pipe.scheduler = WarpDriveScheduler.from_config(pipe.scheduler.config)",
                CALL.format("num_inference_steps=9"),
            )
        ),
    }


def decoders() -> dict[str, Files]:
    named = "license: mit\nprior: [odd/prior]"
    no_encoder = {name: value for name, value in PRIOR_INDEX.items() if name != "image_encoder"}
    return {
        "odd/prior": pipeline(PRIOR_INDEX, card("license: cc-by-nc-4.0")),
        "odd/prior-without-encoder": pipeline(no_encoder),
        "odd/decoder": pipeline(DECODER_INDEX, card(named)),
        "odd/decoder-alone": pipeline(DECODER_INDEX, card("license: mit")),
        "odd/decoder-of-nobody": pipeline(DECODER_INDEX, card("prior: odd/nowhere")),
        "odd/decoder-of-a-part": pipeline(DECODER_INDEX, card("prior: odd/prior-without-encoder")),
    }
