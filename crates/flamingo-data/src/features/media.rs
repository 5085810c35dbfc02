//! The media of data sets and sources, one after another: what a cache of features is filled from.

use std::collections::VecDeque;
use std::path::Path;

use image::RgbaImage;
use rayon::prelude::*;

use super::MediaKey;
use crate::concepts::{ConceptImage, ConceptSet};
use crate::error::DataError;
use crate::image::decode;
use crate::reject::{Reason, Reject};
use crate::sample::Medium;
use crate::source::{Records, Source, Unread};
use crate::video::{Coverage, FrameSampling};

/// Records that are read and hashed together.
const TOGETHER: usize = 64;

/// A picture or clip that there may be features of.
#[derive(Debug, Clone)]
pub struct MediaItem<'a> {
    /// What it is known by.
    pub key: MediaKey,
    /// Where it comes from: a shard or data set.
    pub shard: String,
    /// Its record there.
    pub record: String,
    content: Content<'a>,
}

#[derive(Debug, Clone)]
enum Content<'a> {
    Decoded(&'a RgbaImage),
    Image(Vec<u8>),
    Clip(Medium, FrameSampling),
}

impl MediaItem<'_> {
    /// The most frames (F) that it has.
    pub fn max_frames(&self) -> usize {
        match &self.content {
            Content::Decoded(_) | Content::Image(_) => 1,
            Content::Clip(_, sampling) => sampling.max_frames,
        }
    }

    /// The picture, or the frames of the clip; at least one.
    ///
    /// # Errors
    ///
    /// If it cannot be decoded.
    pub fn pictures(&self) -> Result<Vec<RgbaImage>, Reject> {
        let pictures = match &self.content {
            Content::Decoded(picture) => Ok(vec![RgbaImage::clone(picture)]),
            Content::Image(bytes) => decode(bytes, &self.record).map(|picture| vec![picture]),
            Content::Clip(clip, sampling) => clip.pictures(&self.record, sampling),
        };
        pictures.map_err(|error| self.refuse(error.reason(), error.to_string()))
    }

    /// A reject of this medium.
    pub fn refuse(&self, reason: Reason, what: impl Into<String>) -> Reject {
        Reject::new(&self.shard, self.record.clone(), reason, what)
    }
}

/// The pictures of a set.
pub fn of_concepts(set: &ConceptSet) -> impl Iterator<Item = Result<MediaItem<'_>, Reject>> {
    set.images().iter().map(|picture| {
        let ConceptImage { concept, style, image, key, .. } = picture;
        let (shard, record) = (style.clone(), concept.clone());
        Ok(MediaItem { key: *key, shard, record, content: Content::Decoded(image) })
    })
}

/// The images and clips of a source, read once from its first shard to its last; what of it cannot be read is an item too.
///
/// Of clips, the frames are those of `clips`, but always of the whole clip: streams that read a window take them where
/// the clip is short enough ([`super::read_clip`]).
pub fn of_source<'a>(source: &'a dyn Source, clips: &FrameSampling) -> SourceMedia<'a> {
    let clips = FrameSampling { coverage: Coverage::Whole, ..*clips };
    SourceMedia { source, clips, shard: 0, records: None, ready: VecDeque::new() }
}

/// See [`of_source`].
pub struct SourceMedia<'a> {
    source: &'a dyn Source,
    clips: FrameSampling,
    /// The shard that is next.
    shard: usize,
    /// Of the shard before.
    records: Option<Records>,
    ready: VecDeque<Result<MediaItem<'static>, Reject>>,
}

impl Iterator for SourceMedia<'_> {
    type Item = Result<MediaItem<'static>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let Some(records) = &mut self.records else {
                if self.shard == self.source.shards().len() {
                    return None;
                }
                match self.source.open(self.shard, 0) {
                    Ok(records) => self.records = Some(records),
                    Err(reject) => self.ready.push_back(Err(reject)),
                }
                self.shard += 1;
                continue;
            };
            let records: Vec<_> = records.take(TOGETHER).collect();
            if records.is_empty() {
                self.records = None;
                continue;
            }
            let shard = self.source.shards()[self.shard - 1].to_string();
            let clips = self.clips;
            let media: Vec<Vec<_>> =
                records.into_par_iter().map(|record| media(&shard, record, &clips)).collect();
            self.ready.extend(media.into_iter().flatten());
        }
    }
}

fn media(
    shard: &str,
    record: Result<Unread, Reject>,
    clips: &FrameSampling,
) -> Vec<Result<MediaItem<'static>, Reject>> {
    let sample = match record.and_then(Unread::read) {
        Ok(sample) => sample,
        Err(reject) => return vec![Err(reject)],
    };
    let key = sample.key;
    sample.media.into_iter().map(|medium| item(shard, &key, medium, clips)).collect()
}

fn item(
    shard: &str,
    record: &str,
    medium: Medium,
    clips: &FrameSampling,
) -> Result<MediaItem<'static>, Reject> {
    let (key, content) = match medium {
        Medium::Image(bytes) => (MediaKey::image(&bytes), Content::Image(bytes)),
        Medium::Video(bytes, part) => {
            (MediaKey::clip(&bytes, &part, clips), Content::Clip(Medium::Video(bytes, part), *clips))
        }
        Medium::VideoFile(path, part) => {
            let bytes =
                read(&path).map_err(|error| Reject::new(shard, record, error.reason(), error.to_string()))?;
            (MediaKey::clip(&bytes, &part, clips), Content::Clip(Medium::VideoFile(path, part), *clips))
        }
    };
    Ok(MediaItem { key, shard: shard.to_owned(), record: record.to_owned(), content })
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{menagerie, png, write_shard};
    use crate::{SourceSpec, Store};

    #[test]
    fn a_set_gives_its_pictures_by_their_records() {
        let set = menagerie();
        let items: Vec<MediaItem<'_>> = of_concepts(&set).map(Result::unwrap).collect();
        assert_eq!(items.len(), set.images().len());
        for (item, picture) in items.iter().zip(set.images()) {
            assert_eq!((item.key, item.max_frames()), (picture.key, 1));
            assert_eq!(item.pictures().unwrap(), std::slice::from_ref(&picture.image));
        }
    }

    #[test]
    fn a_source_gives_its_media_and_what_is_wrong_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let picture = |shade| RgbaImage::from_pixel(3, 2, image::Rgba([shade, 0, 0, 255]));
        let good: Vec<Vec<u8>> = (0..70).map(|shade| png(&picture(shade))).collect();
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for (record, bytes) in good.iter().enumerate() {
            files.push((format!("{record:03}.png"), bytes.clone()));
            files.push((format!("{record:03}.txt"), b"moo".to_vec()));
        }
        files.push(("broken.png".to_owned(), b"GIF89a?".to_vec()));
        files.push(("broken.txt".to_owned(), b"moo".to_vec()));
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let shard = write_shard(folder.path(), "a.tar", &files);
        let absent = folder.path().join("b.tar");
        std::fs::write(&absent, b"no archive").unwrap();
        let spec = SourceSpec {
            name: "pairs".to_owned(),
            format: "pairs".to_owned(),
            paths: vec![shard.display().to_string(), absent.display().to_string()],
            options: serde_json::Map::new(),
        };
        let source = spec.open(&Store::default()).unwrap();
        let items: Vec<_> = of_source(&*source, &FrameSampling::training()).collect();
        for (shade, (item, bytes)) in items.iter().zip(&good).enumerate() {
            let item = item.as_ref().unwrap();
            assert_eq!(item.key, MediaKey::image(bytes));
            assert_eq!(item.pictures().unwrap(), [picture(shade as u8)]);
        }
        let broken = items[70].as_ref().unwrap().pictures().unwrap_err();
        assert_eq!((broken.reason, broken.record.as_str()), (Reason::BadImage, "broken"));
        assert!(items[71..].iter().all(Result::is_err) && items.len() > 71, "{:?}", &items[71..]);
    }
}
