//! What a few-shot query costs, with and without what an engine remembers.
//!
//! `cargo run --release -p flamingo-eval --example eval_cost -- MODEL [QUERIES] [SHOTS] [TOKENS] [WAY…]` asks QUERIES (1000)
//! behind SHOTS (8) examples, each query with a picture of its own, for TOKENS (5) new tokens by three beams, and prints
//! the seconds of each WAY (all):
//!
//! | way | examples | remembered |
//! |---|---|---|
//! | nothing | the same for all | nothing: the engine forgets after every query |
//! | images | the same for all | keys and values of images |
//! | images and prompts | the same for all | those, and what prompts begin with |
//! | images, random | others for every query, of 64 | those of images |

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use flamingo::engine::Timings;
use flamingo::generate::GenerateOptions;
use flamingo::prompt::{Example, Task, Template};
use flamingo::{DeviceSpec, Engine, Medium, Pretrained, Source};
use flamingo_eval::protocol::draw::Permutation;
use image::RgbaImage;

/// Examples there are.
const SUPPORT: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Nothing,
    Images,
    All,
    Random,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("which MODEL? A folder of a run or model")?;
    let mut number = |default: usize| args.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (queries, shots, tokens) = (number(1000)?, number(8)?, number(5)?);
    let wanted: Vec<String> = args.collect();
    let device = "auto".parse::<DeviceSpec>()?.resolve()?;
    let mut engine = Engine::new(Pretrained::open(model, &device)?);
    let template = Template::of(engine.pretrained().dialect.style(), Task::Question);
    let options = GenerateOptions { max_new_tokens: tokens, beams: 3, ..GenerateOptions::default() };
    println!("{queries} queries behind {shots} examples, {tokens} new tokens");
    println!("remembered             seconds   images  prefill   decode   new images   tokens   reused");
    for (name, way) in [
        ("nothing", Way::Nothing),
        ("images", Way::Images),
        ("images and prompts", Way::All),
        ("images, random", Way::Random),
    ] {
        if !wanted.is_empty() && wanted.iter().all(|way| way != name) {
            continue;
        }
        engine.forget();
        let start = Instant::now();
        let mut sum = Timings::default();
        for query in 0..queries {
            match way {
                Way::Nothing => engine.forget(),
                Way::Images | Way::Random => engine.forget_prompts(),
                Way::All => {}
            }
            let purpose = if way == Way::Random { query.to_string() } else { String::new() };
            let examples: Vec<Example> = Permutation::new(SUPPORT, 0, &[&purpose])
                .take(shots)
                .map(|place| example(place as u32))
                .collect();
            let asked = Example { answer: String::new(), ..example((SUPPORT + query) as u32) };
            let prompt = template.prompt(&engine.pretrained().dialect, &examples, &asked);
            engine.generate(&[prompt], &options)?;
            let timings = engine.timings();
            sum.images += timings.images;
            sum.prefill += timings.prefill;
            sum.decode += timings.decode;
            sum.new_images += timings.new_images;
            sum.prompt_tokens += timings.prompt_tokens;
            sum.reused_tokens += timings.reused_tokens;
        }
        let [images, prefill, decode] = [sum.images, sum.prefill, sum.decode].map(|it| it.as_secs_f64());
        println!(
            "{name:<20} {:>9.1} {images:>8.1} {prefill:>8.1} {decode:>8.1} {:>12} {:>8} {:>8}",
            start.elapsed().as_secs_f64(),
            sum.new_images,
            sum.prompt_tokens,
            sum.reused_tokens
        );
    }
    Ok(())
}

/// A question about a picture that no other number has.
fn example(number: u32) -> Example {
    let colour = |x: u32, y: u32, k: u32| ((x * (3 + number) + y * (5 + k) + 17 * number) % 256) as u8;
    let picture = RgbaImage::from_fn(320, 240, |x, y| {
        image::Rgba([colour(x, y, 0), colour(x, y, 1), colour(x, y, 2), 255])
    });
    Example {
        media: vec![Medium::Image(Source::Picture(Arc::new(picture)))],
        question: "What color is the square on the left?".to_owned(),
        answer: ["red", "blue", "dark green"][number as usize % 3].to_owned(),
    }
}
