//! One file per verb; `flamingo` is what `train`, `caption`, `inspect` and `convert` share.

pub mod caption;
pub mod convert;
pub mod data;
mod flamingo;
pub mod inspect;
pub mod parity;
pub mod test;
pub mod tidy;
pub mod train;
