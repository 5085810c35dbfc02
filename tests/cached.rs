//! Every language-model family, read in pieces: what a cache gives is what one pass over the whole text gives.

use burn::tensor::{Device, Int, Tensor};
use flamingo::lm::families::LanguageModel;
use flamingo::lm::families::chinchilla::chinchilla;
use flamingo::lm::{Decoder, DecoderCache, DecoderConfig, LayerHook, NoHook, Padding};
use flamingo_testkit::assert_close;
use flamingo_weights::Checkpoint;

const TOLERANCE: f32 = 1e-5;

/// Tokens of the texts below.
const LEN: usize = 13;

fn published(family: &str, device: &Device) -> Decoder {
    let path = format!("{}/fixtures/lm-{family}-1.safetensors", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = Checkpoint::open(path).unwrap();
    let config = checkpoint.metadata()["config.json"].as_str().unwrap();
    let model = LanguageModel::from_config(&serde_json::from_str(config).unwrap()).unwrap();
    let checkpoint = checkpoint.rename(|name| name.strip_prefix("weights.").map(str::to_owned)).unwrap();
    model.load(checkpoint, device).unwrap().0
}

/// Every family, and Transformer-XL's positions with tokens of their own table.
fn decoders(device: &Device) -> Vec<(&'static str, Decoder)> {
    let families = ["llama", "llama-untied", "mpt", "mosaic-gpt", "pythia", "redpajama", "opt", "gpt2"];
    let mut decoders: Vec<_> = families.into_iter().map(|name| (name, published(name, device))).collect();
    device.seed(3);
    let config = DecoderConfig { vocab: 40, new_tokens: 2, ..chinchilla(3, 12, 3) };
    decoders.push(("chinchilla", config.init(device)));
    decoders
}

fn text(rows: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..rows * LEN).map(|i| ((i * i + 5 * i + 3) % 15) as i32).collect();
    Tensor::<1, Int>::from_data(ids.as_slice(), device).reshape([rows, LEN])
}

/// Reads `ids` `[B, L]` behind the cache in pieces of these lengths.
fn read(decoder: &Decoder, ids: &Tensor<2, Int>, pieces: &[usize], cache: &mut DecoderCache) -> Tensor<3> {
    let mut from = 0;
    let piece = |len: &usize| {
        let ids = ids.clone().narrow(1, from, *len);
        from += len;
        decoder.extend(ids, cache, &NoHook)
    };
    Tensor::cat(pieces.iter().map(piece).collect(), 1)
}

#[test]
fn pieces_of_any_length_give_what_the_whole_gives() {
    let device = Device::flex();
    for (family, decoder) in decoders(&device) {
        println!("{family}");
        let ids = text(2, &device);
        let whole = decoder.hidden(ids.clone(), &NoHook);
        for pieces in [&[LEN][..], &[1; LEN], &[5, 3, 1, 1, 1, 2], &[1, 6, 1, 5]] {
            // Space for all, for some and for none: the last two grow on the way.
            for capacity in [LEN, 4, 0] {
                let mut cache = decoder.cache(2, capacity);
                assert_close(read(&decoder, &ids, pieces, &mut cache), whole.clone(), TOLERANCE);
                assert_eq!(cache.len(), LEN);
            }
        }
    }
}

#[test]
fn the_first_piece_is_the_whole_bit_for_bit() {
    let device = Device::flex();
    for (_, decoder) in decoders(&device) {
        let ids = text(2, &device);
        let cached = decoder.extend(ids.clone(), &mut decoder.cache(2, LEN), &NoHook);
        assert_eq!(cached.into_data(), decoder.hidden(ids, &NoHook).into_data());
    }
}

#[test]
fn rows_padded_in_front_give_what_they_give_in_one_pass_and_alone() {
    let device = Device::flex();
    let pads = [0, 4, 7];
    for (family, decoder) in decoders(&device) {
        println!("{family}");
        let ids = text(3, &device);
        let padding = Padding::left(&pads.map(|pads| LEN - pads), LEN, &device);
        let whole = decoder.hidden_padded(ids.clone(), Some(&padding), &NoHook);
        // The first pieces of the second and third row are nothing but padding.
        for pieces in [&[LEN][..], &[1; LEN], &[3, 6, 1, 1, 1, 1]] {
            let mut cache = decoder.cache(3, LEN).with_padding(&pads);
            let cached = read(&decoder, &ids, pieces, &mut cache);
            for (row, pads) in pads.into_iter().enumerate() {
                let real = |x: &Tensor<3>| x.clone().narrow(0, row, 1).narrow(1, pads, LEN - pads);
                assert_close(real(&cached), real(&whole), TOLERANCE);
                let alone = ids.clone().narrow(0, row, 1).narrow(1, pads, LEN - pads);
                assert_close(real(&cached), decoder.hidden(alone, &NoHook), TOLERANCE);
            }
        }
    }
}

#[test]
fn caches_are_forked_truncated_and_given_other_rows() {
    let device = Device::flex();
    for (family, decoder) in decoders(&device) {
        println!("{family}");
        let ids = text(2, &device);
        let whole = decoder.hidden(ids.clone(), &NoHook);
        let tail = |from: usize| {
            (ids.clone().narrow(1, from, LEN - from), whole.clone().narrow(1, from, LEN - from))
        };
        let mut cache = decoder.cache(2, LEN);
        read(&decoder, &ids, &[6], &mut cache);

        // What a fork reads leaves the other as it was.
        let mut fork = cache.clone();
        read(&decoder, &(ids.clone() + 1), &[3, 1, 1], &mut fork);
        let (rest, expected) = tail(6);
        assert_close(read(&decoder, &rest, &[1; LEN - 6], &mut cache), expected, TOLERANCE);

        // Undone, and read again.
        fork.truncate(6);
        let (rest, expected) = tail(6);
        assert_close(read(&decoder, &rest, &[2, LEN - 8], &mut fork), expected, TOLERANCE);

        // Beams: rows change places, and are repeated.
        let rows = [1, 0, 1];
        let mut beams = cache.clone();
        beams.truncate(8);
        let mut beams = beams.select(&rows);
        let (rest, expected) = tail(8);
        let of_beams = Tensor::from_data(rows.map(|row| row as i32), &device);
        let rest = rest.select(0, of_beams.clone());
        assert_close(
            read(&decoder, &rest, &[1; LEN - 8], &mut beams),
            expected.select(0, of_beams),
            TOLERANCE,
        );
    }
}

#[test]
fn selected_rows_keep_their_padding() {
    let device = Device::flex();
    for (_, decoder) in decoders(&device) {
        let ids = text(1, &device);
        let whole = decoder.hidden(ids.clone(), &NoHook);
        let padded = Tensor::cat(vec![Tensor::zeros([1, 2], &device), ids.clone()], 1);
        let batch = Tensor::cat(vec![padded.clone(), Tensor::ones([1, LEN + 2], &device)], 0);
        let mut cache = decoder.cache(2, LEN).with_padding(&[2, 0]);
        read(&decoder, &batch, &[LEN], &mut cache);
        let mut first = cache.select(&[0]);
        assert_eq!(first.pads(), [2]);
        let last = read(&decoder, &padded.narrow(1, LEN, 2), &[1, 1], &mut first);
        assert_close(last, whole.narrow(1, LEN - 2, 2), TOLERANCE);
    }
}

#[test]
fn texts_read_apart_go_on_side_by_side() {
    let device = Device::flex();
    let lengths = [10, 4, 7];
    for (family, decoder) in decoders(&device) {
        println!("{family}");
        let ids = text(3, &device);
        let whole = decoder.hidden(ids.clone(), &NoHook);
        let apart: Vec<DecoderCache> = (0..3)
            .map(|row| {
                let mut cache = decoder.cache(1, 4 * row);
                read(&decoder, &ids.clone().narrow(0, row, 1), &[lengths[row]], &mut cache);
                cache
            })
            .collect();
        let mut together = DecoderCache::stack(&apart.iter().collect::<Vec<_>>());
        assert_eq!((together.len(), together.pads()), (10, &[0, 6, 3][..]));
        let next = |x: &Tensor<2, Int>, step: usize| {
            let rows = (0..3).map(|row| x.clone().narrow(0, row, 1).narrow(1, lengths[row] + step, 1));
            Tensor::cat(rows.collect(), 0)
        };
        for step in 0..3 {
            let hidden = decoder.extend(next(&ids, step), &mut together, &NoHook);
            for (row, len) in lengths.into_iter().enumerate() {
                let expected = whole.clone().narrow(0, row, 1).narrow(1, len + step, 1);
                assert_close(hidden.clone().narrow(0, row, 1), expected, TOLERANCE);
            }
        }
    }
}

#[test]
fn a_hook_sees_the_new_tokens_only() {
    struct Widths(usize);
    impl LayerHook for Widths {
        fn before_layer(&self, _layer: usize, hidden: Tensor<3>) -> Tensor<3> {
            assert_eq!(hidden.dims()[1], self.0);
            hidden + 0.5
        }
    }
    let device = Device::flex();
    for (_, decoder) in decoders(&device) {
        let ids = text(1, &device);
        let whole = decoder.hidden(ids.clone(), &Widths(LEN));
        let mut cache = decoder.cache(1, LEN);
        let first = decoder.extend(ids.clone().narrow(1, 0, LEN - 1), &mut cache, &Widths(LEN - 1));
        let last = decoder.extend(ids.narrow(1, LEN - 1, 1), &mut cache, &Widths(1));
        assert_close(Tensor::cat(vec![first, last], 1), whole, TOLERANCE);
    }
}

#[test]
#[should_panic(expected = "positions end at")]
fn learned_positions_end() {
    let device = Device::flex();
    let decoder = published("gpt2", &device);
    let mut cache = decoder.cache(1, 0);
    for _ in 0..=decoder.config().max_len {
        decoder.extend(Tensor::from_data([[1]], &device), &mut cache, &NoHook);
    }
}
