import pytest

from localhub.access import AccessControl, Token, Visitor
from localhub.records import Repo
from localhub.request_errors import Disabled, Forbidden, Gated, RepoNotFound, Unauthorized
from workspace.errors import UsageError

STRANGER, READER, WRITER = Visitor(None, False), Visitor("r", False), Visitor("w", True)


def access_control(*tokens: str, open_writes: bool = True) -> AccessControl:
    return AccessControl([Token.parse(token) for token in tokens], secret=b"s", open_writes=open_writes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf_x", Token("hf_x", "user", True)),
        ("hf_x:read", Token("hf_x", "user", False)),
        ("alice=hf_x:write", Token("hf_x", "alice", True)),
    ],
)
def test_tokens_are_parsed(text: str, expected: Token) -> None:
    assert Token.parse(text) == expected


@pytest.mark.parametrize("text", ["", "alice=", "=hf_x", "hf_x:admin", ":write"])
def test_bad_tokens_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Token.parse(text)


def test_with_tokens_only_writers_write() -> None:
    access = access_control("r=hf_r:read", "w=hf_w")
    assert access.visitor({}) == STRANGER
    assert access.visitor({"authorization": "Bearer hf_r"}) == READER
    assert access.visitor({"authorization": "bearer hf_w"}) == WRITER
    for header in ("Basic hf_w", "Bearer", "Bearer ", "hf_w"):
        assert access.visitor({"authorization": header}) == STRANGER
    with pytest.raises(Unauthorized, match="Invalid credentials"):
        access.visitor({"authorization": "Bearer hf_other"})
    with pytest.raises(Unauthorized):
        access.check_write(STRANGER)
    with pytest.raises(Forbidden):
        access.check_write(READER)
    access.check_write(WRITER)


def test_without_tokens_writing_is_open_on_loopback_only() -> None:
    access = access_control()
    access.check_write(access.visitor({}))
    access.check_write(access.visitor({"authorization": "Bearer anything"}))
    public = access_control(open_writes=False)
    for headers in ({}, {"authorization": "Bearer anything"}):
        with pytest.raises(Unauthorized):
            public.check_write(public.visitor(headers))


def test_a_gate_is_open_to_known_tokens_or_to_writers() -> None:
    access = access_control("r=hf_r:read", "w=hf_w")
    auto, manual = (Repo("model", "a/b", "", gated=gate) for gate in ("auto", "manual"))
    with pytest.raises(Gated) as raised:
        access.check_files(auto, STRANGER)
    assert raised.value.status == 401
    with pytest.raises(Gated) as raised:
        access.check_files(manual, READER)
    assert raised.value.status == 403
    access.check_files(auto, READER)
    access.check_files(manual, WRITER)


def test_a_private_repository_is_invisible_and_a_disabled_one_is_closed() -> None:
    access = access_control("r=hf_r:read")
    private, disabled = Repo("model", "a/b", "", private=True), Repo("model", "a/b", "", disabled=True)
    with pytest.raises(RepoNotFound):
        access.check_known(private, STRANGER)
    access.check_known(private, READER)
    with pytest.raises(Disabled):
        access.check_known(disabled, WRITER)


def test_an_upload_address_is_valid_for_one_content_and_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    access = access_control()
    signed = access.sign_upload("a" * 64, 5)
    expires, signature = int(signed["expires"]), signed["signature"]
    access.check_upload("a" * 64, 5, expires, signature)
    for changed in (("b" * 64, 5, expires), ("a" * 64, 6, expires), ("a" * 64, 5, expires + 1)):
        with pytest.raises(Forbidden, match="signature"):
            access.check_upload(*changed, signature)
    with pytest.raises(Forbidden, match="signature"):
        access.check_upload("a" * 64, 5, expires, "é")
    monkeypatch.setattr("time.time", lambda: expires + 1)
    with pytest.raises(Forbidden, match="expired"):
        access.check_upload("a" * 64, 5, expires, signature)
