//! One file per verb: its flags, and what it does with the library.

pub mod caption;
pub mod convert;
mod device;
pub mod inspect;
mod output;
pub mod train;
