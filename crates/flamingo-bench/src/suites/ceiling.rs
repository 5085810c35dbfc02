//! What the machine can do: its fastest matrix product, and how fast it reads memory.
//!
//! A ceiling is the best that anybody reached in this run, ours or a peer's.

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::Tensor;
use serde_json::json;

use super::inputs::{finish, normal};
use crate::case::{Case, Prepared, Suite};
use crate::count::Work;

/// The case that only waits.
pub const PAUSE: &str = "pause";

/// The side of the matrices whose product is the ceiling.
const SIDE: usize = 2048;

/// Numbers that are read: far more than any cache holds.
const NUMBERS: usize = 64 << 20;

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            suite: Suite::Ceiling,
            name: "gemm",
            about: "product of two matrices of 2048 x 2048",
            work: Work { bytes: 0.0, ..Work::product(SIDE, SIDE, SIDE) },
            peer: Some(json!({"kind": "gemm", "m": SIDE, "k": SIDE, "n": SIDE})),
            prepare: Box::new(|context| {
                let device = context.device.clone();
                let [a, b] = [(); 2].map(|()| normal([SIDE, SIDE], &device));
                Ok(Prepared::each(move || {
                    black_box(a.clone().matmul(b.clone()));
                    finish(&device)
                }))
            }),
        },
        Case {
            suite: Suite::Ceiling,
            name: "memory",
            about: "256 MiB read by all threads",
            work: Work::numbers(NUMBERS),
            peer: Some(json!({"kind": "read", "numbers": NUMBERS})),
            prepare: Box::new(|context| {
                let device = context.device.clone();
                if context.is_cpu {
                    return Ok(read_memory(context.threads));
                }
                let numbers = Tensor::<1>::ones([NUMBERS], &device);
                Ok(Prepared::each(move || {
                    black_box(numbers.clone().sum());
                    finish(&device)
                }))
            }),
        },
    ]
}

/// Plain loads in as many threads, so that it is the memory that is measured.
fn read_memory(threads: usize) -> Prepared {
    let numbers: Vec<u64> = (0..NUMBERS as u64 / 2).collect();
    Prepared::each(move || {
        let sum = |part: &[u64]| {
            // Eight sums at once: no addition waits for the one before.
            let mut sums = [0u64; 8];
            let chunks = part.chunks_exact(8);
            chunks.for_each(|chunk| {
                sums.iter_mut().zip(chunk).for_each(|(sum, n)| *sum = sum.wrapping_add(*n))
            });
            sums.into_iter().fold(0, u64::wrapping_add)
        };
        std::thread::scope(|scope| {
            let size = numbers.len().div_ceil(threads);
            numbers.chunks(size).for_each(|part| {
                scope.spawn(move || black_box(sum(part)));
            });
        });
        Ok(())
    })
}

/// Waits for 20 ms: the same on every machine, to try the comparison with.
pub fn pause() -> Case {
    const TIME: Duration = Duration::from_millis(20);
    Case {
        suite: Suite::Ceiling,
        name: PAUSE,
        about: "nothing for 20 ms, to try the comparison with a baseline",
        work: Work::default(),
        peer: None,
        prepare: Box::new(|_| {
            Ok(Prepared::each(|| {
                std::thread::sleep(TIME);
                Ok(())
            }))
        }),
    }
}
