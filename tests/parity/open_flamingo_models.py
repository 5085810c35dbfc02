"""Whole tiny models of the `open-flamingo` package, with random weights and open gates.

A fixture holds three checkpoints as people have them, under their own names: what `open_flamingo` saves (below
`weights.flamingo.`), the language model of `transformers` (`weights.lm.`) and the encoder of `open_clip`
(`weights.vision.`); as the file's metadata the language model's `config.json` and `tokenizer.json`. Beside them: what
each part gives, logits, and a greedy continuation.

Seed 0 is MPT with a gated block before every layer, in the names of the current program; seed 1 is GPT-NeoX as RedPajama
has it, a block before every second layer, in the older names and below `module.`, and with the whole language model in
the file, as the released 4B files are.

The encoder's tokens are taken before its last norm: that is what the models were trained on (open_clip up to 2.22).
"""

import json
from functools import partial

import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from open_flamingo.src import flamingo_lm
from open_flamingo.src.flamingo import Flamingo
from open_flamingo.src.helpers import GatedCrossAttentionBlock, PerceiverResampler
from open_flamingo.src.utils import extend_instance
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MptConfig, MptForCausalLM

from common import SEEDS, generator, randomise, save, version

TOKENS, ROWS = 17, 24  # the tokenizer's, and the language model's padded table
EOC, IMAGE = TOKENS, TOKENS + 1  # and <PAD>
D, D_VISION, SIZE, PATCH = 12, 8, 8, 4
NEW_TOKENS = 20

# Of 64 each, as always; two instead of eight keep the fixtures small.
HEADS = 2
flamingo_lm.GatedCrossAttentionBlock = partial(GatedCrossAttentionBlock, heads=HEADS)


def language_model(seed: int):
    """The model, where its layers are, its table's name, and how many layers have one gated block."""
    if seed == 0:
        config = MptConfig(vocab_size=ROWS, d_model=D, n_heads=2, n_layers=2, max_seq_len=64)
        return MptForCausalLM(config), "transformer.blocks", 1
    config = GPTNeoXConfig(
        vocab_size=ROWS,
        hidden_size=D,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=40,
        rotary_pct=1.0,
        use_parallel_residual=False,
        max_position_embeddings=64,
        tie_word_embeddings=False,
    )
    return GPTNeoXForCausalLM(config), "gpt_neox.layers", 2


def tokenizer() -> str:
    words = {f"w{index}": index for index in range(TOKENS)}
    made = Tokenizer(models.WordLevel(words, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made.to_str()


def saved(net: Flamingo, seed: int) -> dict[str, torch.Tensor]:
    """What the package's training script keeps, and for seed 1 what its early version and FSDP made of it."""
    state = net.state_dict()
    if seed == 0:
        kept = ("perceiver.", ".gated_cross_attn_layer.", "transformer.wte.")
        return {
            key: value
            for key, value in state.items()
            if any(part in key for part in kept) and "old_decoder_blocks" not in key
        }
    plural = {}
    for key, value in state.items():
        if key.startswith("vision_encoder") or "old_decoder_blocks" in key or ".gated_cross_attn_layer." in key:
            continue
        plural["module." + key] = value
    return plural


def network(seed: int, random: torch.Generator) -> tuple[Flamingo, dict[str, torch.Tensor], dict[str, str]]:
    """The model, what other people publish of it, and what is beside their tensors."""
    torch.manual_seed(seed)
    lm, layers, every = language_model(seed)
    randomise(lm, random)
    metadata = {"config.json": json.dumps(lm.config.to_dict()), "tokenizer.json": tokenizer()}
    tensors = {f"weights.lm.{key}": value.clone() for key, value in lm.state_dict().items()}

    vision = VisionTransformer(
        image_size=SIZE,
        patch_size=PATCH,
        width=D_VISION,
        layers=2,
        heads=2,
        mlp_ratio=2.0,
        output_dim=6,
        act_layer=QuickGELU,
        output_tokens=True,
    )
    randomise(vision, random)
    tensors |= {f"weights.vision.visual.{key}": value.clone() for key, value in vision.state_dict().items()}
    vision.ln_post = torch.nn.Identity()

    lm.resize_token_embeddings(TOKENS + 3)
    lm.config.hidden_size = D
    extend_instance(lm, flamingo_lm.FlamingoLMMixin)
    lm.set_decoder_layers_attr_name(layers)
    clip = torch.nn.Module()
    clip.visual = vision
    net = Flamingo(clip, lm, EOC, IMAGE, vis_dim=D_VISION, cross_attn_every_n_layers=every)
    net.perceiver = PerceiverResampler(dim=D_VISION, depth=1, num_latents=3, heads=HEADS)
    for part in (net.perceiver, net.lang_encoder.gated_cross_attn_layers, net.lang_encoder.get_input_embeddings()):
        randomise(part, random)
    # Freshly added rows of an untied head are random and were never trained: here they are whatever they are.
    return net.eval().requires_grad_(False), tensors, metadata


def model(seed: int) -> None:
    random = generator(seed)
    net, tensors, metadata = network(seed, random)
    tensors |= {f"weights.flamingo.{key}": value.clone() for key, value in saved(net, seed).items()}

    ids = torch.tensor([[2, 5, IMAGE, 7, 8, 1, EOC, IMAGE, 3, 4], [IMAGE, 3, 4, 4, 9, 11, 2, 6, 12, EOC]])
    pixels = torch.randn(2, 2, 1, 3, SIZE, SIZE, generator=random)
    tensors |= {"in.ids": ids, "in.pixels": pixels}
    hooks = [
        net.vision_encoder.register_forward_hook(lambda _m, _i, out: tensors.update({"mid.features": out[1]})),
        net.perceiver.register_forward_hook(lambda _m, _i, out: tensors.update({"mid.latents": out})),
    ]
    for index, block in enumerate(filter(None, net.lang_encoder.gated_cross_attn_layers)):
        keep = lambda _m, _i, out, index=index: tensors.update({f"mid.block.{index}": out})
        hooks.append(block.register_forward_hook(keep))
    tensors["out.logits"] = net(pixels, ids, torch.ones_like(ids)).logits
    for hook in hooks:
        hook.remove()
    text = ids[:1]
    for _ in range(NEW_TOKENS):
        scores = net(pixels[:1], text, torch.ones_like(text)).logits[:, -1]
        scores[:, IMAGE] = -torch.inf  # an image that nobody gave
        text = torch.cat([text, scores.argmax(-1, keepdim=True)], dim=1)
    tensors["out.greedy"] = text

    part = f"whole model: OpenFlamingo with {('MPT', 'GPT-NeoX')[seed]}"
    reference = f"{version('open_flamingo')} Flamingo, {version('transformers')}, {version('open_clip_torch')}"
    save(f"open-flamingo-{seed}", tensors, part, reference, **metadata)


if __name__ == "__main__":
    for seed in SEEDS:
        model(seed)
