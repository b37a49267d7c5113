//! What an opened mail is, from its structure first, from documented phrases last. Which notice it belongs to is found
//! elsewhere; this file says only what the mail itself shows.

use crate::directory::profile::Profile;
use crate::model::id::Reference;
use crate::model::receipt::ReceiptKind;

use super::automatic::{self, Hand};
use super::open::Opened;
use super::phrases::{Confirmation, Found, Sense};
use super::quote;
use super::report::{self, Report};
use super::token;

/// How much text is searched for phrases and references: an acknowledgement says so at its head.
const SEARCHED_BYTES: usize = 64 * 1024;

/// What a mail shows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// References of ours in subject, text and returned message.
    pub references: Vec<Reference>,
    /// Message-IDs it answers: In-Reply-To, then References, newest first.
    pub answers: Vec<String>,
    /// A machine's report: a delivery status notification in any form, feedback, a disposition.
    pub report: Option<Report>,
    /// A machine wrote it, by its headers or by how its subject begins (RFC 3834 §5 and the headers in common use).
    pub automatic: bool,
    /// A machine wrote it in answer to something, and it is no report.
    pub answers_by_machine: bool,
    /// From a list or a mass mailing.
    pub mass: bool,
    /// The out-of-office phrase found.
    pub away: Option<&'static str>,
    /// The phrase by which it confirms receipt, or may.
    pub receipt: Option<Confirmation>,
    /// By what it asks something of its reader: a phrase, or a question mark.
    pub asks: Option<&'static str>,
    /// All phrases found in subject and unquoted text.
    pub words: Found,
}

/// Reads the marks of a mail.
pub fn marks(mail: &Opened) -> Marks {
    let text = clip(&mail.text);
    let (unquoted, quotes) = quote::unquoted(text, &mail.to);
    let subject = match mail.outer_subject == mail.subject {
        true => mail.subject.clone(),
        false => format!("{} {}", mail.subject, mail.outer_subject),
    };
    let words = Found::read(&subject, &unquoted);
    let outside = match mail.outside.is_empty() {
        true => None,
        // What a server wrote around a mail of ours that it returned.
        false => Some(Found::read(&mail.outer_subject, clip(&mail.outside))),
    };
    let report = report::read(mail, outside.as_ref().unwrap_or(&words));
    let references = references(mail, report.as_ref(), &[&subject, &unquoted, text]);
    let hand = automatic::hand(mail);
    let auto_subject = automatic::auto_subject(mail, &words).is_some();
    let mut marks = Marks {
        references,
        answers: mail
            .in_reply_to
            .iter()
            .chain(mail.references.iter().rev())
            .cloned()
            .chain(report::certified::answers(mail))
            .collect(),
        report,
        automatic: hand >= Hand::Machine || auto_subject,
        answers_by_machine: hand == Hand::Autoresponder || auto_subject,
        mass: hand == Hand::Mass,
        away: automatic::away(mail, &words, quotes),
        receipt: words.confirmation(hand >= Hand::Machine || auto_subject),
        asks: words
            .find(Sense::Asks)
            .or_else(|| asks_a_question(&unquoted).then_some("?")),
        words,
    };
    marks.answers_by_machine |= answers_by_words(mail, &marks);
    marks
}

/// A question mark at the end of a word, not one within an address of the web. Greek asks with a semicolon.
fn asks_a_question(text: &str) -> bool {
    text.match_indices(['?', '\u{37e}', '\u{ff1f}', ';']).any(|(at, mark)| {
        let before = text[..at].trim_end().chars().next_back();
        let greek = |c: char| ('\u{370}'..='\u{3ff}').contains(&c) || ('\u{1f00}'..='\u{1fff}').contains(&c);
        let ends = text[at + mark.len()..]
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '=' | '&' | '/'));
        ends && before.is_some_and(|c| if mark == ";" { greek(c) } else { true })
    })
}

/// References of ours, the surest places first: subject, own words, quoted words, the address it was sent to, what a
/// report gives back, mail that is attached.
fn references(mail: &Opened, report: Option<&Report>, texts: &[&str]) -> Vec<Reference> {
    let mut searched = texts.join("\n");
    let mut add = |text: &str| {
        searched.push('\n');
        searched.push_str(text);
    };
    mail.to.iter().for_each(|to| add(&to.address));
    ["Delivered-To", "X-Original-To", "Thread-Topic"]
        .into_iter()
        .filter_map(|name| mail.header(name))
        .for_each(&mut add);
    if let Some(report) = report {
        report.envelope_id.as_deref().map(&mut add);
        let returned = report.returned.as_ref();
        returned
            .and_then(|returned| returned.return_path.as_deref())
            .map(&mut add);
    }
    let attached = mail
        .attachments
        .iter()
        .filter(|part| part.media_type.starts_with("message/") || part.media_type == "text/rfc822-headers");
    for part in attached.take(4) {
        add(clip(&String::from_utf8_lossy(
            &part.bytes[..part.bytes.len().min(SEARCHED_BYTES)],
        )));
    }
    let mut references = token::references_in(&searched);
    for reference in report
        .and_then(|report| report.returned.as_ref())
        .iter()
        .flat_map(|returned| &returned.references)
    {
        if !references.contains(reference) {
            references.push(reference.clone());
        }
    }
    references
}

/// Of a machine, or of somebody whose words are a machine's: does it answer? A monitor's alarm or a bill does not.
fn answers_by_words(mail: &Opened, marks: &Marks) -> bool {
    let says = |sense| marks.words.find(sense).is_some();
    let threaded = answers_something(mail, marks);
    let ticket = says(Sense::Ticket);
    if marks.automatic {
        return threaded || ticket || says(Sense::Away) || says(Sense::AutoHint) || marks.receipt.is_some();
    }
    let machine_words = says(Sense::AutoText);
    (threaded && (machine_words || ticket))
        || (ticket && (machine_words || marks.words.in_subject(Sense::Ticket).is_some()))
}

/// By its headers, its subject or a reference of ours.
fn answers_something(mail: &Opened, marks: &Marks) -> bool {
    !marks.answers.is_empty()
        || !marks.references.is_empty()
        || marks.words.begins_subject(Sense::ReplyPrefix, &mail.subject).is_some()
}

/// What the mail is for the notice it is tied to, and why; `profile` is the notice's authority, `None` when it is tied to
/// no notice. The rule of an acknowledgement: from the profile's senders, no report, no word of absence, nothing that says
/// it could not be read or was held up, no bad news, and the authority's own reference, or a receipt phrase or the number of
/// a ticket in a sentence that neither denies nor promises it. Anything less is left to a person. It may say that a machine
/// wrote it.
pub fn judge(mail: &Opened, marks: &Marks, profile: Option<&Profile>) -> Verdict {
    if let Some(verdict) = by_itself(mail, marks, profile.is_some()) {
        return verdict;
    }
    let Some(profile) = profile else {
        return untied(mail, marks);
    };
    if mail.is_ours {
        let kind = match from_authority(mail, profile) {
            true => ReceiptKind::Reply,
            false => ReceiptKind::Other,
        };
        return Verdict::of(kind, "our own message, come back: its words are ours".to_owned());
    }
    if !from_authority(mail, profile) {
        let kind = match marks.answers_by_machine || marks.automatic {
            true => ReceiptKind::Autoreply,
            false => ReceiptKind::Reply,
        };
        let why = format!("answers us, but does not come from a known sender of {}", profile.id);
        return Verdict::of(kind, why);
    }
    let authority_reference = find_reference(profile, mail);
    let doubt = doubt(mail, marks);
    let clear = authority_reference.is_some() || marks.receipt.is_some_and(|said| said.is_clear);
    let said = marks.receipt.map(|said| quoted(said.phrase)).unwrap_or_default();
    if clear && doubt.is_none() {
        let why = match &authority_reference {
            Some(_) => "from the authority, with its own reference".to_owned(),
            None => format!("from the authority, says {said}"),
        };
        return Verdict {
            kind: ReceiptKind::Acknowledgement,
            why,
            authority_reference,
        };
    }
    // Words alone make no machine of an authority: what it asks must be answered.
    let (kind, who) = match marks.automatic {
        true => (ReceiptKind::Autoreply, "written by a machine"),
        false => (ReceiptKind::Reply, "a person wrote"),
    };
    let what = match (doubt, clear || marks.receipt.is_some()) {
        (Some(doubt), false) => doubt,
        (Some(doubt), true) => format!("may confirm receipt, but {doubt}"),
        (None, true) => format!(
            "may confirm receipt, but where it says {said} it may also be denied, promised or of something else"
        ),
        (None, false) => "confirms nothing".to_owned(),
    };
    let confirm = match clear || marks.receipt.is_some() {
        true => "; if it does confirm: `mailbox match` it `--as acknowledgement`",
        false => "",
    };
    Verdict::of(kind, format!("from the authority, {who}, {what}{confirm}"))
}

/// Why a confirmation is none, or needs a person's eye: whatever stands around it, or cannot be seen.
fn doubt(mail: &Opened, marks: &Marks) -> Option<String> {
    if let Some(closed) = mail.protection.closed() {
        return Some(closed);
    }
    let meanings = [
        (Sense::Unreadable, "they may not have been able to read it"),
        (Sense::Held, "it may be held up, or have come without what we sent"),
        (Sense::Away, "somebody is away"),
        (Sense::Leave, "somebody may be away"),
        (Sense::Regret, "that is not all they say"),
        (Sense::Denied, "they may not have received it all, or not taken it"),
    ];
    let said = meanings.into_iter().find_map(|(sense, meaning)| {
        let phrase = marks.words.find(sense)?;
        Some(format!("says {}: {meaning}", quoted(phrase)))
    });
    let absent = || {
        let phrase = marks.words.find(Sense::Me).filter(|_| marks.automatic)?;
        Some(format!(
            "says {}: a machine answers for somebody who may be away",
            quoted(phrase)
        ))
    };
    said.or_else(absent)
}

/// The verdict where the store cannot be asked: a mail counts as tied to a notice when it carries a reference of ours or
/// answers a message, and its authority is the one among `profiles` that it comes from.
pub fn judge_alone<'p>(mail: &Opened, marks: &Marks, profiles: &'p [Profile]) -> (Verdict, Option<&'p Profile>) {
    let authority = profiles.iter().find(|profile| from_authority(mail, profile));
    let tied = !marks.references.is_empty() || !marks.answers.is_empty();
    let mut verdict = judge(mail, marks, authority.filter(|_| tied));
    if verdict.kind == ReceiptKind::Acknowledgement && marks.references.is_empty() {
        verdict
            .why
            .push_str("; that it answers one of our messages must be checked");
    }
    if let (Some(authority), ReceiptKind::Other) = (authority, verdict.kind)
        && !marks.mass
        && !marks.automatic
    {
        verdict = Verdict::of(
            ReceiptKind::Reply,
            format!("a person at {} wrote, without a reference", authority.id),
        );
    }
    (verdict, authority)
}

/// All its senders are senders of this authority. A From proves nothing: authenticity is checked elsewhere.
fn from_authority(mail: &Opened, profile: &Profile) -> bool {
    !mail.from.is_empty() && mail.from.iter().all(|sender| profile.sender_matches(&sender.address))
}

/// What a mail is whoever sent it.
fn by_itself(mail: &Opened, marks: &Marks, tied: bool) -> Option<Verdict> {
    if let Some(report) = &marks.report {
        return Some(Verdict::of(report.kind.receipt(), report.shown()));
    }
    let answer = answers_something(mail, marks);
    if marks.mass && !tied && !(answer && mail.header("List-Unsubscribe").is_none()) {
        return Some(Verdict::of(
            ReceiptKind::Other,
            "from a mailing list or a mass mailing".to_owned(),
        ));
    }
    let challenges = marks.words.count(Sense::Challenge);
    if let Some(phrase) = marks.words.find(Sense::Challenge)
        && (answer || marks.automatic || challenges > 1)
    {
        let why = format!("wants the sender to prove himself ({})", quoted(phrase));
        return Some(Verdict::of(ReceiptKind::Autoreply, why));
    }
    let phrase = marks.away?;
    let why = format!("says that somebody is away ({})", quoted(phrase));
    Some(Verdict::of(ReceiptKind::Autoreply, why))
}

/// Tied to no notice.
fn untied(mail: &Opened, marks: &Marks) -> Verdict {
    if marks.answers_by_machine {
        return Verdict::of(
            ReceiptKind::Autoreply,
            "a machine's answer, to no notice that is known".to_owned(),
        );
    }
    if marks.automatic {
        return Verdict::of(
            ReceiptKind::Other,
            "a machine's message that answers nothing".to_owned(),
        );
    }
    if automatic::forwarded(mail, &marks.words) {
        // What is passed on concerns us if it is a server's report or speaks of one of our messages.
        let concerns = [
            Sense::Failed,
            Sense::Delayed,
            Sense::FailedSubject,
            Sense::DelayedSubject,
        ];
        if !marks.references.is_empty() || concerns.into_iter().any(|sense| marks.words.find(sense).is_some()) {
            return Verdict::of(ReceiptKind::Reply, "a person passes on a mail".to_owned());
        }
        return Verdict::of(
            ReceiptKind::Other,
            "a person passes on a mail that is not about ours".to_owned(),
        );
    }
    match answers_something(mail, marks) {
        true => Verdict::of(
            ReceiptKind::Reply,
            "a person answers, to no notice that is known".to_owned(),
        ),
        false => Verdict::of(
            ReceiptKind::Other,
            "carries no reference of ours and answers none of our messages".to_owned(),
        ),
    }
}

fn quoted(phrase: &str) -> String {
    format!("\u{201c}{phrase}\u{201d}")
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
    let (text, _) = quote::unquoted(clip(&mail.text), &mail.to);
    [&mail.subject, &text]
        .into_iter()
        .find_map(|text| {
            let group = pattern.captures(text)?.get(1)?;
            Some(group.as_str().trim().to_owned())
        })
        .filter(|reference| !reference.is_empty() && reference.len() <= 128)
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(SEARCHED_BYTES)]
}
