//! Names of things: register numbers, row ids, references. No I/O, no randomness of its own.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that was given where an id was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {wanted}")]
pub struct BadId {
    pub given: String,
    /// What it should look like, with an example.
    pub wanted: &'static str,
}

/// What distinguishes one [`Id`] from another: the prefix it is printed with.
pub trait Kind {
    const PREFIX: &'static str;
    const WANTED: &'static str;
}

/// A row id of the store, printed with its kind's prefix (`dlv_17`). Row ids are small and ordered, which
/// keeps the index of a ledger of millions small.
pub struct Id<T>(i64, PhantomData<fn() -> T>);

impl<T> Id<T> {
    pub fn new(row: i64) -> Self {
        Self(row, PhantomData)
    }
    pub fn row(self) -> i64 {
        self.0
    }
}
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T: Kind> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", T::PREFIX, self.0)
    }
}
impl<T: Kind> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<T: Kind> FromStr for Id<T> {
    type Err = BadId;
    /// Accepts `dlv_17` and plain `17`.
    fn from_str(s: &str) -> Result<Self, BadId> {
        s.strip_prefix(T::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .unwrap_or(s)
            .parse()
            .ok()
            .filter(|row| *row > 0)
            .map(Self::new)
            .ok_or_else(|| BadId {
                given: s.to_owned(),
                wanted: T::WANTED,
            })
    }
}
impl<T: Kind> Serialize for Id<T> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de, T: Kind> Deserialize<'de> for Id<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident = $marker:ident, $prefix:literal, $wanted:literal;)*) => {$(
        /// Marker for the id of the same name.
        pub enum $marker {}
        impl Kind for $marker {
            const PREFIX: &'static str = $prefix;
            const WANTED: &'static str = $wanted;
        }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )*};
}
kinds! {
    /// One message to one recipient: a row of the outbox and the ledger.
    DeliveryId = DeliveryKind, "dlv", "delivery id such as dlv_17";
    /// One communication to many individuals.
    CampaignId = CampaignKind, "cmp", "campaign id such as cmp_3";
    /// One list of persons, as it was imported into a campaign.
    ListId = ListKind, "lst", "list id such as lst_2";
    /// One row of a list that could not be used.
    BadRowId = BadRowKind, "bad", "bad row's id such as bad_17";
    /// One mail as it arrived.
    MailId = MailKind, "mail", "mail id such as mail_5";
    /// Something that needs a person.
    AlertId = AlertKind, "alert", "alert id such as alert_4";
}

/// A breach's number in the register: year and count, printed `B-2026-001` (GDPR Art. 33(5)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BreachId {
    pub year: i32,
    pub number: u32,
}
impl fmt::Display for BreachId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B-{:04}-{:03}", self.year, self.number)
    }
}
impl fmt::Debug for BreachId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for BreachId {
    type Err = BadId;
    /// Accepts any case, and the `B-` may be left out.
    fn from_str(s: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            given: s.to_owned(),
            wanted: "breach number such as B-2026-001",
        };
        let rest = s.strip_prefix("B-").or_else(|| s.strip_prefix("b-")).unwrap_or(s);
        let (year, number) = rest.split_once('-').ok_or_else(bad)?;
        match (year.parse(), number.parse()) {
            (Ok(year), Ok(number)) if (2000..10_000).contains(&year) && number > 0 => Ok(Self { year, number }),
            _ => Err(bad()),
        }
    }
}
impl Serialize for BreachId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for BreachId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One run of a process that claims work; it holds an OS lock of this name while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub Uuid);
impl WorkerId {
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrk_{}", self.0.simple())
    }
}
impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for WorkerId {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        s.strip_prefix("wrk_")
            .and_then(|u| Uuid::try_parse(u).ok())
            .map(Self)
            .ok_or_else(|| BadId {
                given: s.to_owned(),
                wanted: "worker id",
            })
    }
}
impl Serialize for WorkerId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for WorkerId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Our opaque token for one notice, printed `BP-7K3M-Q2XR`: 8 symbols of 5 bits, unique in the store. It names
/// nothing about the breach, so it may stand in an outer subject.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

/// Crockford's base32: no I, L, O or U, so that a reference survives being read out on the telephone.
pub const REFERENCE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Reference {
    /// Makes a reference of 40 random bits given by the caller.
    pub fn from_bits(bits: [u8; 5]) -> Self {
        let n = bits.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let mut text = String::with_capacity(12);
        text.push_str("BP-");
        for i in 0..8 {
            if i == 4 {
                text.push('-');
            }
            text.push(REFERENCE_ALPHABET[(n >> (35 - 5 * i) & 31) as usize] as char);
        }
        Self(text)
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for Reference {
    type Err = BadId;
    /// Case-insensitive; `O` reads as 0, `I` and `L` as 1, as a person would type them.
    fn from_str(s: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            given: s.to_owned(),
            wanted: "reference such as BP-7K3M-Q2XR",
        };
        let upper = s.trim().to_ascii_uppercase();
        let rest = upper.strip_prefix("BP-").ok_or_else(bad)?;
        let (a, b) = rest.split_once('-').ok_or_else(bad)?;
        if a.len() != 4 || b.len() != 4 {
            return Err(bad());
        }
        let mut text = String::from("BP-");
        for (i, c) in a.chars().chain(b.chars()).enumerate() {
            if i == 4 {
                text.push('-');
            }
            let c = match c {
                'O' => '0',
                'I' | 'L' => '1',
                c if c.is_ascii() && REFERENCE_ALPHABET.contains(&(c as u8)) => c,
                _ => return Err(bad()),
            };
            text.push(c);
        }
        Ok(Self(text))
    }
}
impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who did it: stands in the journal beside every change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The account of the operating system that ran the command.
    Os(String),
    /// A named user, authenticated by token.
    User(String),
    /// A loop of the daemon, by its name (`courier`, `intake`, `clerk`).
    Loop(String),
}
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Os(n) => write!(f, "os:{n}"),
            Actor::User(n) => write!(f, "user:{n}"),
            Actor::Loop(n) => write!(f, "loop:{n}"),
        }
    }
}
impl FromStr for Actor {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        match s.split_once(':') {
            Some(("os", n)) => Ok(Actor::Os(n.to_owned())),
            Some(("user", n)) => Ok(Actor::User(n.to_owned())),
            Some(("loop", n)) => Ok(Actor::Loop(n.to_owned())),
            _ => Err(BadId {
                given: s.to_owned(),
                wanted: "actor such as os:anna",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_printed_and_read_back() {
        assert_eq!(DeliveryId::new(17).to_string(), "dlv_17");
        assert_eq!("dlv_17".parse::<DeliveryId>(), Ok(DeliveryId::new(17)));
        assert_eq!("17".parse::<MailId>(), Ok(MailId::new(17)));
        for bad in ["dlv_", "dlv_0", "dlv_-3", "mail_3", "", "dlv_9999999999999999999999"] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn register_numbers() {
        let id: BreachId = "b-2026-7".parse().unwrap();
        assert_eq!(id.to_string(), "B-2026-007");
        assert_eq!("2026-007".parse::<BreachId>().unwrap(), id);
        assert!("B-2026-000".parse::<BreachId>().is_err());
        assert!("B-99999-1".parse::<BreachId>().is_err());
    }

    #[test]
    fn references_survive_the_telephone() {
        let r = Reference::from_bits([0x3a, 0x68, 0x3b, 0x8b, 0xb8]);
        assert_eq!(r.as_str().len(), 12);
        assert_eq!(r.as_str().parse::<Reference>().unwrap(), r);
        assert_eq!("bp-olil-0000".parse::<Reference>().unwrap().as_str(), "BP-0111-0000");
        for bad in [
            "BP-7K3M",
            "BP-7K3M-Q2X",
            "BP-7K3M-Q2XRA",
            "XX-7K3M-Q2XR",
            "BP-7K3U-Q2XR",
            "BP-äääa-Q2XR",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
