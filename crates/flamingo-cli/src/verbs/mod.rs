//! One file per verb: its flags, and what it does with the library.

pub mod caption;
pub mod convert;
mod device;
pub mod inspect;
pub mod train;
