"""Small GGUF files, written by llama.cpp's own Python package, with what other programs make of them.

- `gguf-llama-*`: the models of `lm-llama-*` (see `language_models.py` and `llama_3.py`, which must have run), with
  query and key rows in the order of llama.cpp's converter, and with scaled positions as it writes them.
- `gguf-tokenizer-*`: tokenizers without a model. Expected ids are in the file itself, as `test.texts` and `test.ids.N`:
  those of SentencePiece's own library, of `transformers`' Python (not Rust) GPT-2 tokenizer, and of SmolLM2's
  configuration of `tokenizers`.
"""

import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Tokenizer

from common import FIXTURES, SEEDS, add_texts, save_gguf, version

TEXTS = [
    "Output: a photo of two grey cats, 1234 of them.",
    "  two spaces,\ttab\nand  newline ",
    "naïve café – 東京 😀",
    "it's what they'll do, isn't it?",
    "",
    " ",
    "Question:What is this? Short answer:a cat<|end|>And more",
]
CORPUS = [
    "a photo of a cat sitting on a chair, and a photo of two cats sleeping",
    "the question is what the short answer to this question is: yes or no?",
    "two grey cats, three black dogs and 10 white birds on 24 photos of them",
    "what is it that they'll do? it's what they do, isn't it? the output is 1990",
] * 8

LLAMA_NAMES = {
    "model.embed_tokens": "token_embd",
    "lm_head": "output",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from (half, pair) to (pair, half), as llama.cpp's `convert_hf_to_gguf.py` orders them."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def factors(config: dict, scaling: dict) -> np.ndarray:
    """How much longer each wavelength is than without scaling, as llama.cpp's converter computes it for Llama 3.1."""
    width = config["hidden_size"] // config["num_attention_heads"]
    found = []
    for i in range(0, width, 2):
        length = 2 * np.pi * config["rope_theta"] ** (i / width)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        times = scaling["original_max_position_embeddings"] / length
        if times > high:
            found.append(1.0)
        elif times < low:
            found.append(scaling["factor"])
        else:
            smooth = (times - low) / (high - low)
            found.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(found, dtype=np.float32)


def llama(name: str, seed: int) -> None:
    with safe_open(FIXTURES / f"lm-{name}-{seed}.safetensors", "np") as file:
        config, reference = json.loads(file.metadata()["config.json"]), file.metadata()["reference"]
        tensors = {key.removeprefix("weights."): file.get_tensor(key) for key in file.keys() if key.startswith("weights.")}
    path = FIXTURES / f"gguf-{name}-{seed}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    scaling = config["rope_scaling"] or {}
    if scaling.get("type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if scaling.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", factors(config, scaling))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(config["vocab_size"])])
    writer.add_bos_token_id(1)
    for key, value in tensors.items():
        if ".q_proj." in key:
            value = permuted(value, config["num_attention_heads"])
        if ".k_proj." in key:
            value = permuted(value, config["num_key_value_heads"])
        for theirs, published in LLAMA_NAMES.items():
            key = key.replace(theirs, published)
        writer.add_tensor(key, np.ascontiguousarray(value))
    save_gguf(writer, path, "files: GGUF", f"{reference}, {version('gguf')}")


def tokenizer_file(name: str, model: str, reference: str, expected: list[list[int]], fill) -> None:
    path = FIXTURES / f"gguf-tokenizer-{name}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    fill(writer)
    add_texts(writer, TEXTS, expected)
    save_gguf(writer, path, f"tokenizer: {name}", reference)


def sentence_piece() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS),
            model_prefix=f"{folder}/llama",
            model_type="bpe",
            vocab_size=360,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            remove_extra_whitespaces=False,
            normalization_rule_name="identity",
            user_defined_symbols=["<|end|>"],
            minloglevel=2,
        )
        processor = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/llama.model")

    def kind(i: int) -> int:
        if processor.is_unknown(i):
            return gguf.TokenType.UNKNOWN
        if processor.is_control(i):
            return gguf.TokenType.CONTROL
        if processor.is_byte(i):
            return gguf.TokenType.BYTE
        return gguf.TokenType.USER_DEFINED if processor.id_to_piece(i) == "<|end|>" else gguf.TokenType.NORMAL

    def fill(writer):
        ids = range(processor.get_piece_size())
        writer.add_token_list([processor.id_to_piece(i) for i in ids])
        writer.add_token_scores([processor.get_score(i) for i in ids])
        writer.add_token_types([kind(i) for i in ids])
        writer.add_bos_token_id(processor.bos_id())
        writer.add_eos_token_id(processor.eos_id())
        writer.add_unk_token_id(processor.unk_id())

    # After a user-defined symbol SentencePiece adds no space; the tokenizer.json of LLaMA does. The last text is left
    # to tokenizers that agree on it.
    expected = [[processor.bos_id(), *processor.encode(text)] for text in TEXTS[:-1]]
    tokenizer_file("llama", "llama", version("sentencepiece"), expected, fill)


def byte_level(name: str, split_digits: bool) -> None:
    trained = Tokenizer(models.BPE())
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    trained.pre_tokenizer = pre_tokenizers.Sequence([digits, gpt2]) if split_digits else gpt2
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|end|>"]
    trained.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    )
    content = json.loads(trained.to_str())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["merges"]]
    tokens = sorted(content["vocab"], key=content["vocab"].get)
    if split_digits:
        reference, expected = version("tokenizers"), [trained.encode(text).ids for text in TEXTS]
    else:
        with tempfile.TemporaryDirectory() as folder:
            vocab, merges_file = Path(folder, "vocab.json"), Path(folder, "merges.txt")
            vocab.write_text(json.dumps(content["vocab"]))
            merges_file.write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
            tokenizer = GPT2Tokenizer(str(vocab), str(merges_file), additional_special_tokens=["<|end|>"])
        reference = f"{version('transformers')} GPT2Tokenizer"
        expected = [tokenizer(text)["input_ids"] for text in TEXTS]

    def fill(writer):
        writer.add_tokenizer_pre("smollm" if split_digits else "gpt-2")
        writer.add_token_list(tokens)
        control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
        writer.add_token_types([control if token in special else normal for token in tokens])
        writer.add_token_merges(merges)
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(0)

    tokenizer_file(name, "gpt2", reference, expected, fill)


if __name__ == "__main__":
    for seed in SEEDS:
        llama("llama", seed)
    llama("llama-linear", 0)
    llama("llama-3", 0)
    sentence_piece()
    byte_level("gpt2", split_digits=False)
    byte_level("smollm", split_digits=True)
