//! The marks by which what comes back is tied to what was sent: references in text, Message-IDs, digests.

use std::sync::LazyLock;

use regex::Regex;
use sha2::{Digest, Sha256};

use crate::model::id::Reference;

/// Most references looked at in one text: a mail that quotes more is no answer to one of ours.
const MOST_REFERENCES: usize = 64;

/// The subject that everybody on the way may read: neutral, with the reference (design: invariant 2).
pub fn outer_subject(reference: &Reference) -> String {
    format!("Encrypted message {reference}")
}

/// A fresh, opaque Message-ID at the sender's domain (RFC 5322 §3.6.4), with angle brackets.
pub fn message_id(sender: &str) -> String {
    let domain = sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| "localhost".to_owned());
    format!("<{}@{domain}>", uuid::Uuid::now_v7().simple())
}

/// Lower-case hex SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Every reference of ours in a text, each once, in the order found. Upper or lower case; a line break or a soft hyphen
/// inside one is not bridged.
pub fn references_in(text: &str) -> Vec<Reference> {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)\bBP-[0-9A-Z]{4}-[0-9A-Z]{4}\b").expect("a constant pattern"));
    let mut found = Vec::new();
    for hit in PATTERN.find_iter(text).take(MOST_REFERENCES) {
        if let Ok(reference) = hit.as_str().parse::<Reference>()
            && !found.contains(&reference)
        {
            found.push(reference);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_where_people_put_them() {
        let found =
            references_in("Re: [EXT] Encrypted message bp-7k3m-q2xr (BP-7K3M-Q2XR), XBP-7K3M-Q2XR, BP-0000-0001.");
        let found: Vec<_> = found.iter().map(Reference::as_str).collect();
        assert_eq!(found, ["BP-7K3M-Q2XR", "BP-0000-0001"]);
        assert!(references_in("BP-7K3M-Q2XRA BP-7K3M").is_empty());
    }

    #[test]
    fn message_ids_are_opaque_and_ascii() {
        let id = message_id("breach@müller.example");
        assert!(id.starts_with('<') && id.ends_with("@xn--mller-kva.example>"), "{id}");
        assert!(!id.contains("breach"));
    }
}
