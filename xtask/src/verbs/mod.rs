//! One file per verb; `flamingo` is what all verbs share that the `flamingo` binary does.

pub mod ablate;
pub mod bench;
pub mod data;
pub mod eval;
pub mod flamingo;
pub mod parity;
pub mod test;
pub mod tidy;
pub mod train;
