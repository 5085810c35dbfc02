//! Nothing to see here: the tests are the modules of `all.rs`.
