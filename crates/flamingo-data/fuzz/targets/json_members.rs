//! `cargo +nightly fuzz run json_members`

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flamingo_data_fuzz::json_members(bytes));
