import pytest

from localhub.access import AccessControl, Token, Visitor
from localhub.records import Repo
from localhub.request_errors import Disabled, Forbidden, Gated, RepoNotFound, Unauthorized
from workspace.errors import UsageError

STRANGER, READER, WRITER = Visitor(None, False), Visitor("r", False), Visitor("w", True)


def keeper(*tokens: str, open_writes: bool = True) -> AccessControl:
    return AccessControl([Token.parse(token) for token in tokens], secret=b"s", open_writes=open_writes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf_x", Token("hf_x", "user", True)),
        ("hf_x:read", Token("hf_x", "user", False)),
        ("alice=hf_x:write", Token("hf_x", "alice", True)),
    ],
)
def test_tokens_are_read(text: str, expected: Token) -> None:
    assert Token.parse(text) == expected


@pytest.mark.parametrize("text", ["", "alice=", "=hf_x", "hf_x:admin", ":write"])
def test_bad_tokens_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Token.parse(text)


def test_with_tokens_only_writers_write() -> None:
    door = keeper("r=hf_r:read", "w=hf_w")
    assert door.visitor({}) == STRANGER
    assert door.visitor({"authorization": "Bearer hf_r"}) == READER
    assert door.visitor({"authorization": "bearer hf_w"}) == WRITER
    with pytest.raises(Unauthorized, match="Invalid credentials"):
        door.visitor({"authorization": "Bearer hf_other"})
    with pytest.raises(Unauthorized):
        door.check_write(STRANGER)
    with pytest.raises(Forbidden):
        door.check_write(READER)
    door.check_write(WRITER)


def test_without_tokens_writing_is_open_on_loopback_alone() -> None:
    door = keeper()
    door.check_write(door.visitor({}))
    door.check_write(door.visitor({"authorization": "Bearer anything"}))
    public = keeper(open_writes=False)
    for headers in ({}, {"authorization": "Bearer anything"}):
        with pytest.raises(Unauthorized):
            public.check_write(public.visitor(headers))


def test_gates_open_by_themselves_or_by_the_owner() -> None:
    door = keeper("r=hf_r:read", "w=hf_w")
    auto, manual = (Repo("model", "a/b", "", gated=gate) for gate in ("auto", "manual"))
    with pytest.raises(Gated) as refusal:
        door.check_files(auto, STRANGER)
    assert refusal.value.status == 401
    with pytest.raises(Gated) as refusal:
        door.check_files(manual, READER)
    assert refusal.value.status == 403
    door.check_files(auto, READER)
    door.check_files(manual, WRITER)


def test_private_is_invisible_and_disabled_is_for_nobody() -> None:
    door = keeper("r=hf_r:read")
    private, disabled = Repo("model", "a/b", "", private=True), Repo("model", "a/b", "", disabled=True)
    with pytest.raises(RepoNotFound):
        door.check_known(private, STRANGER)
    door.check_known(private, READER)
    with pytest.raises(Disabled):
        door.check_known(disabled, WRITER)


def test_an_upload_address_is_good_for_one_content_and_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    door = keeper()
    signed = door.sign_upload("a" * 64, 5)
    expires, signature = int(signed["expires"]), signed["signature"]
    door.check_upload("a" * 64, 5, expires, signature)
    for changed in (("b" * 64, 5, expires), ("a" * 64, 6, expires), ("a" * 64, 5, expires + 1)):
        with pytest.raises(Forbidden, match="signature"):
            door.check_upload(*changed, signature)
    with pytest.raises(Forbidden, match="signature"):
        door.check_upload("a" * 64, 5, expires, "é")
    monkeypatch.setattr("time.time", lambda: expires + 1)
    with pytest.raises(Forbidden, match="expired"):
        door.check_upload("a" * 64, 5, expires, signature)
