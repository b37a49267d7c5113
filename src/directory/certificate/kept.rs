//! A judgement that is kept beside its certificate: for a list of millions with a certificate each, reading and judging it
//! again for every message would cost half as much as sealing the message. It stands until the first expiry in it. Comes
//! from our own store only; a certificate from outside is judged.

use std::sync::Arc;

use sequoia_openpgp as openpgp;

use openpgp::parse::Parse;
use openpgp::serialize::SerializeInto;
use openpgp::{Fingerprint, Packet, PacketPile};

use super::{Judged, Usable};
use crate::model::Time;

const VERSION: u8 = 1;
/// Version, the moment up to which it stands, length of the fingerprint.
const HEAD_BYTES: usize = 10;
const NEVER: i64 = i64::MAX;

impl Usable {
    /// For [`Usable::from_kept`].
    pub fn to_kept(&self) -> Vec<u8> {
        let until = self.0.stands_until.map_or(NEVER, |at| at.timestamp());
        let fingerprint = self.0.fingerprint.as_bytes();
        let mut kept = vec![VERSION];
        kept.extend_from_slice(&until.to_be_bytes());
        kept.push(u8::try_from(fingerprint.len()).expect("fingerprints have 20 or 32 bytes"));
        kept.extend_from_slice(fingerprint);
        for key in &self.0.keys {
            let packet = Packet::from(key.clone().role_into_subordinate());
            kept.extend(packet.to_vec().expect("a key that was read can be written"));
        }
        kept
    }

    /// What was kept; `None` when a key in it has expired since, or it is not understood: then the certificate is to be
    /// judged again.
    pub fn from_kept(kept: &[u8], now: Time) -> Option<Self> {
        let (head, rest) = kept.split_at_checked(HEAD_BYTES)?;
        let (VERSION, [until @ .., length]) = (head[0], &head[1..]) else {
            return None;
        };
        let until = i64::from_be_bytes(until.try_into().ok()?);
        if until <= now.timestamp() {
            return None;
        }
        let (fingerprint, packets) = rest.split_at_checked(usize::from(*length))?;
        let version = if fingerprint.len() == 20 { 4 } else { 6 };
        let fingerprint = Fingerprint::from_bytes(version, fingerprint).ok()?;
        let keys = PacketPile::from_bytes(packets).ok()?.into_children();
        let keys: Vec<_> = keys
            .map(|packet| match packet {
                Packet::PublicSubkey(key) => Some(key.role_into_unspecified()),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let stands_until = match until {
            NEVER => None,
            until => Some(Time::from_timestamp(until, 0)?),
        };
        (!keys.is_empty()).then(|| {
            Self(Arc::new(Judged {
                hex: fingerprint.to_hex(),
                fingerprint,
                keys,
                expires: stands_until,
                stands_until,
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use openpgp::cert::{CertBuilder, CipherSuite};

    use super::super::judge;
    use super::*;

    #[test]
    fn a_kept_judgement_is_the_same_until_a_key_expires() {
        let now = Time::from_timestamp(1_790_000_000, 0).unwrap();
        for (suite, days) in [
            (CipherSuite::Cv25519, None),
            (CipherSuite::P256, Some(30)),
            (CipherSuite::RSA2k, Some(1)),
        ] {
            let life = days.map(|days| std::time::Duration::from_secs(days * 86_400));
            let (cert, _) = CertBuilder::general_purpose(Some("anna@example.org"))
                .set_cipher_suite(suite)
                .set_creation_time(std::time::SystemTime::from(now))
                .set_validity_period(life)
                .generate()
                .unwrap();
            let judged = judge(&cert, Some("anna@example.org"), now).unwrap();
            let kept = judged.to_kept();
            let again = Usable::from_kept(&kept, now).unwrap();
            assert_eq!(
                (again.fingerprint(), again.keys()),
                (judged.fingerprint(), judged.keys())
            );
            let expired = now + TimeDelta::days(days.unwrap_or(40_000).cast_signed());
            assert_eq!(Usable::from_kept(&kept, expired).is_none(), days.is_some(), "{suite:?}");
            for end in 0..kept.len() {
                // Cut short, it is not understood, or names a key that is whole.
                let _ = Usable::from_kept(&kept[..end], now);
            }
            assert!(
                Usable::from_kept(&kept[..HEAD_BYTES + 20], now).is_none(),
                "no key is no judgement"
            );
            assert!(Usable::from_kept(b"", now).is_none());
        }
    }
}
