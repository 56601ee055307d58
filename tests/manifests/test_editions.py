import pytest

from manifests.editions import AllowedLicenses, parse_licenses
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
    assert parse_licenses(allowed).allow(generator) is passes


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
    assert parse_licenses(allowed).allow(lora) is passes


def test_no_licence_given_means_the_defaults_and_order_does_not_matter() -> None:
    assert parse_licenses([]) == parse_licenses([" , "]) == AllowedLicenses()
    assert parse_licenses(["b", "a"]) == parse_licenses(["A,b"])


def test_an_unknown_licence_family_is_refused() -> None:
    with pytest.raises(UsageError, match="the families are open, openrail"):
        parse_licenses(["family=free"])
