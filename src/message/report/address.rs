//! Addresses as reports write them, made comparable: without type, brackets, comments and encodings.

/// The bare address of a field such as `rfc822; <anna@example.org> (Anna)`; empty if there is none. Without an at sign
/// it is a name of the reporting server's own, such as an X.400 address.
pub fn normalised(raw: &str) -> String {
    let raw = raw.trim();
    let value = match raw.split_once(';') {
        Some((kind, rest)) if !kind.contains(['@', '<', '"', ' ']) => rest.trim(),
        _ => raw,
    };
    let value = value.strip_prefix("mailto:").unwrap_or(value);
    let bare = match value.find('<') {
        Some(open) => {
            let inside = &value[open + 1..];
            inside.find('>').map_or(inside, |close| &inside[..close])
        }
        None if value.starts_with('"') => value,
        // What follows a blank is a comment.
        None => value
            .split_whitespace()
            .find(|word| word.contains('@'))
            .unwrap_or(value),
    };
    let bare = bare.trim_matches(|c: char| c.is_whitespace() || "<>,;:()'".contains(c));
    let bare = match bare.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) if inside.contains('@') => inside,
        _ => bare,
    };
    // A source route (RFC 5321 appendix C).
    let bare = match bare.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some((_, rest)) if rest.contains('@') => rest,
        _ => bare,
    };
    unxtext(bare).chars().filter(|c| !c.is_control()).collect()
}

/// Decodes what a server left encoded: of xtext (RFC 3461 §4) the two characters that it must encode and that are not
/// otherwise seen so in addresses, and `\x{…}` (RFC 6533 §3). `+AB` may be a tag, and stays.
pub(super) fn unxtext(value: &str) -> String {
    let value = value.trim().replace("+2B", "+").replace("+3D", "=");
    if !value.contains("\\x{") {
        return value;
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value.as_str();
    while let Some(at) = rest.find("\\x{") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 3..];
        let decoded = after.find('}').and_then(|end| {
            let c = u32::from_str_radix(&after[..end], 16).ok().and_then(char::from_u32)?;
            Some((c, end + 1))
        });
        match decoded {
            Some((c, used)) => {
                out.push(c);
                rest = &after[used..];
            }
            None => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether this may be the address of a person: one at sign, something plausible on both sides.
pub(super) fn is_address(word: &str) -> bool {
    let Some((local, domain)) = word.rsplit_once('@') else {
        return false;
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let local_fits = !local.is_empty()
        && local.len() <= 128
        && (quoted
            || local
                .chars()
                .all(|c| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"@".contains(c)));
    let labels: Vec<&str> = domain.split('.').collect();
    let named = labels.len() > 1
        && labels.iter().all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') && label.len() < 64
        })
        // A version or an IP address is no domain.
        && labels.last().is_some_and(|last| last.chars().any(char::is_alphabetic));
    let literal = domain.starts_with('[') && domain.ends_with(']') && domain.len() > 4;
    local_fits && (named || literal || domain == "localhost")
}

/// The addresses in a line with the byte where each begins and ends, brackets included.
pub(super) fn in_line(line: &str) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find('@').map(|at| from + at) {
        let stops = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || "<>()[],;:\"\u{201c}\u{201d}\u{ab}\u{bb}（）：，。「」『』、".contains(c)
        };
        // Where words are written without spaces, an address ends where its script does.
        let near = |c: Option<char>| c.is_some_and(|c| c.is_ascii());
        let (before, after) = (
            near(line[..at].chars().next_back()),
            near(line[at + 1..].chars().next()),
        );
        let start = line[..at].rfind(|c: char| stops(c) || (before && is_wide(c)));
        let start = start.map_or(0, |stop| stop + line[stop..].chars().next().map_or(1, char::len_utf8));
        let end = line[at..].find(|c: char| stops(c) || (after && is_wide(c)));
        let end = end.map_or(line.len(), |stop| at + stop);
        let word = line[start..end]
            .trim_end_matches(['.', '!', '?', '\'', '*', '/'])
            .trim_start_matches(['\'', '*', '=']);
        let word = word.rsplit_once("mailto:").map_or(word, |(_, address)| address);
        if is_address(word) {
            found.push((start, end, word.to_owned()));
        }
        from = end.max(at + 1);
    }
    found
}

/// Letters of scripts that put no spaces between words.
fn is_wide(c: char) -> bool {
    ('\u{2e80}'..='\u{ffdc}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_what_is_around_them() {
        for (raw, wanted) in [
            ("rfc822; anna@example.org", "anna@example.org"),
            ("RFC822;<anna@example.org>", "anna@example.org"),
            ("rfc822;anna+2Btag@example.org", "anna+tag@example.org"),
            ("rfc822;anna+AB@example.org", "anna+AB@example.org"),
            ("rfc822; anna@example.org (Anna Muster)", "anna@example.org"),
            ("utf-8; jos\\x{E9}@example.org", "josé@example.org"),
            ("utf-8; björn@bücher.example", "björn@bücher.example"),
            ("\"anna@example.org\"", "anna@example.org"),
            ("rfc822; \"Anna M\"@example.org", "\"Anna M\"@example.org"),
            ("rfc822;@relay.example:anna@example.org", "anna@example.org"),
            ("x400; /S=muster/G=anna/", "/S=muster/G=anna/"),
            ("rfc822;", ""),
        ] {
            assert_eq!(normalised(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn addresses_are_found_in_lines() {
        let found = |line: &str| {
            in_line(line)
                .into_iter()
                .map(|(.., address)| address)
                .collect::<Vec<_>>()
        };
        assert_eq!(found("550 5.1.1 <a@b.example>... User unknown"), ["a@b.example"]);
        assert_eq!(found("to: a@b.example, c@d.example."), ["a@b.example", "c@d.example"]);
        assert_eq!(found("收件人（a@b.example）不存在"), ["a@b.example"]);
        assert_eq!(found("收件人a@b.example不存在"), ["a@b.example"]);
        assert_eq!(found("发给 用户@例子.example"), ["用户@例子.example"]);
        assert!(found("x @ y, @b.example, a@, a@1.2.3, host@[").is_empty());
    }
}
