//! What in a text its writer wrote, and what he quotes: our own words in an answer confirm nothing.

use super::mime::Mailbox;

/// Around the words that mail programs put before the mail they answer: `-----Original Message-----`.
const ORIGINALS: [&str; 18] = [
    "original message",
    "message d'origine",
    "message original",
    "ursprüngliche nachricht",
    "originalnachricht",
    "original-nachricht",
    "oorspronkelijk bericht",
    "origineel bericht",
    "forwarded message",
    "message transféré",
    "weitergeleitete nachricht",
    "doorgestuurd bericht",
    "mensaje original",
    "mensagem original",
    "messaggio originale",
    "oryginalna wiadomość",
    "ursprungligt meddelande",
    "oprindelig meddelelse",
];
/// The two first lines of the headers that Outlook puts there instead: who wrote, and when.
const FROM: [&str; 11] = [
    "from",
    "von",
    "de",
    "van",
    "da",
    "od",
    "vun",
    "från",
    "fra",
    "lähettäjä",
    "remitente",
];
const SENT: [&str; 16] = [
    "sent",
    "date",
    "gesendet",
    "datum",
    "envoyé",
    "verzonden",
    "enviado",
    "enviada",
    "inviato",
    "wysłano",
    "geschéckt",
    "skickat",
    "sendt",
    "data",
    "fecha",
    "lähetetty",
];
/// The end of `On 18 November Anna wrote:`.
const WROTE: [&str; 16] = [
    "wrote:",
    "writes:",
    "schrieb:",
    "schreef:",
    "a écrit :",
    "a écrit:",
    "escribió:",
    "escreveu:",
    "ha scritto:",
    "scrive:",
    "napisał(a):",
    "napisał:",
    "skrev:",
    "kirjoitti:",
    "geschriwwen:",
    "napsal:",
];

/// Of a mail to more, only the first are looked for.
const MOST_ADDRESSES: usize = 20;
/// How many lines may begin a quoted mail: `From`, `Sent`, `To`, `Cc`, `Subject`, `Importance`.
const MOST_HEADERS: usize = 6;

/// The text without what it quotes, and whether it quotes anything. `ours` are the addresses it was sent to: what is quoted
/// was written by one of them, and where it begins is known by that in every language.
pub(super) fn unquoted(text: &str, ours: &[Mailbox]) -> (String, bool) {
    let ours = ours.iter().take(MOST_ADDRESSES);
    let ours: Vec<String> = ours.map(|one| one.address.to_lowercase()).collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut own = String::with_capacity(text.len());
    let mut quotes = false;
    let mut skipped = 0;
    for (number, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if number < skipped {
            continue;
        }
        if trimmed.starts_with('>') {
            quotes = true;
            continue;
        }
        if begins_original(trimmed, &lines[number + 1..])
            || (!trimmed.is_empty() && begins_headers(&lines[number..], &ours))
        {
            quotes = true;
            break;
        }
        let after = match lines.get(number + 1) {
            _ if attributes(trimmed, &ours) => number + 1,
            Some(next) if is_wrapped(trimmed, next.trim(), &ours) => number + 2,
            _ => number,
        };
        if after > number {
            skipped = after;
            let next = lines[after..]
                .iter()
                .map(|line| line.trim())
                .find(|line| !line.is_empty());
            quotes |= next.is_some();
            match next {
                // The quotes are marked: what stands between and below them is the writer's.
                Some(next) if next.starts_with('>') => continue,
                Some(_) => break,
                None => {}
            }
        }
        own.push_str(line);
        own.push('\n');
    }
    (own, quotes)
}

fn begins_original(line: &str, next: &[&str]) -> bool {
    if line.starts_with("--") && line.len() < 120 {
        let words = line
            .trim_matches(|c: char| c == '-' || c.is_whitespace())
            .to_lowercase()
            .replace('\u{2019}', "'");
        return ORIGINALS.contains(&words.as_str());
    }
    let (label, rest) = label_of(line);
    let address_or_name = !rest.is_empty() && rest.len() < 200;
    let sent = next
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .take(2);
    address_or_name
        && FROM.contains(&label.as_str())
        && sent.map(label_of).any(|(label, _)| SENT.contains(&label.as_str()))
}

/// The headers of the mail that is answered, in whatever language: some labelled lines, of which one names one of us and
/// one a year.
fn begins_headers(lines: &[&str], ours: &[String]) -> bool {
    let labelled: Vec<&str> = lines
        .iter()
        .take(3 * MOST_HEADERS)
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .take(MOST_HEADERS)
        .map_while(|line| {
            let (label, rest) = label_of(line);
            (!label.is_empty() && !rest.is_empty()).then_some(rest)
        })
        .collect();
    labelled.len() >= 3 && labelled.iter().any(|line| names(line, ours)) && labelled.iter().any(|line| has_year(line))
}

fn names(line: &str, ours: &[String]) -> bool {
    let line = line.to_lowercase();
    ours.iter().any(|address| line.contains(address.as_str()))
}

fn has_year(line: &str) -> bool {
    let mut numbers = line.split(|c: char| !c.is_ascii_digit());
    numbers.any(|number| number.len() == 4 && (number.starts_with("19") || number.starts_with("20")))
}

/// `*From:* Anna` and `De : Anna` as their label in lower case and what follows.
fn label_of(line: &str) -> (String, &str) {
    match line.split_once(':') {
        Some((label, rest)) if label.chars().count() <= 24 => (
            label
                .trim_matches(|c: char| c.is_whitespace() || c == '*')
                .to_lowercase(),
            rest.trim(),
        ),
        _ => (String::new(), line),
    }
}

/// A long attribution goes over two lines, the first of which holds the date.
fn is_wrapped(first: &str, second: &str, ours: &[String]) -> bool {
    first.chars().any(|c| c.is_ascii_digit())
        && !first.ends_with(['!', '?', ';', ':'])
        && !attributes(second, ours)
        && attributes(&format!("{first} {second}"), ours)
}

fn attributes(line: &str, ours: &[String]) -> bool {
    if line.len() > 300 || !line.ends_with([':', '\u{ff1a}']) {
        return false;
    }
    if line.contains('<') && names(line, ours) && line.chars().any(|c| c.is_ascii_digit()) {
        return true;
    }
    let lower = line.to_lowercase().replace('\u{a0}', " ");
    let german = lower.contains(" schrieb ") || lower.contains(" schreef ");
    (german || WROTE.iter().any(|end| lower.ends_with(end)))
        && line.chars().any(|c| c.is_ascii_digit() || c == '@' || c == '<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_not_the_writers() {
        for (text, wanted) in [
            (
                "Dear all,\n> we have received it\nWhy?\n-----Original Message-----\nAcknowledgement",
                "Dear all,\nWhy?\n",
            ),
            (
                "Danke\n\nVon: Anna <a@b.example>\nGesendet: Montag\nAn: x\n\nEingangsbestätigung",
                "Danke\n\n",
            ),
            ("Yes.\nOn Mon, 2 Nov 2026, Anna wrote:\nreceived", "Yes.\n"),
            ("On Mon, 2 Nov 2026, Anna wrote:\n> received\nNo.", "No.\n"),
            ("Am 02.11.26 um 10:00 schrieb Anna Muster:\n> x\nGut", "Gut\n"),
            ("--\nAnna", "--\nAnna\n"),
            ("From: us\nto you", "From: us\nto you\n"),
            ("She wrote:\nhello", "She wrote:\nhello\n"),
        ] {
            assert_eq!(unquoted(text, &[]).0, wanted, "{text}");
        }
        assert!(!unquoted("nothing", &[]).1);
    }

    #[test]
    fn what_we_wrote_is_known_in_every_language() {
        let ours = [Mailbox::new(None, "breach@example.lu")];
        for (text, wanted) in [
            (
                "Dotaz?\n\nOd: Example <breach@example.lu>\nOdesláno: neděle 22. listopadu 2026 10:00\nKomu: x\nPředmět: y\n\nreceived",
                "Dotaz?\n\n",
            ),
            (
                "Ερώτηση;\n\nΑπό: Example <Breach@Example.lu>\n\nΣτάλθηκε: 22/11/2026\n\nΠρος: x\n\nreceived",
                "Ερώτηση;\n\n",
            ),
            (
                "Klausimas?\n2026-11-22, 10:00 Example <breach@example.lu> rašė:\nreceived",
                "Klausimas?\n",
            ),
            (
                "Why?\nOn Sun, 22 Nov 2026 at 10:00, Example S.A. <breach@example.lu>\nwrote:\nreceived",
                "Why?\n",
            ),
            (
                "Warum?\nAm 22. Nov. 2026 schrieb Example S.A.\n<breach@example.lu>:\nreceived",
                "Warum?\n",
            ),
            (
                "Why?\nOn Sun, 22 Nov 2026, <breach@example.lu>\nwrote:\n> received\nAnswer.",
                "Why?\nAnswer.\n",
            ),
            // A list of facts, and a line with somebody else's address.
            (
                "File: 2026/118\nOfficer: Anna\nPhone: 123\nreceived",
                "File: 2026/118\nOfficer: Anna\nPhone: 123\nreceived\n",
            ),
            (
                "Send to <inbox@cnpd.lu> by 30.11.2026:\nthe list",
                "Send to <inbox@cnpd.lu> by 30.11.2026:\nthe list\n",
            ),
        ] {
            assert_eq!(unquoted(text, &ours).0, wanted, "{text}");
        }
    }
}
