//! The marks by which what comes back is tied to what was sent: references in text, Message-IDs, digests, and tokens.
//!
//! A token stands in the return path (`local+TOKEN@domain`, RFC 5233) and as envelope id (RFC 3461 §4.4), of a campaign's
//! message also in its Message-ID. It names the notice or the delivery and carries a 64-bit HMAC, so that what comes back
//! can be told from what a stranger made up, without looking anything up. Letters and digits only, in any case:
//!
//! - `BP7K3MQ2XR` and 13 symbols: a notice, by its reference;
//! - `C`, the row in base32, and 13 symbols: one delivery of a campaign.

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::model::id::{DeliveryId, REFERENCE_ALPHABET, Reference};

/// Most references looked at in one text: a mail that quotes more is no answer to one of ours.
const MOST_REFERENCES: usize = 64;

/// The subject that everybody on the way may read: neutral, with the reference (design: invariant 2).
pub fn outer_subject(reference: &Reference) -> String {
    format!("Encrypted message {reference}")
}

/// A fresh, opaque Message-ID at the sender's domain (RFC 5322 §3.6.4), with angle brackets.
pub fn message_id(sender: &str) -> String {
    format!("<{}@{}>", uuid::Uuid::now_v7().simple(), domain_of(sender))
}

fn domain_of(sender: &str) -> String {
    let domain = sender.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    idna::domain_to_ascii(domain).unwrap_or_else(|_| "localhost".to_owned())
}

/// The Message-ID of a campaign's message: its token, so that an answer can be checked without an index over millions.
pub fn message_id_of(token: &str, sender: &str) -> String {
    format!("<{}@{}>", token.to_ascii_lowercase(), domain_of(sender))
}

/// Symbols of a 64-bit HMAC, 5 bits each.
const MAC_SYMBOLS: usize = 13;
/// A reference without its hyphens.
const REFERENCE_SYMBOLS: usize = 10;
/// RFC 5321 §4.5.3.1.1.
const LOCAL_PART_MOST_BYTES: usize = 64;

/// What a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Notice(Reference),
    /// One delivery of a campaign.
    Delivery(DeliveryId),
}

/// The key of the tokens: derived from the store key and never that key itself, so that no token tells anything about it.
#[derive(Clone)]
pub struct TokenKey(Zeroizing<[u8; 32]>);
impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}
impl TokenKey {
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The token of a notice.
    pub fn for_notice(&self, reference: &Reference) -> String {
        let mut token = reference.as_str().replace('-', "");
        token.push_str(&base32(self.mac("notice", reference.as_str().as_bytes()), MAC_SYMBOLS));
        token
    }

    /// The token of one delivery of a campaign.
    pub fn for_delivery(&self, delivery: DeliveryId) -> String {
        let row = delivery.row().unsigned_abs();
        let symbols = (64 - row.leading_zeros() as usize).div_ceil(5).max(1);
        let mac = self.mac("delivery", &row.to_be_bytes());
        format!("C{}{}", base32(row, symbols), base32(mac, MAC_SYMBOLS))
    }

    /// What a token names; `None` for anything we did not make. Every symbol counts, in upper or lower case.
    pub fn read(&self, token: &str) -> Option<Named> {
        let token = token.trim().to_ascii_uppercase();
        let (named, mac) = token
            .is_ascii()
            .then(|| token.split_at_checked(token.len().checked_sub(MAC_SYMBOLS)?))??;
        let mac = unbase32(mac)?;
        if named.len() == REFERENCE_SYMBOLS && named.starts_with("BP") {
            let reference: Reference = format!("BP-{}-{}", &named[2..6], &named[6..]).parse().ok()?;
            // The parser forgives what a person mistypes; a token was never typed.
            let exact = reference.as_str().replace('-', "") == named;
            return (exact && self.mac("notice", reference.as_str().as_bytes()) == mac)
                .then_some(Named::Notice(reference));
        }
        let row = unbase32(named.strip_prefix('C')?)?;
        let delivery = DeliveryId::new(i64::try_from(row).ok().filter(|row| *row > 0)?);
        let exact = self.for_delivery(delivery).eq_ignore_ascii_case(&token);
        (exact && self.mac("delivery", &row.to_be_bytes()) == mac).then_some(Named::Delivery(delivery))
    }

    /// What the token in an address names: `local+TOKEN@domain`.
    pub fn read_address(&self, address: &str) -> Option<Named> {
        let (local, _) = address.rsplit_once('@')?;
        let (_, detail) = local.rsplit_once('+')?;
        self.read(detail)
    }

    /// What the token in a Message-ID names, as [`message_id_of`] makes them.
    pub fn read_message_id(&self, message_id: &str) -> Option<Named> {
        let (left, _) = message_id.trim_matches(['<', '>']).rsplit_once('@')?;
        self.read(left)
    }

    /// The first 64 bits of HMAC-SHA-256. Guessing one that fits takes 2^63 mails on average.
    pub(super) fn mac(&self, kind: &str, name: &[u8]) -> u64 {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes a key of any length");
        mac.update(kind.as_bytes());
        mac.update(b"\0");
        mac.update(name);
        let bytes = mac.finalize().into_bytes();
        bytes[..8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
    }
}

/// The return path with the token (RFC 5233); the address itself where its local part is quoted or would become too long.
pub fn return_path(address: &str, token: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.starts_with('"') && local.len() + 1 + token.len() <= LOCAL_PART_MOST_BYTES => {
            format!("{local}+{}@{domain}", token.to_ascii_lowercase())
        }
        _ => address.to_owned(),
    }
}

/// The lowest bits as symbols of the references' alphabet, highest first.
fn base32(number: u64, symbols: usize) -> String {
    let wide = u128::from(number);
    (0..symbols)
        .rev()
        .map(|place| char::from(REFERENCE_ALPHABET[(wide >> (5 * place) & 31) as usize]))
        .collect()
}

/// Back to the number; `None` for other symbols and for more than 64 bits.
fn unbase32(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > MAC_SYMBOLS {
        return None;
    }
    let number = text.bytes().try_fold(0_u128, |number, symbol| {
        let value = REFERENCE_ALPHABET.iter().position(|known| *known == symbol)?;
        Some(number << 5 | value as u128)
    })?;
    u64::try_from(number).ok()
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

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn tokens_name_what_they_were_made_for() {
        let reference: Reference = "BP-7K3M-Q2XR".parse().unwrap();
        let token = key(1).for_notice(&reference);
        assert!(token.starts_with("BP7K3MQ2XR") && token.len() == 23, "{token}");
        for read in [&token, &token.to_ascii_lowercase()] {
            assert_eq!(key(1).read(read), Some(Named::Notice(reference.clone())));
        }
        for row in [1, 31, 32, 17, 1_000_000, i64::MAX] {
            let id = DeliveryId::new(row);
            let token = key(1).for_delivery(id);
            assert!(
                token.len() <= 27 && token.bytes().all(|b| b.is_ascii_alphanumeric()),
                "{token}"
            );
            assert_eq!(key(1).read(&token.to_lowercase()), Some(Named::Delivery(id)), "{token}");
            let mail = message_id_of(&token, "breach@müller.example");
            assert!(mail.ends_with("@xn--mller-kva.example>"), "{mail}");
            assert_eq!(key(1).read_message_id(&mail), Some(Named::Delivery(id)));
        }
    }

    #[test]
    fn a_token_that_was_tampered_with_names_nothing() {
        let tokens = [
            key(1).for_notice(&"BP-7K3M-Q2XR".parse().unwrap()),
            key(1).for_delivery(DeliveryId::new(4711)),
        ];
        for token in &tokens {
            assert_eq!(key(2).read(token), None, "made with another key");
            for at in 0..token.len() {
                for symbol in ["0", "1", "O", "I", "L", "Z", "ä", "-"] {
                    let mut other = token.clone();
                    other.replace_range(at..=at, symbol);
                    if other != *token {
                        assert_eq!(key(1).read(&other), None, "{other}");
                    }
                }
            }
            for other in [
                token[1..].to_owned(),
                format!("{token}0"),
                format!("0{token}"),
                token[..token.len() - 1].to_owned(),
            ] {
                assert_eq!(key(1).read(&other), None, "{other}");
            }
        }
        let (notice, delivery) = (&tokens[0], &tokens[1]);
        let mixed = format!("{}{}", &notice[..10], &delivery[delivery.len() - MAC_SYMBOLS..]);
        for nonsense in ["", "C", "BP7K3MQ2XR", "ääääääääääääääääääääää", "C0", &mixed] {
            assert_eq!(key(1).read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn return_paths_carry_the_token_and_give_it_back() {
        let reference: Reference = "BP-7K3M-Q2XR".parse().unwrap();
        let token = key(1).for_notice(&reference);
        for address in ["breach@example.lu", "dpo+breach@example.lu"] {
            let path = return_path(address, &token);
            assert!(path.starts_with(address.split_once('@').unwrap().0), "{path}");
            assert_eq!(
                key(1).read_address(&path.to_uppercase()),
                Some(Named::Notice(reference.clone()))
            );
            assert_eq!(key(1).read_address(address), None);
        }
        let long = format!("{}@example.lu", "x".repeat(60));
        for address in [long.as_str(), "\"a b\"@example.lu", "nobody"] {
            assert_eq!(return_path(address, &token), address, "no room or no plain address");
        }
    }

    #[test]
    fn message_ids_are_opaque_and_ascii() {
        let id = message_id("breach@müller.example");
        assert!(id.starts_with('<') && id.ends_with("@xn--mller-kva.example>"), "{id}");
        assert!(!id.contains("breach"));
    }
}
