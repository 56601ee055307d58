"""The card that is on the Hub already: what people wrote in it stays, what this program wrote is written anew.

Ours stands between two comments. Text above and below them is kept byte for byte, and so are sections (`## ...`) that
somebody put between them. The second comment has a hash of each section as it was written, which tells a section that
was changed by hand: it is never replaced, the card is refused then. Of the front matter, which people often complete
(terms of access, a DOI, a licence), only the keys that say which files are which split are ours in any case.
"""

import difflib
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import yaml

from workspace.errors import CommunityForensicsError

_BEGIN = (
    "<!-- Begin of what cf-publish writes, anew each time. What you write above or below, or between as a section with "
    "a heading of its own, is kept. -->"
)
_END = "<!-- End of what cf-publish writes:{} -->"
_END_FOUND = re.compile(_END.format("((?: [0-9a-f]{8})*)"))

#: Keys of the front matter that follow from the files; of all others the owner's values are kept.
_OURS = frozenset({"configs", "size_categories"})
#: Lists that are completed.
_JOINED = ("tags", "task_categories")
#: Characters of a front matter at most.
_MAX_FRONT_MATTER = 1 << 20

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r"#{1,2}[ \t]+(.*)")


def framed(text: str) -> str:
    """The text of ours with the comments around it."""
    return _framed([section for _, section in _sections(text)], [])


def with_owners_words(card: str, on_hub: bytes | None) -> str:
    """A card, new from `card.write_card`, with what people wrote in the one that is on the Hub (None: there is none).

    Raises `CommunityForensicsError` for a card that cannot be read, and where something of theirs would be lost.
    """
    if on_hub is None:
        return card
    try:
        existing = on_hub.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused("is not UTF-8", "save it as UTF-8") from error
    (matter, body), (our_matter, our_body) = _split(existing), _split(card)
    merged = _merged_matter(matter, yaml.safe_load(our_matter))
    return f"---\n{merged}---\n{_merged_body(body, our_body)}"


def changes(before: bytes | None, after: str) -> Iterator[str]:
    """The lines that differ between the card on the Hub and the next one, as `diff` shows them."""
    lines = (before or b"").decode("utf-8", "replace").splitlines()
    yield from difflib.unified_diff(lines, after.splitlines(), "README.md on the Hub", "README.md", n=1, lineterm="")


def _refused(what: str, remedy: str) -> CommunityForensicsError:
    return CommunityForensicsError(
        f"README.md of the dataset on the Hub {what}, and nothing of it may be lost: {remedy}, then run the same "
        "command again"
    )


def _split(card: str) -> tuple[str, str]:
    """Front matter (whole lines; empty where there is none) and body."""
    lines = re.split(r"(?<=\n)", card)
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    if first == len(lines) or lines[first].rstrip() != "---":
        return "", card
    last = next((number for number, line in enumerate(lines[first + 1 :], first + 1) if line.rstrip() == "---"), None)
    if last is None:
        raise _refused("begins with ---, but no second --- ends its front matter", "add it")
    return "".join(lines[first + 1 : last]), "".join(lines[last + 1 :])


def _merged_matter(text: str, ours: Mapping[str, Any]) -> str:
    """The owner's front matter with our keys: its text is kept, as far as no key of ours is in it."""
    owners, places = _read_matter(text)
    changed = {name: value for name, value in ours.items() if name in _OURS or name not in owners}
    if "license" in owners:
        # They explain the licence that is not there then.
        changed.pop("license_name", None)
    for name in _JOINED:
        if isinstance(theirs := owners.get(name), list):
            changed[name] = theirs + [value for value in ours[name] if value not in theirs]
    changed = {name: value for name, value in changed.items() if name not in owners or owners[name] != value}
    merged = {**owners, **changed}
    if not changed:
        return text
    kept = "".join(_with_values(text, places, changed)) if places or not owners else ""
    try:
        if _dumped(yaml.safe_load(kept)) == _dumped(merged):
            return kept
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    return _dumped(merged)


def _read_matter(text: str) -> tuple[dict[Any, Any], dict[str, int]]:
    """The keys with their values, and the number of the line where each begins (only where each is on lines of its
    own)."""
    remedy = "correct it there"
    if len(text) > _MAX_FRONT_MATTER:
        raise _refused(f"has a front matter of more than {_MAX_FRONT_MATTER} characters", "shorten it")
    try:
        node, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 2}: {getattr(error, 'problem', '')})" if mark else ""
        raise _refused(f"has a front matter that is no valid YAML{line}", remedy) from error
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise _refused("has a front matter that is no list of names with values", remedy)
    names = [key.value for key, _ in node.value]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _refused(f"has {repeated[0]!r} twice in its front matter", "remove one of them there")
    places = {key.value: key.start_mark.line for key, _ in node.value}
    return values, places if not node.flow_style and len(set(places.values())) == len(names) else {}


def _with_values(text: str, places: Mapping[str, int], changed: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a front matter in which these keys have these values; new keys are at the end."""
    lines = re.split(r"(?<=\n)", text)
    starts = sorted(places.items(), key=lambda item: item[1])
    yield from lines[: starts[0][1]] if starts else lines
    for (name, start), (_, end) in pairwise([*starts, ("", len(lines))]):
        block = lines[start:end]
        if name in changed:
            yield _dumped({name: changed[name]})
            # Comments between this key and the next one are the next one's.
            block = [line for line in block if line.lstrip().startswith("#")]
        yield from block
    yield from (_dumped({name: value}) for name, value in changed.items() if name not in places)


def _dumped(values: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    # PyYAML writes U+0085 so that it reads it as another character.
    return text if "\x85" not in text else yaml.safe_dump(values, sort_keys=False)


def _merged_body(body: str, ours: str) -> str:
    """The text below the front matter: theirs with ours in it; ours alone where theirs is empty."""
    if not body.strip():
        return ours
    (our_text,) = _frames(ours)
    found = list(_frames(body))
    begins, ends = body.count(_BEGIN), len(_END_FOUND.findall(body))
    if (begins, ends) == (0, 0):
        return f"{body.rstrip()}\n\n{our_text[0]}\n"
    if (begins, ends, len(found)) != (1, 1, 1):
        raise _refused(
            "does not have both of the two comments (once each) between which cf-publish writes",
            "restore them, or remove both with all that is between",
        )
    frame, text, written = found[0]
    before, _, after = body.partition(frame)
    return f"{before}{_framed_with_theirs(our_text[1], text, written)}{after}"


def _frames(body: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each pair of the comments with what is between, that text alone, and the hashes of its sections."""
    for found in re.finditer(f"{re.escape(_BEGIN)}(.*?){_END_FOUND.pattern}", body, re.DOTALL):
        yield found[0], found[1], frozenset(found[2].split())


def _framed_with_theirs(ours: str, text: str, written: frozenset[str]) -> str:
    """Our sections, each followed by those that others put behind it."""
    our_sections = _sections(ours)
    headings = {heading for heading, _ in our_sections}
    theirs: dict[str, list[str]] = defaultdict(list)
    changed: list[str] = []
    last = ""
    for heading, section in _sections(text):
        if heading in headings:
            last = heading
        if _digest(section) in written:
            continue
        if heading in headings:
            changed.append(repr(heading) if heading else "the beginning")
        else:
            theirs[last].append(section)
    if changed:
        raise _refused(
            f"has sections that cf-publish wrote and that were changed by hand since ({', '.join(changed)})",
            "give your text there a heading of its own (## ...), or move it above or below the two comments, and "
            "remove the rest of the section",
        )
    return _framed([section for _, section in our_sections], [theirs.pop(heading, []) for heading, _ in our_sections])


def _framed(ours: Sequence[str], theirs: Sequence[Sequence[str]]) -> str:
    """Our sections between the comments, each followed by some of others."""
    parts = [_BEGIN]
    for number, section in enumerate(ours):
        parts += [section, *(theirs[number] if theirs else ())]
    digests = "".join(f" {_digest(section)}" for section in ours)
    return "\n\n".join([part for part in parts if part] + [_END.format(digests)])


def _sections(text: str) -> list[tuple[str, str]]:
    """The sections with their headings: at first what is above the first heading, which has none."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    fence = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if marks := _FENCE.match(line):
            fence = "" if fence == marks[1] else fence or marks[1]
        elif not fence and (heading := _HEADING.fullmatch(line)):
            sections.append((heading[1].strip(), []))
        sections[-1][1].append(line)
    return [(heading, "\n".join(lines).strip("\n")) for heading, lines in sections]


def _digest(section: str) -> str:
    """A hash of what a section says, whatever blanks an editor leaves at the ends of lines."""
    said = "\n".join(line.rstrip() for line in section.strip().split("\n"))
    return hashlib.sha256(said.encode()).hexdigest()[:8]
