//! A profile without a fault, which tests spoil.

use super::Profile;

/// A supervisory authority of an invented country, checked on 2026-11-01.
pub(super) const SOUND: &str = "id: xx-test
type: supervisory
names: { en: Office }
country: XX
timezone: Europe/Luxembourg
languages: [en]
channels:
  - { kind: email, value: breach@office.example, for: breach, source: s, confidence: confirmed }
  - { kind: phone, value: +352 1, for: general, source: s, confidence: confirmed }
openpgp: { url: https://office.example/key, url_kind: page, source: s, confidence: confirmed }
checked: { by: Anna, on: 2026-11-01 }
";

pub(super) fn read(text: &str) -> Profile {
    crate::reading::yaml("test.yaml", text.as_bytes()).unwrap()
}
