//! Tests across crates, in one binary so that the model is linked once.

mod cached;
mod decoding;
mod engine;
mod full_size;
mod fuzz_corpus;
mod generation;
mod hub;
mod hub_server;
mod invariants;
mod lora;
mod parity_flamingo;
mod parity_gguf;
mod parity_language_models;
mod parity_lm;
mod parity_lora;
mod parity_preprocess;
mod parity_published;
mod parity_smollm2;
mod parity_training;
mod parity_training_step;
mod parity_video;
mod parity_vision;
mod published;
mod recompute;
mod score;
mod tiny;
