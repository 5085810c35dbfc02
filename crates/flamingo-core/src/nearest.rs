//! The nearest known name to one that was not found, for error messages.

/// Returns the candidate that is most alike `name`, or `None` if nothing is near enough to be what was meant.
///
/// ```
/// use flamingo_core::nearest::nearest;
///
/// assert_eq!(nearest("lerning_rate", ["learning_rate", "steps"]), Some("learning_rate"));
/// assert_eq!(nearest("zzz", ["learning_rate", "steps"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The end of an error message: `; did you mean "x"?`, or nothing if no candidate is near.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}
