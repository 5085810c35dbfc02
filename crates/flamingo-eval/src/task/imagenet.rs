//! ImageNet: which of a thousand things a photograph shows, scored by top-1 accuracy on the validation set.
//!
//! Images lie as torchvision's `ImageFolder` has them, a folder for each class, named by its WordNet number; or those of the
//! validation set in one folder, with a list of their classes (`LOC_val_solution.csv`). What the classes are called decides
//! much: the file of names is either a list of numbers with names (`LOC_synset_mapping.txt`, of which the first is taken), or
//! bare names, one in each line, in the order of the folders of the training set, as OpenFlamingo's `IMAGENET_CLASSNAMES` are.

use std::fs;
use std::path::{Path, PathBuf};

use flamingo::prompt::{Medium, Source};
use serde::Deserialize;

use super::outputs::top_1;
use super::read::{Given, distinct, image, odd, table, text, unreadable};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, captions};
use crate::EvalError;
use crate::metrics::Measure;

pub(super) struct ImageNet;

const FILES: [FileSpec; 4] = [
    FileSpec::required("class-names", "LOC_synset_mapping.txt", "what the classes are called"),
    FileSpec::required(
        "train-images",
        "train/",
        "the folder of the training images, a folder for each class",
    ),
    FileSpec::required(
        "images",
        "val/",
        "the folder of the validation images, with folders for classes or with val-labels",
    ),
    FileSpec::optional(
        "val-labels",
        "LOC_val_solution.csv",
        "the classes of validation images that lie in one folder",
    ),
];

/// WordNet numbers and names, in the order of the numbers: a class's place is that here.
type Classes = Vec<(String, String)>;

#[derive(Deserialize)]
struct Label {
    #[serde(rename = "ImageId")]
    image: String,
    /// The class, and a box around it.
    #[serde(rename = "PredictionString")]
    prediction: String,
}

impl Task for ImageNet {
    fn name(&self) -> &'static str {
        "imagenet"
    }

    fn title(&self) -> &'static str {
        "ImageNet"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "top-1"
    }

    fn chance(&self, items: &Items) -> Option<f64> {
        (!items.choices.is_empty()).then(|| 1.0 / items.choices.len() as f64)
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let (train, asked) = (given.path("train-images"), given.path("images"));
        let classes = classes(given.path("class-names"), train)?;
        let support = in_folders(train, &classes)?;
        let queries = match given.optional("val-labels") {
            None => in_folders(asked, &classes)?,
            Some(path) => {
                let item = |(line, label): (u64, Label)| {
                    let class = label.prediction.split_whitespace().next().unwrap_or("");
                    let medium = image(asked, format!("{}.JPEG", label.image));
                    item(label.image, medium, class, &classes)
                        .map_err(|what| odd(path, format!("line {line}"), what))
                };
                table(path)?.into_iter().map(item).collect::<Result<Vec<_>, _>>()?
            }
        };
        distinct(train, &support)?;
        distinct(asked, &queries)?;
        Ok(Items {
            support,
            queries,
            choices: classes.into_iter().map(|(_, name)| name).collect(),
            ..Items::default()
        })
    }

    fn wording(&self, style: PromptStyle) -> Wording {
        captions::without_new_line(style)
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        Ok(Box::new(top_1(asked)?))
    }
}

fn item(id: String, medium: Medium, class: &str, classes: &Classes) -> Result<Item, String> {
    let place = classes.binary_search_by(|(known, _)| known.as_str().cmp(class));
    let place = place.map_err(|_| format!("class {class:?} is not one of the {}", classes.len()))?;
    Ok(Item {
        id,
        media: vec![medium],
        question: String::new(),
        answer: classes[place].1.clone(),
        choices: Vec::new(),
        target: Target::Choice(place),
    })
}

/// The images of a folder of folders, in order.
fn in_folders(folder: &Path, classes: &Classes) -> Result<Vec<Item>, EvalError> {
    let mut items = Vec::new();
    for class in listed(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in listed(&class)? {
            let (class, id) = (name(&class), stem(&path));
            let medium = Medium::Image(Source::File(path));
            items.push(item(id, medium, class, classes).map_err(|what| odd(folder, class, what))?);
        }
    }
    match items.is_empty() {
        false => Ok(items),
        true => Err(odd(folder, "all of it", "there is no image in a folder of a class, such as n01440764")),
    }
}

fn classes(path: &Path, train: &Path) -> Result<Classes, EvalError> {
    let text = text(path)?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let numbered = lines.iter().map(|line| {
        let (number, names) = line.split_once(char::is_whitespace)?;
        let digits = number.strip_prefix('n')?;
        let is_number = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let first = names.split(',').next()?.trim();
        is_number.then(|| (number.to_owned(), first.to_owned()))
    });
    let numbered: Vec<Option<(String, String)>> = numbered.collect();
    if let Some(row) = numbered.iter().position(Option::is_none)
        && row > 0
    {
        let what =
            format!("{:?}: a WordNet number and names were expected, as in the lines before", lines[row]);
        return Err(odd(path, format!("line {}", row + 1), what));
    }
    if numbered.iter().all(Option::is_some) {
        let mut classes: Classes = numbered.into_iter().flatten().collect();
        classes.sort();
        return match classes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(classes),
            Some(pair) => Err(odd(path, "all lines", format!("{} is there twice", pair[0].0))),
        };
    }
    let folders = listed(train)?.into_iter().filter(|path| path.is_dir());
    let folders: Vec<String> = folders.map(|path| name(&path).to_owned()).collect();
    if folders.len() != lines.len() {
        let what = format!(
            "{} names, but {} has {} folders of classes",
            lines.len(),
            train.display(),
            folders.len()
        );
        return Err(odd(path, "all lines", what));
    }
    Ok(folders.into_iter().zip(lines.into_iter().map(str::to_owned)).collect())
}

/// What is in a folder, in order.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
    let entries = fs::read_dir(folder).and_then(|all| all.map(|it| it.map(|it| it.path())).collect());
    let mut entries: Vec<PathBuf> = entries.map_err(|source| unreadable(folder, source))?;
    entries.sort();
    Ok(entries)
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const NAMES: &str = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n";

    fn folder() -> Folder {
        Folder::with(&[
            ("class-names", "LOC_synset_mapping.txt", NAMES),
            ("1", "train/n01443537/n01443537_2.JPEG", ""),
            ("2", "train/n01440764/n01440764_10026.JPEG", ""),
            ("3", "val/n01443537/ILSVRC2012_val_00000236.JPEG", ""),
        ])
        .folder("train-images", "train")
        .folder("images", "val")
    }

    fn load(folder: &Folder) -> Result<Items, EvalError> {
        ImageNet.load(&folder.files().clone().into_iter().filter(|(name, _)| name.len() > 1).collect())
    }

    #[test]
    fn folders_are_classes() {
        let folder = folder();
        let items = load(&folder).unwrap();
        assert_eq!(items.choices, ["tench", "goldfish"]);
        assert_eq!(
            items.support.iter().map(|it| it.answer.as_str()).collect::<Vec<_>>(),
            ["tench", "goldfish"]
        );
        assert_eq!(
            (items.queries[0].id.as_str(), &items.queries[0].target),
            ("ILSVRC2012_val_00000236", &Target::Choice(1))
        );
        let score = |scores: [f64; 2]| {
            ImageNet.measure(&asked(&items, &[Output::Scores(scores.to_vec())])).unwrap().score()
        };
        assert_eq!((score([-2.0, -1.0]), score([-1.0, -2.0])), (Some(1.0), Some(0.0)));
        let names = folder.file("class-names", "names.txt", "a fish\nkite (bird of prey)\n");
        assert_eq!(load(&names).unwrap().choices, ["a fish", "kite (bird of prey)"]);
    }

    #[test]
    fn the_validation_set_may_lie_in_one_folder() {
        let labels =
            "ImageId,PredictionString\nILSVRC2012_val_00048981,n01440764 85 1 499 272 n01440764 1 2 3 4\n";
        let folder = folder().file("val-labels", "LOC_val_solution.csv", labels);
        let items = load(&folder).unwrap();
        assert!(path_of(&items.queries[0]).ends_with("val/ILSVRC2012_val_00048981.JPEG"));
        assert_eq!(items.queries[0].target, Target::Choice(0));
        let folder =
            folder.file("val-labels", "LOC_val_solution.csv", &labels.replacen("n01440764", "n1", 1));
        let error = load(&folder).unwrap_err().to_string();
        assert!(error.contains("LOC_val_solution.csv: line 2: class \"n1\" is not one of the 2"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error =
            |text: &str| load(&folder().file("class-names", "names.txt", text)).unwrap_err().to_string();
        assert!(error("a\n").contains("1 names, but"));
        assert!(error("n01440764 tench\ngoldfish\n").contains("names.txt: line 2: \"goldfish\""));
        assert!(error("n01440764 tench\n").contains("n01443537: class \"n01443537\" is not one of the 1"));
        let error = load(&folder().folder("images", "empty")).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("empty"), "{error}");
    }
}
