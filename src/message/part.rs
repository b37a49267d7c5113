//! One MIME entity of foreign mail: its headers, its body, its parts.
//!
//! Header fields are understood by mail-parser; the splitting is done here, because a signature needs the exact bytes
//! of a part, and because depth and number of parts are the caller's to bound. Nothing here fails: what cannot be
//! understood comes back as it is. Knows nothing of OpenPGP.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{ContentType, HeaderName, Message, MessageParser, MimeHeaders};

/// Foreign base64 comes with and without padding, and with stray bits at its end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Of a longer header block only the start is read.
pub(super) const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Of a longer HTML page the layout is not kept.
const MAX_HTML_BYTES: usize = 4 * 1024 * 1024;

/// A header block and what follows it.
pub(super) struct Entity<'a> {
    head: Option<Message<'a>>,
    pub(super) body: &'a [u8],
}

impl<'a> Entity<'a> {
    pub(super) fn parse(raw: &'a [u8]) -> Self {
        let (head, body) = split_head(raw);
        let head = &head[..head.len().min(MAX_HEAD_BYTES)];
        Self {
            head: MessageParser::default().parse_headers(head),
            body,
        }
    }

    /// The parsed header block; `None` if there is not one header.
    pub(super) fn head(&self) -> Option<&Message<'a>> {
        self.head.as_ref()
    }

    fn content_type(&self) -> Option<&ContentType<'_>> {
        self.head.as_ref()?.content_type()
    }

    /// `type/subtype` in lower case; text/plain where nothing is said (RFC 2045 §5.2).
    pub(super) fn media_type(&self) -> String {
        match self.content_type() {
            Some(found) => match found.subtype() {
                Some(subtype) => format!("{}/{subtype}", found.ctype()).to_ascii_lowercase(),
                None => found.ctype().to_ascii_lowercase(),
            },
            None => "text/plain".to_owned(),
        }
    }

    /// A parameter of the Content-Type; `name` in lower case.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.content_type()?.attribute(name)
    }

    pub(super) fn has_content_type(&self) -> bool {
        self.content_type().is_some()
    }

    pub(super) fn is_attachment(&self) -> bool {
        let disposition = self.head.as_ref().and_then(|head| head.content_disposition());
        disposition.is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment"))
    }

    /// The file name, without any folder it claims and without control characters.
    pub(super) fn file_name(&self) -> Option<String> {
        let name = self.head.as_ref()?.attachment_name()?;
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let clean: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
        (!clean.is_empty()).then_some(clean)
    }

    /// The parts of a multipart, each with its exact bytes; at most `most`. Empty if the boundary is missing or never found.
    pub(super) fn parts(&self, most: usize) -> Vec<&'a [u8]> {
        match self.parameter("boundary") {
            Some(boundary) if !boundary.is_empty() => split_parts(self.body, boundary.as_bytes(), most),
            _ => Vec::new(),
        }
    }

    /// How the body is encoded for its way (RFC 2045 §6), in lower case; `None` where nothing is said.
    pub(super) fn transfer_encoding(&self) -> Option<String> {
        let head = self.head.as_ref()?;
        let value = head.header(HeaderName::ContentTransferEncoding)?;
        Some(value.as_text()?.trim().to_ascii_lowercase())
    }

    /// The body without its transfer encoding.
    pub(super) fn decoded(&self) -> Cow<'a, [u8]> {
        let encoding = self.transfer_encoding();
        match encoding.as_deref() {
            Some("base64") => Cow::Owned(decode_base64(self.body)),
            Some("quoted-printable") => Cow::Owned(decode_quoted_printable(self.body)),
            _ => Cow::Borrowed(self.body),
        }
    }

    /// The body as text, by its charset; what is not valid in it becomes U+FFFD.
    pub(super) fn text(&self) -> String {
        let bytes = self.decoded();
        let Some(name) = self.parameter("charset") else {
            return text_of_unknown_charset(&bytes);
        };
        match charset_decoder(name.as_bytes()) {
            Some(decode) if !(is_single_byte(name) && std::str::from_utf8(&bytes).is_ok()) => decode(&bytes),
            _ => text_of_unknown_charset(&bytes),
        }
    }
}

/// Whether a charset has one byte for each letter: text in one that is valid UTF-8 is UTF-8 under a wrong name, since no
/// word is written with such a sequence of its letters; or ASCII, and the same in both.
fn is_single_byte(charset: &str) -> bool {
    let name = charset.to_ascii_lowercase();
    [
        "iso-8859-",
        "iso8859-",
        "windows-125",
        "cp125",
        "us-ascii",
        "ascii",
        "latin",
    ]
    .iter()
    .any(|begin| name.starts_with(begin))
}

/// A header's value with its encoded words (RFC 2047) decoded.
pub(super) fn decoded_words(value: &str) -> String {
    let line = format!("Subject: {}\r\n\r\n", value.replace(['\r', '\n'], " "));
    let parsed = MessageParser::default().parse_headers(line.as_bytes());
    let decoded = parsed.as_ref().and_then(|head| head.subject());
    decoded.unwrap_or(value).to_owned()
}

/// Around what a page quotes, until it is text. Noncharacters (Unicode §23.7) are for such uses within a program; a page
/// that holds them all the same loses them first.
const QUOTE_BEGINS: char = '\u{fdd0}';
const QUOTE_ENDS: char = '\u{fdd1}';
/// Before what a mail program quotes without marking its end.
const REST_IS_QUOTED: char = '\u{fdd2}';
const MARKS: [char; 3] = [QUOTE_BEGINS, QUOTE_ENDS, REST_IS_QUOTED];

/// The text of an HTML page, with a line for each block, a blank between cells and `> ` before what it quotes.
pub(super) fn text_of_html(html: &str) -> String {
    const BLOCKS: [&str; 14] = [
        "p",
        "div",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "blockquote",
        "h1",
        "h2",
        "h3",
        "h4",
        "pre",
        "hr",
    ];
    // A longer page is no message: its lines may run into each other.
    if html.len() > MAX_HTML_BYTES {
        return html_to_text(html);
    }
    let html = without_marks(html);
    let mut divided = String::with_capacity(html.len() + html.len() / 4);
    let mut rest = &*html;
    while let Some(at) = rest.find('<') {
        divided.push_str(&rest[..at]);
        let tag = rest[at + 1..].trim_start_matches('/');
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let name = tag[..end.min(12)].to_ascii_lowercase();
        match name.as_str() {
            name if BLOCKS.contains(&name) => {
                divided.push_str("<br>");
                let opens = !rest[at + 1..].starts_with('/');
                match name {
                    "blockquote" if opens => divided.extend([QUOTE_BEGINS]),
                    "blockquote" => divided.extend([QUOTE_ENDS]),
                    "div" if opens && begins_original(tag) => divided.extend([REST_IS_QUOTED]),
                    _ => {}
                }
                if matches!(name, "blockquote") {
                    divided.push_str("<br>");
                }
            }
            "td" | "th" => divided.push(' '),
            _ => {}
        }
        divided.push('<');
        rest = &rest[at + 1..];
    }
    divided.push_str(rest);
    mark_quotes(&html_to_text(&divided))
}

/// Puts U+FFFD in the place of our marks, as they are and as references (`&#xfdd0;`): a stranger must not say what is quoted
/// and what is not. Not nothing: what then stood side by side could be a reference itself.
fn without_marks(html: &str) -> Cow<'_, str> {
    const REPLACED: &str = "\u{fffd}";
    if !html.contains("&#") && !html.contains(MARKS) {
        return Cow::Borrowed(html);
    }
    let html = html.replace(MARKS, REPLACED);
    let mut clean = String::with_capacity(html.len());
    let mut rest = html.as_str();
    while let Some(at) = rest.find("&#") {
        let number = &rest[at + 2..];
        // Whatever a number is read from: leading zeros and a plus too.
        let end = number.find(|c: char| !c.is_ascii_hexdigit() && !matches!(c, 'x' | 'X' | '+'));
        let (code, after) = number.split_at(end.unwrap_or(number.len()));
        let (code, radix) = match code.strip_prefix(['x', 'X']) {
            Some(code) => (code, 16),
            None => (code, 10),
        };
        let named = u32::from_str_radix(code, radix).ok().and_then(char::from_u32);
        let is_mark = named.is_some_and(|named| MARKS.contains(&named)) && after.starts_with(';');
        clean.push_str(&rest[..at]);
        clean.push_str(if is_mark { REPLACED } else { "&#" });
        rest = if is_mark { &after[1..] } else { number };
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Outlook's block of headers before the mail that is answered.
fn begins_original(tag: &str) -> bool {
    // Not the rest of the page: a stranger's may have as many tags without an end.
    let tag = &tag[..tag.floor_char_boundary(200)];
    let tag = tag.split('>').next().unwrap_or(tag);
    tag.contains("divRplyFwdMsg") || tag.contains("OLK_SRC_BODY_SECTION")
}

fn mark_quotes(text: &str) -> String {
    if !text.contains([QUOTE_BEGINS, REST_IS_QUOTED]) {
        return text.replace(QUOTE_ENDS, "");
    }
    let mut marked = String::with_capacity(text.len() + text.len() / 8);
    let (mut depth, mut rest) = (0_usize, false);
    for line in text.split_inclusive('\n') {
        for c in line.chars() {
            match c {
                QUOTE_BEGINS => depth += 1,
                QUOTE_ENDS => depth = depth.saturating_sub(1),
                REST_IS_QUOTED => rest = true,
                _ => {}
            }
        }
        let line = line.replace(MARKS, "");
        if (depth > 0 || rest) && !line.trim().is_empty() {
            marked.push_str("> ");
        }
        marked.push_str(&line);
    }
    marked
}

/// UTF-8 where it is valid, else Latin-1, which cannot fail.
pub(super) fn text_of_unknown_charset(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Splits at the first empty line; without one, all is header.
fn split_head(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in raw.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return (&raw[..at], &raw[at..]);
        }
    }
    (raw, &[])
}

/// RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter. A missing last delimiter is forgiven.
fn split_parts<'a>(body: &'a [u8], boundary: &[u8], most: usize) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    let part = |from: usize, to: usize| {
        let bytes = &body[from..to.max(from)];
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    };
    for line in body.split_inclusive(|b| *b == b'\n') {
        let begins = at;
        at += line.len();
        let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary)) else {
            continue;
        };
        let rest = rest.trim_ascii_end();
        if !rest.is_empty() && rest != b"--" {
            continue;
        }
        if let Some(from) = start.take() {
            parts.push(part(from, begins));
        }
        if rest == b"--" || parts.len() == most {
            return parts;
        }
        start = Some(at);
    }
    if let Some(from) = start {
        parts.push(&body[from..]);
    }
    parts
}

fn decode_base64(body: &[u8]) -> Vec<u8> {
    let mut symbols: Vec<u8> = body
        .iter()
        .copied()
        .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        .collect();
    // A single symbol left over holds no whole byte.
    if symbols.len() % 4 == 1 {
        symbols.pop();
    }
    LENIENT.decode(&symbols).unwrap_or_default()
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let line_end = &line[text.len()..];
        let text = text.trim_ascii_end();
        let (text, soft) = match text.strip_suffix(b"=") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            let hex = |b: u8| char::from(b).to_digit(16);
            match (byte, tail) {
                (b'=', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                    let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                    out.push(u8::try_from(value).unwrap_or(b'?'));
                    rest = after;
                }
                _ => {
                    out.push(byte);
                    rest = tail;
                }
            }
        }
        if !soft {
            out.extend_from_slice(line_end);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_exact_bytes() {
        let table: [(&[u8], &[&[u8]]); 7] = [
            (
                b"pre\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b\r\ntwo\r\n--b--\r\npost",
                &[b"A: 1\r\n\r\none\r\n", b"two"],
            ),
            (b"--b\none\n--b \ntwo\n--b--", &[b"one", b"two"]),
            (b"--b\r\n--b--", &[b""]),
            (b"--b\r\ncut off", &[b"cut off"]),
            (b"--bee\r\nx\r\n--b\r\ny--b\r\n--b--", &[b"y--b"]),
            (b"nothing", &[]),
            (b"", &[]),
        ];
        for (body, wanted) in table {
            assert_eq!(split_parts(body, b"b", 10), wanted, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(split_parts(b"--b\n1\n--b\n2\n--b\n3\n--b--", b"b", 2).len(), 2);
    }

    #[test]
    fn bodies_are_decoded_as_far_as_they_go() {
        for (encoding, body, wanted) in [
            ("base64", "aGVsbG8=", "hello"),
            ("BASE64 ", "aGVs\r\nbG8", "hello"),
            ("base64", "aGVs!bG8=*", "hello"),
            ("quoted-printable", "a=C3=A4 =\r\nb  \r\nc", "aä b\r\nc"),
            ("quoted-printable", "100=% =ZZ", "100=% =ZZ"),
            ("8bit", "ä", "ä"),
        ] {
            let raw = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            assert_eq!(Entity::parse(raw.as_bytes()).text(), wanted, "{body}");
        }
    }

    #[test]
    fn cells_and_blocks_of_a_page_stay_apart() {
        let page = "<table><tr><td>To:</td><td>a@b.example</td></tr><tr><td>Why</td></tr></table><p>Gone<br>away</p>";
        let text = text_of_html(page);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["To: a@b.example", "Why", "Gone", "away"]);
        assert_eq!(text_of_html("a <b>c</b> &lt;d&gt;").trim(), "a c <d>");
    }

    #[test]
    fn what_a_page_quotes_is_marked() {
        let lines = |page: &str| -> Vec<String> {
            let text = text_of_html(page);
            let lines = text.lines().map(|line| line.trim().to_owned());
            lines.filter(|line| !line.is_empty()).collect()
        };
        let page =
            "<p>Why?</p><blockquote type=\"cite\">received<blockquote>older</blockquote>still</blockquote><p>Below</p>";
        assert_eq!(lines(page), ["Why?", "> received", "> older", "> still", "Below"]);
        let page = "Why?<div id=\"divRplyFwdMsg\"><b>From:</b> us</div><div>received</div>";
        assert_eq!(lines(page), ["Why?", "> From: us", "> received"]);
        assert_eq!(lines("</blockquote>a<blockquote>"), ["a"]);
    }

    #[test]
    fn a_page_cannot_say_itself_what_is_quoted() {
        let marks = [
            "\u{fdd0}",
            "\u{fdd2}",
            "&#xFDD0;",
            "&#Xfdd2;",
            "&#64976;",
            "&#0000064978;",
            "&#+64976;",
            "&\u{fdd0}#64976;",
            "&&#64976;#64976;",
        ];
        for mark in marks {
            let text = text_of_html(&format!("<p>{mark} We refuse your notice.</p><p>So.</p>"));
            assert!(!text.contains('>') && !text.contains(MARKS), "{mark}: {text:?}");
            assert!(text.contains("We refuse your notice."), "{mark}: {text:?}");
        }
        for mark in ["\u{fdd1}", "&#xFDD1;", "&#64977;", "&\u{fdd1}#64977;"] {
            let text = text_of_html(&format!(
                "<blockquote>Before{mark}<br>{mark} we received it</blockquote>"
            ));
            let after = text.lines().find(|line| line.contains("we received it")).unwrap();
            assert!(after.starts_with("> "), "{mark}: {text:?}");
        }
        // Of what others use for their own signs, and of other references, nothing is lost.
        let text = text_of_html("\u{e000}\u{e001}&#233;&#xE9; &#xZ; &#; A&#");
        assert_eq!(text.trim(), "\u{e000}\u{e001}éé &#xZ; &#; A&#");
    }

    #[test]
    fn charsets_and_names() {
        let raw = b"Content-Type: text/plain; charset=iso-8859-15; name=\"../../etc/pass\\\\wd\"\r\n\r\n10 \xa4";
        let entity = Entity::parse(raw);
        assert_eq!(entity.text(), "10 €");
        assert_eq!(entity.file_name().as_deref(), Some("wd"));
        assert_eq!(Entity::parse(b"\r\n\r\nx").media_type(), "text/plain");
        assert_eq!(Entity::parse(b"Content-Type: TEXT/Html\n\nx").media_type(), "text/html");
        assert_eq!(Entity::parse(b"\xff\xfe").text(), "");
    }
}
