//! Words behind which a full stop belongs to the word.

/// Written in small letters, with a capital, or in capitals.
pub(super) const ANY_CASE: &str = "adj|adm|adv|al|ala|alex|apr|ariz|assn|assoc|asst|atty|aug|ave|bhd|bldg|blvd|brig|bros|calif|capt|cf|\
    cie|cmdr|co|col|colo|conn|corp|cos|cpl|ct|dak|dec|dept|det|dr|drs|elec|ens|esq|est|etc|ext|feb|fla|\
    fri|ft|ga|gen|gov|govs|hon|inc|ind|insp|intl|invt|jan|jos|jr|jul|jun|kan|kans|ky|lieut|lt|ltd|maj|\
    mar|md|messrs|mich|minn|mlle|mme|mo|mon|mont|mr|mrs|ms|msgr|mt|natl|neb|nev|nov|oct|okla|penn|pfc|\
    ph|pres|prof|profs|pvt|rd|rep|reps|rev|rt|sen|sens|sep|sept|seq|sfc|sgt|spc|sq|sr|st|ste|supt|sys|\
    tel|tenn|thu|thurs|treas|tue|tues|univ|vs|vt|wed|wis|wisc|wm|wyo";

/// With these capitals only; in small letters most of them are words.
pub(super) const AS_WRITTEN: &str = "ARK|Ark|AZ|Az|DEL|Del|ILL|Ill|LA|La|MASS|Mass|Mfg|mfg|MISS|Miss|Mtg|mtg|ORE|Ore|\
    PA|Pa|PLC|Plc|Ppte|ppte|Ppty|ppty|Pte|pte|\
    Ptes|ptes|Pty|pty|Ptys|ptys|TEX|Tex|VA|Va|WASH|Wash";

/// In any letters, before a number.
pub(super) const BEFORE_NUMBER: &str = "art|ca|fig|figs|no|nos|op|pp|prop";

/// What names of files end with.
pub(super) const FILES: &str = "bat|bmp|cgi|class|cpp|c|dll|docx|doc|exe|gif|gz|html|htm|h|jar|java|jpeg|jpg|mov|mp3|\
    pdf|php|png|ppt|pl|ps|py|sql|tar|txt|wav|xml|x|zip";
