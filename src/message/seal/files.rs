//! The layout for readers without a mail plug-in: a cover text in clear, and each file signed and encrypted on its own.
//!
//! The files are saved and opened with whatever OpenPGP program the reader has. Their names are neutral; their true
//! names stand in the notice, with their digests, so that the signed notice covers the set: none can be exchanged
//! for one of another notice, or left out unnoticed.

use super::cipher::{self, Form};
use super::{Flaw, Reader, SealError, Sealed, canonical, header_with};
use crate::directory::profile::Layout;
use crate::message::header;
use crate::message::key::OurKey;
use crate::message::mime::{Attachment, Content, Envelope, Headers, MimeError, clear_mail};
use crate::message::open;
use crate::message::part::Entity;
use crate::message::token;
use crate::model::Time;

/// The ending that every OpenPGP program on a desktop is registered for (Gpg4win's Kleopatra, GPG Suite, Symantec), and
/// that is a certificate or a signature nowhere, as `.asc` may be.
const ENDING: &str = ".gpg";
const NOTICE: &str = "notice.txt";
/// Longer endings of attachments' names are not endings but names.
const LONGEST_ENDING: usize = 5;

/// The files of a notice, each signed and encrypted on its own to `to` and to ourselves: `notice.txt.gpg` with the
/// subject, the text and the list of the others, `file-2.pdf.gpg` and so on for the attachments, and our public
/// certificate. Only the text form is used; HTML is left out. For a certificate or, by [`Reader::Passphrase`], for
/// whoever is told the passphrase.
///
/// # Errors
/// [`SealError::Mime`] (a line break in the subject or a file's name), [`SealError::Key`] (our key has expired),
/// [`SealError::Encrypt`].
pub fn sealed_files<'a>(
    content: &Content,
    our: &OurKey,
    to: impl Into<Reader<'a>>,
    now: Time,
) -> Result<Vec<Attachment>, SealError> {
    let to = to.into();
    our.refuse_expired(now)?;
    let mut sealed = Vec::with_capacity(content.attachments.len() + 2);
    for plain in plain_files(content)? {
        sealed.push(Attachment {
            name: format!("{}{ENDING}", plain.name),
            // Not application/pgp-encrypted: mail programs take that for a PGP/MIME mail that a gateway broke.
            media_type: "application/octet-stream".to_owned(),
            bytes: cipher::encrypt(&plain.bytes, our, to, Form::Binary, now).map_err(|e| to.cannot(e))?,
        });
    }
    sealed.push(our_certificate(our));
    Ok(sealed)
}

/// Like [`super::seal`] in the layout of this file: `cover` travels in clear, so it must be neutral (who writes, the
/// reference, what to do with the files, a telephone number). [`Sealed::content`] is the mail in clear that the
/// files stand for.
///
/// # Errors
/// As [`sealed_files`], and a header value that cannot be written.
pub fn seal_files<'a>(
    content: &Content,
    cover: &str,
    headers: &Headers,
    our: &OurKey,
    to: impl Into<Reader<'a>>,
    now: Time,
) -> Result<Sealed, SealError> {
    let to = to.into();
    let envelope = Envelope::new(content, headers)?;
    let files = sealed_files(content, our, to, now)?;
    let bundle = clear_mail(&unsealed(content)?, headers)?;
    Ok(Sealed {
        mail: envelope.with_files(cover, &files)?,
        layout: Layout::EncryptedFiles,
        content_sha256: token::sha256_hex(&bundle),
        content: bundle,
        recipient_fingerprint: to.fingerprint().map(str::to_owned),
        signer_fingerprint: our.fingerprint().to_owned(),
        sealed_at: now,
    })
}

/// Reads files of [`sealed_files`] back, as [`super::self_check`] does for a mail.
///
/// # Errors
/// [`SealError::Check`] with the flaw found.
pub fn check_files<'a>(
    files: &[Attachment],
    content: &Content,
    our: &OurKey,
    to: impl Into<Reader<'a>>,
    sealed_at: Time,
) -> Result<(), SealError> {
    check_each(files, content, our, to.into(), sealed_at).map_err(SealError::Check)
}

fn check_each(
    files: &[Attachment],
    content: &Content,
    our: &OurKey,
    to: Reader<'_>,
    sealed_at: Time,
) -> Result<(), Flaw> {
    let wanted = plain_files(content).map_err(|_| Flaw::NotFiles)?;
    let Some((certificate, sealed)) = files.split_last() else {
        return Err(Flaw::NotFiles);
    };
    if *certificate != our_certificate(our) || sealed.len() != wanted.len() {
        return Err(Flaw::NotFiles);
    }
    for (sealed, wanted) in sealed.iter().zip(&wanted) {
        let most = wanted.bytes.len().saturating_add(1);
        let opened = cipher::read_back(&sealed.bytes, our, to, sealed_at, most)?;
        if opened != wanted.bytes || sealed.name.strip_suffix(ENDING) != Some(&wanted.name) {
            return Err(Flaw::Content { what: "files" });
        }
    }
    Ok(())
}

/// A whole mail in this layout.
pub(super) fn check(sealed: &Sealed, content: &Content, our: &OurKey, to: Reader<'_>) -> Result<(), Flaw> {
    let entity = Entity::parse(&sealed.mail);
    let parts = entity.parts(content.attachments.len() + 4);
    let Some((cover, rest)) = parts.split_first().filter(|_| entity.media_type() == "multipart/mixed") else {
        return Err(Flaw::NotFiles);
    };
    let cover = Entity::parse(cover);
    if cover.media_type() != "text/plain" || cover.is_attachment() {
        return Err(Flaw::NotFiles);
    }
    let files: Vec<Attachment> = rest.iter().map(|part| attached(&Entity::parse(part))).collect();
    check_each(&files, content, our, to, sealed.sealed_at)?;

    let bundle = Entity::parse(&sealed.content);
    let inside: Vec<Vec<u8>> = match content.attachments.is_empty() {
        true => vec![bundle.decoded().into_owned()],
        false => bundle
            .parts(content.attachments.len() + 2)
            .iter()
            .map(|part| Entity::parse(part).decoded().into_owned())
            .collect(),
    };
    let wanted = plain_files(content).map_err(|_| Flaw::NotFiles)?;
    if !inside.iter().eq(wanted.iter().map(|file| &file.bytes)) {
        return Err(Flaw::Content { what: "content" });
    }
    let seen = open::open(&sealed.mail, None, &[], sealed.sealed_at);
    let header = header_with(&content.subject, &seen).or_else(|| {
        let told = content.subject.contains(' ') && cover.text().contains(&content.subject);
        told.then(|| "cover text".to_owned())
    });
    match header {
        Some(header) => Err(Flaw::SubjectInClear { header }),
        None => Ok(()),
    }
}

fn attached(part: &Entity<'_>) -> Attachment {
    Attachment {
        name: part.file_name().unwrap_or_default(),
        media_type: part.media_type(),
        bytes: part.decoded().into_owned(),
    }
}

fn our_certificate(our: &OurKey) -> Attachment {
    let file = our.key_file();
    Attachment {
        name: file.name.to_owned(),
        media_type: "application/pgp-keys".to_owned(),
        bytes: file.armored.as_bytes().to_vec(),
    }
}

/// The files before they are sealed, the notice first.
fn plain_files(content: &Content) -> Result<Vec<Attachment>, MimeError> {
    let unsealed = unsealed(content)?;
    let mut files = vec![Attachment {
        name: NOTICE.to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: unsealed.text.into_bytes(),
    }];
    files.extend(unsealed.attachments);
    Ok(files)
}

/// The content as the files hold it: neutral names, and the list of the true ones below the text.
fn unsealed(content: &Content) -> Result<Content, MimeError> {
    header::clean("Subject", &content.subject)?;
    let mut text = format!("{}\n\n{}", content.subject, content.text.trim_end());
    let mut attachments = Vec::with_capacity(content.attachments.len());
    for (i, attachment) in content.attachments.iter().enumerate() {
        header::clean("filename", &attachment.name)?;
        let name = format!("file-{}.{}", i + 2, ending(&attachment.name));
        let (size, digest) = (attachment.bytes.len(), token::sha256_hex(&attachment.bytes));
        text.push_str(&format!(
            "\n\n{name} = {}\n{size} bytes, SHA-256 {digest}",
            attachment.name
        ));
        attachments.push(Attachment {
            name,
            ..attachment.clone()
        });
    }
    text.push('\n');
    Ok(Content {
        text: canonical(&text),
        html: None,
        attachments,
        ..content.clone()
    })
}

/// What a desktop needs to open the file once it is decrypted: nothing else of its name may show.
fn ending(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, ending))
            if (1..=LONGEST_ENDING).contains(&ending.len()) && ending.chars().all(|c| c.is_ascii_alphanumeric()) =>
        {
            ending.to_ascii_lowercase()
        }
        _ => "bin".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_nothing_but_their_kind() {
        let named = |name: &str| Attachment {
            name: name.to_owned(),
            media_type: "application/octet-stream".to_owned(),
            bytes: b"abc".to_vec(),
        };
        let names = [
            "Liste der Opfer.XLSX",
            "opfer",
            "a.müller",
            "Klinik Nord.patienten",
            "x.tar.gz",
            ".pdf",
        ];
        let content = Content {
            subject: "Meldung nach Art. 33".to_owned(),
            text: "Guten Tag\n".to_owned(),
            html: None,
            attachments: names.map(named).to_vec(),
            language: "de".to_owned(),
        };
        let files = plain_files(&content).unwrap();
        let found: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            found,
            [
                "notice.txt",
                "file-2.xlsx",
                "file-3.bin",
                "file-4.bin",
                "file-5.bin",
                "file-6.gz",
                "file-7.pdf"
            ]
        );
        let text = String::from_utf8(files[0].bytes.clone()).unwrap();
        assert!(text.starts_with("Meldung nach Art. 33\r\n\r\nGuten Tag\r\n\r\nfile-2.xlsx = Liste der Opfer.XLSX\r\n3 bytes, SHA-256 ba7816bf"), "{text}");
        assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains('\n'));

        let forged = Content {
            attachments: vec![named("a.pdf\nfile-3.pdf = b.pdf")],
            ..content
        };
        assert!(matches!(plain_files(&forged), Err(MimeError::ControlCharacter { .. })));
    }
}
