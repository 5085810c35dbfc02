//! Words of OKVQA's answers whose stems no rule gives, as its authors' program has them; some are mistaken, and have to be.
//! From open_flamingo's `eval/ok_vqa_utils.py` (MIT), which compares the data set's `raw_answer` with its `answer`.

/// In order.
#[rustfmt::skip]
const LISTED: [(&str, &str); 168] = [
    ("adhesives", "adhesive"), ("alertness", "alert"), ("alpes", "alp"), ("apartments", "apart"),
    ("are", "are"), ("awning", "awn"), ("backpackers", "backpack"), ("badness", "bad"),
    ("baldness", "bald"), ("bases", "base"), ("batter's", "batter"), ("belongings", "belong"),
    ("blindness", "blind"), ("boy's", "boy"), ("braves", "brave"), ("brightness", "bright"),
    ("browsing", "brows"), ("buildings", "build"), ("casings", "case"), ("caves", "cave"),
    ("charioteering", "chariot"), ("childrens", "children"), ("christmas", "christmas"),
    ("circuses", "circus"), ("clothes", "cloth"), ("clothing", "cloth"), ("coding", "code"),
    ("conducter", "conduct"), ("conferences", "confer"), ("coniferous", "conifer"),
    ("containers", "contain"), ("controllers", "control"), ("corgie", "corgi"), ("couponing", "coupon"),
    ("creame", "cream"), ("crepte", "crept"), ("cumulis", "cumuli"), ("curiousity", "curious"),
    ("dangerous", "danger"), ("daughter's", "daughter"), ("decorations", "decor"), ("designers", "design"),
    ("dining", "dine"), ("directions", "direct"), ("domino's", "domino"), ("doves", "dove"),
    ("drives", "drive"), ("drunkenness", "drunken"), ("earing", "ear"), ("earnings", "earn"),
    ("eatting", "eat"), ("electicity", "elect"), ("electronics", "electron"), ("elevators", "elev"),
    ("emirates", "emir"), ("expressions", "express"), ("farmer's", "farmer"), ("firefighters", "firefight"),
    ("firefighting", "firefight"), ("glaced", "glace"), ("gloves", "glove"), ("gondoliere", "gondolier"),
    ("graves", "grave"), ("haircutting", "haircut"), ("hamburgers", "hamburg"), ("hawke", "hawk"),
    ("hearding", "heard"), ("hell's", "hell"), ("hornes", "horn"), ("illness", "ill"), ("jeans", "jean"),
    ("kid's", "kid"), ("kindergartener", "kindergarten"), ("kiting", "kite"), ("las", "las"),
    ("leaves", "leaf"), ("lenses", "lens"), ("lowes", "low"), ("markings", "mark"), ("married", "married"),
    ("mating", "mate"), ("meetings", "meet"), ("men's", "men"), ("microwaves", "microwave"),
    ("minerals", "miner"), ("mopeds", "mope"), ("morning", "morn"), ("mountainous", "mountain"),
    ("mustange", "mustang"), ("nationals", "nation"), ("overseas", "oversea"), ("oxygenize", "oxygen"),
    ("paintings", "paint"), ("paned", "pane"), ("paring", "pare"), ("pease", "peas"),
    ("personals", "person"), ("pies", "pie"), ("piping", "pipe"), ("plating", "plate"),
    ("playfulness", "play"), ("polarizing", "polar"), ("police", "police"), ("pooping", "poop"),
    ("porche", "porch"), ("potatoe", "potato"), ("professionals", "profession"), ("projections", "project"),
    ("propellers", "propel"), ("protesters", "protest"), ("pudding", "pud"), ("purring", "pure"),
    ("quantas", "quanta"), ("rabbies", "rabbi"), ("raines", "rain"), ("reflections", "reflect"),
    ("regent's", "regent"), ("reminders", "remind"), ("reporters", "report"), ("revelations", "revel"),
    ("riding", "ride"), ("ringe", "ring"), ("ripeness", "ripe"), ("rodeoing", "rodeo"), ("routes", "rout"),
    ("sadness", "sad"), ("sautee", "saute"), ("scrapbooking", "scrapbook"), ("settings", "set"),
    ("shelves", "shelve"), ("sickness", "sick"), ("skateboarders", "skateboard"), ("smugness", "smug"),
    ("socializing", "social"), ("sometimes", "sometime"), ("staring", "stare"), ("stockings", "stock"),
    ("striping", "stripe"), ("sunbathing", "sunbath"), ("sunblocker", "sunblock"),
    ("suspenders", "suspend"), ("swining", "swine"), ("teasing", "teas"), ("teething", "teeth"),
    ("tenning", "ten"), ("tennis", "tennis"), ("texting", "text"), ("ties", "tie"), ("toileting", "toilet"),
    ("tomatoe", "tomato"), ("toppings", "top"), ("transitions", "transit"), ("travelers", "travel"),
    ("travellers", "travel"), ("urinating", "urine"), ("vacationing", "vacate"), ("vandalizers", "vandal"),
    ("vastness", "vast"), ("vegas", "vegas"), ("veteran's", "veteran"), ("wading", "wade"),
    ("walle", "wall"), ("waves", "wave"), ("weddings", "wed"), ("wetness", "wet"), ("wilderness", "wilder"),
    ("womens", "women"), ("yes", "yes"),
];

/// The stem of a word of the list.
pub(super) fn listed(word: &str) -> Option<&'static str> {
    LISTED.binary_search_by_key(&word, |(known, _)| known).ok().map(|place| LISTED[place].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found() {
        assert!(LISTED.is_sorted_by_key(|(word, _)| *word));
        assert_eq!((listed("are"), listed("women"), listed("womens")), (Some("are"), None, Some("women")));
        assert_eq!((listed("adhesives"), listed("yes")), (Some("adhesive"), Some("yes")));
    }
}
