//! An OpenPGP message as text (RFC 9580 §6.2), as PGP/MIME needs it; and the message in it again. The library's writer and
//! reader of armor take as long as a signature does, the reader because it takes whatever people call armor.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc::{CRC_24_OPENPGP, Crc, Table};

const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";
/// Bytes of a line, which are 64 symbols.
const LINE_BYTES: usize = 48;
const CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_24_OPENPGP);

/// With the checksum (RFC 9580 §6.1): newer programs do not look at it, older ones may insist on it.
pub(super) fn armored(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(message.len() / 3 * 4 + message.len() / LINE_BYTES + 128);
    text.extend_from_slice(BEGIN.as_bytes());
    text.extend_from_slice(b"\n\n");
    let mut line = [0; LINE_BYTES / 3 * 4];
    let mut write = |bytes: &[u8]| {
        let symbols = BASE64
            .encode_slice(bytes, &mut line)
            .expect("a line has room for its symbols");
        text.extend_from_slice(&line[..symbols]);
        text.push(b'\n');
    };
    message.chunks(LINE_BYTES).for_each(&mut write);
    let checksum = CHECKSUM.checksum(message).to_be_bytes();
    text.push(b'=');
    text.extend_from_slice(BASE64.encode(&checksum[1..]).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(END.as_bytes());
    text.push(b'\n');
    text
}

/// The message under the armor of [`armored`], whatever the ends of its lines have become; what is not armored as it is.
/// `None`: it is damaged.
pub(super) fn bared(message: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(body) = message.strip_prefix(BEGIN.as_bytes()) else {
        return Some(Cow::Borrowed(message));
    };
    let mut text = Vec::with_capacity(body.len());
    let mut from = 0;
    for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
        let line = body[from..end].trim_ascii();
        // The checksum or the end; a line of base64 begins with neither.
        if line.starts_with(b"=") || line.starts_with(b"-") {
            break;
        }
        text.extend_from_slice(line);
        from = end + 1;
    }
    BASE64.decode(text).ok().map(Cow::Owned)
}

/// The armored message that stands in a mail, if there is just one.
pub(super) fn find(mail: &[u8]) -> Option<&[u8]> {
    let mut begins = memchr::memmem::find_iter(mail, BEGIN);
    let (begin, None) = (begins.next()?, begins.next()) else {
        return None;
    };
    let end = memchr::memmem::find(&mail[begin..], END.as_bytes())?;
    Some(&mail[begin..begin + end + END.len()])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sequoia_openpgp as openpgp;

    use openpgp::armor::{Kind, Reader, ReaderMode, Writer};

    use super::*;

    #[test]
    fn it_is_the_armor_of_the_library_and_is_read_back() {
        for length in (0..200).chain([4095, 4096, 10_000]) {
            let message: Vec<u8> = (0..length).map(|n| (n * 7 + n / 256) as u8).collect();
            let mut theirs = Writer::new(Vec::new(), Kind::Message).unwrap();
            theirs.write_all(&message).unwrap();
            let theirs = theirs.finalize().unwrap();
            let ours = armored(&message);
            if length > 0 {
                assert_eq!(String::from_utf8(ours.clone()), String::from_utf8(theirs), "{length}");
                let mut read = Vec::new();
                let mut reader = Reader::from_bytes(&ours, ReaderMode::Tolerant(Some(Kind::Message)));
                std::io::copy(&mut reader, &mut read).unwrap();
                assert_eq!(read, message);
            }
            let as_mail = String::from_utf8(ours).unwrap().replace('\n', "\r\n");
            let mail = format!("Subject: x\r\n\r\n{as_mail}\r\n--");
            let found = find(mail.as_bytes()).unwrap();
            assert_eq!(bared(found).unwrap().as_ref(), message);
            assert!(
                find(format!("{mail}{mail}").as_bytes()).is_none(),
                "two are one too many"
            );
            assert!(find(&mail.as_bytes()[..mail.len() - 20]).is_none(), "cut short");
        }
        assert!(bared(format!("{BEGIN}\n\n!!!!\n{END}").as_bytes()).is_none());
        assert_eq!(bared(b"as it is").unwrap().as_ref(), b"as it is");
    }
}
