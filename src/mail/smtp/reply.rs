//! What a relay answers: replies (RFC 5321 §4.2) with their enhanced status (RFC 2034), and what EHLO offers.
//! Reads foreign bytes, so it bounds and cleans everything; does no I/O.

use std::io::Write as _;

use crate::model::delivery::SmtpReply;

/// More than this in answer to one command is no reply: Postfix, for comparison, takes 100 KB.
pub(super) const REPLY_MOST_BYTES: usize = 64 * 1024;
/// What we keep of a reply's text, in characters ([`SmtpReply`]).
const TEXT_MOST_CHARS: usize = 2_000;
/// lettre takes lines up to 1,000 bytes; a longer one is shortened for it. RFC 5321 §4.5.3.1.5 allows 512.
const LINE_MOST_BYTES: usize = 900;
/// Room for a reply of usual length.
const COMMON_BYTES: usize = 96;

/// One whole reply: its code and the text of each line, without code and separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

/// What the bytes received so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A reply, and how many bytes it took.
    Whole(Reply, usize),
    /// Not all of it is here yet.
    Partial,
    /// No SMTP; the text says why.
    Garbage(String),
}

/// Reads the first reply in `bytes`. Lines may end with a bare LF and codes may stand without text, as RFC 5321 §4.2
/// asks of clients; bytes that are no UTF-8 and control characters are replaced, never believed.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut lines = Vec::new();
    let mut first_code = None;
    let mut used = 0;
    while let Some(end) = bytes[used..].iter().position(|b| *b == b'\n') {
        let line = &bytes[used..used + end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        used += end + 1;
        let Some((code, more, text)) = split_line(line) else {
            return Parsed::Garbage(format!("the relay's answer is no SMTP: {:?}", excerpt(line)));
        };
        if *first_code.get_or_insert(code) != code {
            return Parsed::Garbage("the lines of the relay's answer have different codes".to_owned());
        }
        lines.push(clean(text));
        if !more {
            return Parsed::Whole(Reply { code, lines }, used);
        }
    }
    if bytes.len() > REPLY_MOST_BYTES {
        return Parsed::Garbage(format!(
            "the relay's answer is longer than {} KiB",
            REPLY_MOST_BYTES / 1024
        ));
    }
    Parsed::Partial
}

/// Code, whether more lines follow, and text.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let [a @ b'2'..=b'5', b @ b'0'..=b'5', c @ b'0'..=b'9'] = digits else {
        return None;
    };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    match rest.split_first() {
        None => Some((code, false, rest)),
        Some((b' ', text)) => Some((code, false, text)),
        Some((b'-', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

fn clean(text: &[u8]) -> String {
    // Nearly every answer is plain, which is seen at a glance.
    if text.iter().fold(true, |plain, b| plain & matches!(b, b' '..=b'~')) {
        return String::from_utf8_lossy(text).into_owned();
    }
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

fn excerpt(line: &[u8]) -> String {
    clean(line).chars().take(80).collect()
}

impl Reply {
    /// 2xx.
    pub(super) fn is_done(&self) -> bool {
        self.code / 100 == 2
    }
    /// 4xx or 5xx.
    pub(super) fn is_negative(&self) -> bool {
        self.code >= 400
    }
    /// 5xx.
    pub(super) fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The reply as plain, well-formed lines for lettre, whose own reader refuses what RFC 5321 asks clients to take.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(COMMON_BYTES);
        for (i, line) in self.lines.iter().enumerate() {
            let mark = if i + 1 == self.lines.len() { ' ' } else { '-' };
            let cut = line.floor_char_boundary(LINE_MOST_BYTES);
            write!(out, "{}{mark}{}\r\n", self.code, &line[..cut]).expect("a Vec takes all that is written");
        }
        out
    }

    /// The reply as it is kept and shown.
    pub(super) fn to_kept(&self) -> SmtpReply {
        let enhanced = self
            .lines
            .first()
            .and_then(|line| self.enhanced_of(line))
            .map(str::to_owned);
        let lines = self.lines.iter().map(|line| match &enhanced {
            // RFC 2034 §3: each line of the reply repeats the status.
            Some(status) => match line.strip_prefix(status.as_str()) {
                Some(rest) if rest.is_empty() || rest.starts_with(' ') => rest.trim_start(),
                _ => line,
            },
            None => line,
        });
        let mut text = String::with_capacity(COMMON_BYTES);
        for (i, line) in lines.enumerate() {
            text.push_str(if i > 0 { "\n" } else { "" });
            text.push_str(line);
        }
        if let Some((end, _)) = text.char_indices().nth(TEXT_MOST_CHARS) {
            text.truncate(end);
        }
        SmtpReply {
            code: self.code,
            enhanced,
            text,
        }
    }

    /// The RFC 3463 status a line begins with; its class must be that of the code (RFC 2034 §4).
    fn enhanced_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        let word = line.split(' ').next()?;
        let (class, numbers) = word.split_once('.')?;
        let (subject, detail) = numbers.split_once('.')?;
        let is_number = |n: &str| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
        let is_status = class.len() == 1
            && class.parse() == Ok(self.code / 100)
            && matches!(self.code / 100, 2 | 4 | 5)
            && is_number(subject)
            && is_number(detail);
        is_status.then_some(word)
    }
}

/// A reply as this client takes it: public for the fuzz targets alone, which cannot reach it through a connection.
#[doc(hidden)]
#[derive(Debug)]
pub struct ReadReply {
    pub kept: SmtpReply,
    pub canonical: Vec<u8>,
    pub used: usize,
}
/// Reads the first reply in `bytes`; `None` when it is not whole yet, and why when it is no SMTP.
#[doc(hidden)]
pub fn read_reply(bytes: &[u8]) -> Result<Option<ReadReply>, String> {
    match parse(bytes) {
        Parsed::Whole(reply, used) => Ok(Some(ReadReply {
            kept: reply.to_kept(),
            canonical: reply.canonical(),
            used,
        })),
        Parsed::Partial => Ok(None),
        Parsed::Garbage(why) => Err(why),
    }
}

/// What the relay offers in its answer to EHLO: the keywords this client acts upon or reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 1870: the largest message taken, in bytes; `Some(0)` is "no fixed limit", `None` not offered.
    pub size: Option<u64>,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtp_utf8: bool,
    /// RFC 3207; no longer offered once the connection is protected.
    pub starttls: bool,
    /// RFC 4954: the mechanisms, in upper case.
    pub auth: Vec<String>,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
}
impl Capabilities {
    /// Keywords in any case; unknown ones are passed over. The first line is the server's name.
    pub(super) fn from_ehlo(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines.iter().skip(1) {
            let upper = line.to_ascii_uppercase();
            let mut words = upper.split_ascii_whitespace();
            match words.next() {
                Some("SIZE") => found.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                Some("PIPELINING") => found.pipelining = true,
                Some("DSN") => found.dsn = true,
                Some("8BITMIME") => found.eight_bit_mime = true,
                Some("SMTPUTF8") => found.smtp_utf8 = true,
                Some("STARTTLS") => found.starttls = true,
                Some("AUTH") => found.auth.extend(words.map(str::to_owned)),
                Some("REQUIRETLS") => found.require_tls = true,
                Some("ENHANCEDSTATUSCODES") => found.enhanced_status_codes = true,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Reply {
        match parse(bytes) {
            Parsed::Whole(reply, used) => {
                assert_eq!(used, bytes.len(), "{bytes:?}");
                reply
            }
            other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(bytes)),
        }
    }

    #[test]
    fn replies_keep_code_status_and_text_apart() {
        for (bytes, code, enhanced, text) in [
            (
                &b"250 2.0.0 Ok: queued as 4F\r\n"[..],
                250,
                Some("2.0.0"),
                "Ok: queued as 4F",
            ),
            (b"250\r\n", 250, None, ""),
            (b"250 \r\n", 250, None, ""),
            (b"250 ok\n", 250, None, "ok"),
            (
                b"550-5.1.1 no such\r\n550 5.1.1 user\r\n",
                550,
                Some("5.1.1"),
                "no such\nuser",
            ),
            (b"550 5.7.1\r\n", 550, Some("5.7.1"), ""),
            // A class that contradicts the code is text, and so is a version number.
            (b"450 5.1.1 odd\r\n", 450, None, "5.1.1 odd"),
            (b"250 2.11 software\r\n", 250, None, "2.11 software"),
            (b"354 3.0.0 go on\r\n", 354, None, "3.0.0 go on"),
            (
                b"554 5.7.1234 too many digits\r\n",
                554,
                None,
                "5.7.1234 too many digits",
            ),
            (b"421 \x1b[31mred\x00\r\n", 421, None, "\u{FFFD}[31mred\u{FFFD}"),
            (b"550 refus\xe9\r\n", 550, None, "refus\u{FFFD}"),
        ] {
            let kept = whole(bytes).to_kept();
            assert_eq!(
                (kept.code, kept.enhanced.as_deref(), kept.text.as_str()),
                (code, enhanced, text)
            );
        }
    }

    #[test]
    fn a_kept_text_is_bounded() {
        let long = format!("250 {}\r\n", "é".repeat(5_000));
        assert_eq!(whole(long.as_bytes()).to_kept().text.chars().count(), TEXT_MOST_CHARS);
    }

    #[test]
    fn only_the_first_reply_is_taken() {
        assert_eq!(
            parse(b"220 ready\r\n250 injected\r\n"),
            Parsed::Whole(
                Reply {
                    code: 220,
                    lines: vec!["ready".to_owned()]
                },
                11
            )
        );
    }

    #[test]
    fn incomplete_and_foreign_bytes() {
        for partial in [
            &b""[..],
            b"2",
            b"250 ok",
            b"250 ok\r",
            b"250-one\r\n",
            b"250-one\r\n250 tw",
        ] {
            assert_eq!(parse(partial), Parsed::Partial, "{partial:?}");
        }
        for garbage in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\r\n",
            b"25\r\n",
            b"250?ok\r\n",
            b"999 what\r\n",
            b"260 no such group\r\n",
            b"250-one\r\n251 two\r\n",
            b"\x16\x03\x01\n",
        ] {
            assert!(matches!(parse(garbage), Parsed::Garbage(_)), "{garbage:?}");
        }
        let endless = "250-more\r\n".repeat(REPLY_MOST_BYTES / 10 + 1);
        assert!(matches!(parse(endless.as_bytes()), Parsed::Garbage(_)));
    }

    #[test]
    fn lettre_sees_well_formed_lines() {
        let reply = whole(format!("250-{}\n250\n", "é".repeat(1_000)).as_bytes());
        let canonical = String::from_utf8(reply.canonical()).unwrap();
        let lines: Vec<&str> = canonical.split_inclusive("\r\n").collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("250-é") && lines[0].len() <= LINE_MOST_BYTES + 6);
        assert_eq!(lines[1], "250 \r\n");
    }

    #[test]
    fn capabilities_in_any_case() {
        let reply = whole(
            b"250-mx.example PIPELINING\r\n250-size 1000\r\n250-Pipelining\r\n250-AUTH plain LOGIN\r\n250-DSN\r\n\
              250-8BITMIME\r\n250-SMTPUTF8\r\n250-STARTTLS\r\n250-REQUIRETLS\r\n250-ENHANCEDSTATUSCODES\r\n250 X-ELSE\r\n",
        );
        let all = Capabilities {
            size: Some(1000),
            pipelining: true,
            dsn: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            starttls: true,
            auth: vec!["PLAIN".to_owned(), "LOGIN".to_owned()],
            require_tls: true,
            enhanced_status_codes: true,
        };
        assert_eq!(Capabilities::from_ehlo(&reply), all);
        assert_eq!(Capabilities::from_ehlo(&whole(b"250-mx\r\n250 SIZE\r\n")).size, Some(0));
        // The server's own name is no offer.
        assert_eq!(
            Capabilities::from_ehlo(&whole(b"250 STARTTLS\r\n")),
            Capabilities::default()
        );
    }
}
