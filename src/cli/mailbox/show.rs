//! One mail as a person reads it, and its attachments as files with safe names.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::notice::asked;
use crate::cli::output::{Exit, Failure};
use crate::config;
use crate::dispatch::desk::conversation::InquiryView;
use crate::message::mime::{Attachment, Mailbox};
use crate::message::open::{Opened, Protection, Signature};
use crate::store::StoredMail;

/// Longer file names are cut; systems allow 255 bytes.
const NAME_MOST_CHARS: usize = 100;

#[derive(Serialize)]
pub struct MailView<'a> {
    #[serde(flatten)]
    stored: &'a StoredMail,
    from: Vec<String>,
    subject: &'a str,
    text: &'a str,
    attachments: Vec<&'a str>,
    /// How it was protected, and what its signature proves.
    authenticity: String,
    /// What is proven about its sender, in plain words.
    sender: String,
    /// What the reader should know of its form.
    defects: &'a [String],
    inquiry: Option<&'a InquiryView>,
    /// The files that were written.
    saved: Vec<PathBuf>,
}

impl<'a> MailView<'a> {
    pub fn of(
        stored: &'a StoredMail,
        opened: &'a Opened,
        inquiry: Option<&'a InquiryView>,
        saved: Vec<PathBuf>,
    ) -> Self {
        let protection = match &opened.protection {
            Protection::Clear => "not encrypted".to_owned(),
            Protection::Encrypted => "encrypted to us".to_owned(),
            Protection::Undecryptable(reason) => format!("encrypted, cannot be opened: {reason}"),
            Protection::SMime => "S/MIME, which is not opened here".to_owned(),
        };
        let signature = match &opened.signature {
            Signature::None => "not signed: its From address proves nothing".to_owned(),
            Signature::Good { fingerprint } => format!("good OpenPGP signature by {fingerprint}"),
            Signature::Unknown { .. } => "signed by a certificate that was not imported: proves nothing".to_owned(),
            Signature::Bad => "BAD OpenPGP signature: the content was changed".to_owned(),
        };
        let known = stored.understanding.as_ref();
        Self {
            stored,
            from: opened.from.iter().map(Mailbox::shown).collect(),
            subject: &opened.subject,
            text: &opened.text,
            attachments: opened
                .attachments
                .iter()
                .map(|attachment| attachment.name.as_str())
                .collect(),
            authenticity: format!("{protection}; {signature}"),
            sender: known.map(|known| known.authenticity.words()).unwrap_or_default(),
            defects: &opened.defects,
            inquiry,
            saved,
        }
    }

    pub fn human(&self) -> String {
        let mut text = format!(
            "{}  received {}\nFrom: {}\nSubject: {}\nProtection: {}\nSender: {}\n",
            self.stored.id,
            self.stored.received_at.format("%Y-%m-%d %H:%M UTC"),
            &self.from.join(", "),
            self.subject,
            &self.authenticity,
            &self.sender
        );
        if let Some(known) = &self.stored.understanding {
            text.push_str(&format!("Understood as: {} ({})\n", known.kind.name(), &known.why));
            let belongs = known.notice.as_ref().map(ToString::to_string);
            if let Some(belongs) = belongs.or_else(|| known.delivery.map(|id| id.to_string())) {
                let mark = known.matched_by.map_or("", |mark| mark.words());
                text.push_str(&format!("Belongs to: {belongs} ({mark})\n"));
            }
            if let Some(phrase) = &known.order_hint {
                text.push_str(&format!(
                    "Look closely: \u{201c}{phrase}\u{201d} may be an order to inform the persons concerned (GDPR Art. 34(4)).\n  \
                     If it is: breachpost mailbox match {} {} --order inform\n",
                    self.stored.id,
                    known.notice.as_ref().map_or_else(|| "REFERENCE".to_owned(), ToString::to_string)
                ));
            }
        }
        if self.stored.in_tray {
            text.push_str("Waits in the tray: breachpost mailbox tray\n");
        }
        if let Some(settled) = &self.stored.settled {
            let why = settled
                .reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(": {}", reason));
            text.push_str(&format!(
                "Decided: {} by {} on {}{why}\n",
                settled.how.name(),
                settled.by,
                settled.at.format("%Y-%m-%d %H:%M UTC")
            ));
        }
        if let Some(inquiry) = self.inquiry {
            text.push_str(&format!("Question: {}\n", asked(inquiry)));
        }
        for defect in self.defects {
            text.push_str(&format!("Note: {}\n", defect));
        }
        for attachment in &self.attachments {
            text.push_str(&format!("Attachment: {}\n", attachment));
        }
        for path in &self.saved {
            text.push_str(&format!("Saved: {}\n", path.display()));
        }
        if !self.attachments.is_empty() && self.saved.is_empty() {
            text.push_str(&format!(
                "To save them: breachpost mailbox show {} --save DIR\n",
                self.stored.id
            ));
        }
        text.push_str(&format!("\n{}\n", self.text));
        text
    }
}

/// Writes the attachments into a folder (0700 where it is made) as private files (0600); overwrites nothing.
pub fn save(folder: &Path, attachments: &[Attachment]) -> Result<Vec<PathBuf>, Failure> {
    let mut saved = Vec::new();
    if attachments.is_empty() {
        return Ok(saved);
    }
    config::make_private_folder(folder)?;
    for attachment in attachments {
        saved.push(save_one(folder, attachment)?);
    }
    Ok(saved)
}

fn save_one(folder: &Path, attachment: &Attachment) -> Result<PathBuf, Failure> {
    let name = safe_name(&attachment.name);
    for number in 0..1000 {
        let path = folder.join(match number {
            0 => name.clone(),
            number => format!("{number}-{name}"),
        });
        let mut options = OpenOptions::new();
        let written = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(&attachment.bytes));
        match written {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot write {}", path.display()));
                return Err(Failure::new(Exit::Ours, error));
            }
        }
    }
    Err(Failure::usage(format!(
        "{} holds too many files of that name",
        folder.display()
    )))
}

/// A name that stays in its folder and hides nothing: no path, no control characters, no leading dot or dash.
fn safe_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_direction_mark(*c))
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    let plain = plain.trim().trim_start_matches(['.', '-']).trim();
    let skip = plain.chars().count().saturating_sub(NAME_MOST_CHARS);
    // The ending says what it is: cut in front of it.
    let name: String = plain.chars().skip(skip).collect();
    let mut name = name.trim_start_matches(['.', '-', ' ']).to_owned();
    while name.len() > 200 {
        name.remove(0);
    }
    if name.is_empty() { "attachment".to_owned() } else { name }
}

/// Marks that turn the reading direction, so that `exe.txt` may be something else.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for (given, expected) in [
            ("report.pdf", "report.pdf"),
            ("mesures été.txt", "mesures été.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("..", "attachment"),
            ("/", "attachment"),
            ("", "attachment"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a\0b\nc.txt", "abc.txt"),
            ("\u{202e}fdp.exe", "fdp.exe"),
            ("a:b?.txt", "a_b_.txt"),
        ] {
            assert_eq!(safe_name(given), expected, "{given}");
        }
        let long = safe_name(&format!("{}.pdf", "ä".repeat(500)));
        assert!(long.ends_with("ä.pdf") && long.len() <= 200, "{long}");
    }

    #[test]
    fn nothing_is_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("saved");
        let one = |bytes: &[u8]| Attachment {
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            bytes: bytes.to_vec(),
        };
        let saved = save(&folder, &[one(b"1"), one(b"2")]).unwrap();
        let again = save(&folder, &[one(b"3")]).unwrap();
        let read: Vec<Vec<u8>> = saved
            .iter()
            .chain(&again)
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        assert_eq!(read, [b"1", b"2", b"3"]);
    }
}
