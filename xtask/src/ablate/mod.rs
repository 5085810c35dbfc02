//! The paper's ablations on the nano preset: what they are, what came of them, and the table.

pub mod list;
pub mod record;
pub mod statistics;
pub mod table;
