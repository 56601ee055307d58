"""Image files as others publish them: of several formats, with metadata, broken, equal and alike."""

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

WEB_UI = (
    "a red house, oil painting\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 64x64"
)


def picture(number: int, size: int = 48) -> Image.Image:
    """A picture whose low frequencies, and so its perceptual hash, hang on `number`."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_with(number: int, texts: dict[str, str]) -> bytes:
    """A PNG with these texts."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    return encoded(picture(number), pnginfo=info)


def comfyui(prompt: str, negative: str = "bad hands") -> str:
    """The graph of a usual workflow."""
    return json.dumps(
        {
            "3": {
                "class_type": "KSampler",
                "inputs": {
                    "seed": 7,
                    "steps": 25,
                    "cfg": 5.5,
                    "sampler_name": "euler",
                    "positive": ["6", 0],
                    "negative": ["7", 0],
                    "model": ["4", 0],
                },
            },
            "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "some.safetensors"}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": prompt, "clip": ["4", 1]}},
            "7": {"class_type": "CLIPTextEncode", "inputs": {"text": negative, "clip": ["4", 1]}},
        }
    )


def exif(**fields: str) -> bytes:
    """EXIF with these fields of its main directory and, `UserComment`, as the web UI writes it into a JPEG."""
    made = Image.Exif()
    tags = {"Make": 0x010F, "Model": 0x0110, "Software": 0x0131}
    for name, text in fields.items():
        if name == "UserComment":
            made.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
        else:
            made[tags[name]] = text
    return made.tobytes()


def with_c2pa(png: bytes) -> bytes:
    """A PNG with a chunk of Content Credentials before its picture."""
    body = b"caBX" + b"jumb c2pa"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]
