//! Named pictures: the same concepts in several drawing styles, with names, keywords and groups.
//!
//! A record is `KEY.png` and `KEY.json`:
//!
//! ```json
//! {"concept": "1F404", "style": "noto", "name": "cow", "keywords": ["moo", "farm"],
//!  "group": "animals & nature", "subgroup": "animal mammal", "split": "train"}
//! ```
//!
//! Other keys are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burn_dataset::{Dataset, DatasetError};
use image::RgbaImage;
use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::features::MediaKey;
use crate::webdataset::{Record, ShardReader};
use crate::{DataError, image as pictures};

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Training.
    Train,
    /// Measuring: the concept is trained on in another style, this drawing is never seen.
    HeldoutImages,
    /// Measuring: the concept is never seen in any style.
    HeldoutConcepts,
}

impl Split {
    /// All splits.
    pub const ALL: [Split; 3] = [Split::Train, Split::HeldoutImages, Split::HeldoutConcepts];

    /// The name in shards and reports.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::HeldoutImages => "heldout_images",
            Split::HeldoutConcepts => "heldout_concepts",
        }
    }
}

/// One picture of one concept.
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptImage {
    /// Stable identifier of the concept, shared by its styles.
    pub concept: String,
    /// Who drew it.
    pub style: String,
    /// What it shows, in lower case.
    pub name: String,
    /// Words that go with it, in lower case, without the name itself.
    pub keywords: Vec<String>,
    /// The concept's group, such as "Animals & Nature".
    pub group: String,
    /// The concept's group within the group, such as "animal mammal".
    pub subgroup: String,
    /// What the picture is for.
    pub split: Split,
    /// The picture.
    pub image: RgbaImage,
    /// What the picture is known by: of its bytes as they lie in the shard.
    pub key: MediaKey,
}

/// Pictures in a stable order: that of the shards and of the records in them.
#[derive(Debug, Clone, Default)]
pub struct ConceptSet {
    images: Vec<ConceptImage>,
}

impl ConceptSet {
    /// A set of pictures made elsewhere.
    ///
    /// Names and keywords become lower case, so that texts have one spelling. Keywords that repeat the name, or that
    /// are the name of a held-out concept, are dropped: no training text then contains a held-out name by way of
    /// another concept's keywords.
    pub fn new(mut images: Vec<ConceptImage>) -> Self {
        for image in &mut images {
            image.name = image.name.to_lowercase();
        }
        let heldout: BTreeSet<String> = images
            .iter()
            .filter(|image| image.split == Split::HeldoutConcepts)
            .map(|i| i.name.clone())
            .collect();
        for image in &mut images {
            let mut seen = BTreeSet::new();
            image.keywords = std::mem::take(&mut image.keywords)
                .into_iter()
                .map(|keyword| keyword.trim().to_lowercase())
                .filter(|keyword| !keyword.is_empty() && *keyword != image.name && !heldout.contains(keyword))
                .filter(|keyword| seen.insert(keyword.clone()))
                .collect();
        }
        Self { images }
    }

    /// Reads and decodes all pictures of `shards`, on all cores.
    ///
    /// # Errors
    ///
    /// On a missing or corrupt shard, on descriptions with missing or senseless fields, on pictures that do not
    /// decode, on two pictures of one concept in one style, and on a concept that is held out in some styles only,
    /// which would leak it. The message names the shard and the record.
    pub fn load(shards: &[PathBuf]) -> Result<Self, DataError> {
        let mut images = Vec::new();
        for shard in shards {
            let records = ShardReader::open(shard)?.collect::<Result<Vec<_>, _>>()?;
            let decoded: Result<Vec<_>, _> = records.par_iter().map(read_image).collect();
            images.extend(records.into_iter().zip(decoded?));
        }
        let mut seen = BTreeSet::new();
        let mut heldout = BTreeMap::new();
        for (record, image) in &images {
            let concept_heldout = image.split == Split::HeldoutConcepts;
            if *heldout.entry(&image.concept).or_insert(concept_heldout) != concept_heldout {
                let what = format!("holds {:?} out as a concept in some styles only", image.concept);
                return Err(metadata(record, "split", what));
            }
            if !seen.insert((&image.concept, &image.style)) {
                return Err(metadata(
                    record,
                    "style",
                    format!("gives {:?} twice in one style", image.concept),
                ));
            }
        }
        Ok(Self::new(images.into_iter().map(|(_, image)| image).collect()))
    }

    /// All pictures, in order.
    pub fn images(&self) -> &[ConceptImage] {
        &self.images
    }

    /// The indices of a split's pictures, ascending.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        self.indices(|image| image.split == split)
    }

    /// The indices of the pictures that satisfy `wanted`, ascending.
    pub fn indices(&self, wanted: impl Fn(&ConceptImage) -> bool) -> Vec<usize> {
        (0..self.images.len()).filter(|index| wanted(&self.images[*index])).collect()
    }

    /// Indices by concept.
    pub fn by_concept(&self) -> BTreeMap<&str, Vec<usize>> {
        self.grouped(|image| image.concept.as_str())
    }

    /// Indices by group and subgroup.
    pub fn by_group(&self) -> BTreeMap<(&str, &str), Vec<usize>> {
        self.grouped(|image| (image.group.as_str(), image.subgroup.as_str()))
    }

    fn grouped<'a, K: Ord>(&'a self, key: impl Fn(&'a ConceptImage) -> K) -> BTreeMap<K, Vec<usize>> {
        let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for (index, image) in self.images.iter().enumerate() {
            groups.entry(key(image)).or_default().push(index);
        }
        groups
    }
}

impl Dataset<ConceptImage> for ConceptSet {
    fn get(&self, index: usize) -> Result<ConceptImage, DatasetError> {
        Ok(self.images[index].clone())
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

fn read_image(record: &Record) -> Result<ConceptImage, DataError> {
    let json: Map<String, Value> = serde_json::from_slice(record.field("json")?)
        .map_err(|error| metadata(record, "json", format!("is not a JSON object ({error})")))?;
    let get = |field: &str| json.get(field).ok_or_else(|| metadata(record, field, "is missing".to_owned()));
    let text = |field: &str| match get(field)? {
        Value::String(value) if !value.trim().is_empty() => Ok(value.clone()),
        value => Err(metadata(record, field, format!("must be a text that is not empty, but is {value}"))),
    };
    let keywords = match get("keywords")? {
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let split = text("split")?;
    let names = Split::ALL.map(Split::name);
    let place = format!("{}: {}", record.shard, record.key);
    Ok(ConceptImage {
        concept: text("concept")?,
        style: text("style")?,
        name: text("name")?,
        keywords: keywords
            .ok_or_else(|| metadata(record, "keywords", "must be a list of texts".to_owned()))?,
        group: text("group")?,
        subgroup: text("subgroup")?,
        split: Split::ALL.into_iter().find(|known| known.name() == split).ok_or_else(|| {
            metadata(record, "split", format!("must be one of {names:?}, but is {split:?}"))
        })?,
        image: pictures::decode(record.field("png")?, &place)?,
        key: MediaKey::image(record.field("png")?),
    })
}

fn metadata(record: &Record, field: &str, what: String) -> DataError {
    DataError::Metadata {
        path: record.shard.to_string().into(),
        record: record.key.clone(),
        field: field.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{menagerie, picture, png, write_shard};
    use serde_json::json;

    fn description() -> Value {
        json!({"concept": "1F404", "emoji": "🐄", "style": "noto", "name": "Cow", "keywords": ["Moo", "cow", "moo "],
               "group": "Animals & Nature", "subgroup": "animal-mammal", "split": "heldout_images"})
    }

    /// Loads one shard with one record, whose description and picture are given.
    fn load(json: &Value, png: &[u8]) -> Result<ConceptSet, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 2] = [("k1.json", &serde_json::to_vec(json).unwrap()), ("k1.png", png)];
        ConceptSet::load(&[write_shard(folder.path(), "emoji.tar.gz", &files)])
    }

    #[test]
    fn a_record_becomes_a_picture() {
        let pixels = RgbaImage::from_pixel(6, 6, image::Rgba([1, 2, 3, 4]));
        let set = load(&description(), &png(&pixels)).unwrap();
        let cow = set.get(0).unwrap();
        assert_eq!((cow.name.as_str(), cow.style.as_str(), cow.split), ("cow", "noto", Split::HeldoutImages));
        assert_eq!(cow.keywords, ["moo"]);
        assert_eq!(cow.image, pixels);
        assert_eq!(cow.key, MediaKey::image(&png(&pixels)));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn bad_descriptions_name_the_shard_the_record_and_the_field() {
        let picture = png(&RgbaImage::new(2, 2));
        let changes = [
            ("name", json!("")),
            ("name", json!(null)),
            ("keywords", json!("moo")),
            ("keywords", json!([1])),
            ("split", json!("test")),
        ];
        for (field, value) in changes {
            let mut json = description();
            json[field] = value;
            let error = load(&json, &picture).unwrap_err().to_string();
            for part in ["emoji.tar.gz", "k1", field] {
                assert!(error.contains(part), "{error}");
            }
        }
        let mut json = description();
        json.as_object_mut().unwrap().remove("group");
        assert!(load(&json, &picture).unwrap_err().to_string().contains("`group` is missing"));
        assert!(load(&json!([1]), &picture).unwrap_err().to_string().contains("JSON object"));
    }

    #[test]
    fn a_picture_that_is_none_names_the_shard_and_the_record() {
        let error = load(&description(), b"GIF89a?").unwrap_err().to_string();
        assert!(error.contains("emoji.tar.gz") && error.contains("k1"), "{error}");
    }

    #[test]
    fn the_order_is_that_of_the_shards_and_doubles_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let picture = png(&RgbaImage::new(2, 2));
        let shard = |name: &str, style: &str| {
            let files: Vec<(String, Vec<u8>)> = (0..20)
                .flat_map(|index| {
                    let mut json = description();
                    json["concept"] = json!(format!("{:02}", 20 - index));
                    json["style"] = json!(style);
                    let key = format!("{index:02}");
                    [
                        (format!("{key}.json"), json.to_string().into_bytes()),
                        (format!("{key}.png"), picture.clone()),
                    ]
                })
                .collect();
            let files: Vec<(&str, &[u8])> =
                files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
            write_shard(folder.path(), name, &files)
        };
        let (noto, fluent) = (shard("a.tar", "noto"), shard("b.tar", "fluent"));
        let set = ConceptSet::load(&[fluent, noto.clone()]).unwrap();
        let order: Vec<&str> = set.images().iter().map(|image| image.style.as_str()).collect();
        assert_eq!(order, [["fluent"; 20], ["noto"; 20]].concat());
        assert_eq!(set.images()[20].concept, "20");
        assert_eq!(set.by_concept()["01"], [19, 39]);
        let error = ConceptSet::load(&[noto.clone(), noto]).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn a_concept_is_held_out_in_all_styles_or_in_none() {
        let mut other = description();
        other["style"] = json!("fluent");
        other["split"] = json!("heldout_concepts");
        let picture = png(&RgbaImage::new(2, 2));
        let (first, second) = (description().to_string(), other.to_string());
        let files: [(&str, &[u8]); 4] = [
            ("a.json", first.as_bytes()),
            ("a.png", &picture),
            ("b.json", second.as_bytes()),
            ("b.png", &picture),
        ];
        let folder = tempfile::tempdir().unwrap();
        let error = ConceptSet::load(&[write_shard(folder.path(), "s.tar", &files)]).unwrap_err().to_string();
        assert!(error.contains("\"b\"") && error.contains("`split`"), "{error}");
    }

    #[test]
    fn helpers_partition_the_set() {
        let set = menagerie();
        let parts = Split::ALL.map(|split| set.of_split(split));
        assert_eq!(parts.each_ref().map(Vec::len), [10, 2, 4]);
        assert_eq!(set.by_group()[&("Animals & Nature", "animal-mammal")].len(), set.len());
        assert!(set.by_concept().values().all(|styles| styles.len() == 2));
    }

    #[test]
    fn names_of_heldout_concepts_are_no_keywords() {
        let set = ConceptSet::new(vec![
            picture("1", "noto", "Cow", &["OX", "moo", "cow"], Split::Train),
            picture("2", "noto", "Ox", &["bull"], Split::HeldoutConcepts),
        ]);
        assert_eq!(set.images()[0].keywords, ["moo"]);
        assert_eq!(set.images()[1].keywords, ["bull"]);
    }
}
