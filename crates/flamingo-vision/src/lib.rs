//! flamingo-vision
