"""A choice leaves out what its options say, by the licence in effect, and counts it by option."""

from typing import Any

import pytest

from crawler.catalog import CatalogEntry
from crawler.choice import Choice, applied, line_of
from crawler.options import ChoiceOptions
from tests.records import catalog_entry
from workspace.errors import UsageError


def _choice(*only: str, **options: Any) -> Choice:
    return Choice.of(only, ChoiceOptions(**options))


def _entry(name: str = "org/a", license: str | None = "MIT", family: str = "open", **changes: Any) -> CatalogEntry:
    source = "none" if license is None else "card"
    return catalog_entry(name, license=license, license_family=family, license_source=source, **changes)


NC = {"license": "MIT", "license_effective": "CC-BY-NC-4.0", "license_family_effective": "non-commercial"}
TWO = {"license": "MIT AND CC-BY-NC-4.0", "family": "unknown"}
RAIL = {"license": "creativeml-openrail-m", "family": "openrail"}


@pytest.mark.parametrize(
    ("options", "row", "option"),
    [
        ({}, {}, None),
        ({"license_allow": ("mit",)}, {}, None),
        ({"license_allow": ("MIT, apache-2.0",)}, {}, None),
        ({"license_allow": ("apache-2.0",)}, {}, "--license-allow"),
        ({"license_allow": ("open",)}, {}, None),
        ({"license_allow": ("family=open",)}, {}, None),
        # A family without family=, also where a licence has the name.
        ({"license_allow": ("openrail",)}, RAIL, None),
        ({"license_allow": ("open", "openrail")}, RAIL, None),
        ({"license_deny": ("openrail",)}, RAIL, "--license-deny"),
        ({"license_deny": ("creativeml-openrail-m",)}, RAIL, "--license-deny"),
        # What counts is the strictest licence of it and its base model.
        ({"license_allow": ("mit",)}, NC, "--license-allow"),
        ({"license_deny": ("cc-by-nc-4.0",)}, NC, "--license-deny"),
        ({"license_deny": ("non-commercial",)}, NC, "--license-deny"),
        ({"license_deny": ("mit",)}, NC, None),
        # No licence is an unknown one.
        ({"license_deny": ("unknown",)}, {"license": None, "family": "unknown"}, "--license-deny"),
        ({"license_deny": ("none",)}, {"license": None, "family": "unknown"}, "--license-deny"),
        ({"license_deny": ("none",)}, {"license": "other", "family": "unknown"}, None),
        ({"license_deny": ("unknown",)}, {"license": "other", "family": "unknown"}, "--license-deny"),
        ({"license_allow": ("mit",)}, {"license": None, "family": "unknown"}, "--license-allow"),
        ({"license_allow": ("unknown",)}, {"license": None, "family": "unknown"}, None),
        # Of several licences one is enough to be denied; their family is unknown where theirs differ.
        (
            {"license_deny": ("cc-by-nc-4.0",)},
            TWO,
            "--license-deny",
        ),
        (
            {"license_deny": ("non-commercial",)},
            TWO,
            "--license-deny",
        ),
        ({"license_deny": ("openrail",)}, TWO, None),
        ({"license_allow": ("mit",)}, TWO, "--license-allow"),
        # Both: what is denied is denied.
        ({"license_allow": ("open",), "license_deny": ("mit",)}, {}, "--license-deny"),
        ({"max_size": "1GB"}, {"download_bytes": 10**9}, None),
        ({"max_size": "1GB"}, {"download_bytes": 10**9 + 1}, "--max-size"),
        ({"max_size": 5}, {"download_bytes": 6}, "--max-size"),
        ({"architecture": ("LatDiff",)}, {}, None),
        ({"architecture": ("PixDiff, GAN",)}, {}, "--architecture"),
        ({"architecture": ("PixDiff", "LatDiff")}, {}, None),
        ({"architecture": ("Flux*",)}, {"hf_diffusers_tag": "FluxPipeline"}, None),
        ({"architecture": ("Flux*",)}, {"hf_diffusers_tag": "SanaPipeline"}, "--architecture"),
        ({"exclude": ("org/*",)}, {}, "--exclude"),
        ({"exclude": ("org/b",)}, {}, None),
    ],
)
def test_a_generator_is_left_out_by(options: dict[str, Any], row: dict[str, Any], option: str | None) -> None:
    why = _choice(**options).left_out(_entry(**row))
    assert (None if why is None else why.option) == option


def test_only_names_are_wanted_and_of_several_reasons_the_first_counts() -> None:
    choice = _choice("org/a", "lab/*", exclude=("lab/x",), license_deny=("mit",), max_size="1kB")
    assert [choice.option_against(name) for name in ("org/a", "org/b", "lab/x", "lab/y")] == [
        None,
        "--only",
        "--exclude",
        None,
    ]
    reasons = [choice.left_out(_entry(name, download_bytes=10**6)) for name in ("org/b", "lab/x", "org/a")]
    assert [why.option for why in reasons if why is not None] == ["--only", "--exclude", "--license-deny"]


@pytest.mark.parametrize(
    ("only", "options", "message"),
    [
        (("org/aa",), {}, r"--only org/aa: the catalogue has no such generator; crawl it .*; did you mean org/a\?"),
        (("lab/*",), {}, r"--only lab/\*: the catalogue has no such generator"),
        ((), {"license_allow": ("mti",)}, "--license-allow mti: no generator .* did you mean mit"),
        ((), {"license_deny": ("cc-by-nc-4",)}, "--license-deny cc-by-nc-4: .* did you mean cc-by-nc-4.0"),
        ((), {"architecture": ("latdiff",)}, "--architecture latdiff: .* did you mean LatDiff"),
        ((), {"architecture": ("DDPMPipelin",)}, "did you mean DDPMPipeline"),
        ((), {"architecture": ("Transformer",)}, "the architectures are LatDiff, PixDiff, GAN, Other"),
    ],
)
def test_what_no_generator_has_is_a_spelling_mistake(
    only: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _choice(*only, **options).require_known([_entry(), _entry("org/z", hf_diffusers_tag="DDPMPipeline")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"license_deny": ("family=free",)}, "--license-deny family=free: the families are open, openrail"),
        ({"max_size": "much"}, "--max-size 'much' is not a size, such as 500MB"),
        ({"max_size": 0}, "--max-size 0 is not a size"),
    ],
)
def test_values_that_none_can_have_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _choice(**options)


def test_names_without_an_effect_are_said(tmp_path: Any) -> None:
    file = tmp_path / "names.txt"
    file.write_text("org/a\norg/gone\n")
    choice = _choice(f"@{file}", exclude=("lab/*", "org/z"))
    assert choice.require_known([_entry(), _entry("org/z")]) == [
        "--only: the catalogue has no generator org/gone",
        "--exclude: the catalogue has no generator lab/*",
    ]


def test_what_is_left_out_is_counted_by_option_in_a_line() -> None:
    choice = _choice(license_deny=("non-commercial", "unknown"), max_size="1MB", exclude=("org/x*",))
    rows = [
        *(_entry(f"org/n{number}", **NC) for number in range(3)),
        _entry("org/u", None, "unknown"),
        _entry("org/big", download_bytes=10**7),
        _entry("org/x1"),
    ]
    reasons = [why for why in map(choice.left_out, rows) if why is not None]
    assert line_of(reasons, 20, "generators") == (
        "left out: 6 of 20 generators: 4 by --license-deny (CC-BY-NC-4.0 3, none given 1), 1 by --max-size, "
        "1 by --exclude"
    )


def test_a_crawl_marks_what_is_left_out_and_nothing_else() -> None:
    choice = _choice(license_deny=("non-commercial",))
    rows = [
        _entry("org/a"),
        _entry("org/nc", **NC, reason_detail="malformed: front matter"),
        _entry("org/sampled", **NC),
        _entry("org/pickle", **NC, status="incompatible", reason="pickle-only", reason_detail="a.bin"),
        _entry("org/gated", **NC, status="incompatible", reason="gated"),
    ]
    marked = applied(rows, choice, {"org/sampled"})
    assert [(row.status, row.reason) for row in marked] == [
        ("compatible", None),
        ("incompatible", "left-out"),
        ("compatible", None),
        # Else `cf-sample --allow-pickle` would sample it.
        ("incompatible", "left-out"),
        ("incompatible", "gated"),
    ]
    assert marked[1].reason_detail == (
        "--license-deny: its licence in effect, CC-BY-NC-4.0, is denied; malformed: front matter"
    )
    assert applied(marked, choice, ()) == applied(applied(marked, choice, ()), choice, ())
