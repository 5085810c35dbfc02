"""Small GGUF files with byte-level tokenizers whose texts are cut up by a regular expression of their own.

`gguf-tokenizer-{llama-3,qwen-2,gpt-4o}`, laid out as those of `gguf_files.py`. Expected ids are those of:

- Llama 3: `transformers`' converter of tiktoken files, whose expression it is; one word has no merges that lead to it;
- Qwen 2: `transformers`' tokenizer in Python, not in Rust;
- GPT-4o: tiktoken itself, with the expression of `o200k_base`.

Needs the packages of `requirements-transformers-4.57.txt`.
"""

import json
import tempfile
from pathlib import Path

import gguf
import tiktoken
from tiktoken_ext import openai_public
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter, bytes_to_unicode

from common import FIXTURES, add_texts, save_gguf, version

END, STOP = "<|endoftext|>", "<|end|>"
TEXTS = [
    "Output: two grey cats, 12345 of them; 7 dogs and ٣٤٥٦ birds.",
    "  two spaces,\ttab\r\n\r\nand\n\n\nnewlines \n ",
    "naïve café – 東京 😀 हिन्दी",
    "IT'S what They'Ll do, isn't it? I'm sure we've'd",
    "a/path/ of //\n iPhones, HTMLParsers, McDonald's und Straße",
    "",
    " ",
    " photo",
    f"a cat{STOP}And more",
]
CORPUS = [
    "a photo of a cat sitting on a chair, and a photo of two cats sleeping",
    "the question is what the short answer to this question is: yes or no?",
    "two grey cats, three black dogs and 10 white birds on 24 photos of them",
    "IT'S what they'll do, isn't it? it's what THEY do; iPhones and HTMLParsers, 1990 or 12345",
    "a café in the naïve city; photo/ photo/\n\n  and newlines \n",
] * 8


def trained(expression: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens and merges of a small vocabulary; the two special tokens come last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return [*tokens, END, STOP], [tuple(merge) for merge in model["merges"]]


def write(name: str, pre: str, reference: str, tokens, merges, expected: dict[str, list[int]]) -> None:
    path = FIXTURES / f"gguf-tokenizer-{name}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in (END, STOP) else normal for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokens.index(END))
    writer.add_eos_token_id(tokens.index(END))
    add_texts(writer, list(expected), list(expected.values()))
    save_gguf(writer, path, f"tokenizer: {name}", reference)


def llama_3() -> None:
    tokens, merges = trained(TikTokenConverter().pattern)
    merges = [merge for merge in merges if merge[0] + merge[1] != "Ġphoto"]

    class Converter(TikTokenConverter):
        def extract_vocab_merges_from_model(self, _):
            return {token: i for i, token in enumerate(tokens)}, merges

    reference = Converter(additional_special_tokens=[END, STOP]).converted()
    expected = {text: [tokens.index(END), *reference.encode(text).ids] for text in TEXTS}
    assert expected[" photo"] == [tokens.index(END), tokens.index("Ġphoto")]
    write("llama-3", "llama-bpe", f"{version('transformers')} TikTokenConverter", tokens, merges, expected)


def qwen_2() -> None:
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    tokens, merges = trained(PRETOKENIZE_REGEX)
    with tempfile.TemporaryDirectory() as folder:
        vocab, merges_file = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocab.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        merges_file.write_text("#version: 0.2\n" + "\n".join(" ".join(merge) for merge in merges) + "\n")
        reference = Qwen2Tokenizer(str(vocab), str(merges_file), additional_special_tokens=[STOP])
    expected = {text: reference(text)["input_ids"] for text in TEXTS}
    assert reference("cafe\u0301")["input_ids"] == reference("caf\u00e9")["input_ids"], "as the test has it"
    write("qwen-2", "qwen2", f"{version('transformers')} Qwen2Tokenizer", tokens, merges, expected)


def gpt_4o() -> None:
    openai_public.load_tiktoken_bpe = lambda *_, **__: {}  # the expression alone, not the file on the network
    expression = openai_public.o200k_base()["pat_str"]
    tokens, merges = trained(expression)
    values = {character: byte for byte, character in bytes_to_unicode().items()}
    ranks = {bytes(values[c] for c in token): i for i, token in enumerate(tokens[:-2])}
    special = {token: tokens.index(token) for token in (END, STOP)}
    reference = tiktoken.Encoding("tiny", pat_str=expression, mergeable_ranks=ranks, special_tokens=special)
    expected = {text: reference.encode(text, allowed_special="all") for text in TEXTS}
    write("gpt-4o", "gpt-4o", version("tiktoken"), tokens, merges, expected)


if __name__ == "__main__":
    llama_3()
    qwen_2()
    gpt_4o()
