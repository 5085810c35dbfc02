//! RareAct: unusual actions in videos, such as cutting a keyboard, told from each other and scored by mWAP. Zero-shot only:
//! there is no training set.

use std::path::Path;

use serde::Deserialize;

use super::outputs::{named, scores, unscored};
use super::read::{Clips, Given, odd, table};
use super::{Ask, FileSpec, Files, Item, Items, Output, PromptStyle, Target, Task, Wording, captions};
use crate::EvalError;
use crate::metrics::Measure;
use crate::metrics::rareact::{Clip, MeanWeightedAp};

pub(super) struct RareAct;

const FILES: [FileSpec; 2] = [
    FileSpec::required("queries", "rareact.csv", "the annotated clips"),
    FileSpec::required(
        "clips",
        "clips/",
        "the folder of the clips, cut out of the videos, each named by its id",
    ),
];

/// The last kind of annotation.
const KINDS: u8 = 4;

#[derive(Deserialize)]
struct Row {
    id: String,
    video_id: String,
    class_id: usize,
    verb: String,
    noun: String,
    annotation: u8,
}

/// The clips of `rareact.csv` and their ids, in order.
pub(crate) fn clips(path: &Path) -> Result<Vec<(String, Clip)>, EvalError> {
    let mut seen = std::collections::HashSet::new();
    let clip = |(line, row): (u64, Row)| {
        let wrong = |what| Err(odd(path, format!("line {line}"), what));
        if row.annotation > KINDS {
            return wrong(format!("annotation is {}; 0 to {KINDS} was expected", row.annotation));
        }
        if !seen.insert(row.id.clone()) {
            return wrong(format!("clip {:?} is there already", row.id));
        }
        let Row { id, video_id: video, class_id: class, verb, noun, annotation } = row;
        Ok((id, Clip { video, class, verb, noun, annotation }))
    };
    table(path)?.into_iter().map(clip).collect()
}

impl Task for RareAct {
    fn name(&self) -> &'static str {
        "rareact"
    }

    fn title(&self) -> &'static str {
        "RareAct"
    }

    fn files(&self) -> &'static [FileSpec] {
        &FILES
    }

    fn metric(&self) -> &'static str {
        "mwap"
    }

    fn load(&self, files: &Files) -> Result<Items, EvalError> {
        let given = Given::to(self, files)?;
        let path = given.path("queries");
        let clips = clips(path)?;
        let media = Clips::of(given.path("clips"));
        let classes = clips.iter().map(|(_, clip)| clip.class + 1).max().unwrap_or(0);
        let mut choices = vec![String::new(); classes];
        for (id, clip) in &clips {
            let action = action(&clip.verb, &clip.noun);
            let known = &mut choices[clip.class];
            if !known.is_empty() && *known != action {
                let what = format!("class {} is {action:?}, but before it was {known:?}", clip.class);
                return Err(odd(path, format!("clip {id}"), what));
            }
            *known = action;
        }
        if let Some(class) = choices.iter().position(String::is_empty) {
            return Err(odd(path, "all lines", format!("there is no clip of class {class} of {classes}")));
        }
        let item = |(id, clip): (String, Clip)| Item {
            media: vec![media.get(&id)],
            id,
            question: String::new(),
            answer: choices[clip.class].clone(),
            choices: Vec::new(),
            target: Target::Clip(clip),
        };
        let queries = clips.into_iter().map(item).collect();
        Ok(Items { queries, choices, ..Items::default() })
    }

    /// Paper: appendix B.1.5, a caption of the action's verb in the third person with its object. OpenFlamingo does not
    /// evaluate it; its wording of classes is taken.
    fn wording(&self, style: PromptStyle) -> Wording {
        match style {
            PromptStyle::Paper => Wording::of("{image}Caption: {answer}{eoc}"),
            PromptStyle::OpenFlamingo => captions::without_new_line(style),
        }
    }

    fn ask(&self, style: PromptStyle) -> Ask {
        Ask::Close { mean: style == PromptStyle::OpenFlamingo }
    }

    fn measure(&self, asked: &[(&Item, &Output)]) -> Result<Box<dyn Measure>, EvalError> {
        let clips = asked.iter().map(|(item, _)| match &item.target {
            Target::Clip(clip) => Ok(clip.clone()),
            target => Err(unscored(item, target)),
        });
        let clips: Vec<Clip> = clips.collect::<Result<_, _>>()?;
        Ok(Box::new(named(asked, MeanWeightedAp::new(&clips, &scores(asked)?))?))
    }
}

/// Of the data set's nouns, those that are not counted.
const MASS: [&str; 4] = ["bacon", "chocolate", "corn", "hair"];

/// Somebody doing it: "a person peels an orange", "a person fries eggs".
fn action(verb: &str, noun: &str) -> String {
    let verb = match verb.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh", "o"].iter().any(|end| verb.ends_with(end)) => format!("{verb}es"),
        _ => format!("{verb}s"),
    };
    let article = match noun {
        _ if MASS.contains(&noun) || noun.ends_with('s') => "",
        _ if noun.starts_with(['a', 'e', 'i', 'o', 'u']) => "an ",
        _ => "a ",
    };
    format!("a person {verb} {article}{noun}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, asked, path_of};
    use super::*;

    const CSV: &str = "id,video_id,start,end,class_id,verb,noun,annotation
0,7frRY7aGwMU,50,60,0,shake,egg,1
1,TLMroVuZ_Nc,20,30,1,wash,shoes,1
2,ppNqpTCZgf4,40,50,1,wash,shoes,0
";

    #[test]
    fn actions_are_sentences() {
        assert_eq!(action("fry", "phone"), "a person fries a phone");
        assert_eq!(action("spray", "orange"), "a person sprays an orange");
        assert_eq!(action("wash", "hair"), "a person washes hair");
        assert_eq!(action("cut", "shoes"), "a person cuts shoes");
    }

    #[test]
    fn clips_are_asked_among_all_classes_and_scored() {
        let folder = Folder::with(&[("queries", "rareact.csv", CSV)]).folder("clips", "clips");
        let items = RareAct.load(folder.files()).unwrap();
        assert_eq!(items.choices, ["a person shakes an egg", "a person washes shoes"]);
        assert!(items.support.is_empty());
        assert!(path_of(&items.queries[1]).ends_with("clips/1.mp4"));
        let outputs = [[-1.0, -3.0], [-2.0, -2.0], [-3.0, -1.0]].map(|it| Output::Scores(it.to_vec()));
        let measure = RareAct.measure(&asked(&items, &outputs)).unwrap();
        // Of shoes, the clip that does not show it is ranked above the one that does, and an egg's below.
        assert_eq!(measure.each().unwrap(), [1.0, 0.5]);
    }

    #[test]
    fn a_row_that_is_wrong_is_named() {
        for (from, to, expected) in [
            ("1,wash,shoes,0", "1,wash,phone,0", "clip 2: class 1 is \"a person washes a phone\""),
            ("1,wash,shoes,0", "3,wash,shoes,0", "no clip of class 2 of 4"),
            ("egg,1", "egg,5", "line 2: annotation is 5; 0 to 4"),
            ("\n2,pp", "\n0,pp", "line 4: clip \"0\" is there already"),
            ("1,wash,shoes,1", "one,wash,shoes,1", "line 3: column class_id"),
        ] {
            let folder = Folder::with(&[("queries", "rareact.csv", &CSV.replacen(from, to, 1))])
                .folder("clips", "clips");
            let error = RareAct.load(folder.files()).unwrap_err().to_string();
            assert!(error.contains("rareact.csv") && error.contains(expected), "{error}");
        }
    }
}
