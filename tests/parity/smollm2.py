"""What transformers' Llama makes of SmolLM2-135M-Instruct, from the file that everybody can have.

    python smollm2.py "$(cargo xtask data fetch smollm2)"

The GGUF file is dequantised by gguf-py, queries and keys are put back into the order of transformers, and everything is
computed in f32. Tokens are those of the `tokenizers` library, set up as SmolLM2 does. The fixture holds no weights, only
`in.ids` of a passage of 50 tokens, `out.logprobs` of each but the first, `in.prompt` and `out.greedy`, the 20 tokens
that follow it; the texts are in its metadata.
"""

import sys

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from common import save, version

PASSAGE = (
    "The lighthouse keeper climbed the narrow stairs every evening, lit the lamp and wrote a few lines in his book. "
    "On clear nights he counted the ships that passed; when the fog came in, he rang the bell and waited for the wind until morning."
)
PROMPT = "The capital of France is"

# Words of GGUF's names, and of transformers'.
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "blk": "model.layers",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def tokenizer(field) -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate(field("tokenizer.ggml.tokens"))}
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return made


def model(reader: gguf.GGUFReader, field) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(field("tokenizer.ggml.tokens")),
        hidden_size=field("llama.embedding_length"),
        intermediate_size=field("llama.feed_forward_length"),
        num_hidden_layers=field("llama.block_count"),
        num_attention_heads=field("llama.attention.head_count"),
        num_key_value_heads=field("llama.attention.head_count_kv"),
        rms_norm_eps=field("llama.attention.layer_norm_rms_epsilon"),
        rope_theta=field("llama.rope.freq_base"),
        tie_word_embeddings=True,
    )
    tensors = {}
    for tensor in reader.tensors:
        name = ".".join(NAMES.get(part, part) for part in tensor.name.split("."))
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:
            value = value.reshape(heads, value.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(value.shape)
        tensors[name] = torch.from_numpy(value.copy())
    net = LlamaForCausalLM(config).eval()
    left = net.load_state_dict(tensors, strict=False)
    assert left.missing_keys == ["lm_head.weight"] and not left.unexpected_keys, left
    return net


@torch.no_grad()
def main(path: str) -> None:
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[name].contents()  # noqa: E731
    tokens, net = tokenizer(field), model(reader, field)
    ids = torch.tensor([tokens.encode(PASSAGE).ids])
    assert ids.shape[1] == 50, ids.shape
    logprobs = net(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    prompt = torch.tensor([tokens.encode(PROMPT).ids])
    text = prompt
    for _ in range(20):
        text = torch.cat([text, net(text).logits[:, -1:].argmax(-1)], 1)
    greedy = text[0, prompt.shape[1] :]
    print(f"perplexity {(-logprobs.mean()).exp():.4f}")
    print(PROMPT + "".join(field("tokenizer.ggml.tokens")[i] for i in greedy).replace("Ġ", " "))
    tensors = {"in.ids": ids[0], "in.prompt": prompt[0], "out.logprobs": logprobs, "out.greedy": greedy}
    reference = f"{version('transformers')} LlamaForCausalLM, {version('gguf')}"
    save("smollm2", tensors, "language model: SmolLM2-135M-Instruct, Q4_1", reference, passage=PASSAGE, prompt=PROMPT)


if __name__ == "__main__":
    main(sys.argv[1])
