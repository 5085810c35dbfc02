//! `cargo +nightly fuzz run tar_grouping`

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flamingo_data_fuzz::tar_grouping(bytes));
