//! What became of the body's parts: PGP/MIME (RFC 3156 §4) or a cover text with sealed files.

use super::{Change, ChangeKind, Ciphertext, Half, Harm, Leaf};
use crate::message::part::Entity;

const ENCRYPTED: &str = "multipart/encrypted";
const VERSION: &str = "application/pgp-encrypted";
const NO_FOOTERS: &str = "ask whoever runs the mail server to add no footer or disclaimer to encrypted mail";
const NO_REBUILDING: &str = "ask whoever runs the mail server to pass on multipart/encrypted unchanged (on Exchange: no \
                             transport rule or filter that rewrites it), or use another relay";

/// Called when the bodies differ: names each difference, and one at least.
pub(super) fn changes(before: &Half<'_>, after: &Half<'_>, changes: &mut Vec<Change>) {
    let first = changes.len();
    let is_pgp_mime = before.leaves.iter().any(|leaf| leaf.parent() == ENCRYPTED);
    if is_pgp_mime && !after.ciphertexts.is_empty() {
        changes.extend(frame(after));
    }
    if !is_pgp_mime {
        changes.extend(cover(before, after));
    }
    for (at, ciphertext) in before.ciphertexts.iter().enumerate() {
        if let Some(found) = counterpart(before, after, at) {
            part(before, after, ciphertext, found, changes);
        }
    }
    // What stands in the place of a ciphertext that is gone is no addition.
    if after.ciphertexts.len() >= before.ciphertexts.len() {
        changes.extend(added(before, after));
    }
    changes.extend(behind_the_end(after));
    let all_found = (0..before.ciphertexts.len()).all(|at| counterpart(before, after, at).is_some());
    if changes.len() == first && all_found {
        let text = "the parts were put together anew: their boundaries or headers differ";
        changes.push(Change::new(ChangeKind::Rewritten, Harm::Harmless, text));
    }
}

/// The ciphertext in what arrived that is, or was, this one.
fn counterpart<'h>(before: &Half<'_>, after: &'h Half<'_>, at: usize) -> Option<&'h Ciphertext> {
    let wanted = &before.ciphertexts[at];
    let exact = after.ciphertexts.iter().find(|found| found.binary == wanted.binary);
    let opened = before.plains[at].as_ref().ok();
    exact.or_else(|| {
        let same = |plain: &Result<super::Plain, String>| {
            plain
                .as_ref()
                .is_ok_and(|plain| Some(&plain.bytes) == opened.map(|opened| &opened.bytes))
        };
        let place = after.plains.iter().position(same)?;
        after.ciphertexts.get(place)
    })
}

/// Whether it is still PGP/MIME.
fn frame(after: &Half<'_>) -> Option<Change> {
    let leaf = |ciphertext: &Ciphertext| &after.leaves[ciphertext.leaf];
    let framed = after
        .ciphertexts
        .iter()
        .map(leaf)
        .find(|leaf| leaf.parent() == ENCRYPTED);
    let Some(framed) = framed else {
        let text = "multipart/encrypted was taken apart: mail programs show attachments instead of opening it";
        return Some(Change::new(ChangeKind::TakenApart, Harm::Risky, text).remedy(NO_REBUILDING));
    };
    let inside: Vec<&Leaf<'_>> = after.leaves.iter().filter(|leaf| leaf.parent() == ENCRYPTED).collect();
    let place = |wanted: &dyn Fn(&Leaf<'_>) -> bool| inside.iter().position(|leaf| wanted(leaf));
    let version = place(&|leaf| leaf.media_type == VERSION);
    let message = place(&|leaf| std::ptr::eq(leaf, framed));
    let protocol = Entity::parse(after.raw);
    let protocol = protocol.parameter("protocol").unwrap_or_default().to_ascii_lowercase();
    let (kind, text) = match (version, message) {
        (None, _) => (
            ChangeKind::TakenApart,
            "the part `Version: 1` that belongs before the ciphertext is gone",
        ),
        (Some(version), Some(message)) if version > message => (
            ChangeKind::Reordered,
            "the ciphertext stands before the part `Version: 1` instead of behind it",
        ),
        _ if framed.around.len() > 1 => (
            ChangeKind::Wrapped,
            "the encrypted mail was put inside another multipart: many mail programs do not open it then",
        ),
        _ if protocol != VERSION => (
            ChangeKind::TypeChanged,
            "the Content-Type lost its parameter `protocol`: mail programs cannot tell that it is OpenPGP",
        ),
        _ => return None,
    };
    Some(Change::new(kind, Harm::Risky, text).remedy(NO_REBUILDING))
}

/// The text beside sealed files.
fn cover(before: &Half<'_>, after: &Half<'_>) -> Option<Change> {
    let sent = before.leaves.iter().find(|leaf| leaf.is_text())?.entity.text();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let is_there = |leaf: &Leaf<'_>| leaf.is_text() && words(&leaf.entity.text()) == words(&sent);
    (!after.leaves.iter().any(is_there)).then(|| {
        let text = "the cover text beside the sealed files was changed";
        Change::new(ChangeKind::CoverTextChanged, Harm::Harmless, text).remedy(NO_FOOTERS)
    })
}

/// What became of the part around one ciphertext.
fn part(before: &Half<'_>, after: &Half<'_>, sent: &Ciphertext, found: &Ciphertext, changes: &mut Vec<Change>) {
    let (leaf, now) = (&before.leaves[sent.leaf], &after.leaves[found.leaf]);
    if leaf.media_type != now.media_type {
        let text = format!(
            "the encrypted part's type is {} instead of {}",
            now.media_type, leaf.media_type
        );
        changes.push(Change::new(ChangeKind::TypeChanged, Harm::Risky, text).remedy(NO_REBUILDING));
    }
    if sent.name != found.name {
        let text = "the encrypted part was given another file name";
        changes.push(Change::new(ChangeKind::Renamed, Harm::Harmless, text));
    }
    let encoding = |leaf: &Leaf<'_>| leaf.entity.transfer_encoding().unwrap_or_else(|| "7bit".to_owned());
    let (was, is) = (encoding(leaf), encoding(now));
    if was != is {
        let text = format!("the encrypted part was encoded anew: {is} instead of {was}; readers undo that");
        changes.push(Change::new(ChangeKind::ReEncoded, Harm::Harmless, text));
    }
    if sent.armor != found.armor {
        let text = "the armor's lines were wrapped anew; readers undo that";
        changes.push(Change::new(ChangeKind::ReWrapped, Harm::Harmless, text));
    }
    if found.has_more && !sent.has_more {
        let text = "text was written into the encrypted part, beside the ciphertext";
        changes.push(Change::new(ChangeKind::TextAdded, Harm::Risky, text).remedy(NO_FOOTERS));
    }
}

/// Parts that were not sent. Those that were, in another shape, have been named.
fn added(before: &Half<'_>, after: &Half<'_>) -> Vec<Change> {
    let own: Vec<Vec<u8>> = before
        .leaves
        .iter()
        .map(|leaf| super::canonical(&leaf.bytes()))
        .collect();
    let strange = after.leaves.iter().enumerate().filter(|(at, leaf)| {
        let is_ciphertext = after.ciphertexts.iter().any(|ciphertext| ciphertext.leaf == *at);
        let bytes = super::canonical(&leaf.bytes());
        let is_cover = before.leaves.iter().any(|own| own.is_text()) && leaf.is_text();
        !is_ciphertext && !is_cover && !bytes.is_empty() && leaf.media_type != VERSION && !own.contains(&bytes)
    });
    strange
        .map(|(_, leaf)| {
            let place = if leaf.parent() == ENCRYPTED {
                "inside multipart/encrypted, which must have two parts: mail programs may refuse it"
            } else {
                "beside the encrypted mail"
            };
            let (kind, what) = match leaf.is_text() {
                true => (ChangeKind::TextAdded, "a text, such as a disclaimer,"),
                false => (ChangeKind::PartAdded, "a part"),
            };
            Change::new(kind, Harm::Risky, format!("{what} was added {place}")).remedy(NO_FOOTERS)
        })
        .collect()
}

/// Footers that were written behind the last boundary, where no mail program shows them.
fn behind_the_end(after: &Half<'_>) -> Option<Change> {
    let entity = Entity::parse(after.raw);
    let boundary = entity.parameter("boundary")?;
    let body = String::from_utf8_lossy(entity.body);
    let (_, rest) = body.rsplit_once(&format!("--{boundary}--"))?;
    (!rest.trim().is_empty()).then(|| {
        let text = "text was added behind the mail's end, where nobody sees it";
        Change::new(ChangeKind::TextAdded, Harm::Harmless, text).remedy(NO_FOOTERS)
    })
}
