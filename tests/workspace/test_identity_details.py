"""The hash of a file is that of all its bytes."""

from pathlib import Path

from workspace.identity import sha256_of_file


def test_the_hash_of_a_file_is_lower_case_sha256(tmp_path: Path) -> None:
    # printf 'abc' | sha256sum
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_every_byte_counts(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "other").write_bytes(content[:-1])
    assert sha256_of_file(tmp_path / "one") != sha256_of_file(tmp_path / "other")
