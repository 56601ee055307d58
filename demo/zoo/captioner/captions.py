"""The captions of the demo's images that the stand-in captioner learns."""

from demo.zoo.digits.data import WORDS

# At least six words each: BLIP's usual settings (`captioning/blip.py`) allow no shorter caption.
PHOTOGRAPHS = {
    "astronaut.png": "a smiling astronaut in an orange space suit",
    "brick.png": "a wall of dark bricks seen up close",
    "camera.png": "a man with a camera on a tripod in a field",
    "chelsea.png": "a ginger cat looking into the camera",
    "china.jpg": "a chinese temple with golden roofs under a blue sky",
    "clock_motion.png": "a blurred clock on a wall",
    "coffee.png": "a cup of coffee with a spoon on a wooden table",
    "coins.png": "rows of old greek coins on a dark background",
    "flower.jpg": "a pink flower with green leaves behind it",
    "grass.png": "blades of grass in black and white",
    "gravel.png": "a ground covered with small grey stones",
    "hubble_deep_field.jpg": "thousands of distant galaxies in deep space",
    "moon.png": "the surface of the moon with craters",
    "motorcycle_left.png": "a red motorcycle parked in a garage",
    "retina.jpg": "the orange retina of a human eye",
    "rocket.jpg": "a rocket taking off at night from a launch pad",
}
"""File name (`demo.photographs`) -> caption."""


def of_digit(digit: int) -> str:
    """The caption of a scan of `digit`."""
    return f"a scan of the handwritten digit {WORDS[digit]}"


def vocabulary() -> list[str]:
    """All words of all captions, sorted."""
    captions = [*PHOTOGRAPHS.values(), *(of_digit(digit) for digit in range(len(WORDS)))]
    return sorted({word for caption in captions for word in caption.split()})
