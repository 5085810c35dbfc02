//! All cases, and how they are chosen.

mod ceiling;
mod data;
mod decode;
mod eval;
mod inputs;
mod micro;
mod prefill;
mod train;
mod vision;

use anyhow::{Context, bail};
use flamingo::core::nearest;

use crate::case::{Case, Suite};
use crate::count::Work;

/// Every case; the ceilings first.
fn all() -> anyhow::Result<Vec<Case>> {
    let mut cases = ceiling::cases();
    cases.extend(micro::cases()?);
    cases.extend(vision::cases()?);
    cases.extend(prefill::cases()?);
    cases.extend(decode::cases()?);
    cases.extend(train::cases()?);
    cases.extend(data::cases()?);
    cases.extend(eval::cases()?);
    Ok(cases)
}

/// The case of that name (`SUITE/CASE`).
pub fn find(name: &str) -> anyhow::Result<Case> {
    let mut cases = all()?;
    cases.push(ceiling::pause());
    cases.into_iter().find(|case| case.id() == name).with_context(|| format!("there is no case {name:?}"))
}

/// The cases of `suites` whose names contain one of `texts`, and the ceilings of their work; all cases if nothing is said.
pub fn select(suites: &[Suite], texts: &[String]) -> anyhow::Result<Vec<Case>> {
    let mut cases = all()?;
    // It is there for those who name it.
    let pause = ceiling::pause();
    if texts.contains(&pause.id()) {
        cases.push(pause);
    }
    let ids: Vec<String> = cases.iter().map(Case::id).collect();
    let missing = texts.iter().find(|text| !ids.iter().any(|id| id.contains(text.as_str())));
    if let Some(text) = missing {
        let hint = nearest::hint(text, ids.iter().map(String::as_str));
        bail!("no case's name contains {text:?}{hint}; `cargo xtask bench --list` lists them");
    }
    let wanted = |case: &Case| {
        (suites.is_empty() || suites.contains(&case.suite))
            && (texts.is_empty() || texts.iter().any(|text| case.id().contains(text)))
    };
    if !cases.iter().any(wanted) {
        bail!("no case of these suites has such a name; `cargo xtask bench --list` lists all cases");
    }
    // Where no work is counted, there is nothing to compare with a ceiling.
    let counted = cases.iter().any(|case| wanted(case) && case.work != Work::default());
    cases.retain(|case| {
        wanted(case) || counted && case.suite == Suite::Ceiling && case.name != ceiling::PAUSE
    });
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(suites: &[Suite], texts: &[&str]) -> anyhow::Result<Vec<String>> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(select(suites, &texts)?.iter().map(Case::id).collect())
    }

    #[test]
    fn names_are_unique_and_every_suite_has_cases() {
        let all = ids(&[], &[]).unwrap();
        let unique: BTreeSet<&String> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
        for suite in ["micro", "vision", "prefill", "decode", "train", "data", "eval"] {
            assert!(all.iter().any(|id| id.starts_with(&format!("{suite}/"))), "{suite}");
        }
    }

    #[test]
    fn suites_and_names_narrow_down_and_the_ceilings_stay() {
        let chosen = ids(&[Suite::Micro], &["gemm-1024"]).unwrap();
        assert_eq!(chosen, ["ceiling/gemm", "ceiling/memory", "micro/gemm-1024"]);
        assert_eq!(ids(&[], &["ceiling/pause"]).unwrap(), ["ceiling/pause"]);
        assert!(ids(&[Suite::Data], &[]).unwrap().iter().all(|id| id.starts_with("data/")));
        assert!(!ids(&[], &[]).unwrap().contains(&"ceiling/pause".to_owned()));
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let error = ids(&[], &["micro/gem-1024"]).unwrap_err().to_string();
        assert!(error.contains("\"micro/gem-1024\"") && error.contains("--list"), "{error}");
        assert!(ids(&[Suite::Train], &["gemm"]).is_err());
    }

    #[test]
    fn every_case_but_the_data_has_counted_work() {
        for case in all().unwrap() {
            assert!(
                case.suite == Suite::Data || case.work.flops > 0.0 || case.work.bytes > 0.0,
                "{}",
                case.id()
            );
            assert!(!case.about.is_empty() && case.work.bytes >= 0.0);
        }
    }
}
