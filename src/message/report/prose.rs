//! Reports without a machine-readable part: what servers write in words. Recipients are found by how a line is built (an
//! address alone, before a colon, after a label, in a server's reply), the same in every language; the words, which are
//! data, only decide whether it is a report at all, and whether it is the end or a delay.

use std::sync::LazyLock;

use super::super::automatic::{self, Hand};
use super::super::open::Opened;
use super::super::phrases::{Automaton, Found, Sense, fold, words};
use super::{Action, Recipient, Report, ReportKind, Returned, address, code, fields, returned};

/// Of a longer text only the start is read: the news comes first, then the copy.
const READ_BYTES: usize = 256 * 1024;
const MOST_LINES: usize = 2000;
/// How many lines after a recipient's may speak of it.
const SECTION_LINES: usize = 40;
const DIAGNOSTIC_CHARS: usize = 500;

/// Reads a report from words; `None` if the mail is none.
pub(super) fn read(mail: &Opened, words: &Found) -> Option<Report> {
    let named = mail.header("X-Failed-Recipients").is_some();
    let daemon = from_daemon(mail);
    let sure_subject = [Sense::FailedSubject, Sense::DelayedSubject, Sense::DeliveredSubject]
        .into_iter()
        .any(|sense| words.in_subject(sense).is_some());
    let subject = sure_subject || words.in_subject(Sense::ReportSubject).is_some();
    let body = [Sense::Failed, Sense::Permanent, Sense::Delayed, Sense::Delivered]
        .into_iter()
        .any(|sense| words.find(sense).is_some());
    if !(named || daemon || subject || body) {
        return None;
    }
    let returned = returned::find(mail);
    let null_path = mail.return_path.as_deref() == Some("");
    let answers = words.begins_subject(Sense::ReplyPrefix, &mail.subject).is_some();
    let hand = automatic::hand(mail);
    if !named && !daemon && (answers || automatic::away(mail, words, false).is_some()) {
        return None;
    }
    let kind = kind_of(mail, words);
    let recipients = recipients(mail, returned.as_ref(), kind);
    let refused = recipients
        .iter()
        .any(|r| r.diagnostic.as_deref().is_some_and(|d| code::reply_code(d).is_some()));
    let machine = null_path || hand >= Hand::Machine;
    // "Your message" is what people write about as well, above all in answer to one.
    let perhaps_a_person = hand == Hand::Unsaid && !null_path && (!sure_subject || !mail.in_reply_to.is_empty());
    let is_report = named
        || (daemon && (subject || body || refused))
        || (daemon && null_path && named_by_structure(mail, returned.as_ref()))
        || (machine && (subject || body) && (returned.is_some() || refused || (subject && body)))
        || (subject && (body || refused) && !recipients.is_empty() && !perhaps_a_person);
    if !is_report {
        return None;
    }
    let mut report = Report::of(kind);
    report.by_server = named || daemon || machine;
    report.recipients = recipients;
    report.returned = returned;
    report.from_text = true;
    Some(report)
}

/// In a language that has no words here: a mail server that writes with the null path (RFC 5321 §4.5.5) and gives a message
/// back, or names one address as a report does, speaks of a delivery.
fn named_by_structure(mail: &Opened, returned: Option<&Returned>) -> bool {
    returned.is_some() || {
        let text = notification(mail);
        let lines: Vec<&str> = text.lines().take(MOST_LINES).collect();
        let ours = |address: &str| mail.to.iter().any(|to| to.address.eq_ignore_ascii_case(address));
        let mut listed = candidates(&lines);
        listed.retain(|found| found.rank <= Rank::Refused && !ours(&found.address) && !is_daemon(&found.address));
        listed.dedup_by(|one, other| one.address.eq_ignore_ascii_case(&other.address));
        listed.len() == 1
    }
}

/// What the words amount to: a delay only where nothing says that it is over.
pub(super) fn kind(words: &Found) -> ReportKind {
    let over = words.find(Sense::Permanent).is_some();
    let delayed_subject = words.in_subject(Sense::DelayedSubject).is_some();
    let failed_subject = words.in_subject(Sense::FailedSubject).is_some();
    if !over && (delayed_subject || words.find(Sense::Delayed).is_some()) {
        return ReportKind::Delay;
    }
    let delivered = words.in_subject(Sense::DeliveredSubject).is_some() || words.find(Sense::Delivered).is_some();
    if delivered && !over && !failed_subject && words.find(Sense::Failed).is_none() {
        return ReportKind::Delivered;
    }
    ReportKind::Bounce
}

/// Where no word says that it is over, the codes do: a server that was only put off for now is tried again.
pub(super) fn kind_of(mail: &Opened, words: &Found) -> ReportKind {
    let failed = [Sense::Failed, Sense::Permanent]
        .into_iter()
        .any(|sense| words.find(sense).is_some())
        || words.in_subject(Sense::FailedSubject).is_some();
    match kind(words) {
        ReportKind::Bounce if !failed && is_put_off(&notification(mail)) => ReportKind::Delay,
        kind => kind,
    }
}

/// It quotes a code, and none but of the class that is not final (RFC 5321 §4.2.1).
fn is_put_off(text: &str) -> bool {
    let classes: Vec<char> = text
        .lines()
        .take(MOST_LINES)
        .flat_map(|line| {
            [
                code::reply_code(line).map(|code| code.to_string()),
                code::enhanced(line),
            ]
        })
        .flatten()
        .filter_map(|code| code.chars().next())
        .collect();
    !classes.is_empty() && classes.iter().all(|class| *class == '4')
}

/// Whether a mail server wrote it, by its From (RFC 5321 §4.5.5 leaves it the null path; RFC 3464 §2 a name of its own).
fn from_daemon(mail: &Opened) -> bool {
    static NAMES: LazyLock<Automaton> = LazyLock::new(|| {
        let folded: Vec<String> = words().daemon_names.iter().map(|name| fold(name)).collect();
        Automaton::new(&folded)
    });
    mail.from.iter().any(|from| {
        is_daemon(&from.address)
            || from
                .name
                .as_deref()
                .is_some_and(|name| !NAMES.found(&fold(name)).is_empty())
    }) || (mail.from.is_empty()
        && mail
            .header("From")
            .is_some_and(|from| is_daemon(from.trim_matches(['<', '>', ' ', '"']))))
}

/// Whether a mail server sent it: by its From, with the null path.
pub(super) fn from_server(mail: &Opened) -> bool {
    mail.return_path.as_deref() == Some("") && from_daemon(mail)
}

fn is_daemon(address: &str) -> bool {
    let local = address
        .split_once('@')
        .map_or(address, |(local, _)| local)
        .to_ascii_lowercase();
    words().daemon_local_parts.contains(&local)
}

/// What the server itself wrote: the text without the copy of the message.
pub(super) fn notification(mail: &Opened) -> String {
    split(mail).0
}

/// The copy of the message that stands in the text, if one does.
pub(super) fn pasted(mail: &Opened) -> Option<String> {
    split(mail).1
}

/// Divides the text where a separator stands, or where the headers of a mail begin.
fn split(mail: &Opened) -> (String, Option<String>) {
    static SEPARATORS: LazyLock<Automaton> = LazyLock::new(|| {
        let folded: Vec<String> = words().separators.iter().map(|line| fold(line)).collect();
        Automaton::new(&folded)
    });
    // What a reader may not see, because the protected part beside it is shown, is what the server wrote.
    let text = if mail.outside.is_empty() {
        &mail.text
    } else {
        &mail.outside
    };
    let text = &text[..text.floor_char_boundary(READ_BYTES)];
    let mut at = 0;
    for line in text.split_inclusive('\n').take(MOST_LINES) {
        let trimmed = line.trim();
        let after = at + line.len();
        if trimmed.len() > 8 && trimmed.len() < 200 && separates(&SEPARATORS, &fold(trimmed)) {
            return (text[..at].to_owned(), copy(&text[after..]));
        }
        let may_begin = !line.starts_with([' ', '\t'])
            && fields::field(trimmed).is_some_and(|(name, _)| {
                [
                    "return-path",
                    "received",
                    "message-id",
                    "from",
                    "date",
                    "mime-version",
                    "delivered-to",
                    "dkim-signature",
                ]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
            });
        if may_begin && let Some(found) = copy(&text[at..]).filter(|found| returned::begins_a_mail(found)) {
            return (text[..at].to_owned(), Some(found));
        }
        at = after;
    }
    (text.to_owned(), None)
}

/// A phrase of the list makes a separator where it is framed (`--- … ---`), announces (`…:`), or begins the line.
fn separates(phrases: &Automaton, folded: &str) -> bool {
    let framed = folded.starts_with(['-', '=', '*', '_', '#', '+']) || folded.ends_with([':', '-', '=', '_']);
    let core = folded.find(|c: char| c.is_alphanumeric()).unwrap_or(0);
    let found = phrases.found(folded);
    found.iter().any(|(_, start, _)| framed || *start == core)
}

/// What follows a separator, without the indentation, quotes or rule that some put before it, and without what they say
/// about the copy: `------ The body of the message is 13734 characters long; only the first`.
fn copy(text: &str) -> Option<String> {
    /// The headers begin soon after the separator.
    const MOST_REMARKS: usize = 10;
    let mut lines = text
        .lines()
        .skip_while(|line| line.trim().is_empty() || line.trim().chars().all(|c| "-=_*>+ ".contains(c)))
        .peekable();
    let is_header = |line: &&str| fields::field(line.trim_start_matches([' ', '\t', '>', '|'])).is_some();
    let remarks = lines.clone().take(MOST_REMARKS).position(|line| is_header(&line));
    let mut lines = lines.by_ref().skip(remarks.unwrap_or(0)).peekable();
    let first = lines.peek()?;
    let margin = &first[..first.len() - first.trim_start_matches([' ', '\t', '>', '|']).len()];
    let margin = margin.to_owned();
    let copy: Vec<&str> = lines
        .map(|line| line.strip_prefix(margin.as_str()).unwrap_or(line))
        .collect();
    Some(copy.join("\n"))
}

/// An address in the server's text, and how sure it is that it is a recipient.
struct Candidate {
    line: usize,
    /// Where the address begins and where the words after it do.
    start: usize,
    after: usize,
    address: String,
    rank: Rank,
}

/// Only the best rank found counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It begins the line, alone or before its reason, or stands after a recipient's label.
    Listed,
    /// In a server's reply, a command, a sentence that says that something failed.
    Refused,
    /// After a label or a word such as `to`.
    Named,
}

/// The recipients that the text names, with what it says of each.
pub(super) fn recipients(mail: &Opened, returned: Option<&Returned>, kind: ReportKind) -> Vec<Recipient> {
    let text = notification(mail);
    let lines: Vec<&str> = text.lines().take(MOST_LINES).collect();
    let sent_to = |address: &str| {
        returned.is_some_and(|returned| returned.to.iter().any(|to| to.address.eq_ignore_ascii_case(address)))
    };
    let ours = |address: &str| mail.to.iter().any(|to| to.address.eq_ignore_ascii_case(address));
    let reporter = |address: &str| mail.from.iter().any(|from| from.address.eq_ignore_ascii_case(address));
    let named: Vec<String> = mail
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("X-Failed-Recipients"))
        .flat_map(|(_, value)| value.split(','))
        .map(address::normalised)
        .filter(|address| !address.is_empty())
        .collect();
    let mut candidates = candidates(&lines);
    candidates.retain(|found| {
        sent_to(&found.address)
            || named.iter().any(|named| named.eq_ignore_ascii_case(&found.address))
            || !(ours(&found.address) || reporter(&found.address) || is_daemon(&found.address))
    });
    let best = candidates.iter().map(|candidate| candidate.rank).min();
    let mut addresses = named;
    if addresses.is_empty() {
        for candidate in candidates.iter().filter(|candidate| Some(candidate.rank) == best) {
            if !addresses
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&candidate.address))
            {
                addresses.push(candidate.address.clone());
            }
        }
    }
    if addresses.is_empty()
        && let Some([only]) = returned.map(|returned| returned.to.as_slice())
    {
        addresses.push(only.address.clone());
    }
    let action = match kind {
        ReportKind::Delay => Action::Delayed,
        ReportKind::Delivered => Action::Delivered,
        _ => Action::Failed,
    };
    addresses
        .into_iter()
        .take(super::MOST_RECIPIENTS)
        .map(|address| told(address, action, &lines, &candidates))
        .collect()
}

/// One recipient with the best diagnostic: from the lines after its own, else from any line that names it, else from
/// any reply in the text.
fn told(address: String, action: Action, lines: &[&str], candidates: &[Candidate]) -> Recipient {
    let of_it = |candidate: &&Candidate| candidate.address.eq_ignore_ascii_case(&address);
    let sections = candidates.iter().filter(of_it).map(|own| {
        let next = candidates
            .iter()
            .filter(|other| other.line > own.line && other.rank == own.rank && !of_it(other))
            .map(|other| other.line)
            .min();
        let end = next.unwrap_or(lines.len()).min(own.line + SECTION_LINES);
        let line = lines[own.line];
        let labelled = line[..own.start].chars().any(char::is_alphanumeric);
        // `Unknown user: anna@example.org` says it before the address.
        let first = match labelled && (code::means_something(line) || code::reply_code(line).is_some()) {
            true => line,
            false => line[own.after..].trim_start_matches([':', '>', ')', ']', '"', '\'', ',', ' ']),
        };
        let mut section = vec![first];
        section.extend(&lines[own.line + 1..end.max(own.line + 1)]);
        best_line(&section)
    });
    // Of lines that weigh the same the first is taken: it stands nearest to the address.
    let mut best: Option<(Weight, String)> = None;
    for found in sections.flatten() {
        if best.as_ref().is_none_or(|(weight, _)| found.0 > *weight) {
            best = Some(found);
        }
    }
    if best.as_ref().is_none_or(|(weight, _)| *weight < Weight::Meaning) {
        let anywhere = best_line(lines).filter(|(weight, _)| *weight >= Weight::Meaning);
        best = anywhere.or(best);
    }
    let diagnostic = best.map(|(_, line)| line).filter(|line| !line.is_empty());
    let status = code::derive(diagnostic.as_deref().unwrap_or_default(), action);
    Recipient {
        original: original(&address, lines),
        status: match action {
            // "Delayed" with a 5.x.x would be no delay.
            Action::Delayed => status.replacen('5', "4", usize::from(status.starts_with('5'))),
            _ => status,
        },
        address,
        action,
        diagnostic,
        remote_mta: None,
    }
}

/// What a line is worth as a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Words,
    Meaning,
    Reply,
    Enhanced,
    Both,
}

/// The line that says most, with the lines that continue it.
fn best_line(lines: &[&str]) -> Option<(Weight, String)> {
    let mut best: Option<(Weight, usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        let said = line.trim();
        if said.chars().filter(|c| c.is_alphabetic()).count() < 3 || said.starts_with(">>>") {
            continue;
        }
        let weight = match (code::reply_code(said).is_some(), code::enhanced(said).is_some()) {
            (true, true) => Weight::Both,
            (false, true) => Weight::Enhanced,
            (true, false) => Weight::Reply,
            (false, false) if code::means_something(said) => Weight::Meaning,
            (false, false) => Weight::Words,
        };
        if best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, number));
        }
    }
    let (weight, number) = best?;
    let mut line = fields::one_line(from_reply(lines[number].trim()));
    for more in &lines[number + 1..] {
        let next = more.trim();
        let deeper = indent(more) > indent(lines[number]);
        let goes_on = deeper || (code::reply_code(next).is_some() && next.starts_with(['4', '5']));
        let other = next.is_empty() || next.starts_with("<<<") || next.starts_with(">>>") || next.starts_with('(');
        if !goes_on || other || line.len() > DIAGNOSTIC_CHARS || weight == Weight::Words {
            break;
        }
        line.push(' ');
        line.push_str(&fields::one_line(next));
    }
    line.truncate(line.floor_char_boundary(DIAGNOSTIC_CHARS));
    // `(reason: …)`: the bracket that closes what stood before the reply.
    let line = match line.strip_suffix(')') {
        Some(inside) if inside.matches('(').count() <= inside.matches(')').count() => inside.to_owned(),
        _ => line,
    };
    Some((weight, line))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A quoted reply without what introduces it: `Remote host said: 550 …`, `(reason: 550 …)`, `<<< 550 …`, `#550 …`.
fn from_reply(line: &str) -> &str {
    let bytes = line.as_bytes();
    let start = (0..bytes.len().saturating_sub(2)).find(|at| {
        let is_code = matches!(bytes[*at], b'4' | b'5')
            && bytes[at + 1].is_ascii_digit()
            && bytes[at + 2].is_ascii_digit()
            && matches!(bytes.get(at + 3), Some(b' ' | b'-' | b':'));
        is_code && {
            let before = line[..*at].trim_end();
            before.is_empty() || before.ends_with([':', ';', '<', '#', '(', '\'', '"', '=', '-'])
        }
    });
    line[start.unwrap_or(0)..].trim_end_matches(['\'', '"'])
}

/// The alias that the address was made from: `(expanded from: <x>)`, `(generated from x)`.
fn original(address: &str, lines: &[&str]) -> Option<String> {
    let own = lines.iter().position(|line| line.contains(address))?;
    let near = &lines[own..lines.len().min(own + 4)];
    let line = near.iter().find(|line| made_from(line))?;
    let (.., original) = address::in_line(line)
        .into_iter()
        .find(|(.., other)| other != address)?;
    Some(original)
}

fn made_from(line: &str) -> bool {
    line.contains("expanded from") || line.contains("generated from")
}

fn candidates(lines: &[&str]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if !line.contains('@') || made_from(line) {
            continue;
        }
        let addresses = address::in_line(line);
        let Some((start, ..)) = addresses.first() else { continue };
        let Some(rank) = rank(line, *start, &addresses) else {
            continue;
        };
        found.extend(addresses.into_iter().map(|(start, after, address)| Candidate {
            line: number,
            start,
            after,
            address,
            rank,
        }));
    }
    found
}

/// How the first address stands in its line.
fn rank(line: &str, start: usize, addresses: &[(usize, usize, String)]) -> Option<Rank> {
    let end = addresses.last().map_or(start, |(_, end, _)| *end);
    let before = line[..start].trim_end_matches(['<', '"', '\'', '(', '[', ' ', '\t', '\u{201c}', '\u{ab}', '「']);
    let first_end = addresses.first().map_or(end, |(_, end, _)| *end);
    let after = line[first_end..].trim_start_matches(['>', '"', '\'', ']', '\u{201d}', '\u{bb}', '」']);
    let alone = line[end..].chars().all(|c| !c.is_alphanumeric());
    let bare = before.trim_matches(|c: char| c.is_whitespace() || "*-\u{2022}\u{b7}+#".contains(c));
    if bare.is_empty() {
        let begins_reason = after
            .trim_start()
            .starts_with([':', '(', ',', ';', '<', '[', '=', '：', '（'])
            || after.trim_start().starts_with("...")
            || after.starts_with(" - ")
            || after.starts_with(" on ")
            || after.starts_with('\t');
        return Some(if alone || begins_reason {
            Rank::Listed
        } else {
            Rank::Refused
        });
    }
    if let Some(label) = bare.strip_suffix([':', '：', '=']) {
        return labelled(label, alone);
    }
    if code::reply_code(line).is_some() || code::enhanced(line).is_some() || code::means_something(line) {
        return Some(Rank::Refused);
    }
    let words = Found::read("", line);
    let says = [Sense::Failed, Sense::Permanent, Sense::Delayed, Sense::Delivered];
    if says.into_iter().any(|sense| words.find(sense).is_some()) {
        return Some(Rank::Refused);
    }
    // `Anna Muster <anna@example.org>` on a line of its own, or `… to anna@example.org`.
    let label = fold(bare);
    let last = label.rsplit([' ', '\'']).next().unwrap_or(&label);
    (alone
        || super::super::phrases::words()
            .recipient_labels
            .iter()
            .any(|known| known == last))
    .then_some(Rank::Named)
}

fn labelled(label: &str, alone: bool) -> Option<Rank> {
    static LABELS: LazyLock<(Automaton, Vec<String>)> = LazyLock::new(|| {
        let folded: Vec<String> = words().recipient_labels.iter().map(|label| fold(label)).collect();
        (
            Automaton::new(&folded),
            words().other_labels.iter().map(|label| fold(label)).collect(),
        )
    });
    let label = fold(label.trim());
    let (recipient, other) = &*LABELS;
    let last = label.rsplit([' ', '>', '(']).next().unwrap_or(&label);
    if label.ends_with("rcpt to") {
        return Some(Rank::Refused);
    }
    if other.iter().any(|known| *known == label || known == last) {
        return None;
    }
    if label == "to" {
        return Some(Rank::Named);
    }
    if !recipient.found(&label).is_empty() {
        return Some(Rank::Listed);
    }
    alone.then_some(Rank::Named)
}
