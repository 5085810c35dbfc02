//! All tasks, by name.

use flamingo_core::nearest;

use super::Task;
use crate::EvalError;

static ALL: [&dyn Task; 18] = [
    &super::okvqa::OkVqa,
    &super::vqav2::Vqav2,
    &super::coco::Coco,
    &super::msvdqa::MsvdQa,
    &super::vatex::Vatex,
    &super::vizwiz::VizWiz,
    &super::flickr30k::Flickr30k,
    &super::msrvttqa::MsrvttQa,
    &super::ivqa::Ivqa,
    &super::youcook2::YouCook2,
    &super::star::Star,
    &super::visdial::VisDial,
    &super::textvqa::TextVqa,
    &super::nextqa::NextQa,
    &super::hateful_memes::HatefulMemes,
    &super::rareact::RareAct,
    &super::imagenet::ImageNet,
    &super::kinetics700::Kinetics700,
];

/// All tasks, in the order of the paper's table, then the two of classification.
pub fn all() -> impl Iterator<Item = &'static dyn Task> {
    ALL.into_iter()
}

/// The task of that name.
///
/// # Errors
///
/// If there is none: it names those that there are, and the nearest.
pub fn find(name: &str) -> Result<&'static dyn Task, EvalError> {
    all().find(|task| task.name() == name).ok_or_else(|| EvalError::UnknownTask {
        name: name.to_owned(),
        known: all().map(Task::name).collect::<Vec<_>>().join(", "),
        hint: nearest::hint(name, all().map(Task::name)),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{Files, PromptStyle};
    use super::*;

    #[test]
    fn names_are_distinct_and_found() {
        let mut names = HashSet::new();
        for task in all() {
            assert!(names.insert(task.name()), "{}", task.name());
            assert_eq!(find(task.name()).unwrap().title(), task.title());
        }
        let error = find("hatefulmemes").err().unwrap().to_string();
        assert!(error.contains("did you mean \"hateful-memes\"?"), "{error}");
    }

    #[test]
    fn every_task_has_files_with_distinct_names_and_wordings() {
        for task in all() {
            let names: HashSet<&str> = task.files().iter().map(|it| it.name).collect();
            assert_eq!(names.len(), task.files().len(), "{}", task.name());
            for style in [PromptStyle::Paper, PromptStyle::OpenFlamingo] {
                assert!(task.wording(style).text.contains("{answer}{eoc}"), "{}", task.name());
                let _ = task.ask(style);
            }
        }
    }

    #[test]
    fn files_that_are_missing_or_not_known_are_named() {
        for task in all() {
            let error = task.load(&Files::new()).unwrap_err().to_string();
            let first = task.files().iter().find(|it| !it.optional).unwrap();
            assert!(error.contains(&format!("{} needs its file {:?}", task.name(), first.name)), "{error}");
            let all: Files = task.files().iter().map(|it| (it.name.to_owned(), "nowhere/x".into())).collect();
            let error = task.load(&all).unwrap_err().to_string();
            assert!(error.contains("cannot read nowhere/x"), "{}: {error}", task.name());
            let more = all.into_iter().chain([("annotation".to_owned(), "x".into())]).collect();
            let error = task.load(&more).unwrap_err().to_string();
            assert!(error.contains("reads no file \"annotation\""), "{error}");
        }
    }
}
