//! What `cargo xtask parity` needs: measurements into a table, the fixtures themselves, and Python to write them.

pub mod coverage;
pub mod environment;
pub mod fixtures;
pub mod measurement;
pub mod scripts;
pub mod table;
