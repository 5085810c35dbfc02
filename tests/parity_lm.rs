//! The decoder against the Transformer-XL attention of `transformers`.

use burn::tensor::{Device, Tensor};
use flamingo::lm::families::chinchilla::chinchilla;
use flamingo::lm::{Decoder, DecoderConfig, LayerHook, NoHook};
use flamingo_testkit::{Fixture, weighted_sum};

fn decoder(fixture: &Fixture, device: &Device) -> Decoder {
    let config = DecoderConfig { vocab: 11, new_tokens: 2, d_head: 6, d_ff: 20, ..chinchilla(2, 12, 3) };
    fixture
        .weights()
        .rename("layers.", "blocks.")
        .rename("attn.layer_norm.", "attention_norm.")
        .split_rows(
            "attn.qkv_net.",
            &[("attention.query.", 18), ("attention.key.", 18), ("attention.value.", 18)],
        )
        .rename("attn.o_net.", "attention.output.")
        .rename("attn.r_net.", "attention.position.")
        .rename("attn.r_w_bias", "attention.content_bias")
        .rename("attn.r_r_bias", "attention.position_bias")
        .rename("ff_norm.", "feed_forward_norm.")
        .rename("ff_up.", "feed_forward.up.")
        .rename("ff_down.", "feed_forward.down.")
        .split_rows("embedding.weight", &[("embedding", 11), ("new_embedding", 2)])
        .load_into(config.init(device))
}

/// Compares what each layer after the first is about to read.
struct Compare<'a>(&'a Fixture);

impl LayerHook for Compare<'_> {
    fn before_layer(&self, layer: usize, hidden: Tensor<3>) -> Tensor<3> {
        if let Some(previous) = layer.checked_sub(1) {
            self.0.assert_close(&format!("mid.layer{previous}"), hidden.clone(), 1e-5);
        }
        hidden
    }
}

#[test]
fn relative_attention_and_decoder_are_transformers() {
    let device = Device::flex();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("transformer-xl-{seed}"));
        let ids = fixture.tensor::<2>("in.ids", &device).int();
        let logits = decoder(&fixture, &device).forward(ids, &Compare(&fixture));
        fixture.assert_close("out.logits", logits, 1e-5);
    }
}

#[test]
fn gradients_of_positions_and_both_embedding_tables_are_transformers() {
    let device = Device::flex().autodiff();
    for seed in 0..2 {
        let fixture = Fixture::load(&format!("transformer-xl-{seed}"));
        let decoder = decoder(&fixture, &device);
        let ids = fixture.tensor::<2>("in.ids", &device).int();
        let gradients = weighted_sum(decoder.forward(ids, &NoHook)).backward();
        let attention = &decoder.blocks[0].attention;
        let content = attention.content_bias.as_ref().unwrap().val().grad(&gradients).unwrap();
        fixture.assert_close("grad.r_w_bias", content, 2e-5);
        let position = attention.position_bias.as_ref().unwrap().val().grad(&gradients).unwrap();
        fixture.assert_close("grad.r_r_bias", position, 2e-5);
        let tables = [Some(&decoder.embedding), decoder.new_embedding.as_ref()];
        let tables =
            tables.into_iter().flatten().map(|table| table.val().grad(&gradients).unwrap()).collect();
        fixture.assert_close("grad.embedding", Tensor::<2>::cat(tables, 0), 2e-5);
    }
}
