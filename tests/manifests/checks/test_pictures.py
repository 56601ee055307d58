from hypothesis import given
from hypothesis import strategies as st

from manifests.checks.pictures import png_problem, real_image_problem
from samplers.png_structure import chunks_of
from tests.manifests.making import png

PICTURE = png(1)


def test_the_chunks_of_a_picture() -> None:
    assert [kind for kind, _ in chunks_of(PICTURE)] == [b"IHDR", b"IDAT", b"IEND"]


def test_an_image_as_the_sampler_writes_it_has_no_problem() -> None:
    assert png_problem(PICTURE, "RGB", 16, 16) is None
    assert real_image_problem(PICTURE, "PNG", 16, 16) is None


@given(st.binary())
def test_any_other_bytes_have_a_problem(content: bytes) -> None:
    assert png_problem(content, "RGB", 16, 16)
    assert png_problem(PICTURE[:8] + content, "RGB", 16, 16)
    assert real_image_problem(content, "PNG", 16, 16)


@given(st.integers(8, len(PICTURE) - 1), st.integers(1, 255))
def test_any_byte_that_changed_is_found_without_a_sha256(at: int, change: int) -> None:
    content = bytearray(PICTURE)
    content[at] ^= change
    assert png_problem(bytes(content), "RGB", 16, 16)
