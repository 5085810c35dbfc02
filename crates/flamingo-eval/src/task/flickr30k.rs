//! Flickr30k: captions of photographs of people, five each, scored by CIDEr on the 1,000 images of Karpathy's test split.

use std::path::Path;

use super::read::{Given, image};
use super::{FileSpec, Files, Items, Task, karpathy};
use crate::EvalError;

pub(super) struct Flickr30k;

const FILES: [FileSpec; 3] = [
    FileSpec::required("karpathy", "dataset_flickr30k.json", "Karpathy's splits, with captions"),
    FileSpec::required("images", "flickr30k-images/", "the folder of all images"),
    FileSpec::optional(
        "annotations",
        "dataset_flickr30k_coco_style.json",
        "the captions in COCO's format, as OpenFlamingo publishes them, to be scored against",
    ),
];

impl Task for Flickr30k {
    fn name(&self) -> &'static str {
        "flickr30k"
    }

    fn title(&self) -> &'static str {
        "Flickr30k"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let images = given.path("images");
        karpathy::load(given.path("karpathy"), given.optional("annotations"), |it| {
            let stem = Path::new(&it.filename).file_stem().and_then(|it| it.to_str());
            let id = stem.ok_or_else(|| format!("{:?} is not an image's name", it.filename))?;
            Ok((id.to_owned(), image(images, &it.filename)))
        })
    }

    as_others!(captions);
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const KARPATHY: &str = r#"{"images": [
        {"sentids": [0, 1], "imgid": 0, "sentences": [
            {"tokens": ["two"], "raw": "Two young guys with shaggy hair look at their hands.", "imgid": 0, "sentid": 0},
            {"tokens": ["two"], "raw": "Two young, White males are outside near many bushes.", "imgid": 0, "sentid": 1}],
         "split": "train", "filename": "1000092795.jpg"},
        {"sentids": [2], "imgid": 1, "sentences": [
            {"tokens": ["a"], "raw": "A man in a blue shirt.", "imgid": 1, "sentid": 2}], "split": "test", "filename": "1007129816.jpg"},
        {"sentids": [3], "imgid": 2, "sentences": [
            {"tokens": ["a"], "raw": "A dog.", "imgid": 2, "sentid": 3}], "split": "val", "filename": "1009434119.jpg"}],
        "dataset": "flickr30k"}"#;

    #[test]
    fn ids_are_names_of_files() {
        let folder =
            Folder::with(&[("karpathy", "dataset_flickr30k.json", KARPATHY)]).folder("images", "images");
        let items = Flickr30k.load(folder.files()).unwrap();
        let ([query], [shown]) = (&items.queries[..], &items.support[..]) else { panic!("{items:?}") };
        assert_eq!((query.id.as_str(), shown.id.as_str()), ("1007129816", "1000092795"));
        assert!(path_of(query).ends_with("images/1007129816.jpg"));
        assert_eq!(shown.answer, "Two young guys with shaggy hair look at their hands.");
        let said = [Output::Text("A man in a blue shirt".to_owned())];
        assert_eq!(Flickr30k.measure(&asked(&items, &said)).unwrap().len(), 1);
    }
}
