"""What is found in a file that others made, by a real process with a real safety checker."""

from PIL import Image

from samplers.foreign.examiner import Examined, Examiner, Unusable
from tests.samplers.foreign.making import WEB_UI, comfyui, encoded, exif, picture, png_with, with_c2pa

MAGENTA = (255, 0, 255)


def _one(examiner: Examiner, content: bytes, suffix: str = ".png") -> Examined:
    (found,) = examiner.examine([(content, suffix)])
    assert isinstance(found, Examined), found
    return found


def test_a_jpeg_is_described_as_it_is_and_its_bytes_are_not_needed_to_be_changed(examiner: Examiner) -> None:
    content = encoded(picture(1), "JPEG", quality=80, progressive=True, exif=exif(Make="A camera"))
    found = _one(examiner, content, ".jpg")
    assert (found.format, found.mode, found.width, found.height) == ("JPEG", "RGB", 48, 48)
    assert (found.jpeg_quality, found.chroma_subsampling, found.progressive) == (80, "4:2:0", True)
    assert (found.has_exif, found.has_icc, found.has_c2pa) == (True, False, False)
    assert found.texts["exif:Make"] == "A camera"
    assert found.nsfw_flag is False
    assert found.perceptual_hash is not None


def test_what_the_programs_of_generators_write_is_read_from_each_format(examiner: Examiner) -> None:
    files = [
        (png_with(1, {"parameters": WEB_UI}), ".png"),
        (encoded(picture(2), "JPEG", exif=exif(UserComment=WEB_UI)), ".jpg"),
        (encoded(picture(3), "WEBP", exif=exif(UserComment=WEB_UI)), ".webp"),
        (png_with(4, {"prompt": comfyui("a blue boat"), "workflow": "{}"}), ".png"),
        (encoded(picture(5), "WEBP", exif=exif(Make="prompt:" + comfyui("a blue boat"))), ".webp"),
        (png_with(6, {"Title": "no settings"}), ".png"),
    ]
    found = [one.settings for one in examiner.examine(files) if isinstance(one, Examined)]
    assert len(found) == len(files)
    for settings in found[:3]:
        assert settings is not None
        assert (settings.prompt, settings.negative_prompt) == ("a red house, oil painting", "blurry")
        assert (settings.steps, settings.guidance_scale, settings.seed, settings.sampler) == (20, 7.5, 42, "Euler a")
    for settings in found[3:5]:
        assert settings is not None
        assert (settings.written_by, settings.prompt, settings.negative_prompt) == (
            "comfyui",
            "a blue boat",
            "bad hands",
        )
        assert (settings.steps, settings.guidance_scale, settings.seed, settings.model) == (
            25,
            5.5,
            7,
            "some.safetensors",
        )
    assert found[5] is None


def test_content_credentials_are_seen(examiner: Examiner) -> None:
    assert _one(examiner, with_c2pa(encoded(picture(1)))).has_c2pa
    assert not _one(examiner, encoded(picture(1))).has_c2pa


def test_a_flagged_image_and_one_of_one_colour_are_told(examiner: Examiner) -> None:
    magenta = Image.new("RGB", (48, 48), MAGENTA)
    magenta.putpixel((0, 0), (0, 0, 0))
    assert _one(examiner, encoded(magenta)).nsfw_flag is True
    blank = _one(examiner, encoded(Image.new("RGB", (48, 48), MAGENTA)))
    assert (blank.blank, blank.nsfw_flag, blank.perceptual_hash) == (True, None, None)


def test_files_that_are_no_images_that_are_taken_cost_no_other_file(examiner: Examiner) -> None:
    whole = encoded(picture(1))
    files = [
        (whole, ".png"),
        (b"", ".png"),
        (whole[: len(whole) // 2], ".png"),
        (b"<html>not found</html>", ".jpg"),
        (encoded(picture(2), "GIF"), ".gif"),
        (whole, ".png"),
    ]
    found = examiner.examine(files)
    assert [isinstance(one, Examined) for one in found] == [True, False, False, False, False, True]
    reasons = [one.detail.partition(":")[0] for one in found if isinstance(one, Unusable)]
    assert reasons == ["empty", "broken", "not-an-image", "other-format"]


def test_pictures_that_were_scaled_or_compressed_again_have_hashes_that_are_near(examiner: Examiner) -> None:
    def bits(content: bytes, suffix: str) -> int:
        return int(_one(examiner, content, suffix).perceptual_hash or "", 16)

    one = bits(encoded(picture(1, 64)), ".png")
    assert (one ^ bits(encoded(picture(1, 64), "JPEG", quality=70), ".jpg")).bit_count() <= 2
    assert (one ^ bits(encoded(picture(2, 64)), ".png")).bit_count() > 10
