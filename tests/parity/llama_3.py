"""A tiny Llama 3.1, whose long wavelengths are scaled: `lm-llama-3-*`, as by `language_models.py`.

Needs the packages of `requirements-transformers-4.57.txt`: transformers 4.35 has no such scaling.
"""

from common import SEEDS
from language_models import generate, llama

# Of the four wavelengths 6, 20, 63 and 199 the first stays, the last is eight times as long, the others are between.
SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def llama_3():
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128}
    return llama(rope_theta=100.0, rope_scaling=SCALING, **sizes)


if __name__ == "__main__":
    for seed in SEEDS:
        generate("llama-3", llama_3, seed)
