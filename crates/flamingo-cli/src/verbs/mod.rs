//! One file per verb: its flags, and what it does with the library.

mod answer;
pub mod ask;
pub mod caption;
pub mod chat;
pub mod classify;
pub mod convert;
pub mod data;
mod decoding;
mod device;
pub mod doctor;
pub mod eval;
pub mod generate;
mod input;
pub mod inspect;
mod model;
mod output;
pub mod score;
mod shots;
mod stop;
pub mod train;
