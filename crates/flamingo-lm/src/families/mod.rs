//! Model families: each file holds what is particular to one, as data.

pub mod chinchilla;
