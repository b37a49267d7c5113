//! The arithmetic of the journal: what is hashed, byte by byte, so that any store and any later verifier of exported
//! evidence compute the same. Knows nothing of where entries are kept.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::JournalEntry;

/// What the first entry follows.
pub const NOTHING_BEFORE: [u8; 32] = [0; 32];

/// JSON in one spelling: keys sorted by their bytes at every depth, no white space.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// What one entry's hash covers.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub sequence: u64,
    /// Microseconds since 1970 UTC.
    pub at_micros: i64,
    pub actor: &'a str,
    pub event: &'a str,
    /// As [`canonical`] writes it.
    pub details: &'a str,
    pub previous: &'a [u8; 32],
}
impl Link<'_> {
    /// SHA-256 over a mark, the numbers as 8 bytes big-endian, each text after its length, and the hash before.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"breachpost journal entry 1\n");
        hash.update(self.sequence.to_be_bytes());
        hash.update(self.at_micros.to_be_bytes());
        for text in [self.actor, self.event, self.details] {
            add_text(&mut hash, text);
        }
        hash.update(self.previous);
        hash.finalize().into()
    }
}

impl JournalEntry {
    /// The hash this entry should have, in lower-case hex; `None` when `previous` is no SHA-256.
    pub fn expected_hash(&self) -> Option<String> {
        let previous = unhex(&self.previous)?;
        let link = Link {
            sequence: self.sequence,
            at_micros: self.at.timestamp_micros(),
            actor: &self.actor,
            event: &self.event,
            details: &canonical(&self.details),
            previous: &previous,
        };
        Some(hex(&link.hash()))
    }
}

/// One attempt as a batch's hash sees it. Reply, fault and TLS facts enter by their own hashes, so that their text can
/// be erased after the retention time while the chain stays provable.
#[derive(Debug, Clone, Copy)]
pub struct AttemptRow<'a> {
    pub delivery: i64,
    /// Microseconds since 1970 UTC.
    pub at_micros: i64,
    pub outcome: &'a str,
    pub reply: Option<&'a str>,
    pub fault: Option<&'a str>,
    pub tls: Option<&'a str>,
}

/// The hash over the attempts of one journal entry, in the order they were stored.
#[derive(Debug, Clone)]
pub struct AttemptsHash(Sha256);
impl AttemptsHash {
    pub fn start() -> Self {
        let mut hash = Sha256::new();
        hash.update(b"breachpost attempts 1\n");
        Self(hash)
    }
    pub fn add(&mut self, row: &AttemptRow<'_>) {
        self.add_erased(row, None, None);
    }
    /// As [`AttemptsHash::add`], for a row whose reply or fault has been erased and left its SHA-256 behind.
    pub fn add_erased(&mut self, row: &AttemptRow<'_>, reply: Option<[u8; 32]>, fault: Option<[u8; 32]>) {
        self.0.update(row.delivery.to_be_bytes());
        self.0.update(row.at_micros.to_be_bytes());
        add_text(&mut self.0, row.outcome);
        for (text, erased) in [(row.reply, reply), (row.fault, fault), (row.tls, None)] {
            let digest = text.map(|text| Sha256::digest(text).into()).or(erased);
            self.0.update(digest.unwrap_or(NOTHING_BEFORE));
        }
    }
    /// Lower-case hex.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// 32 bytes from 64 hex digits of either case.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

fn add_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_json_has_one_spelling() {
        let text = r#"{ "b": [1, {"z": null, "a": "\u00e9\n"}], "a": true, "B": "x\"y" }"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            canonical(&value),
            "{\"B\":\"x\\\"y\",\"a\":true,\"b\":[1,{\"a\":\"é\\n\",\"z\":null}]}"
        );
    }

    #[test]
    fn hex_goes_there_and_back() {
        let bytes: [u8; 32] = std::array::from_fn(|i| (i * 9) as u8);
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex(&hex(&bytes).to_uppercase()), Some(bytes));
        for bad in [
            "",
            "0",
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    /// Pins the encoding: a change of it would make every journal written before look forged.
    #[test]
    fn the_hash_of_an_entry_is_fixed() {
        let entry = JournalEntry {
            sequence: 1,
            at: "2026-11-21T10:00:00.000001Z".parse().unwrap(),
            actor: "os:anna".into(),
            event: "breach.opened".into(),
            details: json!({"version": 1, "breach": "B-2026-001"}),
            previous: hex(&NOTHING_BEFORE),
            hash: String::new(),
        };
        // Computed independently with Python's struct and hashlib.
        let known = "648b67ae20254c2c17c6a2af9bef63c6799158f74d9e8734004592ce0bd3902c";
        assert_eq!(entry.expected_hash().as_deref(), Some(known));
    }

    #[test]
    fn every_part_of_an_entry_matters() {
        let link = Link {
            sequence: 7,
            at_micros: 1,
            actor: "ab",
            event: "c",
            details: "{}",
            previous: &NOTHING_BEFORE,
        };
        let others = [
            Link { sequence: 8, ..link },
            Link { at_micros: 2, ..link },
            Link {
                actor: "a",
                event: "bc",
                ..link
            },
            Link { details: "{ }", ..link },
            Link {
                previous: &[1; 32],
                ..link
            },
        ];
        for other in others {
            assert_ne!(link.hash(), other.hash(), "{other:?}");
        }
    }

    #[test]
    fn every_part_of_an_attempt_matters() {
        let digest = |row: AttemptRow<'_>| {
            let mut hash = AttemptsHash::start();
            hash.add(&row);
            hash.finish()
        };
        let row = AttemptRow {
            delivery: 1,
            at_micros: 2,
            outcome: "accepted",
            reply: Some("x"),
            fault: None,
            tls: None,
        };
        let others = [
            AttemptRow { delivery: 3, ..row },
            AttemptRow { at_micros: 3, ..row },
            AttemptRow {
                outcome: "refused",
                ..row
            },
            AttemptRow {
                reply: Some("y"),
                ..row
            },
            AttemptRow {
                reply: None,
                fault: Some("x"),
                ..row
            },
            AttemptRow { tls: Some("x"), ..row },
        ];
        for other in others {
            assert_ne!(digest(row), digest(other), "{other:?}");
        }
    }
}
