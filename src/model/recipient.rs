//! Whom a list names: from a row of cells to one person who can be written to, or to the reason why not. No I/O; knows
//! nothing of files, and how a row is cut into cells is the reading room's.

mod columns;
mod fields;
mod reason;
mod words;

use sha2::{Digest, Sha256};

use crate::model::address;
use crate::reading::table::Row;

pub use columns::{BAD_ROW, BAD_ROW_COLUMNS, Columns, ColumnsError, Mapping, Meaning, field_name};
pub use fields::{Fields, MOST_VALUES};
pub use reason::{Flags, Reason, UnknownReason, Unusable};
pub use words::plain;

/// The field that keeps the addresses of a person's further rows.
pub const OTHER_EMAIL: &str = "other_email";
/// The longest name, language, country or id taken, in characters.
const MOST_CHARS: usize = 200;
/// The longest of any other field. A certificate has some 4 KiB, a large one 30.
const MOST_FIELD_CHARS: usize = 60_000;

/// What makes a person one within a campaign: a hash of the controller's number, or of address and name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonKey(pub [u8; 16]);
impl PersonKey {
    /// The person whom the controller knows under this number.
    pub fn of_id(id: &str) -> Self {
        let digest = Sha256::new().chain_update(b"id\0").chain_update(id.trim()).finalize();
        Self(first(&digest))
    }
    /// The person of this name at this address. Keys of one address begin with the same eight bytes.
    pub fn of_name(address: &str, name: &str) -> Self {
        let address = fold_address(address);
        let at = Sha256::new().chain_update(b"at\0").chain_update(&address);
        let whole = at.clone().chain_update(b"\0").chain_update(plain(name));
        let (at, whole) = (at.finalize(), whole.finalize());
        let mut key = first::<16>(&at);
        key[8..].copy_from_slice(&first::<8>(&whole));
        Self(key)
    }
    /// The least and the greatest key of [`PersonKey::of_name`] at this address.
    pub fn all_at(address: &str) -> (Self, Self) {
        let digest = Sha256::new().chain_update(b"at\0").chain_update(fold_address(address));
        let at = first::<8>(&digest.finalize());
        let key = |rest: [u8; 8]| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&at);
            key[8..].copy_from_slice(&rest);
            Self(key)
        };
        (key([0; 8]), key([0xff; 8]))
    }
}
/// Not printed: whoever knows an address can compute it.
impl std::fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonKey(…)")
    }
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    bytes
}

/// The form in which addresses are compared: lower case, the domain in A-labels. Servers may tell `Anna@` from `anna@`
/// (RFC 5321 §2.4); none is known that does, and a person told twice is the greater harm.
pub fn fold_address(address: &str) -> String {
    match address::on_the_wire(address) {
        Ok(wire) => wire.to_lowercase(),
        Err(_) => address.trim().to_lowercase(),
    }
}

/// The addresses in a cell of a list, folded, each as a whole: `a@b.example` is not in `dana@b.example`.
pub fn addresses_in(cell: &str) -> Vec<String> {
    let folded = |word: &str| fold_address(word.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '.')));
    // What cannot stand in an address without quotes (RFC 5321 §4.1.2) parts it from the next.
    let parts = |c: char| c.is_whitespace() || c.is_control() || "()<>[]:;,\\\"".contains(c);
    let mut found = vec![folded(cell)];
    for word in cell.split(parts) {
        found.push(folded(word));
        // These may stand in one, and part several: then each has its own @.
        let pieces = word.split(['/', '|']);
        if pieces.clone().all(|piece| piece.contains('@')) {
            found.extend(pieces.map(folded));
        }
    }
    found.retain(|address| address.contains('@'));
    found.sort();
    found.dedup();
    found
}

/// One person of a list who can be written to.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    pub key: PersonKey,
    /// As written: this is where the mail goes.
    pub address: String,
    /// In A-labels and lower case.
    pub domain: String,
    /// ISO 639-1; `None` where the list does not say or says what is not known.
    pub language: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    pub fields: Fields,
    pub flags: Flags,
}
/// No personal data.
impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            domain,
            language,
            country,
            flags,
            ..
        } = self;
        write!(f, "Recipient({domain}, {language:?}, {country:?}, {flags:?})")
    }
}

/// What a row comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Understood {
    Usable(Box<Recipient>),
    /// The person cannot be written to. `key` where the row gives a number of the person all the same; `fields` as far
    /// as they can be read.
    Unusable {
        why: Unusable,
        key: Option<PersonKey>,
        fields: Fields,
    },
}

/// Understands one row.
pub fn understand(columns: &Columns, row: &Row) -> Understood {
    let unusable = |why: Unusable, key: Option<PersonKey>, fields: Fields| Understood::Unusable { why, key, fields };
    if let Some(flaw) = row.flaw {
        let why = Unusable {
            reason: flaw.kind.into(),
            column: flaw.column,
        };
        return unusable(why, None, Fields::default());
    }
    let mut read = Read::default();
    for (place, (meaning, cell)) in columns.meanings().iter().zip(&row.cells).enumerate() {
        // What our own export quoted against formulas is given back as it was.
        let cell = if columns.correct_bad_rows() {
            unquoted(cell)
        } else {
            cell
        };
        if let Err(reason) = read.take(meaning, trim(cell)) {
            let why = Unusable {
                reason,
                column: Some(place),
            };
            return unusable(why, None, Fields::default());
        }
    }
    read.finish_fields();
    // Kept beside its hash: letters and calls need the controller's own number.
    read.fields
        .add("person_id", read.person_id.unwrap_or_default().to_owned());
    let id = read.person_id.filter(|id| !id.is_empty()).map(PersonKey::of_id);
    match mailable(read.address) {
        Ok(found) => {
            let name = read.fields.first("name").unwrap_or_default();
            let mut flags = read.flags;
            flags.0 |= found.flags.0;
            if name.is_empty() {
                flags.set(Flags::NO_NAME);
            }
            Understood::Usable(Box::new(Recipient {
                key: id.unwrap_or_else(|| PersonKey::of_name(&found.address, name)),
                address: found.address,
                domain: found.domain,
                language: read.language,
                country: read.country,
                fields: read.fields,
                flags,
            }))
        }
        Err(reason) => {
            let why = Unusable {
                reason,
                column: columns.place(&Meaning::Email),
            };
            // A letter on paper may still reach this person, and is written from the fields alone.
            read.fields.add("language", read.language.unwrap_or_default());
            read.fields.add("country", read.country.unwrap_or_default());
            unusable(why, id, read.fields)
        }
    }
}

/// How an OpenPGP certificate begins: with a hyphen, and no spreadsheet program computes it.
const ARMOR: &str = "-----BEGIN PGP ";

/// What has been read of a row.
#[derive(Default)]
struct Read<'a> {
    address: &'a str,
    person_id: Option<&'a str>,
    language: Option<String>,
    country: Option<String>,
    fields: Fields,
    flags: Flags,
    language_seen: bool,
}
impl<'a> Read<'a> {
    /// Takes one cell in.
    fn take(&mut self, meaning: &Meaning, cell: &'a str) -> Result<(), Reason> {
        match meaning {
            Meaning::BadRow | Meaning::Ignored => return Ok(()),
            // Judged as an address, and more strictly.
            Meaning::Email => {}
            Meaning::Data => check_text(cell)?,
            Meaning::Field(name) if !stands_in_headers(name) => check_text(cell)?,
            _ => check_line(cell)?,
        }
        if !matches!(meaning, Meaning::Email) && looks_like_formula(cell) && !cell.starts_with(ARMOR) {
            self.flags.set(Flags::FORMULA);
        }
        match meaning {
            Meaning::Email => self.address = cell,
            Meaning::PersonId => self.person_id = Some(cell),
            Meaning::Language if !cell.is_empty() => {
                self.language_seen = true;
                self.language = words::language(cell).map(str::to_owned);
            }
            Meaning::Country if !cell.is_empty() => {
                self.country = words::country(cell);
                if self.country.is_none() {
                    self.flags.set(Flags::UNKNOWN_COUNTRY);
                    self.fields.add("country", cell.to_owned());
                }
            }
            Meaning::Data => self.take_data(cell),
            Meaning::Field(name) => {
                self.fields.add(name, cell.to_owned());
            }
            Meaning::Language | Meaning::Country | Meaning::BadRow | Meaning::Ignored => {}
        }
        Ok(())
    }

    /// `name, bank account` in categories of the breach record; what names none is kept as it is.
    fn take_data(&mut self, cell: &str) {
        for word in cell
            .split([',', ';', '|', '\n'])
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match words::data_category(word) {
                Some(category) => {
                    self.fields.add("data", category.to_owned());
                }
                None => {
                    self.fields.add("data_other", word.to_owned());
                    self.flags.set(Flags::UNKNOWN_DATA);
                }
            }
        }
    }

    /// What only the whole row tells.
    fn finish_fields(&mut self) {
        match (self.language_seen, &self.language) {
            (false, _) => self.flags.set(Flags::NO_LANGUAGE),
            (true, None) => self.flags.set(Flags::UNKNOWN_LANGUAGE),
            (true, Some(_)) => {}
        }
        if self.fields.first("name").is_none() {
            let parts = ["first_name", "last_name"]
                .into_iter()
                .filter_map(|part| self.fields.first(part));
            let name = parts.collect::<Vec<_>>().join(" ");
            self.fields.add("name", name);
        }
    }
}

/// Fields that may come to stand in a header of the mail.
fn stands_in_headers(name: &str) -> bool {
    matches!(name, "name" | "first_name" | "last_name")
}

/// One line without anything invisible: header injection ends here.
fn check_line(cell: &str) -> Result<(), Reason> {
    if cell.is_ascii() && !cell.bytes().any(|b| b.is_ascii_control()) {
        return if cell.len() > MOST_CHARS {
            Err(Reason::TooLong)
        } else {
            Ok(())
        };
    }
    let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    // Direction overrides make a name read as something else.
    let is_hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if cell.chars().any(is_break) {
        Err(Reason::LineBreak)
    } else if cell.chars().any(is_hidden) {
        Err(Reason::ControlCharacter)
    } else if cell.chars().count() > MOST_CHARS {
        Err(Reason::TooLong)
    } else {
        Ok(())
    }
}

/// Text of several lines, such as a postal address.
fn check_text(cell: &str) -> Result<(), Reason> {
    if cell.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Err(Reason::ControlCharacter)
    } else if cell.len() > MOST_FIELD_CHARS {
        Err(Reason::TooLong)
    } else {
        Ok(())
    }
}

/// White space, and what spreadsheet programs leave at the ends: byte order marks and zero-width spaces.
fn trim(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'))
}

/// Whether a spreadsheet program would compute this cell instead of showing it.
pub fn looks_like_formula(cell: &str) -> bool {
    match cell.as_bytes() {
        [b'=' | b'@', ..] => true,
        // A sign before a number is none, nor is a telephone number, whatever is said after it.
        [b'+' | b'-', b'0'..=b'9' | b'(' | b' ', rest @ ..] => {
            let calls = rest
                .windows(2)
                .any(|pair| pair[0].is_ascii_alphabetic() && pair[1] == b'(');
            calls || rest.iter().any(|byte| matches!(byte, b'!' | b'=' | b'|'))
        }
        [b'+' | b'-', rest @ ..] => rest.iter().any(u8::is_ascii_alphabetic),
        _ => false,
    }
}

/// A cell as it may stand in a file that a spreadsheet program opens: an apostrophe keeps it text.
pub fn formula_safe(cell: &str) -> std::borrow::Cow<'_, str> {
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => format!("'{cell}").into(),
        _ => cell.into(),
    }
}

/// Takes the apostrophe of [`formula_safe`] away.
fn unquoted(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if formula_safe(rest).len() > rest.len() => rest,
        _ => cell,
    }
}

struct Mailable {
    address: String,
    domain: String,
    flags: Flags,
}

/// The address in a cell, if it is one to which mail can go (RFC 5321 §4.1.2, RFC 6531 §3.3).
fn mailable(cell: &str) -> Result<Mailable, Reason> {
    let mut flags = Flags::default();
    let address = match cell.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((_, address)) if cell.matches('<').count() == 1 => {
            flags.set(Flags::DISPLAY_FORM);
            address.trim()
        }
        _ => cell,
    };
    if address.is_empty() {
        return Err(Reason::NoAddress);
    }
    if !address.starts_with('"') {
        let parts = address.split([',', ';', '/', '|', ' ', '\n', '\t']);
        if parts.filter(|part| part.contains('@')).count() > 1 {
            return Err(Reason::SeveralAddresses);
        }
    }
    if address.chars().any(|c| matches!(c, '\n' | '\r')) {
        return Err(Reason::LineBreak);
    }
    let wire = address::on_the_wire(address)?;
    let (local, domain) = wire.rsplit_once('@').ok_or(Reason::AddressWithoutAt)?;
    // Nobody outside a test network is reached at a bare host name or an IP address.
    let top = domain
        .rsplit_once('.')
        .map(|(_, top)| top)
        .ok_or(Reason::AddressDomain)?;
    if domain.starts_with('[') || top.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::AddressDomain);
    }
    if words::is_role(local) {
        flags.set(Flags::ROLE);
    }
    Ok(Mailable {
        domain: domain.to_ascii_lowercase(),
        address: address.to_owned(),
        flags,
    })
}

#[cfg(test)]
mod tests;
