import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.named_licenses import NamedLicenses
from manifests.editions import parse_licenses
from manifests.options import DEFAULT_LICENSES
from tests.manifests.making import entry
from workspace.errors import UsageError


@pytest.mark.parametrize(
    ("allowed", "license", "name", "family", "passes"),
    [
        ([], "MIT", None, "open", True),
        ([], "creativeml-openrail-m", None, "openrail", True),
        ([], "CC-BY-NC-4.0", None, "non-commercial", False),
        ([], None, None, "unknown", False),
        (["none"], None, None, "unknown", True),
        (["none"], "MIT", None, "open", False),
        (["mit, apache-2.0"], "MIT", None, "open", True),
        (["mit,apache-2.0"], "Apache-2.0", None, "open", True),
        (["mit"], "BSD-3-Clause", None, "open", False),
        (["mit", "family=non-commercial"], "CC-BY-NC-4.0", None, "non-commercial", True),
        (["flux-1-dev-non-commercial-license"], "other", "flux-1-dev-non-commercial-license", "unknown", True),
        (["other"], "other", "my-own", "unknown", True),
        (["openrail"], "creativeml-openrail-m", None, "openrail", False),
    ],
)
def test_a_generator_passes_by_its_licence_or_by_its_family(
    allowed: list[str], license: str | None, name: str | None, family: str, passes: bool
) -> None:
    source = "none" if license is None else "card"
    generator = entry("a", 1, license=license, license_name=name, license_family=family, license_source=source)
    assert parse_licenses(allowed).cover(generator) is passes


@pytest.mark.parametrize(
    ("allowed", "effective", "family", "passes"),
    [
        (["family=open"], "flux-1-dev-non-commercial-license", "non-commercial", False),
        (["mit"], "flux-1-dev-non-commercial-license", "non-commercial", False),
        (["family=non-commercial"], "flux-1-dev-non-commercial-license", "non-commercial", True),
        (["flux-1-dev-non-commercial-license"], "flux-1-dev-non-commercial-license", "non-commercial", True),
        # The base has no licence: nobody knows what it permits.
        (["mit"], None, "unknown", False),
        (["none"], None, "unknown", True),
        (["mit"], "MIT", "open", True),
    ],
)
def test_the_licence_of_the_base_counts_if_it_is_stricter(
    allowed: list[str], effective: str | None, family: str, passes: bool
) -> None:
    lora = entry(
        "a", 1, license="MIT", license_family="open", license_effective=effective, license_family_effective=family
    )
    assert parse_licenses(allowed).cover(lora) is passes


def test_no_licence_given_means_the_defaults_and_order_does_not_matter() -> None:
    assert parse_licenses([]) == parse_licenses([" , "]) == NamedLicenses(DEFAULT_LICENSES)
    assert parse_licenses(["b", "a"]) == parse_licenses(["A,b"])


def test_an_unknown_licence_family_is_refused() -> None:
    with pytest.raises(UsageError, match="the families are open, openrail"):
        parse_licenses(["family=free"])


@pytest.mark.parametrize(
    ("text", "license"), [("gpl-3.0", "GPL-3.0-only"), ("GPL-3.0-only", "GPL-3.0-only"), ("lgpl-lr", "LGPLLR")]
)
def test_a_licence_may_be_named_as_cards_or_as_spdx_write_it(text: str, license: str) -> None:
    assert parse_licenses([text]).cover(entry("a", 1, license=license, license_family="unknown"))


@pytest.mark.parametrize(
    ("text", "like"), [("mti", "mit"), ("apache2", "apache-2.0"), ("my-term", "my-terms"), ("nnone", "none")]
)
def test_a_licence_that_nobody_has_is_refused_with_the_nearest_name(text: str, like: str) -> None:
    catalog = [entry("a", 1, license="other", license_name="my-terms", license_family="unknown")]
    with pytest.raises(UsageError, match=f"--license-allow {text}: .* did you mean {like}\\?$"):
        parse_licenses(["mit", text]).check(catalog)


@given(st.text(min_size=1).filter(lambda text: text.strip(" ,") and "," not in text))
def test_any_licence_of_the_catalogue_is_known(name: str) -> None:
    parse_licenses([name.strip()]).check([entry("a", 1, license=name.strip(), license_family="unknown")])


def test_known_licences_and_families_are_no_typing_errors() -> None:
    parse_licenses(["mit,MIT,creativeml-openrail-m,family=unknown,none,agpl-3.0,agpl-3.0-only"]).check([])
