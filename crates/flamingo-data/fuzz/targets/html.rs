//! `cargo +nightly fuzz run html`

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flamingo_data_fuzz::html(bytes));
