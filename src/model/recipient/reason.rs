//! Why a row of a list cannot be used, and what is worth a look in one that can.

use crate::model::address::AddressFlaw;
use crate::reading::table::FlawKind;

/// Makes an enum of reasons: each with the word that stands in JSON and in the store, and the text for a person.
macro_rules! reasons {
    ($($variant:ident = $word:literal: $text:literal),+ $(,)?) => {
        /// Why a row cannot be used. The words are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Reason {
            $(#[serde(rename = $word)] $variant,)+
        }
        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),+];
            /// As it stands in JSON and in the store.
            pub fn word(self) -> &'static str {
                match self { $(Reason::$variant => $word),+ }
            }
            /// For a person.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$variant => $text),+ }
            }
        }
    };
}
reasons! {
    NoAddress = "no_address": "there is no address",
    AddressCharacters = "address_characters": "the address has a space or a character that no address has",
    AddressWithoutAt = "address_without_at": "the address has no @",
    AddressLocalPart = "address_local_part": "the part before the @ is not valid",
    AddressDomain = "address_domain": "the domain after the @ is not valid",
    AddressTooLong = "address_too_long": "the address is too long",
    SeveralAddresses = "several_addresses": "several addresses stand in one cell; give each a row of its own",
    LineBreak = "line_break": "a line break, which this cell must not have",
    ControlCharacter = "control_character": "an invisible control character",
    TooLong = "too_long": "longer than this cell may be",
    CellTooLong = "cell_too_long": "a cell of more than 64 KiB",
    NotText = "not_text": "bytes that are no text in the file's encoding",
    NulByte = "nul_byte": "a NUL byte",
    Ragged = "ragged": "more or fewer cells than the header",
    CellError = "cell_error": "the cell shows an error, such as #N/A",
    NotJson = "not_json": "the line is no JSON object",
    KeyTwice = "key_twice": "a key is given twice",
    Nested = "nested": "a value is nested; only texts, numbers and lists of them are taken",
    LineTooLong = "line_too_long": "a row of more than 1 MiB",
}

impl std::str::FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(word: &str) -> Result<Self, UnknownReason> {
        let known = Reason::ALL.iter().find(|reason| reason.word() == word);
        known.copied().ok_or(UnknownReason)
    }
}
impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
/// A word that is no [`Reason`]: another version wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known reason for an unusable row")]
pub struct UnknownReason;

impl From<AddressFlaw> for Reason {
    fn from(flaw: AddressFlaw) -> Self {
        match flaw {
            AddressFlaw::Characters => Reason::AddressCharacters,
            AddressFlaw::NoAt => Reason::AddressWithoutAt,
            AddressFlaw::NoLocalPart | AddressFlaw::LongLocalPart | AddressFlaw::LocalPart => Reason::AddressLocalPart,
            AddressFlaw::Literal | AddressFlaw::Idn | AddressFlaw::Domain => Reason::AddressDomain,
            AddressFlaw::Long => Reason::AddressTooLong,
        }
    }
}
impl From<FlawKind> for Reason {
    fn from(kind: FlawKind) -> Self {
        match kind {
            FlawKind::CellTooLong => Reason::CellTooLong,
            FlawKind::RowTooLong => Reason::LineTooLong,
            FlawKind::NotText => Reason::NotText,
            FlawKind::Nul => Reason::NulByte,
            FlawKind::Ragged => Reason::Ragged,
            FlawKind::CellError => Reason::CellError,
            FlawKind::NotJson => Reason::NotJson,
            FlawKind::KeyTwice => Reason::KeyTwice,
            FlawKind::Nested => Reason::Nested,
        }
    }
}

/// Why a row cannot be used, and in which column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable {
    pub reason: Reason,
    /// Counts from 0; `None` where the row as a whole is meant.
    pub column: Option<usize>,
}

/// What is worth a look in a row that can be used: one bit each, kept with the person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u32);
impl Flags {
    /// The address belongs to a function (`info@`), not to a person.
    pub const ROLE: Flags = Flags(1);
    /// The address was taken out of `Name <address>`.
    pub const DISPLAY_FORM: Flags = Flags(1 << 1);
    pub const NO_LANGUAGE: Flags = Flags(1 << 2);
    pub const UNKNOWN_LANGUAGE: Flags = Flags(1 << 3);
    pub const UNKNOWN_COUNTRY: Flags = Flags(1 << 4);
    /// Words in the data column that name no category.
    pub const UNKNOWN_DATA: Flags = Flags(1 << 5);
    /// A cell that a spreadsheet program would take for a formula.
    pub const FORMULA: Flags = Flags(1 << 6);
    /// This person's rows held more different values for a field than are kept.
    pub const VALUES_LEFT_OUT: Flags = Flags(1 << 7);
    pub const NO_NAME: Flags = Flags(1 << 8);
    /// A certificate that could be used when the list came in.
    pub const CERTIFICATE: Flags = Flags(1 << 9);
    /// A certificate that could not be used; one of the following says why.
    pub const BAD_CERTIFICATE: Flags = Flags(1 << 10);
    pub const CERTIFICATE_EXPIRED: Flags = Flags(1 << 11);
    pub const CERTIFICATE_REVOKED: Flags = Flags(1 << 12);
    pub const CERTIFICATE_WEAK: Flags = Flags(1 << 13);
    pub const CERTIFICATE_OF_ANOTHER: Flags = Flags(1 << 14);
    pub const CERTIFICATE_UNREADABLE: Flags = Flags(1 << 15);
    pub const SECRET_KEY: Flags = Flags(1 << 16);
    /// Another row of this person gives another address, to which nothing is sent.
    pub const OTHER_ADDRESS: Flags = Flags(1 << 20);

    /// Each flag with the name it has in JSON and the words for a person, in the order in which they are shown.
    pub const ALL: &'static [(Flags, &'static str, &'static str)] = &[
        (
            Flags::NO_LANGUAGE,
            "no_language",
            "without a language: they get the fallback language, or one message in several (`stacked`)",
        ),
        (
            Flags::UNKNOWN_LANGUAGE,
            "unknown_language",
            "with a language that is not known: they get the fallback language, or one message in several (`stacked`)",
        ),
        (Flags::NO_NAME, "no_name", "without a name"),
        (
            Flags::ROLE,
            "role_address",
            "at an address of a function, such as info@",
        ),
        (
            Flags::DISPLAY_FORM,
            "display_form",
            "whose address was taken out of `Name <address>`",
        ),
        (
            Flags::UNKNOWN_DATA,
            "unknown_data",
            "whose data column has words that are not known: they are told the record's categories",
        ),
        (
            Flags::UNKNOWN_COUNTRY,
            "unknown_country",
            "with a country that is not known",
        ),
        (
            Flags::FORMULA,
            "formula",
            "with a cell that looks like a spreadsheet formula",
        ),
        (
            Flags::VALUES_LEFT_OUT,
            "values_left_out",
            "with more than 100 different values in one field: the rest was left out",
        ),
        (
            Flags::OTHER_ADDRESS,
            "other_address",
            "with another address in a further row: only the first one is written to, the other is kept (`other_email`)",
        ),
        (
            Flags::CERTIFICATE,
            "certificate",
            "with an OpenPGP certificate of their own: their messages are encrypted, unless campaign.encrypt is never",
        ),
        (
            Flags::BAD_CERTIFICATE,
            "bad_certificate",
            "whose certificate cannot be used, for these reasons:",
        ),
        (
            Flags::CERTIFICATE_EXPIRED,
            "certificate_expired",
            "whose certificate has expired",
        ),
        (
            Flags::CERTIFICATE_REVOKED,
            "certificate_revoked",
            "whose certificate was revoked",
        ),
        (
            Flags::CERTIFICATE_WEAK,
            "certificate_weak",
            "whose certificate is too weak: short RSA, DSA, SHA-1",
        ),
        (
            Flags::CERTIFICATE_OF_ANOTHER,
            "certificate_of_another",
            "whose certificate does not name their address",
        ),
        (
            Flags::CERTIFICATE_UNREADABLE,
            "certificate_unreadable",
            "whose certificate cannot be read, or has no key to encrypt to",
        ),
        (
            Flags::SECRET_KEY,
            "secret_key",
            "whose SECRET key stands in the list, which only they may have: delete it there and tell them that it is compromised",
        ),
    ];

    pub fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }
    pub fn set(&mut self, flag: Flags) {
        self.0 |= flag.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_every_flag_is_its_own() {
        for reason in Reason::ALL {
            assert_eq!(reason.word().parse::<Reason>(), Ok(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
        }
        assert!("".parse::<Reason>().is_err());
        let all = Flags::ALL.iter().fold(0, |sum, (flag, _, _)| {
            assert_eq!(sum & flag.0, 0);
            sum | flag.0
        });
        assert_eq!(all.count_ones() as usize, Flags::ALL.len());
    }
}
