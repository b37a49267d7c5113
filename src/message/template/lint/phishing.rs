//! What public advice tells people to take for phishing: links, orders to click or to open, requests for passwords, haste.
//! A true message has none of it, so that a false one stands out. Knows nothing of the law.

use std::sync::LazyLock;

use regex::Regex;

use super::super::Rendered;
use super::sentences::Sentence;
use super::words::Words;
use super::{Report, line_of};
use crate::message::facts::PersonFacts;

/// Hosts that hide where a link leads.
const SHORTENERS: [&str; 22] = [
    "bit.ly",
    "t.co",
    "goo.gl",
    "tinyurl.com",
    "ow.ly",
    "is.gd",
    "buff.ly",
    "rebrand.ly",
    "cutt.ly",
    "lnkd.in",
    "t.ly",
    "rb.gy",
    "shorturl.at",
    "tiny.cc",
    "adf.ly",
    "bl.ink",
    "qr.co",
    "s.id",
    "t1p.de",
    "tiny.one",
    "urlz.fr",
    "v.gd",
];

/// Endings of files, which are no domains: `customers.csv`.
const FILES: [&str; 24] = [
    "accdb", "bak", "csv", "db", "doc", "docx", "exe", "jpeg", "jpg", "js", "json", "mdb", "msg", "ods", "odt", "pdf",
    "png", "pptx", "pst", "sql", "txt", "xls", "xlsx", "xml",
];

/// Sentences that ask for what a phisher wants. A sentence that says no ("never give …", "you do not have to click") is
/// none.
pub(super) fn check(report: &mut Report<'_>, sentences: &[Sentence], words: &Words) {
    let asked = sentences.iter().filter(|s| s.is_prose && !s.has_any(words.negations));
    for sentence in asked {
        let verb = sentence.first_not_after(words.requests, words.us);
        if let (Some(verb), Some(secret)) = (verb, sentence.first_of(words.secrets)) {
            let problem = format!("asks for a secret (“{verb} … {secret}”)");
            let remedy = "never ask for passwords, codes or payment details; say that you do not";
            report.error("phishing.secret", sentence.line, problem, remedy);
        }
        if let Some(click) = sentence.first_of(words.clicks) {
            let problem = format!("tells people to click or open something (“{click}”)");
            let remedy = "leave links and attachments out; give the address to type, and a number to call";
            report.error("phishing.click", sentence.line, problem, remedy);
        }
    }
    // "We closed the access within 24 hours" presses nobody.
    let of_the_reader = |s: &&Sentence| s.has_any(words.reader) || !s.has_any(words.us);
    for sentence in sentences.iter().filter(of_the_reader) {
        if let Some(haste) = sentence.first_of(words.urgent) {
            let problem = format!("threatens or presses for haste (“{haste}”)");
            let remedy = "say what the person can do, without a deadline or a threat";
            report.warning("phishing.haste", sentence.line, problem, remedy);
        }
    }
}

/// Addresses of the web, besides the one that the operator typed.
pub(super) fn links(report: &mut Report<'_>, said: &Rendered, facts: &PersonFacts) {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let scheme = r"(?i)\b(?:https?|ftp)://[^\s<>]+";
        let bare = r"\b(?:[\p{L}0-9](?:[\p{L}0-9-]*[\p{L}0-9])?\.)+\p{L}{2,24}(?:/[^\s<>]*)?";
        // A bare number without a scheme is a place only with a path or a port.
        let number = r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{2,5}\b|/[^\s<>]*)";
        Regex::new(&format!("{scheme}|{number}|{bare}")).expect("a constant pattern")
    });
    let own = facts.updates_at.as_deref().unwrap_or_default();
    for (text, in_subject) in [(&said.subject, true), (&said.text, false)] {
        for found in PATTERN.find_iter(text) {
            let address = found.as_str().trim_end_matches(['.', ',', ')', ';', ':']);
            let is_mail =
                text[..found.start()].ends_with(['@', '.', '-', '_', '+']) || text[found.end()..].starts_with('@');
            let line = if in_subject { 0 } else { line_of(text, found.start()) };
            if !is_mail && address != own && !is_abbreviation(address) && !is_no_place(address) {
                link(report, line, address, own);
            }
        }
    }
}

/// `e.g`, `u.a`, `S.A`, `w.e.g`, `S.à r.l`: parts of one or two letters, which no domain is made of.
fn is_abbreviation(address: &str) -> bool {
    !address.contains('/') && address.split('.').all(|part| part.chars().count() <= 2)
}

/// `customers.csv`, or a full stop without a space after it: `deleted.We`.
fn is_no_place(address: &str) -> bool {
    let Some((before, last)) = address.rsplit_once('.').filter(|_| !address.contains('/')) else {
        return false;
    };
    let is_sentence = last.starts_with(char::is_uppercase) && before.ends_with(char::is_lowercase);
    is_sentence || FILES.contains(&last.to_lowercase().as_str())
}

fn link(report: &mut Report<'_>, line: usize, address: &str, own: &str) {
    let (scheme, rest) = match address.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, address),
    };
    let host = rest
        .split(['/', '?', '#', ':'])
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let shown = address.chars().take(80).collect::<String>();
    let host = host.strip_prefix("www.").unwrap_or(&host).to_owned();
    let is_hex = host
        .strip_prefix("0x")
        .is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
    let is_number = is_hex || !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_number || rest.starts_with('[') {
        let problem = format!("`{shown}` leads to a bare number");
        return report.error(
            "link.number",
            line,
            problem,
            "give the name of your website, to be typed",
        );
    }
    if SHORTENERS.contains(&host.as_str()) {
        let problem = format!("`{shown}` hides where it leads");
        return report.error(
            "link.short",
            line,
            problem,
            "give the name of your website, to be typed",
        );
    }
    if host.split('.').any(|part| part.starts_with("xn--")) {
        let problem = format!("`{shown}` hides its true name");
        return report.error(
            "link.disguised",
            line,
            problem,
            "give the name of your website, to be typed",
        );
    }
    let is_own = !own.is_empty() && own.contains(&host);
    if scheme || rest.contains('/') || !is_own {
        let problem = format!("`{shown}` is a link that nobody gave as the place for news");
        let remedy = "take it out, or give the bare address as `updates_at`";
        match scheme {
            true => report.error("link", line, problem, remedy),
            false => report.warning("link", line, problem, remedy),
        }
    }
}
