//! One file per verb: its flags, and what it does with the library.

pub mod caption;
pub mod convert;
mod decoding;
mod device;
pub mod inspect;
mod model;
mod output;
pub mod score;
mod shots;
pub mod train;
