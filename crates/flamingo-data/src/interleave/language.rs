//! A document's language.

use whatlang::Lang;

/// Two-letter codes of ISO 639-1 and the codes that the detector has for them.
const CODES: &[(&str, &str)] = &[
    ("eo", "epo"),
    ("en", "eng"),
    ("ru", "rus"),
    ("zh", "cmn"),
    ("es", "spa"),
    ("pt", "por"),
    ("it", "ita"),
    ("bn", "ben"),
    ("fr", "fra"),
    ("de", "deu"),
    ("uk", "ukr"),
    ("ka", "kat"),
    ("ar", "ara"),
    ("hi", "hin"),
    ("ja", "jpn"),
    ("he", "heb"),
    ("yi", "yid"),
    ("pl", "pol"),
    ("am", "amh"),
    ("jv", "jav"),
    ("ko", "kor"),
    ("nb", "nob"),
    ("no", "nob"),
    ("da", "dan"),
    ("sv", "swe"),
    ("fi", "fin"),
    ("tr", "tur"),
    ("nl", "nld"),
    ("hu", "hun"),
    ("cs", "ces"),
    ("el", "ell"),
    ("bg", "bul"),
    ("be", "bel"),
    ("mr", "mar"),
    ("kn", "kan"),
    ("ro", "ron"),
    ("sl", "slv"),
    ("hr", "hrv"),
    ("sr", "srp"),
    ("mk", "mkd"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("et", "est"),
    ("ta", "tam"),
    ("vi", "vie"),
    ("ur", "urd"),
    ("th", "tha"),
    ("gu", "guj"),
    ("uz", "uzb"),
    ("pa", "pan"),
    ("az", "aze"),
    ("id", "ind"),
    ("te", "tel"),
    ("fa", "pes"),
    ("ml", "mal"),
    ("or", "ori"),
    ("my", "mya"),
    ("ne", "nep"),
    ("si", "sin"),
    ("km", "khm"),
    ("tk", "tuk"),
    ("ak", "aka"),
    ("zu", "zul"),
    ("sn", "sna"),
    ("af", "afr"),
    ("la", "lat"),
    ("sk", "slk"),
    ("ca", "cat"),
    ("tl", "tgl"),
    ("hy", "hye"),
];

/// The language of a text, as its two-letter code where it has one; `None` if the text is too short to tell.
pub(crate) fn detect(text: &str) -> Option<&'static str> {
    let code = whatlang::detect(text).filter(|info| info.is_reliable())?.lang().code();
    Some(CODES.iter().find(|(_, three)| *three == code).map_or(code, |(two, _)| two))
}

/// The code that [`detect`] gives for what a person calls a language (`en`, `eng`, `en-GB`).
pub(crate) fn code(name: &str) -> Option<&'static str> {
    let name = name.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let known = CODES.iter().find(|(two, three)| *two == name || *three == name);
    // The first code of a language is the one that `detect` gives.
    let three = known.map_or(name.as_str(), |(_, three)| three);
    let lang = Lang::from_code(three)?;
    Some(CODES.iter().find(|(_, three)| *three == lang.code()).map_or(lang.code(), |(two, _)| two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts() {
        assert_eq!(
            [code("en"), code("ENG"), code("en-GB"), code("no")],
            [Some("en"), Some("en"), Some("en"), Some("nb")]
        );
        assert_eq!(code("klingon"), None);
        let english = "This tool fills a selection with the current foreground colour of the image.";
        let german = "Dieses Werkzeug füllt eine Auswahl mit der aktuellen Vordergrundfarbe des Bildes.";
        assert_eq!((detect(english), detect(german)), (Some("en"), Some("de")));
        for (_, three) in CODES {
            assert!(Lang::from_code(*three).is_some(), "{three}");
        }
    }
}
