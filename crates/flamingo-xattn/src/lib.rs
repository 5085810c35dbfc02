//! flamingo-xattn
