"""Licences are written as SPDX writes them, and what an author says of a licence is taken with its spaces removed."""

import pytest
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from crawler.card.licenses import FAMILIES, License, license_of

#: Newer than the list of SPDX identifiers that `packaging` carries.
NEWER = {"OpenMDW-1.0"}
#: Identifiers of the Hub for which SPDX has no licence, or none of that version.
NOT_IN_SPDX = {
    "bsd",
    "cc",
    "gfdl",
    "gpl",
    "lgpl",
    "fair-noncommercial-research-license",
    "flux-1-dev-nc",
    "flux-1-dev-non-commercial-license",
    "flux-dev-license",
    "flux-dev-non-commercial-license",
    "flux-non-commercial-license",
    "openmdw",
    "openmdw-1.1",
}


@pytest.mark.parametrize(
    "identifier", [name for name, family in FAMILIES.items() if family in ("open", "non-commercial")]
)
def test_a_licence_is_written_as_spdx_writes_it(identifier: str) -> None:
    written = license_of({"license": identifier}, ()).license
    assert written is not None
    if identifier in NOT_IN_SPDX:
        assert written == identifier
    elif written not in NEWER:
        # The gender of "gpl-2.0" is "only": the Hub's identifier names no later version.
        assert written == canonicalize_license_expression(written)


def test_an_identifier_that_spdx_does_not_know_is_kept_as_it_is() -> None:
    for identifier in NOT_IN_SPDX:
        with pytest.raises(InvalidLicenseExpression):
            canonicalize_license_expression(identifier)


def test_the_licence_unknown_is_of_unknown_family() -> None:
    assert license_of({"license": "unknown"}, ()) == License("unknown", "card", "unknown")


@pytest.mark.parametrize("stated", ["", "  ", "none", " None ", "NULL", "~", None, 3, [], ["none", " "]])
def test_what_says_no_licence_says_none(stated: object) -> None:
    assert license_of({"license": stated}, ()) == License(None, "none", "unknown")
    assert license_of({"license": stated}, ("license:mit",)) == License("MIT", "tag", "open")


def test_spaces_and_capitals_do_not_matter() -> None:
    assert license_of({"license": "  MIT "}, ()) == License("MIT", "card", "open")
    assert license_of({"license": [" mit", "Apache-2.0 "]}, ()) == License("MIT AND Apache-2.0", "card", "open")
    assert license_of({"license": " My Own "}, ()) == License("My Own", "card", "unknown")


@pytest.mark.parametrize(
    ("stated", "name", "family"),
    [
        ("other", "FLUX-1-dev-non-commercial-license", "non-commercial"),
        ("other", "my-own", "unknown"),
        ("other", None, "unknown"),
        ("other", "  ", "unknown"),
        # A name beside a known licence is a remark.
        ("mit", "flux-1-dev-non-commercial-license", "open"),
        ("mit", None, "open"),
    ],
)
def test_the_name_of_a_licence_counts_where_the_licence_is_other(stated: str, name: str | None, family: str) -> None:
    found = license_of({"license": stated, "license_name": name}, ())
    assert found.license_family == family
    assert found.license_name == ((name or "").strip() or None)


def test_name_and_link_are_texts_without_spaces_around_them() -> None:
    found = license_of({"license": "other", "license_name": " own ", "license_link": " LICENSE.md\n"}, ())
    assert (found.license_name, found.license_link) == ("own", "LICENSE.md")
    found = license_of({"license": "other", "license_name": 3, "license_link": [" "]}, ())
    assert (found.license_name, found.license_link) == (None, None)
