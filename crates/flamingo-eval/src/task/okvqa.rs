//! OKVQA: questions about photographs of COCO that ask for knowledge of the world, with the answers of five people, each counted
//! twice. Its answers are stems, and what a model says is cut the same way before it is compared; the paper asks the validation split.

use std::sync::Arc;

use super::outputs::texts;
use super::read::Given;
use super::{Ask, FileSpec, Files, Item, Items, Language, Output, PromptStyle, Task, Wording, vqa, vqav2};
use crate::EvalError;
use crate::metrics::Measure;

pub(super) struct OkVqa;

const FILES: [FileSpec; 8] = {
    let [a, b, c, d, e, f] = vqav2::with_images(vqa::files(
        [
            "OpenEnded_mscoco_train2014_questions.json",
            "mscoco_train2014_annotations.json",
            "OpenEnded_mscoco_val2014_questions.json",
            "mscoco_val2014_annotations.json",
        ],
        false,
    ));
    [a, b, c, d, e, f, WORDNET, TAGGER]
};

/// The folders of a task that knows English.
pub(super) const WORDNET: FileSpec =
    FileSpec::required("wordnet", "dict/", "the folder of WordNet 3.0's files, index.noun and so on");
pub(super) const TAGGER: FileSpec = FileSpec::required(
    "tagger",
    "averaged_perceptron_tagger_eng/",
    "the folder of nltk's tagger of parts of speech, three files of JSON",
);

/// Reads them.
pub(super) fn language(given: &Given<'_>) -> Result<Language, EvalError> {
    Language::open(given.path(WORDNET.name), given.path(TAGGER.name))
}

/// A task that knows English, asked without what it has read of it.
pub(super) fn needs_language(metric: &'static str) -> EvalError {
    EvalError::Needs {
        metric,
        needs: "what the task has read of English",
        hint: "score with the items that were loaded (Task::measure_in)",
    }
}

impl Task for OkVqa {
    fn name(&self) -> &'static str {
        "okvqa"
    }

    fn title(&self) -> &'static str {
        "OKVQA"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        vqa::METRIC
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let items = vqav2::load(self, files)?;
        let language = language(&Given::to(self, files)?)?;
        Ok(Items { language: Some(Arc::new(language)), ..items })
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        vqa::wording(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        vqa::ask(style)
    }

    fn clean(&self, style: PromptStyle, text: &str) -> String {
        vqa::clean(style, text)
    }

    fn measure(&self, _asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        Err(needs_language("OKVQA's stemming"))
    }

    fn measure_in(&self, items: &Items, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let language = items.language.as_deref().ok_or_else(|| needs_language("OKVQA's stemming"))?;
        let stems: Vec<String> = texts(asked)?.into_iter().map(|text| language.stem_answer(text)).collect();
        vqa::measure_texts(asked, &stems.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, with_language};
    use super::super::vqav2::tests::{annotation, annotations, folder};
    use super::*;

    #[test]
    fn answers_are_stems() {
        let stems = annotations(&[
            annotation(262148000, 262148, [("cat dash", 8), ("horse", 2)]),
            annotation(262148001, 262148, [("pony tail", 10), ("", 0)]),
        ]);
        let folder = with_language(folder().file("annotations", "a.json", &stems));
        let items = OkVqa.load(folder.files()).unwrap();
        let said = [" cats dashing, fast", " horses"];
        let outputs = said.map(|it| Output::Text(OkVqa.clean(PromptStyle::OpenFlamingo, it)));
        let measure = OkVqa.measure_in(&items, &asked(&items, &outputs)).unwrap();
        assert_eq!(measure.each().unwrap(), [1.0, 0.0]);
        let error = OkVqa.measure(&asked(&items, &outputs)).err().unwrap().to_string();
        assert!(error.contains("measure_in"), "{error}");
        let files = folder.files().clone().into_iter().filter(|(name, _)| name != "tagger").collect();
        let error = OkVqa.load(&files).unwrap_err().to_string();
        assert!(error.contains("okvqa needs its file \"tagger\""), "{error}");
    }
}
