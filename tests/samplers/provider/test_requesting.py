"""Requests to a provider: what its answers mean, what is paid, and what is asked again."""

import _thread
import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samplers.planning.plan import PlannedSample
from samplers.provider import openai_images, requesting
from samplers.provider.answers import ProviderError
from samplers.provider.download import Downloads
from samplers.provider.key import Key
from samplers.provider.ledger import Ledger
from samplers.provider.openai_images import OpenAIImages
from samplers.provider.pace import Pace, StoppedError
from samplers.provider.requesting import Requests, Result
from samplers.provider.sealing import Seal
from samplers.provider.spending import Limits
from tests.samplers.provider import server as faults
from tests.samplers.provider.server import KEY, Provider, picture

SAMPLES = [PlannedSample(index=index, seed=index, prompt=f"a photo of number {index}") for index in range(8)]
PRICE = 0.04


@pytest.fixture
def ask(provider: Provider, tmp_path: Path) -> Callable[..., tuple[list[Result], Exception | None]]:
    """Requests samples as one run of a command does, with a ledger that is read anew."""

    def run(count: int = 1, limits: Limits = Limits(), **options: Any) -> tuple[list[Result], Exception | None]:
        key = Key.of_environment("TEST_KEY")
        ledger = Ledger(tmp_path / "requests", Seal(key.value, "test"))
        service = OpenAIImages(provider.endpoint, "dall-e-3", key.value, {"size": "1024x1024"})
        downloads = Downloads(provider.endpoint)
        requests = Requests(
            service, downloads, ledger, key, price=PRICE, limits=limits, spent=lambda: ledger.spent, **options
        )
        try:
            return requests.results(SAMPLES[:count])
        finally:
            ledger.close()
            service.close()
            downloads.close()

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[], Ledger]:
    return lambda: Ledger(tmp_path / "requests", Seal(KEY, "test"))


def test_bytes_are_what_the_provider_delivered(provider: Provider, ask: Any) -> None:
    provider.image_format = "JPEG"
    results, error = ask(3)
    assert error is None
    assert [one.content for one in results] == [picture(one.prompt or "", "JPEG") for one in SAMPLES[:3]]
    assert results[0].notes == {"revised_prompt": "A picture of a photo of number 0"}
    assert provider.bodies[0]["size"] == "1024x1024"
    assert provider.bodies[0]["n"] == 1


@pytest.mark.parametrize("form", ["data:image/png;base64,{}", "{}\n"])
def test_base64_as_a_data_url_or_in_lines_is_read(provider: Provider, ask: Any, form: str) -> None:
    def lines(handler: faults.Handler, prompt: str) -> None:
        text = base64.encodebytes(handler.charge(prompt)).decode()
        handler.json(200, {"data": [{"b64_json": form.format(text)}]})

    provider.faults.append(lines)
    (result,), error = ask(1)
    assert error is None
    assert result.content == picture(SAMPLES[0].prompt or "")


def test_a_page_in_place_of_an_answer_is_said_to_be_one(provider: Provider, ask: Any) -> None:
    provider.faults.append(lambda handler, _: handler.answer(200, b"\n<html>log in</html>"))
    (result,), _ = ask(1)
    assert result.status == "unanswered"
    assert "the answer is a page, not JSON: look at the endpoint" in result.notes["reason"]


@pytest.mark.parametrize("delivery", ["url", "moved-url"])
def test_an_image_at_an_address_is_downloaded_without_the_key(provider: Provider, ask: Any, delivery: str) -> None:
    provider.delivery = delivery
    results, error = ask(1)
    assert error is None
    assert results[0].content == picture(SAMPLES[0].prompt or "")
    assert provider.downloads
    assert not any(KEY in value for headers in provider.downloads for value in headers.values())


def test_the_wait_that_the_provider_asks_for_is_kept_by_all_threads(provider: Provider, ask: Any) -> None:
    provider.faults.extend([faults.busy("0.4")])
    results, error = ask(4, at_once=1)
    assert error is None
    assert len(results) == 4
    assert provider.times[1] - provider.times[0] >= 0.4
    assert set(provider.charged.values()) == {1}


def test_what_failed_is_asked_again_and_paid_once(
    provider: Provider, ask: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.faults.extend([faults.busy(), faults.failing(500), faults.failing(503)])
    results, error = ask(1)
    assert error is None
    assert results[0].status == "delivered"
    assert provider.requested.total() == 4
    assert provider.charged.total() == 1
    assert ledger().spent.images == 1


def test_a_provider_that_makes_nothing_ends_the_run(
    provider: Provider, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requesting, "ATTEMPTS", 3)
    provider.faults.extend([faults.failing(503)] * 5)
    results, error = ask(1)
    assert not results
    assert isinstance(error, ProviderError)
    assert "run the same command again later" in str(error)
    assert provider.requested.total() == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.no_credit, "credit is used up"),
        (faults.no_quota, "credit is used up"),
        (faults.busy("3600"), "wait 60 minutes"),
        (faults.moved, "moved to http://127.0.0.2:9/v1/images/generations"),
        (faults.bad_request, "does not take the request: The prompt is too long"),
        (faults.failing(404), "status 404"),
    ],
)
def test_what_no_further_request_helps_against_ends_the_run(
    provider: Provider, ask: Any, ledger: Any, fault: faults.Fault, words: str
) -> None:
    provider.faults.append(fault)
    results, error = ask(2, at_once=1)
    assert not results
    assert isinstance(error, ProviderError)
    assert words in str(error)
    assert provider.requested.total() == 1
    assert ledger().spent.images == 0
    results, error = ask(2)
    assert error is None
    assert len(results) == 2


def test_a_key_that_is_not_accepted_is_not_quoted(
    provider: Provider, ask: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-wrong-key-of-somebody")
    _, error = ask(1)
    assert "the provider does not accept the key in TEST_KEY" in str(error)
    assert "sk-wrong" not in str(error)
    assert "sk-wrong" not in (tmp_path / "requests" / "ledger.jsonl").read_text()


def test_a_refusal_is_recorded_and_costs_nothing(provider: Provider, ask: Any, ledger: Any) -> None:
    provider.faults.append(faults.refusal)
    results, error = ask(2, at_once=1)
    assert error is None
    assert [one.status for one in results] == ["refused", "delivered"]
    assert "safety system" in results[0].notes["reason"]
    assert ledger().spent.images == 1
    # Nobody asks for it again.
    assert [one.status for one in ask(2)[0]] == ["refused", "delivered"]
    assert provider.requested.total() == 2


def test_a_prompt_that_a_model_does_not_take_is_refused_where_others_succeed(provider: Provider, ask: Any) -> None:
    ask(1)
    provider.faults.append(faults.bad_request)
    results, error = ask(2)
    assert error is None
    assert results[1].status == "refused"
    assert "too long" in results[1].notes["reason"]


@pytest.mark.parametrize("fault", [faults.truncated, faults.hung_up, faults.gateway])
def test_what_may_have_been_paid_counts_and_is_not_asked_again(
    provider: Provider, ask: Any, ledger: Any, fault: faults.Fault
) -> None:
    provider.faults.append(fault)
    results, error = ask(2, at_once=1)
    assert error is None
    assert [one.status for one in results] == ["unanswered", "delivered"]
    assert provider.charged[SAMPLES[0].prompt or ""] == 1
    spent = ledger().spent
    assert (spent.images, spent.uncertain) == (2, 1)
    ask(2)
    assert set(provider.requested.values()) == {1}


def test_an_answer_that_takes_too_long_may_have_been_paid(
    provider: Provider, ask: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_images, "ANSWER_SECONDS", 0.2)
    provider.seconds = 0.6
    results, error = ask(1)
    assert error is None
    assert results[0].status == "unanswered"
    assert "ReadTimeout" in results[0].notes["reason"]
    assert ledger().spent.uncertain == 1


def test_what_may_have_been_paid_is_asked_again_as_often_as_the_user_says(
    provider: Provider, ask: Any, ledger: Any
) -> None:
    provider.faults.extend([faults.truncated, faults.hung_up])
    results, error = ask(1, repeat_unanswered=1)
    assert error is None
    assert results[0].status == "unanswered"
    assert provider.requested.total() == 2
    assert ledger().spent.images == 2
    results, _ = ask(1, repeat_unanswered=2)
    assert results[0].status == "delivered"
    assert ledger().spent.images == 3


def test_many_images_that_do_not_come_end_the_run(provider: Provider, ask: Any) -> None:
    provider.faults.extend([faults.no_image] * 8)
    results, error = ask(8, at_once=1)
    assert len(results) == requesting.MOST_LOST - 1
    assert "may be paid did not come" in str(error)
    assert provider.requested.total() == requesting.MOST_LOST
    # What is known of them is no reason to stop again.
    assert len(ask(5)[0]) == 5


def test_an_image_that_is_paid_is_downloaded_later_where_its_address_does_not_answer(
    provider: Provider, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requesting, "_DOWNLOADS", 2)
    provider.delivery = "url"
    provider.download_faults.extend([503, 500])
    results, error = ask(1)
    assert not results
    assert "the image is paid; run the same command again to download it" in str(error)
    assert ask(1)[0][0].content == picture(SAMPLES[0].prompt or "")
    assert provider.charged.total() == 1


def test_an_address_that_ended_is_an_image_that_is_paid_and_lost(provider: Provider, ask: Any) -> None:
    provider.delivery = "url"
    provider.download_faults.append(403)
    results, error = ask(1)
    assert error is None
    assert results[0].status == "unanswered"
    assert "status 403" in results[0].notes["reason"]


@pytest.mark.attack
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://127.0.0.2:1/x",
        "http://[64:ff9b::a00:1]/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://user:password@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "//",
    ],
)
def test_nothing_is_downloaded_from_other_addresses_of_the_network(provider: Provider, ask: Any, url: str) -> None:
    provider.delivery, provider.other_url = "other-url", url
    results, error = ask(1)
    assert not results
    assert "an address that nothing is downloaded from" in str(error)
    # It is paid, and not lost: somebody may fix the address.
    provider.other_url = ""
    ask(1)
    assert provider.charged.total() == 1


@pytest.mark.parametrize("limits", [Limits(images=3), Limits(dollars=0.12), Limits(images=5, dollars=0.159)])
def test_limits_stop_before_they_are_exceeded(provider: Provider, ask: Any, ledger: Any, limits: Limits) -> None:
    provider.faults.extend([faults.busy(), faults.refusal])
    results, error = ask(8, limits, at_once=4)
    assert isinstance(error, StoppedError)
    assert "is reached" in str(error)
    assert len(results) == 3
    # A refusal costs nothing, and so leaves room for one more; all runs count together.
    for _ in range(3):
        results, error = ask(8, limits, at_once=4)
    assert provider.charged.total() == 3
    assert len(results) == 4
    assert ledger().spent.dollars == pytest.approx(0.12)


def test_requests_that_may_have_been_paid_count_in_the_limits(provider: Provider, ask: Any) -> None:
    provider.faults.append(faults.truncated)
    for _ in range(3):
        ask(8, Limits(images=2), at_once=1)
    assert provider.charged.total() == 2


def test_as_many_requests_as_wanted_are_on_their_way_together(provider: Provider, ask: Any) -> None:
    provider.seconds = 0.05
    results, error = ask(8, at_once=4)
    assert error is None
    assert len(results) == 8
    assert provider.most_at_once == 4


def test_requests_are_as_far_apart_as_the_recipe_says() -> None:
    pace = Pace(600, threading.Event())
    started = time.monotonic()
    for _ in range(3):
        pace.wait()
    assert time.monotonic() - started >= 0.2


def test_an_answer_is_on_the_disk_sealed_before_it_is_used(provider: Provider, ask: Any, tmp_path: Path) -> None:
    content = picture(SAMPLES[0].prompt or "")
    ask(1)
    (answer,) = (tmp_path / "requests").glob("answer-*")
    assert content[:64] not in answer.read_bytes()
    # The next run has it, without a request.
    assert ask(1)[0][0].content == content
    assert provider.requested.total() == 1


def test_an_answer_that_another_key_sealed_is_an_image_that_is_paid_and_lost(
    provider: Provider, ask: Any, tmp_path: Path
) -> None:
    ask(1)
    (answer,) = (tmp_path / "requests").glob("answer-*")
    answer.write_bytes(answer.read_bytes()[:-1] + b"x")
    results, error = ask(1)
    assert error is None
    assert results[0].status == "unanswered"
    assert "another key" in results[0].notes["reason"]
    assert provider.requested.total() == 1


def test_a_request_whose_process_ended_is_not_asked_again(provider: Provider, ask: Any, ledger: Any) -> None:
    before = ledger()
    before.send(0, PRICE)
    before.close()
    results, error = ask(1)
    assert error is None
    assert results[0].status == "unanswered"
    assert "its process ended" in results[0].notes["reason"]
    assert not provider.requested
    assert ledger().spent.uncertain == 1


def test_an_interrupted_run_keeps_what_was_on_its_way(
    provider: Provider, ask: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.seconds = 0.3
    interrupts = threading.Thread(target=lambda: (_until(lambda: provider.at_once == 2), _thread.interrupt_main()))
    interrupts.start()
    with pytest.raises(KeyboardInterrupt):
        ask(8, at_once=2)
    interrupts.join()
    assert provider.requested.total() < len(SAMPLES)
    assert [one.state for one in ledger().open_requests] == ["answered"] * provider.requested.total()


def test_of_a_provider_that_cannot_be_reached_nothing_counts(
    provider: Provider, ask: Any, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requesting, "ATTEMPTS", 2)
    monkeypatch.setattr(Provider, "endpoint", "http://127.0.0.1:1/v1")
    _, error = ask(1)
    assert "cannot be reached" in str(error)
    assert ledger().spent.images == 0


def test_no_key_in_anything_that_is_written(provider: Provider, ask: Any, tmp_path: Path) -> None:
    def quoting(handler: faults.Handler, _: str) -> None:
        text = f"safety system: {handler.headers['Authorization']}"
        handler.error(400, {"message": text, "code": "content_policy_violation"})

    provider.faults.extend([quoting, faults.truncated])
    results, _ = ask(3, at_once=1)
    assert results[0].notes["reason"].startswith("safety system: Bearer ***")
    for path in (tmp_path / "requests").iterdir():
        assert KEY.encode() not in path.read_bytes()


def test_the_ledger_is_one_json_object_a_line(ask: Any, tmp_path: Path) -> None:
    ask(1)
    lines = [json.loads(line) for line in (tmp_path / "requests" / "ledger.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["sent", "answered"]
    assert lines[0]["cost"] == PRICE


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)
