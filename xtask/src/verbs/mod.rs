//! One file per verb; `flamingo` is what `train`, `caption` and `inspect` share.

pub mod caption;
pub mod data;
mod flamingo;
pub mod inspect;
pub mod test;
pub mod tidy;
pub mod train;
