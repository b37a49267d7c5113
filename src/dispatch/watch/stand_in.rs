//! What is taken in instead of a mail that cannot be: a note of ours with its headers, so that it waits in the tray and
//! is not lost silently. The mail itself stays where it is.

use crate::dispatch::office::Office;

/// Of the headers.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// For a mail that is larger than what is taken in; `place` says where a person finds it.
pub(super) fn too_large(office: &Office, head: &[u8], place: &str, size: u64) -> Vec<u8> {
    let why = format!("It has {size} bytes, more than breachpost takes in.");
    note(office, head, place, "Mail too large to take in", &why)
}

/// For a mail that the server did not hand out.
pub(super) fn withheld(office: &Office, place: &str) -> Vec<u8> {
    let why = "The server lists it, and each try to fetch it failed.";
    note(office, b"", place, "Mail that could not be fetched", why)
}

/// A plain mail from us to us. The same mail always makes the same note, so that it is stored once. It answers nothing and
/// says nothing of its own accord that could be taken for an acknowledgement: the headers are a part of their own.
fn note(office: &Office, head: &[u8], place: &str, subject: &str, why: &str) -> Vec<u8> {
    const BOUNDARY: &str = "=_breachpost_stand_in";
    let us = &office.config.sender.address;
    // A boundary of ours inside would end the part early.
    let head = String::from_utf8_lossy(head).replace(BOUNDARY, "");
    let head = head.replace("\r\n", "\n").replace('\n', "\r\n");
    format!(
        "From: breachpost <{us}>\r\n\
         To: <{us}>\r\n\
         Subject: {subject}\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\r\n\
         \r\n\
         --{BOUNDARY}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         A mail in your mailbox was not taken in. {why}\r\n\
         It is still there, unread: {place}.\r\n\
         Read it with your mail program. Its headers are attached.\r\n\
         \r\n\
         --{BOUNDARY}\r\n\
         Content-Type: text/rfc822-headers; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         Content-Disposition: attachment; filename=\"headers.txt\"\r\n\
         \r\n\
         {head}\r\n\
         --{BOUNDARY}--\r\n"
    )
    .into_bytes()
}
