"""Tokenizers that the demo's zoo does without."""

from typing import Any

_PIECES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()-"


def xlm_roberta_tokenizer() -> Any:
    """XLM-RoBERTa's unigrams; a character each."""
    from transformers import XLMRobertaTokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*((token, 0.0) for token in special), ("▁", -2.0), *((letter, -3.0) for letter in _PIECES), ("<mask>", 0)]
    return XLMRobertaTokenizer(vocab=pieces, model_max_length=77)


def gpt2_tokenizer() -> Any:
    """GPT-2's byte-level BPE."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import GPT2Tokenizer

    tokens = [*sorted(ByteLevel.alphabet()), "<|endoftext|>"]
    return GPT2Tokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def chat_glm_tokenizer() -> Any:
    """ChatGLM's sentencepiece, trained in no time on a few letters."""
    import io
    import tempfile
    import weakref
    from pathlib import Path

    import sentencepiece
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(_PIECES), "a cat on a sofa", "three red boats"]),
        model_writer=model,
        vocab_size=90,
        model_type="unigram",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    place = tempfile.TemporaryDirectory()
    path = Path(place.name) / "tokenizer.model"
    path.write_bytes(model.getvalue())
    tokenizer = ChatGLMTokenizer(str(path))
    weakref.finalize(tokenizer, place.cleanup)  # it copies the file when it is saved
    return tokenizer


def mistral_tokenizer(cls: Any = None) -> Any:
    """Llama's and Mistral's BPE with byte fallback; a character each."""
    from transformers import LlamaTokenizerFast

    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_PIECES]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = (cls or LlamaTokenizerFast)(vocab=vocabulary, merges=[])
    tokenizer.pad_token = "</s>"
    return tokenizer
