import pytest

from workspace.errors import UsageError
from workspace.share import share_of


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0%", 0), ("100 %", 1), ("0.05", 0.05), (".5", 0.5), ("0", 0), ("2.5%", 0.025)]
)
def test_a_share_is_a_percentage_or_a_part_of_one(text: str, value: float) -> None:
    assert float(share_of(text, "--some")) == value


@pytest.mark.parametrize("text", ["5", "1", "", "five", "101%", "-1%", "1e-2", "nan", "5%%", "٥%"])
def test_what_could_be_a_number_of_things_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match=r"--some .* is not a share"):
        share_of(text, "--some")
