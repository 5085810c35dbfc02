//! The metrics by name, and how each is made of two files.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use flamingo_core::nearest;

use super::Request;
use super::join::{Joined, join};
use super::read::{Json, clips};
use crate::EvalError;
use crate::metrics::accuracy::ENOUGH_IN_IVQA;
use crate::metrics::bleu::Bleu;
use crate::metrics::cider::Cider;
use crate::metrics::ndcg::Ndcg;
use crate::metrics::rareact::MeanWeightedAp;
use crate::metrics::roc_auc::RocAuc;
use crate::metrics::rouge::RougeL;
use crate::metrics::tokens::{Caption, References, words};
use crate::metrics::vqa::{Answer, vqa_accuracy};
use crate::metrics::wordnet::WordNet;
use crate::metrics::{Measure, accuracy, ptb, wups};

/// A metric that files can be scored by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// CIDEr-D.
    Cider,
    /// BLEU with n-grams of up to so many words.
    Bleu(usize),
    /// ROUGE-L.
    RougeL,
    /// VQA accuracy.
    Vqa,
    /// Whether the answer is one of those accepted.
    Exact,
    /// How many of five people gave the answer: two are enough.
    Ivqa,
    /// WUPS.
    Wups,
    /// ROC AUC.
    RocAuc,
    /// Whether the right class is among so many with the highest scores.
    Top(usize),
    /// The mean of [`Metric::Top`] with 1 and with 5.
    TopOneAndFive,
    /// NDCG.
    Ndcg,
    /// mWAP.
    Mwap,
}

const ALL: [(&str, Metric); 15] = [
    ("cider", Metric::Cider),
    ("bleu-1", Metric::Bleu(1)),
    ("bleu-2", Metric::Bleu(2)),
    ("bleu-3", Metric::Bleu(3)),
    ("bleu-4", Metric::Bleu(4)),
    ("rouge-l", Metric::RougeL),
    ("vqa", Metric::Vqa),
    ("exact", Metric::Exact),
    ("ivqa", Metric::Ivqa),
    ("wups", Metric::Wups),
    ("roc-auc", Metric::RocAuc),
    ("top-1", Metric::Top(1)),
    ("top-5", Metric::Top(5)),
    ("top-1-and-5", Metric::TopOneAndFive),
    ("ndcg", Metric::Ndcg),
];

/// Beside those of [`ALL`], which are of JSON only.
const MWAP: &str = "mwap";

impl Metric {
    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|(name, _)| *name).chain([MWAP])
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, metric)| *metric == self).map_or(MWAP, |(name, _)| name)
    }
}

impl FromStr for Metric {
    type Err = EvalError;

    fn from_str(name: &str) -> Result<Self, EvalError> {
        if name == MWAP {
            return Ok(Self::Mwap);
        }
        let found = ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, metric)| *metric).ok_or_else(|| EvalError::UnknownMetric {
            name: name.to_owned(),
            known: Self::names().collect::<Vec<_>>().join(", "),
            hint: nearest::hint(name, Self::names()),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metric of the examples of two files.
pub(super) struct Scored {
    pub ids: Vec<String>,
    pub measure: Box<dyn Measure>,
    pub left_out: usize,
}

/// Reads the files of a request.
pub(super) fn measure(request: &Request) -> Result<Scored, EvalError> {
    match request.metric {
        Metric::Cider => captions(request, |texts, references| Ok(Box::new(Cider::new(texts, references)?))),
        Metric::Bleu(size) => {
            captions(request, |texts, references| Ok(Box::new(Bleu::new(size, texts, references)?)))
        }
        Metric::RougeL => {
            captions(request, |texts, references| Ok(Box::new(RougeL::new(texts, references)?)))
        }
        Metric::Vqa => texts(request, |texts, answers| Ok(Box::new(vqa_accuracy(texts, answers)?))),
        Metric::Exact => {
            texts(request, |texts, answers| Ok(Box::new(accuracy::exact(texts, &plain(answers)))))
        }
        Metric::Ivqa => texts(request, |texts, answers| {
            Ok(Box::new(accuracy::shared(ENOUGH_IN_IVQA, texts, &plain(answers))))
        }),
        Metric::Wups => {
            let folder = request.wordnet.as_deref().ok_or(EvalError::Needs {
                metric: "wups",
                needs: "WordNet's files, by --wordnet FOLDER",
                hint: "WordNet 3.0's dict/, or /usr/share/wordnet of Debian's package wordnet-base",
            })?;
            let wordnet = WordNet::open(folder)?;
            let split = |text: &str| words(text).map(str::to_owned).collect::<Vec<_>>();
            texts(request, |texts, answers| {
                let texts: Vec<Vec<String>> = texts.iter().map(|text| split(text)).collect();
                let right: Vec<Vec<Vec<String>>> =
                    answers.iter().map(|them| them.iter().map(|it| split(&it.text)).collect()).collect();
                Ok(Box::new(wups::wups(&wordnet, 0.0, &texts, &right)?))
            })
        }
        Metric::RocAuc => {
            let file = Json::read(&request.references)?;
            let labels = file.numbers()?.into_iter().map(|it| file.whole(it));
            let labels: BTreeMap<String, usize> = labels.collect::<Result<_, _>>()?;
            let joined = join(labels, Json::read(&request.predictions)?.numbers()?, request.subset)?;
            let labels: Vec<bool> = joined.references.iter().map(|label| *label != 0).collect();
            scored(joined, |_, scores| Ok(Box::new(RocAuc::new(scores, &labels)?)))
        }
        Metric::Top(k) => {
            classes(request, |scores, classes| Ok(Box::new(accuracy::top_k(k, scores, classes)?)))
        }
        Metric::TopOneAndFive => {
            classes(request, |scores, classes| Ok(Box::new(accuracy::top_1_and_5(scores, classes)?)))
        }
        Metric::Ndcg => {
            let relevance: BTreeMap<String, Vec<f64>> =
                Json::read(&request.references)?.lists()?.into_iter().collect();
            let joined = join(relevance, Json::read(&request.predictions)?.lists()?, request.subset)?;
            scored(joined, |relevance, scores| Ok(Box::new(Ndcg::new(scores, relevance)?)))
        }
        Metric::Mwap => {
            let clips = clips(&request.references)?;
            let joined = join(clips, Json::read(&request.predictions)?.lists()?, request.subset)?;
            let left_out = joined.left_out;
            let found = MeanWeightedAp::new(&joined.references, &joined.predictions)
                .map_err(|error| error.named(joined.ids.iter().map(String::as_str)))?;
            let ids = found.actions().iter().map(|(verb, noun)| format!("{verb} {noun}")).collect();
            Ok(Scored { ids, measure: Box::new(found), left_out })
        }
    }
}

type Made = Result<Box<dyn Measure>, EvalError>;

fn texts(request: &Request, make: impl FnOnce(&[&str], &[Vec<Answer>]) -> Made) -> Result<Scored, EvalError> {
    let references = Json::read(&request.references)?.references()?;
    let joined = join(references, Json::read(&request.predictions)?.texts()?, request.subset)?;
    scored(joined, |answers, texts| make(&texts.iter().map(String::as_str).collect::<Vec<_>>(), answers))
}

fn captions(
    request: &Request,
    make: impl FnOnce(&[Caption], &References) -> Made,
) -> Result<Scored, EvalError> {
    texts(request, |texts, references| {
        make(&ptb::tokenize_all(texts.iter().copied()), &ptb::references(&plain(references)))
    })
}

fn plain(answers: &[Vec<Answer>]) -> Vec<Vec<&str>> {
    answers.iter().map(|them| them.iter().map(|it| it.text.as_str()).collect()).collect()
}

fn classes(request: &Request, make: impl FnOnce(&[Vec<f64>], &[usize]) -> Made) -> Result<Scored, EvalError> {
    let file = Json::read(&request.references)?;
    let classes = file.numbers()?.into_iter().map(|it| file.whole(it));
    let classes: BTreeMap<String, usize> = classes.collect::<Result<_, _>>()?;
    let joined = join(classes, Json::read(&request.predictions)?.lists()?, request.subset)?;
    scored(joined, |classes, scores| make(scores, classes))
}

fn scored<R, P>(joined: Joined<R, P>, make: impl FnOnce(&[R], &[P]) -> Made) -> Result<Scored, EvalError> {
    let Joined { ids, references, predictions, left_out } = joined;
    let measure =
        make(&references, &predictions).map_err(|error| error.named(ids.iter().map(String::as_str)))?;
    Ok(Scored { ids, measure, left_out })
}
