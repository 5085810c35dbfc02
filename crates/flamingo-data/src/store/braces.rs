//! Braces in patterns, as in bash: `{a,b}`, `{000..127}`, `{1..9..2}`, nested and several.

/// The most strings that one pattern may stand for.
pub const MAX_EXPANSIONS: usize = 1_000_000;

/// The strings that `pattern` stands for, in order; `None` if they are more than [`MAX_EXPANSIONS`].
///
/// A pair of braces with neither a comma nor a range in it stands for itself, as does a brace without its partner.
pub fn expand(pattern: &str) -> Option<Vec<String>> {
    let Some((before, alternatives, after)) = first_group(pattern) else {
        return Some(vec![pattern.to_owned()]);
    };
    let mut middles = Vec::new();
    for alternative in alternatives {
        middles.extend(expand(&alternative)?);
    }
    let ends = expand(after)?;
    if middles.len().checked_mul(ends.len())? > MAX_EXPANSIONS {
        return None;
    }
    Some(
        middles
            .iter()
            .flat_map(|middle| ends.iter().map(move |end| format!("{before}{middle}{end}")))
            .collect(),
    )
}

/// The first group that stands for something else: what is before it, its alternatives, what is after it.
fn first_group(pattern: &str) -> Option<(&str, Vec<String>, &str)> {
    for (open, _) in pattern.match_indices('{') {
        let inside = &pattern[open + 1..];
        let Some((close, commas)) = partner(inside) else { continue };
        let body = &inside[..close];
        let alternatives = match commas.is_empty() {
            false => split(body, &commas),
            true => match range(body) {
                Some(numbers) => numbers,
                None => continue,
            },
        };
        return Some((&pattern[..open], alternatives, &inside[close + 1..]));
    }
    None
}

/// The closing brace that belongs to an opening one just before `text`, and the commas between the two.
fn partner(text: &str) -> Option<(usize, Vec<usize>)> {
    let (mut depth, mut commas) = (0usize, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some((at, commas)),
            b'}' => depth -= 1,
            b',' if depth == 0 => commas.push(at),
            _ => {}
        }
    }
    None
}

fn split(text: &str, commas: &[usize]) -> Vec<String> {
    let starts = std::iter::once(0).chain(commas.iter().map(|comma| comma + 1));
    let ends = commas.iter().copied().chain([text.len()]);
    starts.zip(ends).map(|(start, end)| text[start..end].to_owned()).collect()
}

/// `FIRST..LAST` or `FIRST..LAST..STEP`, upwards or downwards; a leading zero asks for numbers of one width.
///
/// A range that is too long gives one alternative more than may be, which [`expand`] refuses.
fn range(text: &str) -> Option<Vec<String>> {
    let mut parts = text.split("..");
    let (first_text, last_text, step) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (first, last): (i64, i64) = (first_text.parse().ok()?, last_text.parse().ok()?);
    let step = step.map_or(Some(1), |step| step.parse::<i64>().ok())?.unsigned_abs().max(1);
    let padded =
        |text: &str| text.trim_start_matches('-').starts_with('0') && text.trim_start_matches('-').len() > 1;
    let width = match padded(first_text) || padded(last_text) {
        true => first_text.len().max(last_text.len()),
        false => 0,
    };
    let count = usize::try_from(first.abs_diff(last) / step).ok()?.saturating_add(1).min(MAX_EXPANSIONS + 1);
    let number = |index: usize| {
        let distance = (index as u64 * step) as i64;
        let number = if first <= last { first.wrapping_add(distance) } else { first.wrapping_sub(distance) };
        format!("{number:0width$}")
    };
    Some((0..count).map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pattern: &str) -> String {
        expand(pattern).unwrap().join(" ")
    }

    /// What `echo` prints in bash 5.2.
    #[test]
    fn braces_stand_for_what_bash_makes_of_them() {
        for (pattern, expected) in [
            ("a{b,c}d", "abd acd"),
            ("{1..3}", "1 2 3"),
            ("{08..11}.tar", "08.tar 09.tar 10.tar 11.tar"),
            ("{000..2}", "000 001 002"),
            ("{3..1}", "3 2 1"),
            ("{1..9..4}", "1 5 9"),
            ("{-01..1}", "-01 000 001"),
            ("{a,b}{1..2}", "a1 a2 b1 b2"),
            ("x{a,b{1,2}}y", "xay xb1y xb2y"),
            ("{a,{b,{c,d}}}", "a b c d"),
            ("{a,}b", "ab b"),
            ("{}", "{}"),
            ("{abc}", "{abc}"),
            ("{x{1,2}}", "{x1} {x2}"),
            ("a{b,c", "a{b,c"),
            ("a}b{c,d}", "a}bc a}bd"),
            ("{1..x}", "{1..x}"),
            ("plain", "plain"),
        ] {
            assert_eq!(words(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn too_many_are_refused() {
        assert_eq!(expand("{1..1000000}").unwrap().len(), MAX_EXPANSIONS);
        assert!(expand("{1..1000001}").is_none());
        assert!(expand("{1..1001}{1..1000}").is_none());
        assert!(expand("{0..9223372036854775807}").is_none());
    }
}
