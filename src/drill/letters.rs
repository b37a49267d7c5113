//! What the individuals of the drill find in their mailboxes: each message is read as its reader reads it, by the owner's
//! key where there is one, and compared with what that person should have got.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::dispatch::campaign::Wording;
use crate::message::open::{self, Opened, Protection};
use crate::model::Time;

use super::people::{People, Person};
use super::play::{folded, leaks};
use super::reader;
use super::receiver::TakenMail;

/// Shorter lines may occur anywhere.
const LINE_BYTES: usize = 20;

/// What was found in all messages together.
#[derive(Debug, Default)]
pub struct Letters {
    /// By reader: the Message-IDs of what came, copies included.
    pub came: HashMap<String, Vec<String>>,
    /// Persons who have decrypted their message and found our good signature.
    pub decrypted: HashSet<String>,
    /// Messages that are not to exactly one person, or do not name who reads them.
    pub misaddressed: usize,
    /// Messages that do not tell what happened in the reader's language, or do so in another as well.
    pub in_other_language: usize,
    /// Messages in clear to somebody with a key, closed ones to somebody without, signatures that are not ours.
    pub wrongly_sealed: usize,
    /// Sealed messages of which a line or the subject stands on the outside.
    pub readable_outside: usize,
}

/// Reads all of them; `ours` is our fingerprint.
pub fn read(mails: &[Arc<TakenMail>], people: &People, wording: &Wording, ours: &str, now: Time) -> Letters {
    let known = people.by_address();
    let mut found = Letters::default();
    for mail in mails {
        let [recipient] = mail.recipients.as_slice() else {
            found.misaddressed += 1;
            continue;
        };
        let Some(person) = known.get(recipient.address.as_str()) else {
            found.misaddressed += 1;
            continue;
        };
        let opened = open_as(person, mail, ours, now, &mut found);
        let ids = found.came.entry(person.address.clone()).or_default();
        ids.push(opened.message_id.clone().unwrap_or_default());
        let only_reader = opened.to.len() == 1 && opened.to.iter().all(|to| to.address == person.address);
        found.misaddressed += usize::from(!only_reader || !opened.text.contains(&person.name));
        found.in_other_language += usize::from(!is_in_language_of(person, &opened.text, wording));
    }
    found
}

fn open_as(person: &Person, mail: &TakenMail, ours: &str, now: Time, found: &mut Letters) -> Opened {
    let in_clear = || open::open(&mail.bytes, None, &[], now);
    let Some(key) = &person.key else {
        let opened = in_clear();
        found.wrongly_sealed += usize::from(opened.protection != Protection::Clear);
        return opened;
    };
    match reader::unseal(&mail.bytes, key, now) {
        Ok(unsealed) if unsealed.signed_by == ours => {
            found.decrypted.insert(person.address.clone());
            found.readable_outside += usize::from(is_readable(&mail.bytes, &unsealed.opened));
            unsealed.opened
        }
        _ => {
            found.wrongly_sealed += 1;
            in_clear()
        }
    }
}

/// Whether something of what was inside stands on the outside as well.
fn is_readable(mail: &[u8], inside: &Opened) -> bool {
    let outside = String::from_utf8_lossy(mail);
    let lines = inside
        .text
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= LINE_BYTES);
    leaks(mail)
        || lines
            .chain([inside.subject.as_str()])
            .any(|line| outside.contains(line))
}

fn is_in_language_of(person: &Person, text: &str, wording: &Wording) -> bool {
    let text = folded(text);
    wording.texts.iter().all(|(language, texts)| {
        let is_due = match person.language {
            Some(theirs) => theirs == language,
            None => wording.stacked.contains(language),
        };
        let told = texts.what_happened.as_deref().map(folded);
        told.is_some_and(|told| text.contains(&told)) == is_due
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::receiver::TakenRecipient;
    use crate::message::template::Templates;

    const NOW: i64 = 1_790_000_000;

    fn mail(to: &str, text: &str) -> Arc<TakenMail> {
        let head = format!("To: <{to}>\r\nMessage-ID: <1@company.example>\r\nContent-Type: text/plain; charset=utf-8");
        Arc::new(TakenMail {
            connection: 1,
            envelope_from: String::new(),
            from_parameters: Vec::new(),
            recipients: vec![TakenRecipient {
                address: to.to_owned(),
                parameters: Vec::new(),
            }],
            bytes: format!("{head}\r\n\r\n{text}\r\n").into_bytes(),
            tls: true,
            user: None,
        })
    }

    /// What is found in one message, written from the words for a language, to the person with this number.
    fn found(number: usize, name: &str, languages: &[&str]) -> Letters {
        let now = Time::from_timestamp(NOW, 0).unwrap();
        let people = People::invent(7, now).unwrap();
        let file = Some(("texts.yaml", include_bytes!("texts.yaml").as_slice()));
        let wording = Wording::read(file, false, false, &Templates::load(None).unwrap()).unwrap();
        let told = languages.iter().filter_map(|l| wording.texts[*l].what_happened.clone());
        let text = format!("{name}\r\n{}", told.collect::<Vec<_>>().join("\r\n"));
        let mail = mail(&people.all()[number - 1].address, &text);
        read(&[mail], &people, &wording, "", now)
    }

    #[test]
    fn what_is_not_as_it_should_be_is_seen() {
        let faults = |found: Letters| (found.misaddressed, found.in_other_language, found.wrongly_sealed);
        assert_eq!(faults(found(2, "Chloé Schmit", &["fr"])), (0, 0, 0));
        assert_eq!(faults(found(2, "Ben Müller", &["fr"])), (1, 0, 0), "another's name");
        assert_eq!(faults(found(2, "Chloé Schmit", &["de"])), (0, 1, 0), "another language");
        assert_eq!(faults(found(2, "Chloé Schmit", &["fr", "de"])), (0, 1, 0), "two");
        assert_eq!(
            faults(found(3, "David Dubois", &["de"])),
            (0, 0, 1),
            "a key, and not used"
        );
        let all = ["lb", "fr", "de", "pt", "en", "nl"];
        assert_eq!(faults(found(7, "Hugo Petit", &all)), (0, 0, 0), "language not known");
        assert_eq!(faults(found(7, "Hugo Petit", &all[1..])), (0, 1, 0), "one is missing");
        assert_eq!(found(2, "Chloé Schmit", &["fr"]).came.len(), 1);
    }

    #[test]
    fn a_line_on_the_outside_is_seen() {
        let inside = Opened {
            subject: "A subject that nobody may see".to_owned(),
            text: "Short.\r\nA line that is long enough to tell.\r\n".to_owned(),
            ..Opened::default()
        };
        assert!(!is_readable(b"Subject: Encrypted message\r\n\r\nShort.", &inside));
        assert!(is_readable(b"Subject: A subject that nobody may see\r\n", &inside));
        assert!(is_readable(b"\r\n> A line that is long enough to tell.\r\n", &inside));
        assert!(is_readable(b"quetzalcoatl", &inside));
    }
}
