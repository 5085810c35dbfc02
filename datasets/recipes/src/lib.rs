//! Rebuilds the bundled datasets from the packages that publish them, byte for byte.
//!
//! One file per step: [`npm`] gets a package by name and checks it, [`emojibase`] reads names and keywords, [`iconify`]
//! and [`openmoji`] give drawings as SVG, [`raster`] makes pictures of them, [`split`] decides what is held out,
//! [`shard`] writes the WebDataset files and [`manifest`] what they hold.

pub mod emojibase;
pub mod iconify;
pub mod manifest;
pub mod npm;
pub mod openmoji;
pub mod raster;
pub mod recipe;
pub mod shard;
pub mod split;
