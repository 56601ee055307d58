"""The sentences in which cards name trigger words, as patterns over the text of a paragraph.

In that text inline code is between backticks and what is bold or italic between two asterisks each. All repetitions are
bounded, so that a search takes linear time.
"""

import re
from typing import NamedTuple

# A text set apart from the words around it: as code, in bold, in quotes or braces, or a token like <cat-toy>.
_MARKED = (
    r"(?:`[^`\n]{1,200}`|\*\*[^*\n]{1,200}\*\*|\"[^\"\n]{1,100}\"|“[^”\n]{1,100}”|''[^'\n]{1,100}''"
    r"|(?<!\w)'[^'\n]{1,60}'(?!\w)|\{[^{}\n]{1,60}\}|(?:<[\w:-]{1,40}> ?)+)"
)
# Several of them, in one sentence.
_LIST = rf"{_MARKED}(?:(?:,| and| or| &|/)+ ?{_MARKED}){{0,9}}"
# A word without marks, and its "style"; it is read where the sentence says that a token follows.
_BARE = (
    r"(?!(?:the|a|an|in|below|above|this|that|these|those|your|following|to|as|is|it|of|for|with|and|or|any|from|tokens?"
    r"|words?|keywords?|here|such|each|all|are|will|can|they|both|one|either|style|prompts?)\b)"
    r"[\w<][\w<>+-]{1,40}(?: (?:art ?)?style\b| (?-i:[A-Z][\w-]{1,30})){0,2}"
)
_NOUN = (
    r"(?:(?:activation|activator|trigger(?:ing)?|instance|concept|special|unique|identifier)[ -]?)?"
    r"(?:tokens?|words?|key ?words?|terms?|phrases?|tags?|triggers?|prompts?|identifiers?)"
)
_TRIGGER_NOUN = (
    r"(?:trigger(?:ing)?|activation|activator)[ -]?(?:tokens?|words?|key ?words?|terms?|phrases?|tags?|prompts?)"
)
_USE = r"\b(?:us(?:e|ing)|includ(?:e|ing)|add(?:ing)?|put(?:ting)?|writ(?:e|ing)|type|insert|keep)"
_PROMPT = r"(?:your|the|a|any|all) (?:text |image )?prompts?\b"


class Sentence(NamedTuple):
    """A sentence; the first group of its pattern that matches holds the words."""

    #: Texts in lower case, one of which each such sentence has: they are found much faster.
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _sentence(needles: str, pattern: str) -> Sentence:
    return Sentence(tuple(needles.split("|")), re.compile(pattern, re.IGNORECASE | re.MULTILINE))


#: Sentences that programs write, in the order in which they count; the first group that matches holds the words.
MACHINE = (
    # The Hub's LoRA cards and importers: "You should use `a`, `b` to trigger the image generation."
    _sentence(
        "to trigger the", r"\bYou should use ((?:(?! to trigger)[^\n]){1,300}) to trigger the (?:image )?generation"
    ),
    # The textual inversion concepts library: "This is the `<cat-toy>` concept taught to Stable Diffusion".
    _sentence(">` concept", r"\bThis is the `(<[^`\n]{1,100}>)` concept"),
    # The DreamBooth hackathon: "It can be used by modifying the `instance_prompt`: **a photo of sks dog**"
    _sentence("instance_prompt", r"\bmodifying the `?instance_prompt`?: ?\*\*([^*\n]{1,200})\*\*"),
    # DreamBooth's training scripts: "The weights were trained on a photo of sks dog using DreamBooth."
    _sentence(
        "weights were trained on", r"\bweights were trained on (?:`([^`\n]{1,300})`|([^\n]{1,200}?) using DreamBooth)"
    ),
    # Pivotal tuning: "to trigger concept `TOK` → use `<s0><s1>` in your prompt"
    _sentence("to trigger concept", r"\bto trigger concept `[^`\n]{1,100}` ?(?:→|->|=>) ?use `([^`\n]{1,200})`"),
)
#: The last of them, with the concept, which `instance_prompt` has, and the tokens that stand for it.
CONCEPT = re.compile(r"\bto trigger concept `([^`\n]{1,100})` ?(?:→|->|=>) ?use `([^`\n]{1,200})`", re.IGNORECASE)
# The DreamBooth training space, below its pictures: "WORD (use that on your prompt)"
USE_THAT = re.compile(r" *\(use that (?:on|in) your prompt\)", re.IGNORECASE)
# TheLastBen's notebook writes the concept only in the title.
TITLE = re.compile(r"^(.{1,80}?) Dreambooth model trained by .{1,100} with TheLastBen's fast-DreamBooth", re.IGNORECASE)
#: Where its author names the concept below the title, the title is the model's name: "Sample pictures of zorp concept:"
PICTURED = re.compile(r"^Sample pictures of (?:the )?(?!(?:this|the)\b)([\w<>-]{1,60}) concept\b", re.IGNORECASE)
# A word that nobody writes by chance: with a capital inside, or a digit.
_ODD = r"(?-i:\b[A-Za-z]*[a-z][A-Z]\w{0,30}|\b[A-Za-z_]{2,30}\d\w{0,30})"
#: Sentences that people write.
HAND = (
    # Use the tokens **arcane style** in your prompts; include 'x' anywhere in the prompt.
    _sentence(
        "prompt",
        rf"{_USE}(?: of)?(?: the| this| these| my)?(?: {_NOUN})?:? ({_LIST})(?: {_NOUN})?(?: \w+){{0,3}}?"
        r" (?:in|of|to|inside|on) (?:(?:your|the|a|any|all) )?(?:text |image )?prompts?\b",
    ),
    # Use the word "x" to trigger the style; Include Prompt trigger: "x" to activate.
    _sentence(
        "to trigger|to activate|to invoke",
        rf"{_USE}(?: the| this| these)?(?: {_NOUN}){{0,2}}:? ({_LIST})(?: in {_PROMPT},?)?"
        r" to (?:trigger|activate|invoke)",
    ),
    # Use "x" as trigger word.
    _sentence("trigger|activation", rf"{_USE}(?: the)? ({_LIST}) as (?:the |a |your )?(?:trigger|activation)"),
    # Use the token x to trigger the effect; use the token x in your prompts; use the token: x style
    _sentence(
        "token|word|trigger|phrase",
        rf"{_USE} (?:the |this )?(?:(?:activation|trigger|instance) )?(?:tokens?|words?|key ?words?|trigger|phrase):? "
        rf"({_LIST}|{_BARE})(?=[^\w\s]* (?:anywhere )?(?:in {_PROMPT}|to (?:trigger|activate|invoke|use))|[ .!]*$|\. )",
    ),
    # The activation token is x; the trigger word "x"; the key word is **x**
    _sentence(
        "token|word|phrase|term|tag|prompt",
        rf"\b(?:{_TRIGGER_NOUN}|key ?word|(?:(?:the|correct|prompt) )tokens?)(?: to use)?(?: for [\w ]{{1,30}}?)?"
        rf"(?: will be:?| is:?| are:?|:|=)+ ?({_LIST}|{_BARE}(?=[.,;!]|$))",
    ),
    _sentence("the trigger", rf"\bthe trigger(?: is| are) ({_LIST}|{_BARE}(?=[.,;!]|$))"),
    _sentence(
        "trigger|activation",
        rf"\b(?:with|on|by) the (?:trigger|activation)[ -](?:word|token|phrase|key ?word)s? ({_LIST})",
    ),
    _sentence(
        "invoked|called", rf"\b(?:invoked|called) by (?:the use of )?the (?:word|token|phrase|key ?word)s? ({_LIST})"
    ),
    _sentence("will bring in", rf"\bThe token ({_LIST}) will bring in\b"),
    # x is the trigger word.
    _sentence("the trigger|the activation", rf"(?:^|[.!,] )({_LIST}|{_BARE}) +(?:is|are) the (?:trigger|activation)\b"),
    # Put in the prompt: ''x''; Use in your prompts: 'x'; trigger it in the prompt by writing **x**
    _sentence("prompt", rf"{_USE}(?: it| this)? in {_PROMPT}:? ({_LIST})"),
    _sentence("trigger", rf"\btrigger [\w ]{{1,40}} in {_PROMPT} by (?:writing|using|adding|including) ({_LIST})"),
    _sentence("run with prompt", rf"\bRun with prompt: ?({_LIST})"),
    # Token: `x` (use this in your prompt)
    _sentence("(use", rf"\bTokens?:?(?:\*\*)?:? ?({_MARKED}) ?\(use (?:this|that|it) in"),
    # Use ClaymationXmas in your prompt; use saisikwrd in your prompts for the effect.
    _sentence("prompt", rf"\bUse ({_ODD}) in {_PROMPT}"),
    _sentence("prompt", rf"\bUse ({_BARE}) in {_PROMPT} for the (?:effect|style)\b"),
)
#: A line of its own, such as "Trigger word: `pxlart`"; several words are separated by commas.
STATEMENT = re.compile(
    r"^(?:\*\*)?(?:(?:trigger(?:ing)?|activation|activator|instance)[ -]?"
    r"(?:words?|tokens?|phrases?|key ?words?|terms?|prompts?)|(?:prompt |style |concept )?(?:tokens?|key ?words?))"
    rf"(?: are| is)?(?: ?:\*\*|\*\*:| ?:|\*\*)+ *"
    rf"(?:({_LIST})|([\w<][\w<>+ -]{{0,40}}(?:, ?[\w<][\w<>+ -]{{0,40}}){{0,9}}))(?:\*\*)?\.?$",
    re.IGNORECASE,
)
#: The first word of such a line, and of a label.
BEGINS = re.compile(
    r"[\s*`_]*(?:the )?(?:trigger|activat|instance|prompt|style|concept|token|key ?word)", re.IGNORECASE
)
#: A heading or a line above the words, such as "Trigger words:"
LABEL = re.compile(
    r"^(?:the )?(?:trigger|activation|instance)[ -]?(?:words?|tokens?|phrases?|key ?words?|terms?|prompts?)\W*$",
    re.IGNORECASE,
)
#: The line below it.
ALONE = re.compile(rf"^({_LIST}|{_BARE})\.?$", re.IGNORECASE)
#: "Trigger words: none needed" gives none; "<ID> 1girl" has a place for a word, but not the word.
NO_WORD = re.compile(
    r"^(?:none|no|not|n/a|any|see|optional|unnecessary|you|there|nothing|undefined|null|tbd|false|true)\b|(?-i:<[A-Z]+>)"
    r"|^(?:https?:|[\W_]*$)",
    re.IGNORECASE,
)
#: Before such a sentence: its words are not needed, or may be used.
NOT_NEEDED = re.compile(
    r"\bnot\b|n['’]t\b|\bno\b|\bwithout\b|\bavoid|\bnever\b|\boptional|\bsuggest|\balso\b|\bmay\b|\bmight\b|\bcould\b"
    r"|\binstead\b|\bif you (?:use|add|include|want (?!to use))|\bperhaps\b|\btry\b|\bbest not\b|\bbesides\b"
    r"|\bnegative\b|\brecommend|\bexample",
    re.IGNORECASE,
)
#: Before and after: what the words are good for, without which the model works as well.
PURPOSE = re.compile(
    r"\bto (?:make|generate|get|create|enhance|increase|improve|achieve|strengthen)\b"
    r"|\bfor (?:better|best|stronger|more)\b",
    re.IGNORECASE,
)
#: Words of a sentence that says that its words are needed, whatever for.
NEEDED = re.compile(r"trigger|activat|make sure|must|require|have to|need to|\btokens?\b|key ?word", re.IGNORECASE)
#: After such a sentence.
OPTIONAL = re.compile(
    r"^\W*(?:\(?optional|if (?:you|needed|desired|used)|use it (?:only )?if|(?:is|are) (?:not|optional)|isn['’]t"
    r"|aren['’]t|(?:for|to get) (?:an? )?(?:stronger|more|extra)|but (?:is|are|it's) not"
    r"|(?:can|may|might|could) (?:also )?(?:help|improve|enhance))",
    re.IGNORECASE,
)
#: After it: what it is good for.
GOOD_FOR = re.compile(r"^\W*to (?:make|enhance|improve|get|increase|help|create a better)\b", re.IGNORECASE)
#: One text that is set apart.
MARKED = re.compile(_MARKED)
#: Between alternatives.
OR = re.compile(r",? or (?:just )?")
#: A paragraph without any of these has no such sentence.
HINT = re.compile(r"prompt|trigger|activat|token|key ?word", re.IGNORECASE)
