"""Text from strangers as text that can be printed, logged and stored."""


def printable(text: str) -> str:
    """`text` with every character that cannot be printed, such as control characters and lone surrogates, replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
