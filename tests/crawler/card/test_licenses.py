import pytest

from crawler.card.licenses import FAMILIES, STRICTNESS, License, license_of, strictest

# Identifiers the Hub offers authors: https://huggingface.co/docs/hub/repositories-licenses
OFFERED = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma
tii-falcon-llm unknown other
"""
# The histogram of the Community Forensics paper.
STUDIED = """
creativeml-openrail-m openrail++ mit openrail gpl-3.0 apache-2.0 fluently faipl-1.0-sd cc-by-nc-sa-4.0
"""


@pytest.mark.parametrize("identifier", sorted({*OFFERED.split(), *STUDIED.split()} - {"other", "unknown"}))
def test_every_licence_of_the_hub_has_a_family(identifier: str) -> None:
    found = license_of({"license": identifier}, ())
    assert found.license_family != "unknown"
    assert found.license_source == "card"


@pytest.mark.parametrize(
    ("identifier", "family", "spdx"),
    [
        ("apache-2.0", "open", "Apache-2.0"),
        ("MIT", "open", "MIT"),
        ("gpl-3.0", "open", "GPL-3.0-only"),
        ("creativeml-openrail-m", "openrail", "creativeml-openrail-m"),
        ("cc-by-nc-sa-4.0", "non-commercial", "CC-BY-NC-SA-4.0"),
        ("deepfloyd-if-license", "research-only", "deepfloyd-if-license"),
        ("llama3.1", "proprietary", "llama3.1"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_a_licence_has_its_spdx_id_if_there_is_one(identifier: str, family: str, spdx: str) -> None:
    found = license_of({"license": identifier}, ())
    assert (found.license_family, found.license) == (family, spdx)


def test_an_unknown_licence_is_kept_verbatim() -> None:
    found = license_of({"license": "Be-Nice-1.0"}, ())
    assert (found.license, found.license_family, found.license_source) == ("Be-Nice-1.0", "unknown", "card")


def test_the_card_comes_before_the_tag() -> None:
    tags = ("diffusers", "license:mit")
    assert license_of({"license": "apache-2.0"}, tags).license == "Apache-2.0"
    assert license_of({}, tags).license == "MIT"
    assert license_of({}, tags).license_source == "tag"
    found = license_of({}, ("diffusers",))
    assert (found.license, found.license_source, found.license_family) == (None, "none", "unknown")


@pytest.mark.parametrize("nothing", ["", "none", "null", None, {"a": "b"}, [], [None]])
def test_an_empty_licence_is_none(nothing: object) -> None:
    assert license_of({"license": nothing}, ()).license_source == "none"


def test_another_licence_keeps_its_name_and_link() -> None:
    stated = {"license": "other", "license_name": "flux-1-dev-non-commercial-license", "license_link": "LICENSE.md"}
    found = license_of(stated, ())
    assert (found.license, found.license_name, found.license_link) == ("other", stated["license_name"], "LICENSE.md")
    assert found.license_family == "non-commercial"


def test_several_licences_are_joined() -> None:
    found = license_of({"license": ["mit", "apache-2.0"]}, ())
    assert (found.license, found.license_family) == ("MIT AND Apache-2.0", "open")
    assert license_of({"license": ["mit", "cc-by-nc-4.0"]}, ()).license_family == "unknown"


def test_identifiers_are_lower_case() -> None:
    assert all(identifier == identifier.lower() for identifier in FAMILIES)


def test_only_another_licence_takes_its_family_from_its_name() -> None:
    name = "FLUX-1-dev-Non-Commercial-License"
    assert license_of({"license": "other", "license_name": name}, ()).license_family == "non-commercial"
    assert license_of({"license": "mit", "license_name": name}, ()).license_family == "open"
    assert license_of({"license": "other", "license_name": "Be-Nice-1.0"}, ()).license_family == "unknown"


def test_a_tag_has_neither_name_nor_link_and_other_tags_are_not_licences() -> None:
    found = license_of({"license_name": "x", "license_link": "y"}, ("mit", "license:Apache-2.0"))
    assert (found.license, found.license_source, found.license_name, found.license_link) == (
        "Apache-2.0",
        "tag",
        None,
        None,
    )
    assert license_of({}, ("mit",)).license_source == "none"


def test_names_that_mean_nothing_are_none() -> None:
    found = license_of({"license": " MIT ", "license_name": "None", "license_link": "  "}, ())
    assert (found.license, found.license_name, found.license_link) == ("MIT", None, None)


def test_a_known_licence_without_spdx_id_is_lower_case() -> None:
    assert license_of({"license": "OpenRAIL"}, ()).license == "openrail"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("faipl-1.0-sd", "openrail"),
        ("fair-ai-public-license-1.0-sd", "openrail"),
        ("Fair AI Public License 1.0-SD", "openrail"),
        ("stable-cascade-nc-community", "research-only"),
        ("stabilityai-nc-research-community", "research-only"),
        ("playground-v2-community", "proprietary"),
        ("playground-v2dot5-community", "proprietary"),
        ("flux-1-dev-non-commercial-license", "non-commercial"),
        ("flux-1-dev-non-commercial", "non-commercial"),
        ("FLUX.1 [dev] Non-Commercial License", "non-commercial"),
        ("flux-dev-license", "non-commercial"),
        ("tencent-hunyuan-community", "proprietary"),
        ("openmdw-1.1", "open"),
        ("openmdw", "open"),
        ("license", "unknown"),
    ],
)
def test_names_that_image_models_give_their_licences_have_a_family(name: str, family: str) -> None:
    found = license_of({"license": "other", "license_name": name}, ())
    assert (found.license, found.license_family, found.license_name) == ("other", family, name)


def test_strictness_orders_every_family_once() -> None:
    assert sorted(STRICTNESS) == sorted({*FAMILIES.values()})


def test_the_strictest_licence_is_the_first_of_the_strictest_family() -> None:
    mit, flux, cc = (license_of({"license": name}, ()) for name in ("mit", "flux-dev-license", "cc-by-nc-4.0"))
    assert strictest([mit, flux, cc]) is flux
    assert strictest([mit, cc, flux]) is cc
    unstated = License(None, "none", "unknown")
    assert strictest([mit, unstated]) is unstated
    assert strictest([unstated, flux]) is flux
    assert strictest([]) is None
