//! COCO: captions of photographs of everyday scenes, five each, scored by CIDEr on the 5,000 images of Karpathy's test split.

use super::read::{Given, image};
use super::{FileSpec, Files, Items, Task, karpathy};
use crate::EvalError;

pub(super) struct Coco;

const FILES: [FileSpec; 4] = [
    FileSpec::required("karpathy", "dataset_coco.json", "Karpathy's splits, with captions"),
    FileSpec::required("train-images", "train2014/", "the folder of the training images"),
    FileSpec::required(
        "val-images",
        "val2014/",
        "the folder of the validation images, the test split's among them",
    ),
    FileSpec::optional(
        "annotations",
        "captions_val2014.json",
        "COCO's own captions, to be scored against instead of those in Karpathy's file",
    ),
];

impl Task for Coco {
    fn name(&self) -> &'static str {
        "coco"
    }

    fn title(&self) -> &'static str {
        "COCO"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let (train, val) = (given.path("train-images"), given.path("val-images"));
        karpathy::load(given.path("karpathy"), given.optional("annotations"), |it| {
            let folder = match it.filepath.as_deref() {
                Some("train2014") => train,
                Some("val2014") => val,
                other => {
                    return Err(format!("filepath is {other:?}; \"train2014\" or \"val2014\" was expected"));
                }
            };
            let id = it.cocoid.ok_or("missing field `cocoid`")?;
            Ok((id.to_string(), image(folder, &it.filename)))
        })
    }

    as_others!(captions);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::super::{Output, PromptStyle};
    use super::*;

    const KARPATHY: &str = r#"{"dataset": "coco", "images": [
        {"filepath": "val2014", "sentids": [770337], "filename": "COCO_val2014_000000391895.jpg", "imgid": 0,
         "split": "test", "sentences": [
            {"tokens": ["a", "man"], "raw": "A man with a red helmet on a small moped on a dirt road. ", "imgid": 0, "sentid": 770337},
            {"tokens": ["man"], "raw": "Man riding a motor bike on a dirt road on the countryside.", "imgid": 0, "sentid": 771687}],
         "cocoid": 391895},
        {"filepath": "val2014", "sentids": [1], "filename": "COCO_val2014_000000000042.jpg", "imgid": 1, "split": "restval",
         "sentences": [{"tokens": [], "raw": "A shoe rack.", "imgid": 1, "sentid": 1}], "cocoid": 42},
        {"filepath": "train2014", "sentids": [2], "filename": "COCO_train2014_000000000009.jpg", "imgid": 2, "split": "train",
         "sentences": [{"tokens": [], "raw": " Closeup of bins of food. ", "imgid": 2, "sentid": 2}], "cocoid": 9},
        {"filepath": "val2014", "sentids": [3], "filename": "COCO_val2014_000000184613.jpg", "imgid": 3, "split": "test",
         "sentences": [{"tokens": [], "raw": "A child holding a flowered umbrella.", "imgid": 3, "sentid": 3}], "cocoid": 184613}]}"#;

    fn folder() -> Folder {
        Folder::with(&[("karpathy", "dataset_coco.json", KARPATHY)])
            .folder("train-images", "train2014")
            .folder("val-images", "val2014")
    }

    #[test]
    fn the_test_split_is_asked_and_the_training_split_shown() {
        let folder = folder();
        let items = Coco.load(folder.files()).unwrap();
        assert_eq!(items.queries.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["391895", "184613"]);
        assert_eq!(items.queries[0].target.texts().len(), 2);
        assert!(path_of(&items.queries[0]).ends_with("val2014/COCO_val2014_000000391895.jpg"));
        let [shown] = &items.support[..] else { panic!("{:?}", items.support) };
        assert_eq!(shown.answer, "Closeup of bins of food.");
        assert!(path_of(shown).ends_with("train2014/COCO_train2014_000000000009.jpg"));
    }

    #[test]
    fn references_may_be_those_of_coco() {
        let folder = folder().file("annotations", "captions_val2014.json", r#"{"info": {}, "images": [], "licenses": [], "annotations": [
            {"image_id": 391895, "id": 770337, "caption": "A man."}, {"image_id": 184613, "id": 3, "caption": "A child."},
            {"image_id": 391895, "id": 771687, "caption": "A moped."}, {"image_id": 5, "id": 9, "caption": "Nothing."}]}"#);
        let items = Coco.load(folder.files()).unwrap();
        assert_eq!(items.queries[0].target.texts(), ["A man.", "A moped."]);
        let folder = folder.file("annotations", "captions_val2014.json", r#"{"annotations": []}"#);
        let error = Coco.load(folder.files()).unwrap_err().to_string();
        assert!(error.contains("captions_val2014.json: image 391895: no caption"), "{error}");
    }

    #[test]
    fn captions_are_cut_and_scored() {
        let (of, paper) = (PromptStyle::OpenFlamingo, PromptStyle::Paper);
        assert_eq!(Coco.clean(of, " A \"red\" moped.Output: a cat Output"), " A red moped.");
        assert_eq!(Coco.clean(paper, " A \"red\" moped. "), "A \"red\" moped.");
        assert_eq!(Coco.wording(of).text, "{image}Output:{answer}{eoc}\n");
        let items = Coco.load(folder().files()).unwrap();
        let outputs = [
            "A man with a red helmet on a small moped on a dirt road.",
            "a child holding a flowered umbrella",
        ];
        let measure = Coco.measure(&asked(&items, &outputs.map(|it| Output::Text(it.to_owned())))).unwrap();
        let each = measure.each().unwrap();
        assert!((each[1] - 10.0).abs() < 1e-9 && each[0] > 5.0 && each[0] < 7.0, "{each:?}");
        let error = Coco.measure(&asked(&items, &[Output::Scores(vec![])])).err().unwrap().to_string();
        assert!(error.contains("\"391895\"") && error.contains("asked for a text"), "{error}");
    }

    #[test]
    fn a_record_that_is_wrong_is_named() {
        let error = |from: &str, to: &str| {
            let folder = folder().file("karpathy", "dataset_coco.json", &KARPATHY.replacen(from, to, 1));
            let error = Coco.load(folder.files()).unwrap_err().to_string();
            assert!(error.contains("dataset_coco.json: "), "{error}");
            error
        };
        assert!(
            error("\"filename\": \"COCO_val2014_000000391895.jpg\",", "")
                .contains("record 0 (from 0): missing field `filename`")
        );
        assert!(
            error("\"train2014\"", "\"train2017\"")
                .contains("record 2 (from 0): filepath is Some(\"train2017\")")
        );
        assert!(
            error("\"cocoid\": 9", "\"cocoId\": 9").contains("record 2 (from 0): missing field `cocoid`")
        );
        assert!(error("184613}", "391895}").contains("\"391895\": there are two"));
    }
}
