//! What a mail shows about who sent it, without asking anybody: whose signature it bears, and what our own mail server
//! wrote about it (Authentication-Results, RFC 8601). Asking the name servers for DKIM keys is elsewhere.

use super::open::Opened;
use crate::model::receipt::{Authenticity, Checked, Means};

/// Headers longer than this are no server's verdict.
const MAX_RESULTS_BYTES: usize = 16 * 1024;

/// The domain of the one From address, in lower case; `None` for none, or for several, of which none is meant alone.
pub fn from_domain(mail: &Opened) -> Option<String> {
    let [from] = mail.from.as_slice() else { return None };
    let (_, domain) = from.address.rsplit_once('@')?;
    let domain = idna::domain_to_ascii(domain).ok()?;
    (!domain.is_empty()).then_some(domain)
}

/// Whether a signature by `signer` speaks for mail from `from`: the same domain, or one that contains the other. A
/// public suffix never signs, so that `lu` speaks for nobody.
pub fn is_aligned(signer: &str, from: &str) -> bool {
    let below = |inner: &str, outer: &str| {
        inner.len() > outer.len()
            && inner[inner.len() - outer.len()..].eq_ignore_ascii_case(outer)
            && inner.as_bytes()[inner.len() - outer.len() - 1] == b'.'
    };
    signer.is_ascii()
        && from.is_ascii()
        && signer.contains('.')
        && from.contains('.')
        && (signer.eq_ignore_ascii_case(from) || below(from, signer) || below(signer, from))
}

/// What our own server found, by the topmost Authentication-Results under its name (RFC 8601 §2.2). All others are
/// ignored: whoever writes a mail can write such a header too, and our server puts its own above them. It must strip
/// those that claim to be its own (RFC 8601 §5). `None` when it wrote nothing that decides.
pub fn by_our_server(mail: &Opened, trusted: &str) -> Option<Authenticity> {
    let from = from_domain(mail)?;
    let results = our_results(mail, trusted)?;
    let verdict = |result: Checked, domain: &str, method: &str| {
        let mut verdict = Authenticity::of(Means::AuthenticationResults, result, domain);
        verdict.note = Some(method.to_owned());
        Some(verdict)
    };
    let dmarc = results
        .iter()
        .find(|r| r.method == "dmarc" && r.is_for("header.from", |domain| domain.eq_ignore_ascii_case(&from)));
    match dmarc.map(|dmarc| dmarc.result.as_str()) {
        Some("pass") => return verdict(Checked::Passed, &from, "dmarc"),
        Some("fail") => return verdict(Checked::Failed, &from, "dmarc"),
        _ => {}
    }
    let dkim: Vec<&Found> = results
        .iter()
        .filter(|r| r.method == "dkim")
        .filter(|r| {
            r.is_for("header.d", |domain| is_aligned(domain, &from))
                || r.is_for("header.i", |identity| {
                    identity.rsplit_once('@').is_some_and(|(_, d)| is_aligned(d, &from))
                })
        })
        .collect();
    if dkim.iter().any(|r| r.result == "pass") {
        return verdict(Checked::Passed, &from, "dkim");
    }
    if dkim.iter().any(|r| r.result == "fail") {
        return verdict(Checked::Failed, &from, "dkim");
    }
    None
}

/// What one method said, and of which domain (RFC 8601 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `spf`, `dkim`, `dmarc`, …
    pub method: String,
    /// `pass`, `fail`, `none`, …
    pub result: String,
    pub domain: Option<String>,
    /// That domain speaks for the From address.
    pub aligned: bool,
}

/// All that our own server wrote, by the same header as [`by_our_server`]; `None` when it wrote none.
pub fn said_by_our_server(mail: &Opened, trusted: &str) -> Option<Vec<Said>> {
    let from = from_domain(mail)?;
    let said = our_results(mail, trusted)?.into_iter().map(|found| {
        let names: &[&str] = match found.method.as_str() {
            "spf" => &["smtp.mailfrom", "smtp.helo"],
            "dkim" => &["header.d", "header.i"],
            _ => &["header.from", "header.d"],
        };
        let property = |name: &&str| found.properties.iter().find(|(known, _)| known == name);
        let domain = names.iter().find_map(property).map(|(_, value)| {
            let domain = value.rsplit_once('@').map_or(value.as_str(), |(_, domain)| domain);
            domain.to_ascii_lowercase()
        });
        Said {
            aligned: domain.as_ref().is_some_and(|domain| is_aligned(domain, &from)),
            domain,
            method: found.method,
            result: found.result,
        }
    });
    Some(said.collect())
}

/// The topmost header under this name, read.
fn our_results(mail: &Opened, trusted: &str) -> Option<Vec<Found>> {
    let mut headers = mail.headers.iter().filter(|(name, value)| {
        name.eq_ignore_ascii_case("Authentication-Results") && value.len() <= MAX_RESULTS_BYTES
    });
    headers.find_map(|(_, value)| results_of(value, trusted))
}

/// One `method=result` with what it is about.
struct Found {
    method: String,
    result: String,
    properties: Vec<(String, String)>,
}
impl Found {
    fn is_for(&self, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        self.properties
            .iter()
            .any(|(known, value)| known == name && fits(value))
    }
}

/// The results in one header's value, if the server of this name wrote it.
fn results_of(value: &str, trusted: &str) -> Option<Vec<Found>> {
    let plain = without_comments(value)?;
    let mut parts = split_outside_quotes(&plain, ';').into_iter();
    // The name may be followed by a version, of which there is only 1.
    let head = parts.next()?;
    let mut words = head.split_whitespace();
    let name = unquoted(words.next()?);
    if !name.eq_ignore_ascii_case(trusted) || words.next().is_some_and(|version| version != "1") {
        return None;
    }
    Some(parts.filter_map(|part| one_result(&part)).collect())
}

fn one_result(text: &str) -> Option<Found> {
    let spaced = around_equals(text);
    let mut words = split_outside_quotes(&spaced, ' ')
        .into_iter()
        .filter(|word| !word.is_empty());
    let (method, result) = words.next().and_then(|word| pair(&word))?;
    let method = method.split('/').next().unwrap_or_default().to_owned();
    Some(Found {
        method,
        result: result.to_ascii_lowercase(),
        properties: words.filter_map(|word| pair(&word)).collect(),
    })
}

fn pair(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    Some((name.to_ascii_lowercase(), unquoted(value)))
}

fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace('\\', ""),
        None => text.to_owned(),
    }
}

/// White space of every kind as one blank, and none around `=` outside quotes.
fn around_equals(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(" =", "=").replace("= ", "=")
}

/// Leaves comments out (RFC 5322 §3.2.2), which may be nested; `None` when one does not end.
fn without_comments(text: &str) -> Option<String> {
    let (mut depth, mut in_quotes, mut plain) = (0_u32, false, String::with_capacity(text.len()));
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next()?;
                if depth == 0 {
                    plain.extend([c, escaped]);
                }
            }
            '"' if depth == 0 => {
                in_quotes = !in_quotes;
                plain.push(c);
            }
            '(' if !in_quotes => {
                depth += 1;
                plain.push(' ');
            }
            ')' if !in_quotes && depth > 0 => depth -= 1,
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    (depth == 0 && !in_quotes).then_some(plain)
}

fn split_outside_quotes(text: &str, at: char) -> Vec<String> {
    let (mut parts, mut in_quotes, mut escaped) = (vec![String::new()], false, false);
    for c in text.chars() {
        if c == at && !in_quotes {
            parts.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            in_quotes = !in_quotes;
        }
        escaped = c == '\\' && !escaped;
        parts.last_mut().expect("there is always a last part").push(c);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::Mailbox;

    fn mail(from: &[&str], results: &[&str]) -> Opened {
        Opened {
            from: from.iter().map(|address| Mailbox::new(None, address)).collect(),
            headers: results
                .iter()
                .map(|value| ("Authentication-Results".to_owned(), (*value).to_owned()))
                .collect(),
            ..Opened::default()
        }
    }

    #[test]
    fn only_the_topmost_verdict_of_our_own_server_counts() {
        use Checked::{Failed, Passed};
        let ours = "mx.example.lu";
        for (name, results, expected) in [
            (
                "dmarc",
                vec!["mx.example.lu; dmarc=pass (p=reject) header.from=cnpd.lu"],
                Some(Passed),
            ),
            (
                "dmarc failed",
                vec!["mx.example.lu; dkim=pass header.d=cnpd.lu; dmarc=fail header.from=cnpd.lu"],
                Some(Failed),
            ),
            (
                "dkim",
                vec!["mx.example.lu 1; spf=pass smtp.mailfrom=x@cnpd.lu;\tdkim=pass header.d=cnpd.lu header.s=a"],
                Some(Passed),
            ),
            (
                "dkim by identity",
                vec!["MX.example.LU; dkim=pass header.i=@mail.cnpd.lu"],
                Some(Passed),
            ),
            (
                "dkim broken",
                vec!["mx.example.lu; dkim=fail reason=\"bad; signature\" header.d=cnpd.lu"],
                Some(Failed),
            ),
            (
                "one broken, one sound",
                vec!["mx.example.lu; dkim=fail header.d=cnpd.lu; dkim=pass header.d=cnpd.lu"],
                Some(Passed),
            ),
            (
                "another's name",
                vec!["mx.evil.example; dmarc=pass header.from=cnpd.lu"],
                None,
            ),
            (
                "forged below",
                vec![
                    "mx.example.lu; dmarc=fail header.from=cnpd.lu",
                    "mx.example.lu; dmarc=pass header.from=cnpd.lu",
                ],
                Some(Failed),
            ),
            (
                "another's above",
                vec![
                    "other.example; dmarc=fail header.from=cnpd.lu",
                    "mx.example.lu; dmarc=pass header.from=cnpd.lu",
                ],
                Some(Passed),
            ),
            (
                "for another domain",
                vec!["mx.example.lu; dkim=pass header.d=evil.example; dmarc=pass header.from=evil.example"],
                None,
            ),
            ("nothing was checked", vec!["mx.example.lu; none"], None),
            (
                "in a comment",
                vec!["mx.example.lu; none (dmarc=pass header.from=cnpd.lu)"],
                None,
            ),
            (
                "in quotes",
                vec!["mx.example.lu; spf=pass reason=\"; dmarc=pass header.from=cnpd.lu\""],
                None,
            ),
            (
                "a comment that hides the name",
                vec!["(mx.example.lu;) evil.example; dmarc=pass header.from=cnpd.lu"],
                None,
            ),
            (
                "unbalanced",
                vec!["mx.example.lu; dmarc=pass (header.from=cnpd.lu"],
                None,
            ),
            (
                "spf alone proves no From",
                vec!["mx.example.lu; spf=pass smtp.mailfrom=cnpd.lu"],
                None,
            ),
            (
                "another version",
                vec!["mx.example.lu 2; dmarc=pass header.from=cnpd.lu"],
                None,
            ),
            (
                "spaces",
                vec!["mx.example.lu ; dmarc = pass header.from = cnpd.lu"],
                Some(Passed),
            ),
            ("none at all", vec![], None),
        ] {
            let found = by_our_server(&mail(&["databreach@cnpd.lu"], &results), ours);
            assert_eq!(found.map(|found| found.result), expected, "{name}");
        }
    }

    #[test]
    fn each_method_is_told_with_its_domain() {
        let results = [
            "mx.example.lu; spf=pass smtp.mailfrom=b@bounce.provider.example; dkim=pass header.d=mail.cnpd.lu; dmarc=FAIL header.from=cnpd.lu; iprev=pass",
            "mx.evil.example; spf=pass smtp.mailfrom=cnpd.lu",
        ];
        let said = said_by_our_server(&mail(&["databreach@cnpd.lu"], &results), "mx.example.lu").unwrap();
        let told = said
            .iter()
            .map(|s| (s.method.as_str(), s.result.as_str(), s.domain.as_deref(), s.aligned));
        let told: Vec<_> = told.collect();
        assert_eq!(
            told,
            [
                ("spf", "pass", Some("bounce.provider.example"), false),
                ("dkim", "pass", Some("mail.cnpd.lu"), true),
                ("dmarc", "fail", Some("cnpd.lu"), true),
                ("iprev", "pass", None, false),
            ]
        );
        assert_eq!(
            said_by_our_server(&mail(&["databreach@cnpd.lu"], &results), "mx.other.example"),
            None
        );
    }

    #[test]
    fn a_mail_from_several_proves_nobody() {
        let results = ["mx.example.lu; dmarc=pass header.from=cnpd.lu"];
        for from in [&["a@cnpd.lu", "b@evil.example"][..], &[]] {
            assert_eq!(by_our_server(&mail(from, &results), "mx.example.lu"), None);
        }
    }

    #[test]
    fn alignment() {
        for (signer, from, aligned) in [
            ("cnpd.lu", "cnpd.lu", true),
            ("CNPD.lu", "mail.cnpd.lu", true),
            ("mail.cnpd.lu", "cnpd.lu", true),
            ("evilcnpd.lu", "cnpd.lu", false),
            ("lu", "cnpd.lu", false),
            ("cnpd.lu", "lu", false),
            ("", "cnpd.lu", false),
        ] {
            assert_eq!(is_aligned(signer, from), aligned, "{signer} {from}");
        }
    }
}
