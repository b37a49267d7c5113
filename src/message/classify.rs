//! What an opened mail is, from its structure first, from documented phrases last. Which notice it belongs to is found
//! elsewhere; this file says only what the mail itself shows.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::directory::profile::Profile;
use crate::model::id::Reference;
use crate::model::receipt::ReceiptKind;

use super::open::Opened;
use super::token;

/// How much text is searched for phrases and references: an acknowledgement says so at its head.
const SEARCHED_CHARS: usize = 64 * 1024;

/// What a mail shows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// References of ours in headers, subject and text.
    pub references: Vec<Reference>,
    /// Message-IDs it answers: In-Reply-To, then References, newest first.
    pub answers: Vec<String>,
    /// A delivery status notification (RFC 3464), with what it reports.
    pub dsn: Option<ReceiptKind>,
    /// A feedback or disposition report.
    pub report: bool,
    /// Says that a machine answered (RFC 3834 §5 and the headers in common use).
    pub automatic: bool,
    /// The out-of-office phrase found.
    pub away: Option<&'static str>,
    /// The receipt phrase found.
    pub receipt: Option<&'static str>,
}

/// Reads the marks of a mail.
pub fn marks(mail: &Opened) -> Marks {
    let unquoted = unquoted(&mail.text);
    let searched = format!("{}\n{}\n{}", mail.subject, mail.outer_subject, unquoted);
    let folded = fold(&searched);
    Marks {
        references: token::references_in(&format!("{searched}\n{}\n{}", clip(&mail.text), returned(mail))),
        answers: mail
            .in_reply_to
            .iter()
            .chain(mail.references.iter().rev())
            .cloned()
            .collect(),
        dsn: delivery_report(mail),
        report: mail.report_type.is_some(),
        automatic: is_automatic(mail),
        away: PHRASES.away.iter().copied().find(|phrase| folded.contains(phrase)),
        receipt: PHRASES.receipt.iter().copied().find(|phrase| folded.contains(phrase)),
    }
}

/// What the mail is for the notice it is tied to, and why; `profile` is the notice's authority, `None` when it is tied to
/// no notice. The rule of an acknowledgement: from the profile's senders, no delivery report, no out-of-office phrase,
/// and the authority's own reference or a receipt phrase. It may say that a machine wrote it.
pub fn judge(mail: &Opened, marks: &Marks, profile: Option<&Profile>) -> Verdict {
    if let Some(kind) = marks.dsn {
        return Verdict::of(kind, format!("a delivery status notification: {}", kind.name()));
    }
    if marks.report {
        return Verdict::of(ReceiptKind::Report, "a machine's report".to_owned());
    }
    if let Some(phrase) = marks.away {
        return Verdict::of(
            ReceiptKind::Autoreply,
            format!("says that somebody is away (\u{201c}{phrase}\u{201d})"),
        );
    }
    let Some(profile) = profile else {
        let kind = if marks.automatic {
            ReceiptKind::Autoreply
        } else {
            ReceiptKind::Other
        };
        return Verdict::of(
            kind,
            "carries no reference of ours and answers none of our messages".to_owned(),
        );
    };
    let from_authority =
        !mail.from.is_empty() && mail.from.iter().all(|sender| profile.sender_matches(&sender.address));
    if !from_authority {
        let kind = if marks.automatic {
            ReceiptKind::Autoreply
        } else {
            ReceiptKind::Reply
        };
        return Verdict::of(
            kind,
            format!(
                "quotes our reference, but does not come from a known sender of {}",
                profile.id
            ),
        );
    }
    let authority_reference = find_reference(profile, mail);
    if authority_reference.is_some() || marks.receipt.is_some() {
        let why = match (&authority_reference, marks.receipt) {
            (Some(_), _) => "from the authority, with its own reference".to_owned(),
            (None, phrase) => format!(
                "from the authority, says \u{201c}{}\u{201d}",
                phrase.unwrap_or_default()
            ),
        };
        return Verdict {
            kind: ReceiptKind::Acknowledgement,
            why,
            authority_reference,
        };
    }
    if marks.automatic {
        return Verdict::of(
            ReceiptKind::Autoreply,
            "from the authority, written by a machine, confirms nothing".to_owned(),
        );
    }
    Verdict::of(ReceiptKind::Reply, "a person at the authority wrote".to_owned())
}

/// What a mail is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub kind: ReceiptKind,
    pub why: String,
    /// The authority's own number, where the profile's pattern finds one.
    pub authority_reference: Option<String>,
}
impl Verdict {
    fn of(kind: ReceiptKind, why: String) -> Self {
        Self {
            kind,
            why,
            authority_reference: None,
        }
    }
}

/// The profile's pattern (one group) in subject, then text. A profile without a pattern finds nothing.
fn find_reference(profile: &Profile, mail: &Opened) -> Option<String> {
    let pattern = profile.acknowledgement.pattern()?;
    let text = unquoted(&mail.text);
    [&mail.subject, &text]
        .into_iter()
        .find_map(|text| {
            pattern
                .captures(text)?
                .get(1)
                .map(|group| group.as_str().trim().to_owned())
        })
        .filter(|reference| !reference.is_empty() && reference.len() <= 128)
}

/// A delivery status notification's worst news (RFC 3464 §2.3.3): failed before delayed before delivered. One whose
/// parts are missing counts as a bounce, so that a person looks.
fn delivery_report(mail: &Opened) -> Option<ReceiptKind> {
    if mail.report_type.as_deref() != Some("delivery-status") {
        return None;
    }
    let status = mail
        .attachments
        .iter()
        .find(|part| part.media_type.ends_with("/delivery-status"));
    let text = status
        .map(|part| String::from_utf8_lossy(&part.bytes).to_ascii_lowercase())
        .unwrap_or_default();
    let said = |action: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix("action:"))
            .any(|value| value.trim().starts_with(action))
    };
    Some(if said("failed") {
        ReceiptKind::Bounce
    } else if said("delayed") {
        ReceiptKind::Delay
    } else if said("delivered") || said("relayed") || said("expanded") {
        ReceiptKind::Delivered
    } else {
        ReceiptKind::Bounce
    })
}

/// What a delivery status notification gives back of the message it is about (RFC 3462 §2), where our reference stands.
fn returned(mail: &Opened) -> String {
    let types = ["message/rfc822", "message/global", "text/rfc822-headers"];
    let part = mail
        .attachments
        .iter()
        .filter(|_| mail.report_type.as_deref() == Some("delivery-status"))
        .find(|part| types.contains(&part.media_type.as_str()));
    part.map(|part| clip(&String::from_utf8_lossy(&part.bytes)).to_owned())
        .unwrap_or_default()
}

/// RFC 3834 §5, and the headers in common use beside it.
fn is_automatic(mail: &Opened) -> bool {
    let submitted = mail
        .auto_submitted
        .as_deref()
        .is_some_and(|value| !value.trim().eq_ignore_ascii_case("no"));
    let precedence = mail.precedence.as_deref().map(str::to_ascii_lowercase);
    let bulk = precedence.is_some_and(|value| matches!(value.trim(), "auto_reply" | "auto-reply" | "bulk" | "junk"));
    let others = ["X-Autoreply", "X-Autorespond", "X-Auto-Response-From"];
    submitted || bulk || others.iter().any(|name| mail.header(name).is_some())
}

/// The text without what it quotes: our own words in an answer confirm nothing.
fn unquoted(text: &str) -> String {
    static ORIGINAL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?im)^\s*(-{2,}\s*(original message|message d'origine|ursprüngliche nachricht|oorspronkelijk bericht",
            r"|forwarded message|message transféré|weitergeleitete nachricht)\s*-{2,}|_{20,}\s*$)"
        ))
        .expect("a constant pattern")
    });
    let text = clip(text);
    let text = ORIGINAL.find(text).map_or(text, |start| &text[..start.start()]);
    text.lines()
        .filter(|line| !line.trim_start().starts_with('>'))
        .collect::<Vec<_>>()
        .join("\n")
}

fn clip(text: &str) -> &str {
    let end = text.char_indices().nth(SEARCHED_CHARS).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Lower case, white space folded, typographic apostrophes and hyphens made plain, accents and soft hyphens dropped.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            '\u{2019}' | '\u{2018}' | '\u{02bc}' => '\'',
            '\u{2010}' | '\u{2011}' => '-',
            '\u{00ad}' => continue,
            // Typed in a hurry, or by a machine that has no accents.
            'à' | 'á' | 'â' | 'ä' => 'a',
            'ç' => 'c',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'î' | 'ï' => 'i',
            'ô' | 'ö' => 'o',
            'ù' | 'û' | 'ü' => 'u',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if c != ' ' || !folded.ends_with(' ') {
            folded.push(c);
        }
    }
    folded
}

struct Phrases {
    receipt: Vec<&'static str>,
    away: Vec<&'static str>,
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        receipt: std::collections::BTreeMap<String, Vec<String>>,
        out_of_office: std::collections::BTreeMap<String, Vec<String>>,
    }
    let file: File = crate::reading::yaml("phrases.yaml", include_bytes!("phrases.yaml"))
        .expect("the built-in phrases are read by a test");
    let flat = |lists: std::collections::BTreeMap<String, Vec<String>>| {
        lists
            .into_values()
            .flatten()
            .map(|phrase| &*fold(&phrase).leak())
            .collect()
    };
    Phrases {
        receipt: flat(file.receipt),
        away: flat(file.out_of_office),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_written_as_they_are_compared() {
        assert!(PHRASES.receipt.len() > 40 && PHRASES.away.len() > 30);
        for phrase in PHRASES.receipt.iter().chain(&PHRASES.away) {
            assert_eq!(&fold(phrase), phrase);
            assert!(phrase.len() >= 9, "{phrase} would be found by accident");
        }
    }

    #[test]
    fn accents_and_case_do_not_matter() {
        for said in [
            "Nous ACCUSONS RECEPTION de",
            "nous accusons réception de",
            "accusons\u{a0}re\u{ad}ception",
        ] {
            let folded = fold(said);
            assert!(PHRASES.receipt.iter().any(|phrase| folded.contains(phrase)), "{said}");
        }
    }

    #[test]
    fn quoted_words_are_not_the_writers() {
        let text = "Dear all,\n> we have received your notification\nWhy?\n-----Original Message-----\nAcknowledgement of receipt";
        assert_eq!(unquoted(text), "Dear all,\nWhy?");
    }
}
