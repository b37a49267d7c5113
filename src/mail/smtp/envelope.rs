//! One message as it is given to the relay, and everything that is checked before a byte of it is written: we never
//! send broken mail, nor mail the relay says it cannot take. Does no I/O.

use super::address::{EnvelopeAddress, xtext};
use super::reply::Capabilities;

/// RFC 5322 §2.1.1, without the CRLF.
const LINE_MOST_BYTES: usize = 998;
/// RFC 3461 §4.4.
const ENVID_MOST_CHARS: usize = 100;

/// Room for a command of usual length.
const COMMAND_BYTES: usize = 160;

/// One message to one recipient, ready to leave.
#[derive(Debug, Clone, Copy)]
pub struct Mail<'a> {
    /// The return path; empty is the null sender `<>`.
    pub envelope_from: &'a str,
    /// One address, never a list; its domain may hold letters of any script.
    pub recipient: &'a str,
    /// The whole message: UTF-8, in lines of at most 998 bytes, each ended by CRLF, the last one too. Exactly these bytes
    /// are the message the relay gets.
    pub bytes: &'a [u8],
    /// Comes back in delivery reports (RFC 3461 §4.4): our token, printable ASCII, at most 100 characters.
    pub envid: Option<&'a str>,
    pub notify: Notify,
}

/// Which delivery reports are asked for (RFC 3461 §4.1), where the relay offers DSN; none of them is `NOTIFY=NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    pub success: bool,
    pub failure: bool,
    pub delay: bool,
}
impl Notify {
    /// Success, failure and delay: what a notice to an authority asks for.
    pub const ALL: Self = Self {
        success: true,
        failure: true,
        delay: true,
    };
    /// Failure and delay: what a campaign asks for unless told otherwise.
    pub const TROUBLE: Self = Self {
        success: false,
        failure: true,
        delay: true,
    };

    fn value(self) -> String {
        let asked: Vec<&str> = [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ]
        .into_iter()
        .filter_map(|(wanted, word)| wanted.then_some(word))
        .collect();
        if asked.is_empty() {
            "NEVER".to_owned()
        } else {
            asked.join(",")
        }
    }
}

/// The two commands of the envelope, each with its CRLF.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) mail: String,
    pub(super) rcpt: String,
}

/// The envelope, and the bytes that follow DATA.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) commands: Commands,
    /// The message as it goes over the wire, with the final dot.
    pub(super) content: String,
}

/// Checks the message against the standards and against what the relay offers.
///
/// # Errors
/// What is unfit, in words; nothing has been written then.
pub(super) fn prepare(mail: &Mail<'_>, relay: &Capabilities) -> Result<Prepared, String> {
    let text = check_bytes(mail.bytes)?;
    Ok(Prepared {
        commands: address(mail, relay)?,
        content: with_final_dot(text),
    })
}

/// The envelope alone, checked likewise.
///
/// # Errors
/// As [`prepare`]; what is wrong within the lines of the message is not looked at.
pub(super) fn address(mail: &Mail<'_>, relay: &Capabilities) -> Result<Commands, String> {
    if let Some(most) = relay.size.filter(|most| *most > 0 && mail.bytes.len() as u64 > *most) {
        return Err(format!(
            "the message has {} bytes; the relay takes at most {most}",
            mail.bytes.len()
        ));
    }
    let sender = match mail.envelope_from {
        "" => None,
        address => Some(EnvelopeAddress::parse(address).map_err(|e| format!("return path: {e}"))?),
    };
    let recipient = EnvelopeAddress::parse(mail.recipient).map_err(|e| format!("recipient: {e}"))?;

    let needs_8bit = !mail.bytes.is_ascii();
    let needs_utf8 = recipient.needs_utf8()
        || sender.as_ref().is_some_and(EnvelopeAddress::needs_utf8)
        || (needs_8bit && !header_of(mail.bytes).is_ascii());
    if needs_utf8 && !relay.smtp_utf8 {
        return Err("an address or header is not ASCII, and the relay does not offer SMTPUTF8".to_owned());
    }
    if needs_8bit && !relay.eight_bit_mime {
        return Err("the message is not ASCII, and the relay does not offer 8BITMIME".to_owned());
    }

    let mut commands = Commands {
        mail: String::with_capacity(COMMAND_BYTES),
        rcpt: String::with_capacity(COMMAND_BYTES),
    };
    let Commands { mail: from, rcpt: to } = &mut commands;
    add(
        from,
        &["MAIL FROM:<", sender.as_ref().map_or("", EnvelopeAddress::as_str), ">"],
    );
    add(to, &["RCPT TO:<", recipient.as_str(), ">"]);
    if relay.size.is_some() {
        add(from, &[" SIZE=", &mail.bytes.len().to_string()]);
    }
    if needs_8bit {
        add(from, &[" BODY=8BITMIME"]);
    }
    if needs_utf8 {
        add(from, &[" SMTPUTF8"]);
    }
    if relay.dsn {
        // Headers only: a report must not carry the message back through strangers' servers.
        add(from, &[" RET=HDRS"]);
        if let Some(envid) = mail.envid {
            add(from, &[" ENVID=", &check_envid(envid)?]);
        }
        add(to, &[" NOTIFY=", &mail.notify.value()]);
        if let Some(orcpt) = recipient.orcpt() {
            add(to, &[" ORCPT=", &orcpt]);
        }
    }
    add(from, &["\r\n"]);
    add(to, &["\r\n"]);
    Ok(commands)
}

/// Joined in place: this is done twice for every message.
fn add(command: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| command.push_str(part));
}

/// A line that begins with a dot gets a second one, and a lone dot ends it all (RFC 5321 §4.5.2).
fn with_final_dot(text: &str) -> String {
    const DOT_LINE: &[u8] = b"\r\n.";
    let mut content = String::with_capacity(text.len() + 64);
    if text.starts_with('.') {
        content.push('.');
    }
    let mut from = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), DOT_LINE) {
        let dot = at + DOT_LINE.len();
        content.push_str(&text[from..dot]);
        content.push('.');
        from = dot;
    }
    content.push_str(&text[from..]);
    content.push_str(".\r\n");
    content
}

/// RFC 5321 §2.3.8 and RFC 5322 §2.3: no bare CR or LF, no NUL, no overlong line, CRLF at the end.
fn check_bytes(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = memchr::memchr_iter(b'\n', &bytes[..e.valid_up_to()]).count() + 1;
        format!("line {line} is not UTF-8")
    })?;
    if !text.ends_with("\r\n") {
        return Err("the message does not end with CRLF".to_owned());
    }
    if is_sound(bytes) {
        return Ok(text);
    }
    for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let number = i + 1;
        let line = line
            .strip_suffix(b"\r\n")
            .ok_or_else(|| format!("line {number} ends with a bare LF"))?;
        if line.contains(&b'\r') {
            return Err(format!("line {number} has a bare CR"));
        }
        if line.contains(&0) {
            return Err(format!("line {number} has a NUL byte"));
        }
        if line.len() > LINE_MOST_BYTES {
            return Err(format!(
                "line {number} has {} bytes; at most {LINE_MOST_BYTES} are allowed",
                line.len()
            ));
        }
    }
    Ok(text)
}

/// The same rules, told by what may be wrong alone: nearly every message is sound, and there are millions.
fn is_sound(bytes: &[u8]) -> bool {
    let mut start = 0;
    let mut lines = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = &bytes[start..end];
        if line.last() != Some(&b'\r') || line.len() > LINE_MOST_BYTES + 1 {
            return false;
        }
        (start, lines) = (end + 1, lines + 1);
    }
    start == bytes.len() && memchr::memchr_iter(b'\r', bytes).count() == lines && memchr::memchr(0, bytes).is_none()
}

fn header_of(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    &bytes[..end]
}

fn check_envid(envid: &str) -> Result<String, String> {
    if !envid.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("the envelope id is not printable ASCII".to_owned());
    }
    let value = xtext(envid);
    if value.is_empty() || value.len() > ENVID_MOST_CHARS {
        return Err(format!("the envelope id must have 1 to {ENVID_MOST_CHARS} characters"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"Subject: x\r\n\r\nHello\r\n";

    fn everything() -> Capabilities {
        Capabilities {
            size: Some(10_000),
            dsn: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            ..Capabilities::default()
        }
    }
    fn mail<'a>(recipient: &'a str, bytes: &'a [u8]) -> Mail<'a> {
        Mail {
            envelope_from: "b@example.lu",
            recipient,
            bytes,
            envid: Some("BP-7K3M-Q2XR"),
            notify: Notify::ALL,
        }
    }

    #[test]
    fn commands_use_what_the_relay_offers() {
        for (given, relay, mail_command, rcpt_command) in [
            (
                mail("a@cnpd.lu", BYTES),
                Capabilities::default(),
                "MAIL FROM:<b@example.lu>",
                "RCPT TO:<a@cnpd.lu>",
            ),
            (
                mail("a@cnpd.lu", BYTES),
                everything(),
                "MAIL FROM:<b@example.lu> SIZE=21 RET=HDRS ENVID=BP-7K3M-Q2XR",
                "RCPT TO:<a@cnpd.lu> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@cnpd.lu",
            ),
            (
                Mail {
                    envelope_from: "",
                    envid: None,
                    notify: Notify::TROUBLE,
                    ..mail("a@cnpd.lu", BYTES)
                },
                Capabilities {
                    size: Some(0),
                    ..everything()
                },
                "MAIL FROM:<> SIZE=21 RET=HDRS",
                "RCPT TO:<a@cnpd.lu> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@cnpd.lu",
            ),
            (
                Mail {
                    notify: Notify {
                        success: false,
                        failure: false,
                        delay: false,
                    },
                    ..mail("jösé@bücher.example", "S: x\r\n\r\né\r\n".as_bytes())
                },
                Capabilities {
                    size: None,
                    ..everything()
                },
                "MAIL FROM:<b@example.lu> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=BP-7K3M-Q2XR",
                "RCPT TO:<jösé@xn--bcher-kva.example> NOTIFY=NEVER ORCPT=utf-8;j\\x{F6}s\\x{E9}@xn--bcher-kva.example",
            ),
            (
                mail("a@cnpd.lu", "Subject: é\r\n\r\nHello\r\n".as_bytes()),
                Capabilities {
                    dsn: false,
                    size: None,
                    ..everything()
                },
                "MAIL FROM:<b@example.lu> BODY=8BITMIME SMTPUTF8",
                "RCPT TO:<a@cnpd.lu>",
            ),
        ] {
            let prepared = prepare(&given, &relay).unwrap();
            assert_eq!(prepared.commands.mail, format!("{mail_command}\r\n"));
            assert_eq!(prepared.commands.rcpt, format!("{rcpt_command}\r\n"));
        }
    }

    #[test]
    fn broken_mail_is_not_sent() {
        let long = format!("{}\r\n", "x".repeat(LINE_MOST_BYTES + 1));
        let fitting = format!("{}\r\n", "x".repeat(LINE_MOST_BYTES));
        assert!(prepare(&mail("a@b.lu", fitting.as_bytes()), &everything()).is_ok());
        for (bytes, complaint) in [
            (&b""[..], "does not end with CRLF"),
            (b"Hello", "does not end with CRLF"),
            (b"Hello\n", "does not end with CRLF"),
            (b"Hello\r\nbare\nlf\r\n", "line 2 ends with a bare LF"),
            (b"a\r\n.\n.\r\n", "line 2 ends with a bare LF"),
            (b"Hello\rcr\r\n", "line 1 has a bare CR"),
            (b"Hello\r\r\n", "line 1 has a bare CR"),
            (b"Hel\0lo\r\n", "line 1 has a NUL"),
            (b"\0Hello\r\n", "line 1 has a NUL"),
            (b"\nHello\r\n", "line 1 ends with a bare LF"),
            (b"Hello\r\ncaf\xe9\r\n", "line 2 is not UTF-8"),
            (long.as_bytes(), "line 1 has 999 bytes"),
        ] {
            let error = prepare(&mail("a@b.lu", bytes), &everything()).unwrap_err();
            assert!(error.contains(complaint), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn what_the_relay_cannot_take_is_not_tried() {
        let relay = everything();
        let body = "S: x\r\n\r\né\r\n".as_bytes();
        for (given, relay, complaint) in [
            (
                mail("a@b.lu", BYTES),
                Capabilities {
                    size: Some(20),
                    ..relay.clone()
                },
                "has 21 bytes; the relay takes",
            ),
            (
                mail("a@b.lu", body),
                Capabilities {
                    eight_bit_mime: false,
                    ..relay.clone()
                },
                "8BITMIME",
            ),
            (
                mail("é@b.lu", BYTES),
                Capabilities {
                    smtp_utf8: false,
                    ..relay.clone()
                },
                "SMTPUTF8",
            ),
            (
                mail("a@b.lu\r\nX", BYTES),
                relay.clone(),
                "recipient: the address has a space",
            ),
            (
                Mail {
                    envelope_from: "a b@c.lu",
                    ..mail("a@b.lu", BYTES)
                },
                relay.clone(),
                "return path: the address",
            ),
            (
                Mail {
                    envid: Some("a\r\nb"),
                    ..mail("a@b.lu", BYTES)
                },
                relay.clone(),
                "not printable ASCII",
            ),
            (
                Mail {
                    envid: Some(""),
                    ..mail("a@b.lu", BYTES)
                },
                relay.clone(),
                "1 to 100",
            ),
        ] {
            let error = prepare(&given, &relay).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn dots_are_doubled_at_the_start_of_a_line_only() {
        for (message, content) in [
            ("a\r\n", "a\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("a.\r\n.b\r\n..\r\n\r\n.\r\n", "a.\r\n..b\r\n...\r\n\r\n..\r\n.\r\n"),
            ("é.\r\n.é\r\n", "é.\r\n..é\r\n.\r\n"),
        ] {
            let prepared = prepare(&mail("a@b.lu", message.as_bytes()), &everything()).unwrap();
            assert_eq!(prepared.content, content);
        }
    }

    /// The short way and the long way judge alike.
    #[test]
    fn soundness_is_the_same_told_line_by_line() {
        fn by_lines(bytes: &[u8]) -> bool {
            bytes.split_inclusive(|b| *b == b'\n').all(|line| {
                let text = line.strip_suffix(b"\r\n").unwrap_or(b"\r");
                !text.contains(&b'\r') && !text.contains(&0) && text.len() <= LINE_MOST_BYTES
            })
        }
        let long = |n: usize| "x".repeat(n);
        proptest::proptest!(|(parts in proptest::collection::vec(0..8_u8, 1..40))| {
            let parts = parts.iter().map(|n| match n {
                0 => "\r\n".to_owned(),
                1 => "\r".to_owned(),
                2 => "\n".to_owned(),
                3 => "\0".to_owned(),
                4 => long(LINE_MOST_BYTES),
                5 => long(LINE_MOST_BYTES - 1),
                _ => "a\r\n".to_owned(),
            });
            let text: String = parts.collect();
            assert_eq!(is_sound(text.as_bytes()), by_lines(text.as_bytes()), "{text:?}");
        });
    }

    #[test]
    fn the_limit_itself_is_taken() {
        let relay = Capabilities {
            size: Some(BYTES.len() as u64),
            ..Capabilities::default()
        };
        assert!(prepare(&mail("a@b.lu", BYTES), &relay).is_ok());
    }
}
