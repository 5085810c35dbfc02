//! The files: JSON of COCO and of VQA, plain JSON, and RareAct's table.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::EvalError;
use crate::metrics::rareact::Clip;
use crate::metrics::vqa::Answer;

/// A file of JSON and what it holds.
pub(super) struct Json<'a> {
    path: &'a Path,
    value: Value,
}

impl<'a> Json<'a> {
    pub fn read(path: &'a Path) -> Result<Self, EvalError> {
        let bytes = fs::read(path).map_err(|source| EvalError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let value = serde_json::from_slice(&bytes).map_err(|error| EvalError::Format {
            path: path.to_owned(),
            place: format!("line {}, column {}", error.line(), error.column()),
            what: format!("{error}: this is not JSON"),
        })?;
        Ok(Self { path, value })
    }

    fn odd(&self, place: impl Into<String>, what: impl Into<String>) -> EvalError {
        EvalError::Format { path: self.path.to_owned(), place: place.into(), what: what.into() }
    }

    /// The texts of every example's references: captions of COCO, answers of VQA, or plain lists.
    pub fn references(&self) -> Result<BTreeMap<String, Vec<Answer>>, EvalError> {
        match self.value.get("annotations") {
            Some(Value::Array(annotations)) => self.annotations(annotations),
            Some(_) => Err(self.odd("annotations", "a list was expected")),
            None => self.plain_references(),
        }
    }

    fn annotations(&self, annotations: &[Value]) -> Result<BTreeMap<String, Vec<Answer>>, EvalError> {
        let mut all: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
        for (row, annotation) in annotations.iter().enumerate() {
            let place = format!("annotations[{row}]");
            if let Some(caption) = annotation.get("caption") {
                let id = self.id(annotation, "image_id", &place)?;
                let text = self.text(caption, &format!("{place}.caption"))?;
                let captions = all.entry(id).or_default();
                captions.push(Answer { text, mark: captions.len().to_string() });
                continue;
            }
            let Some(Value::Array(answers)) = annotation.get("answers") else {
                let what = "a caption (COCO) or a list of answers (VQA) was expected";
                return Err(self.odd(place, what));
            };
            let id = self.id(annotation, "question_id", &place)?;
            let answers = answers.iter().enumerate().map(|(number, answer)| {
                let place = format!("{place}.answers[{number}]");
                let mut rest = answer.as_object().cloned().unwrap_or_default();
                let text =
                    self.text(&rest.remove("answer").unwrap_or_default(), &format!("{place}.answer"))?;
                Ok(Answer { text, mark: Value::Object(rest).to_string() })
            });
            if all.insert(id.clone(), answers.collect::<Result<_, EvalError>>()?).is_some() {
                return Err(self.odd(place, format!("question {id:?} is there already")));
            }
        }
        Ok(all)
    }

    fn plain_references(&self) -> Result<BTreeMap<String, Vec<Answer>>, EvalError> {
        let hint = "{id: [references]}, or a file with \"annotations\" of COCO or VQA, was expected";
        let object = self.object(hint)?;
        let texts = |(id, value): (&String, &Value)| {
            let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let texts = list.iter().enumerate().map(|(number, text)| {
                let text = self.text(text, &format!("{id:?}[{number}]"))?;
                Ok(Answer { text, mark: number.to_string() })
            });
            Ok((id.clone(), texts.collect::<Result<_, EvalError>>()?))
        };
        object.iter().map(texts).collect()
    }

    /// Every example's predicted text.
    pub fn texts(&self) -> Result<Vec<(String, String)>, EvalError> {
        let Some(list) = self.value.as_array() else {
            let hint = "{id: prediction}, or a list of results of COCO or VQA, was expected";
            let texts = self.object(hint)?.iter();
            return texts.map(|(id, text)| Ok((id.clone(), self.text(text, &format!("{id:?}"))?))).collect();
        };
        let mut seen = HashSet::new();
        let texts = list.iter().enumerate().map(|(row, result)| {
            let place = format!("[{row}]");
            let (key, text) = match (result.get("caption"), result.get("answer")) {
                (Some(text), None) => ("image_id", self.text(text, &format!("{place}.caption"))?),
                (None, Some(text)) => ("question_id", self.text(text, &format!("{place}.answer"))?),
                _ => return Err(self.odd(place, "a caption (COCO) or an answer (VQA) was expected")),
            };
            let id = self.id(result, key, &place)?;
            match seen.insert(id.clone()) {
                true => Ok((id, text)),
                false => Err(self.odd(place, format!("a second prediction for {key} {id}"))),
            }
        });
        texts.collect()
    }

    /// Every example's number.
    pub fn numbers(&self) -> Result<Vec<(String, f64)>, EvalError> {
        let numbers = self.object("{id: number} was expected")?.iter();
        numbers.map(|(id, value)| Ok((id.clone(), self.number(value, &format!("{id:?}"))?))).collect()
    }

    /// Every example's list of numbers.
    pub fn lists(&self) -> Result<Vec<(String, Vec<f64>)>, EvalError> {
        let lists = self.object("{id: [numbers]} was expected")?.iter().map(|(id, value)| {
            let Some(list) = value.as_array() else {
                return Err(self.odd(format!("{id:?}"), "a list of numbers was expected"));
            };
            let number = |(place, value)| self.number(value, &format!("{id:?}[{place}]"));
            Ok((id.clone(), list.iter().enumerate().map(number).collect::<Result<_, _>>()?))
        });
        lists.collect()
    }

    fn object(&self, expected: &str) -> Result<&Map<String, Value>, EvalError> {
        self.value.as_object().ok_or_else(|| self.odd("at the top", expected))
    }

    /// An id, a number or a text.
    fn id(&self, record: &Value, key: &str, place: &str) -> Result<String, EvalError> {
        match record.get(key) {
            Some(Value::String(id)) => Ok(id.clone()),
            Some(Value::Number(id)) => Ok(id.to_string()),
            _ => Err(self.odd(format!("{place}.{key}"), "a number or a text was expected")),
        }
    }

    fn text(&self, value: &Value, place: &str) -> Result<String, EvalError> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.odd(place, format!("{value}: a text was expected")))
    }

    fn number(&self, value: &Value, place: &str) -> Result<f64, EvalError> {
        let number = value.as_f64().or_else(|| value.as_bool().map(|it| f64::from(u8::from(it))));
        number.ok_or_else(|| self.odd(place, format!("{value}: a number was expected")))
    }

    /// A class or a label, a whole number from 0.
    pub fn whole(&self, (id, number): (String, f64)) -> Result<(String, usize), EvalError> {
        match number >= 0.0 && number.fract() == 0.0 && number < 1e9 {
            true => Ok((id, number as usize)),
            false => {
                Err(self.odd(format!("{id:?}"), format!("{number}: a whole number from 0 was expected")))
            }
        }
    }
}

/// The clips of `rareact.csv`, by their ids.
pub(super) fn clips(path: &Path) -> Result<BTreeMap<String, Clip>, EvalError> {
    Ok(crate::task::rareact::clips(path)?.into_iter().collect())
}
