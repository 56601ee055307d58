import re

from hypothesis import given
from hypothesis import strategies as st

from manifests.exporting.folder_names import folder_names

#: Names that the Hub allows, and some that it does not.
NAMES = st.sets(
    st.text(st.sampled_from("aAbB.-_/01realfke %é"), min_size=1, max_size=12) | st.text(min_size=1), max_size=8
)


@given(NAMES)
def test_names_are_different_on_every_file_system_and_no_reader_takes_them_for_anything_else(names: set[str]) -> None:
    folders = folder_names(names)
    assert folders.keys() == names
    assert len({folder.lower() for folder in folders.values()}) == len(names)
    for folder in folders.values():
        assert re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_-]{0,99}", folder)
        assert not re.search("[01]_(real|fake)", folder, re.IGNORECASE)


def test_ordinary_names_are_readable() -> None:
    assert folder_names(["runwayml/stable-diffusion-v1.5", "gpt2"]) == {
        "runwayml/stable-diffusion-v1.5": "runwayml--stable-diffusion-v1_5",
        "gpt2": "gpt2",
    }


def test_equal_and_reserved_names_get_a_hash() -> None:
    folders = folder_names(["org/a.b", "org/a_b", "real", "CON", "x/0_real"])
    assert re.fullmatch("org--a_b-[0-9a-f]{16}", folders["org/a.b"])
    assert folders["org/a.b"] != folders["org/a_b"]
    assert re.fullmatch("real-[0-9a-f]{16}", folders["real"])
    assert re.fullmatch("CON-[0-9a-f]{16}", folders["CON"])
    assert folders["x/0_real"] == "x--0-real"
