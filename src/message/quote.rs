//! What in a text its writer wrote, and what he quotes: our own words in an answer confirm nothing.

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

/// The text without what it quotes, and whether it quotes anything.
pub(super) fn unquoted(text: &str) -> (String, bool) {
    let lines: Vec<&str> = text.lines().collect();
    let mut own = String::with_capacity(text.len());
    let mut quotes = false;
    for (number, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('>') {
            quotes = true;
            continue;
        }
        if begins_original(trimmed, &lines[number + 1..]) {
            quotes = true;
            break;
        }
        if attributes(trimmed) {
            let next = lines[number + 1..]
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

/// `*From:* Anna` and `De : Anna` as their label in lower case and what follows.
fn label_of(line: &str) -> (String, &str) {
    match line.split_once(':') {
        Some((label, rest)) if label.len() < 24 => (
            label
                .trim_matches(|c: char| c.is_whitespace() || c == '*')
                .to_lowercase(),
            rest.trim(),
        ),
        _ => (String::new(), line),
    }
}

fn attributes(line: &str) -> bool {
    if line.len() > 300 || !line.ends_with(':') {
        return false;
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
            assert_eq!(unquoted(text).0, wanted, "{text}");
        }
        assert!(!unquoted("nothing").1);
    }
}
