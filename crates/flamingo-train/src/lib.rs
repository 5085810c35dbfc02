//! flamingo-train
