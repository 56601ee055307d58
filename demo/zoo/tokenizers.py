"""Tokenizers with a few hundred tokens: every byte is a token, so that different captions have different tokens."""

from typing import Any

CLIP_LENGTH = 77
"""Number of tokens of a CLIP text encoder, as in all such models."""

_MERGES = ["t h", "th e</w>", "i n", "a n", "an d</w>", "o f</w>", "p h", "ph o", "o n</w>", "a </w>"]
_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()[]<>-_/+*=&%$#@"


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def clip_tokenizer() -> Any:
    """CLIP's byte-level BPE."""
    from transformers import CLIPTokenizer

    merges = [tuple(merge.split(" ")) for merge in _MERGES if merge != "a </w>"]
    letters = _alphabet()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(merge) for merge in merges)]
    vocabulary = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CLIP_LENGTH)


def t5_tokenizer() -> Any:
    """T5's unigrams: one for each common character, rarer ones are unknown."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in _CHARACTERS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, additional_special_tokens=[], model_max_length=512)


def bert_tokenizer() -> Any:
    """BERT's word pieces: one for each character."""
    from transformers import BertTokenizer

    letters = [letter for letter in _CHARACTERS if not letter.isupper()]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}, model_max_length=CLIP_LENGTH)


def gemma_tokenizer() -> Any:
    """Gemma's BPE with byte fallback."""
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_CHARACTERS]
    return GemmaTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def qwen_tokenizer(**settings: Any) -> Any:
    """Qwen's byte-level BPE, with its chat template and the special tokens of that."""
    from transformers import Qwen2Tokenizer

    vocabulary = {token: number for number, token in enumerate([*_alphabet(), "<|endoftext|>"])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], **settings)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = _CHAT
    return tokenizer


def glm_tokenizer() -> Any:
    """GLM's byte-level BPE, padded on the left, with two special tokens at the start of every text."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = qwen_tokenizer(padding_side="left")
    marks = ["[gMASK]", "<sop>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*marks, "$A"], special_tokens=[(mark, tokenizer.convert_tokens_to_ids(mark)) for mark in marks]
    )
    return tokenizer


_CHAT = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
