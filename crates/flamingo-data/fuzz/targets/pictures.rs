//! `cargo +nightly fuzz run pictures`

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flamingo_data_fuzz::pictures(bytes));
