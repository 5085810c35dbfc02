//! Tables of values between commas, their first line the columns' names.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{odd, unreadable};
use crate::EvalError;

/// The rows of a table, each with the line in which it begins.
pub(crate) fn table<T: DeserializeOwned>(path: &Path) -> Result<Vec<(u64, T)>, EvalError> {
    let wrong = |error: csv::Error| {
        let place =
            error.position().map_or_else(|| "its first line".to_owned(), |it| format!("line {}", it.line()));
        match error.into_kind() {
            csv::ErrorKind::Io(source) => unreadable(path, source),
            csv::ErrorKind::Deserialize { err, .. } => odd(path, place, err.to_string()),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                odd(path, place, format!("{len} values; {expected_len} were expected, one for each column"))
            }
            kind => odd(path, place, format!("{kind:?}")),
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_path(path).map_err(wrong)?;
    let header = reader.headers().map_err(wrong)?.clone();
    let rows = reader.records().map(|record| {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = record.deserialize(Some(&header)).map_err(|error| {
            let column = match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.field().and_then(|it| header.get(it as usize)),
                _ => None,
            };
            let what = match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
                kind => format!("{kind:?}"),
            };
            let what = match column {
                Some(column) => format!("column {column}: {what}"),
                None => format!("{what}; its columns are {}", header.iter().collect::<Vec<_>>().join(", ")),
            };
            odd(path, format!("line {line}"), what)
        })?;
        Ok((line, row))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, a name and an age.
    type Rows = Vec<(u64, (String, u8))>;

    fn read(text: &str) -> Result<Rows, String> {
        #[derive(serde::Deserialize)]
        struct Row {
            name: String,
            age: u8,
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let rows = table::<Row>(file.path()).map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|(line, row)| (line, (row.name, row.age))).collect())
    }

    #[test]
    fn rows_have_their_columns_in_any_order() {
        let rows = read("age, name ,size\n3,\"a, b\nc\",9\n4,d,9\n").unwrap();
        assert_eq!(rows, [(2, ("a, b\nc".to_owned(), 3)), (4, ("d".to_owned(), 4))]);
        assert_eq!(read("age,name\n").unwrap(), []);
    }

    #[test]
    fn a_row_that_is_wrong_is_named() {
        let error = read("age,name\n3,a\nx,b\n").unwrap_err();
        assert!(error.contains("line 3: column age: ") && error.contains("invalid digit"), "{error}");
        let error = read("age,nam\n3,a\n").unwrap_err();
        assert!(error.contains("line 2: missing field `name`; its columns are age, nam"), "{error}");
        let error = read("age,name\n3\n").unwrap_err();
        assert!(error.contains("line 2: 1 values; 2 were expected"), "{error}");
        let error = table::<(u8,)>(Path::new("nowhere/a.csv")).unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains("a.csv"), "{error}");
    }
}
