//! What the way did to a sealed mail: compares what was sent with what arrived, and says of each change whether a reader
//! can still open it. Servers add trace headers, and Maildirs keep LF: that is no change. Knows nothing of the wire.

mod headers;
mod layout;

use std::borrow::Cow;
use std::io::Read;

use sequoia_openpgp as openpgp;

use openpgp::armor::{Kind, Reader as Dearmor, ReaderMode};
use serde::Serialize;

use super::key::OurKey;
use super::open::{self, Opened, Signature};
use super::part::Entity;
use super::pgp;
use crate::model::Time;

/// Of a mail that arrived. Ours have a handful.
const MAX_PARTS: usize = 200;
const MAX_DEPTH: usize = 12;
/// Ciphertexts that are looked at in what arrived.
const MAX_CIPHERTEXTS: usize = 32;
const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";

/// How bad a change is for whoever must read the mail. The order is that of the harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Every program still opens it.
    Harmless,
    /// Some programs will not open it, or answers will not find their way.
    Risky,
    /// Nobody can read it.
    Fatal,
}

/// What was changed, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    SubjectChanged,
    HeaderChanged,
    HeaderRemoved,
    TextAdded,
    PartAdded,
    /// `multipart/encrypted` stands inside something else.
    Wrapped,
    /// The two parts of `multipart/encrypted` stand in the wrong order.
    Reordered,
    /// There is no `multipart/encrypted` any more, only its parts.
    TakenApart,
    TypeChanged,
    Renamed,
    ReEncoded,
    ReWrapped,
    LineEnds,
    CoverTextChanged,
    /// Boundaries or what stands between parts.
    Rewritten,
    CiphertextRemoved,
    CiphertextDamaged,
}

/// One thing that is not as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub kind: ChangeKind,
    pub harm: Harm,
    /// For a person.
    pub text: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}
impl Change {
    fn new(kind: ChangeKind, harm: Harm, text: impl Into<String>) -> Self {
        Self {
            kind,
            harm,
            text: text.into(),
            remedy: None,
        }
    }
    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Whether what was sealed came out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Byte for byte what was sealed.
    Identical,
    /// It opens, but holds something else.
    Different,
    /// It does not open; the changes say why.
    Unreadable,
    /// There is no ciphertext in what arrived.
    Missing,
}

/// How the lines of what arrived end. A Maildir keeps them with LF, whatever came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnds {
    Crlf,
    Lf,
    Mixed,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub content: Content,
    /// Whether our signature is still good.
    pub signed: bool,
    pub changes: Vec<Change>,
    pub line_ends: LineEnds,
    /// Servers that wrote their Received header into it (RFC 5321 §4.4).
    pub hops: usize,
    /// When the last server took it, by that server's clock.
    pub server_time: Option<Time>,
}

/// Compares. Both mails hold ciphertext that our own key opens, if any.
pub fn compare(sent: &[u8], arrived: &[u8], our: &OurKey, now: Time) -> Passage {
    let before = Half::read(sent, our, now);
    let after = Half::read(arrived, our, now);
    let line_ends = line_ends(arrived);
    let mut changes = headers::changes(&before.opened, &after.opened);
    if line_ends == LineEnds::Mixed {
        let text = "some lines end with CRLF and some with LF";
        changes.push(Change::new(ChangeKind::LineEnds, Harm::Harmless, text));
    }
    if !same_body(sent, arrived) {
        layout::changes(&before, &after, &mut changes);
    }
    let content = content_of(&before, &after);
    match content {
        Content::Missing => changes.push(removed()),
        Content::Unreadable => changes.push(damaged(after.closed().unwrap_or("it does not open"))),
        Content::Different => changes.push(damaged("it holds something else than what was sealed")),
        Content::Identical => {}
    }
    // The worst first; those of the same harm in the order in which they were found.
    changes.sort_by_key(|change| std::cmp::Reverse(change.harm));
    Passage {
        signed: content == Content::Identical && after.is_signed_by(our),
        content,
        changes,
        line_ends,
        hops: after
            .opened
            .headers
            .iter()
            .filter(|(name, _)| is_received(name))
            .count(),
        server_time: server_time(&after.opened),
    }
}

/// Whether a mail carries the very ciphertext that was sent, whatever became of its headers.
pub fn carries(sent: &[u8], arrived: &[u8]) -> bool {
    let ours = ciphertexts(&leaves(sent));
    !ours.is_empty() && {
        let theirs = ciphertexts(&leaves(arrived));
        ours.iter()
            .all(|one| theirs.iter().any(|other| other.binary == one.binary))
    }
}

fn removed() -> Change {
    let text = "the encrypted part is gone: a server on the way has taken it out";
    Change::new(ChangeKind::CiphertextRemoved, Harm::Fatal, text).remedy(
        "ask whoever runs the mail server to let OpenPGP mail through (multipart/encrypted, application/octet-stream), \
         or use another relay",
    )
}

fn damaged(why: &str) -> Change {
    let text = format!("the encrypted part cannot be opened any more: {why}");
    Change::new(ChangeKind::CiphertextDamaged, Harm::Fatal, text).remedy(
        "ask whoever runs the mail server to pass on encrypted mail unchanged (no content filter, no footers), or use \
         another relay",
    )
}

/// One of the two mails, read.
struct Half<'a> {
    opened: Opened,
    leaves: Vec<Leaf<'a>>,
    ciphertexts: Vec<Ciphertext>,
    /// Of each ciphertext, what our key makes of it.
    plains: Vec<Result<Plain, String>>,
    raw: &'a [u8],
}

/// What our key makes of a ciphertext.
struct Plain {
    bytes: Vec<u8>,
    signer: Option<String>,
}

impl<'a> Half<'a> {
    fn read(raw: &'a [u8], our: &OurKey, now: Time) -> Self {
        let opened = open::open(raw, None, &[], now);
        let leaves = leaves(raw);
        let ciphertexts = ciphertexts(&leaves);
        let own = [our.certificate().clone()];
        let most = open::MAX_MAIL_BYTES;
        let plains = ciphertexts.iter().map(|ciphertext| {
            let plain = pgp::decrypt(&ciphertext.binary, Some(our), &own, now, most)?;
            Ok(Plain {
                bytes: plain.bytes,
                signer: match plain.signature {
                    Signature::Good { fingerprint } => Some(fingerprint),
                    _ => None,
                },
            })
        });
        let plains = plains.collect();
        Self {
            opened,
            leaves,
            ciphertexts,
            plains,
            raw,
        }
    }

    /// Why one of its ciphertexts does not open.
    fn closed(&self) -> Option<&str> {
        self.plains
            .iter()
            .find_map(|plain| plain.as_ref().err())
            .map(String::as_str)
    }

    fn is_signed_by(&self, our: &OurKey) -> bool {
        let mut opened = self.plains.iter().flatten().peekable();
        opened.peek().is_some() && opened.all(|plain| plain.signer.as_deref() == Some(our.fingerprint()))
    }
}

fn content_of(before: &Half<'_>, after: &Half<'_>) -> Content {
    if after.ciphertexts.len() < before.ciphertexts.len() {
        return Content::Missing;
    }
    for wanted in before.plains.iter().flatten() {
        let found = after.plains.iter().flatten().any(|plain| plain.bytes == wanted.bytes);
        if !found {
            return match after.closed() {
                Some(_) => Content::Unreadable,
                None => Content::Different,
            };
        }
    }
    Content::Identical
}

/// A part that has no parts, with the types of those it stands in, outermost first.
struct Leaf<'a> {
    entity: Entity<'a>,
    media_type: String,
    around: Vec<String>,
}
impl Leaf<'_> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        self.entity.decoded()
    }
    /// Its direct parent's type; empty for a mail of one part.
    fn parent(&self) -> &str {
        self.around.last().map_or("", String::as_str)
    }
    fn is_text(&self) -> bool {
        self.media_type.starts_with("text/") && !self.entity.is_attachment()
    }
}

fn leaves(raw: &[u8]) -> Vec<Leaf<'_>> {
    fn walk<'a>(raw: &'a [u8], around: &[String], found: &mut Vec<Leaf<'a>>) {
        let entity = Entity::parse(raw);
        let media_type = entity.media_type();
        if media_type.starts_with("multipart/") && around.len() < MAX_DEPTH {
            let around: Vec<String> = around.iter().cloned().chain([media_type]).collect();
            for part in entity.parts(MAX_PARTS) {
                if found.len() < MAX_PARTS {
                    walk(part, &around, found);
                }
            }
            return;
        }
        found.push(Leaf {
            entity,
            media_type,
            around: around.to_vec(),
        });
    }
    let mut found = Vec::new();
    walk(raw, &[], &mut found);
    found
}

/// An OpenPGP message found in a part.
struct Ciphertext {
    /// Which of the leaves.
    leaf: usize,
    /// Without armor.
    binary: Vec<u8>,
    /// The armor's lines, without white space at their ends; `None` where there is none.
    armor: Option<Vec<String>>,
    /// Beside the armor stands something else.
    has_more: bool,
    name: Option<String>,
}

fn ciphertexts(leaves: &[Leaf<'_>]) -> Vec<Ciphertext> {
    let found = leaves.iter().enumerate().filter_map(|(at, leaf)| {
        let bytes = leaf.bytes();
        let name = leaf.entity.file_name();
        let text = String::from_utf8_lossy(&bytes);
        let armored = text.find(BEGIN).map(|from| {
            let end = text[from..].find(END).map_or(text.len(), |end| from + end + END.len());
            (
                &text[from..end],
                !text[..from].trim().is_empty() || !text[end..].trim().is_empty(),
            )
        });
        let is_binary = name
            .as_deref()
            .is_some_and(|name| name.ends_with(".pgp") || name.ends_with(".gpg"));
        let (binary, armor, has_more) = match armored {
            Some((block, has_more)) => {
                let lines = block.lines().map(|line| line.trim_end().to_owned()).collect();
                (dearmored(block), Some(lines), has_more)
            }
            None if is_binary => (bytes.into_owned(), None, false),
            None => return None,
        };
        Some(Ciphertext {
            leaf: at,
            binary,
            armor,
            has_more,
            name,
        })
    });
    found.take(MAX_CIPHERTEXTS).collect()
}

/// What cannot be read is left out: decryption says why it does not open.
fn dearmored(block: &str) -> Vec<u8> {
    let mut binary = Vec::new();
    let reader = Dearmor::from_bytes(block.as_bytes(), ReaderMode::Tolerant(Some(Kind::Message)));
    let _ = reader.take(open::MAX_MAIL_BYTES as u64).read_to_end(&mut binary);
    binary
}

fn is_received(name: &str) -> bool {
    name.eq_ignore_ascii_case("Received")
}

/// The date behind the last semicolon of the topmost Received header, which the last server wrote.
fn server_time(mail: &Opened) -> Option<Time> {
    let (_, value) = mail.headers.iter().find(|(name, _)| is_received(name))?;
    let (_, date) = value.rsplit_once(';')?;
    // Servers put the zone's name behind it as a comment.
    let date = date.split('(').next().unwrap_or_default().trim();
    let date = date.split_whitespace().collect::<Vec<_>>().join(" ");
    chrono::DateTime::parse_from_rfc2822(&date).ok().map(Into::into)
}

fn line_ends(raw: &[u8]) -> LineEnds {
    let all = raw.iter().filter(|b| **b == b'\n').count();
    let with_cr = raw.windows(2).filter(|pair| pair == b"\r\n").count();
    match with_cr {
        0 => LineEnds::Lf,
        _ if with_cr == all => LineEnds::Crlf,
        _ => LineEnds::Mixed,
    }
}

/// The same body but for line ends and empty lines at the end, under headers that describe it alike.
fn same_body(sent: &[u8], arrived: &[u8]) -> bool {
    let (before, after) = (Entity::parse(sent), Entity::parse(arrived));
    before.media_type() == after.media_type() && canonical(before.body) == canonical(after.body)
}

fn canonical(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        out.push(b'\n');
    }
    let end = out.trim_ascii_end().len();
    out.truncate(end);
    out
}
