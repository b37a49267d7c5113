//! The one reading room: every YAML or JSON text that a person or another program wrote comes in through here.
//!
//! The parsers underneath are too kind for such texts: they take the last of two equal keys, follow aliases until memory
//! runs out, and build any depth. So the text is scanned first ([`MAX_BYTES`], [`MAX_DEPTH`], no duplicate keys, and in
//! YAML no aliases, anchors, tags or second document) and only then turned into a type. Each error says file, line and
//! column. Knows nothing of what the texts mean. Bottom of the house: imports no other room.

mod json;
mod places;
pub mod table;
#[cfg(test)]
mod tests;
mod yaml;

use serde::de::DeserializeOwned;

pub use places::{Place, Places};

/// The longest text taken: 1 MiB. A breach record with everything in it has some 10 KiB.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting taken. A breach record needs 5.
pub const MAX_DEPTH: usize = 32;
/// How much of a name or word from the text an error repeats, in characters.
const SHOWN: usize = 60;

/// Why a text cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The file, or what the caller called it (`standard input`).
    pub origin: String,
    /// From 1; 0 where the error concerns the text as a whole.
    pub line: usize,
    /// From 1, in characters; 0 where the error concerns the text as a whole.
    pub column: usize,
    pub message: String,
}
impl std::error::Error for ReadError {}
impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.origin, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.origin, self.column, self.message),
        }
    }
}
impl ReadError {
    fn at(origin: &str, place: Place, message: impl Into<String>) -> Self {
        Self {
            origin: origin.to_owned(),
            line: place.line,
            column: place.column,
            message: message.into(),
        }
    }
}

/// A flaw found while scanning, before the origin is added.
#[derive(Debug)]
struct Flaw {
    place: Place,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Yaml,
    Json,
}

/// Reads a YAML text; `origin` is named in errors.
///
/// # Errors
/// [`ReadError`] when the text is too long, too deep, not UTF-8, not YAML, uses what is refused here, or does not fit `T`.
pub fn yaml<T: DeserializeOwned>(origin: &str, text: &[u8]) -> Result<T, ReadError> {
    read(origin, text, Syntax::Yaml).map(|(value, _)| value)
}

/// Reads a JSON text (RFC 8259); `origin` is named in errors.
///
/// # Errors
/// As for [`yaml`].
pub fn json<T: DeserializeOwned>(origin: &str, text: &[u8]) -> Result<T, ReadError> {
    read(origin, text, Syntax::Json).map(|(value, _)| value)
}

/// Reads YAML or JSON: by the ending of `origin` (`.json`, `.yaml`, `.yml`), else as JSON when the text starts with `{`
/// or `[`, else as YAML.
///
/// # Errors
/// As for [`yaml`].
pub fn yaml_or_json<T: DeserializeOwned>(origin: &str, text: &[u8]) -> Result<T, ReadError> {
    read(origin, text, syntax_of(origin, text)).map(|(value, _)| value)
}

/// As [`yaml_or_json`], and says where in the text each value stood, so that a later check can point at it.
///
/// # Errors
/// As for [`yaml`].
pub fn yaml_or_json_with_places<T: DeserializeOwned>(origin: &str, text: &[u8]) -> Result<(T, Places), ReadError> {
    read(origin, text, syntax_of(origin, text))
}

fn syntax_of(origin: &str, text: &[u8]) -> Syntax {
    let ending = origin.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    match ending.as_deref() {
        Some("json") => Syntax::Json,
        Some("yaml" | "yml") => Syntax::Yaml,
        _ => match without_bom(text).iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Syntax::Json,
            _ => Syntax::Yaml,
        },
    }
}

fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

fn read<T: DeserializeOwned>(origin: &str, bytes: &[u8], syntax: Syntax) -> Result<(T, Places), ReadError> {
    if bytes.len() > MAX_BYTES {
        let message = format!("longer than the {} KiB that are read here", MAX_BYTES / 1024);
        return Err(ReadError::at(origin, Place::default(), message));
    }
    let bytes = without_bom(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let place = Place::of_offset(bytes, e.valid_up_to());
        ReadError::at(origin, place, "not UTF-8 text; save the file as UTF-8")
    })?;
    if text.trim().is_empty() {
        return Err(ReadError::at(
            origin,
            Place::default(),
            "empty; there is nothing to read",
        ));
    }
    let scanned = match syntax {
        Syntax::Yaml => yaml::scan(text),
        Syntax::Json => json::scan(text),
    };
    let places = scanned.map_err(|flaw| ReadError::at(origin, flaw.place, flaw.message))?;
    let value = match syntax {
        Syntax::Yaml => serde_yaml::from_str(text).map_err(|e| yaml::explain(&e)),
        Syntax::Json => serde_json::from_str(text).map_err(|e| json::explain(&e, text, &places)),
    };
    match value {
        Ok(value) => Ok((value, places)),
        Err(flaw) => Err(ReadError::at(origin, flaw.place, flaw.message)),
    }
}

/// Turns serde's words for an unknown name into ours, with the nearest known name; other messages stay.
fn reword(message: &str) -> String {
    for (theirs, ours) in [
        ("unknown field `", "unknown field"),
        ("unknown variant `", "unknown value"),
    ] {
        let Some(rest) = message.strip_prefix(theirs) else {
            continue;
        };
        let (given, expected) = match (rest.rfind("`, expected "), rest.rfind("`, there are no ")) {
            (Some(at), _) => (&rest[..at], &rest[at + 1..]),
            (None, Some(at)) => (&rest[..at], ""),
            (None, None) => continue,
        };
        // The known names stand between backticks.
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let given_shown = shown(given);
        return match nearest(given, &known) {
            Some(near) => format!("{ours} `{given_shown}`; did you mean `{near}`?"),
            None if known.is_empty() => format!("{ours} `{given_shown}`; nothing is expected here"),
            None => format!("{ours} `{given_shown}`; known here: {}", known.join(", ")),
        };
    }
    shown_up_to(&mismatch(message).unwrap_or_else(|| message.to_owned()), 400)
}

/// Serde's `invalid type: X, expected Y` in words that need no knowledge of Rust; `None` for other messages.
fn mismatch(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match found {
        "sequence" => "a list",
        "map" => "a mapping",
        "unit value" | "null" => "nothing",
        other => other,
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        structure if structure.starts_with("struct ") => "a mapping of fields",
        other => other,
    };
    Some(format!("expected {expected}, found {found}"))
}

/// The known name that `given` most likely was meant to be; `None` when nothing is close.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |s: &str| -> String {
        let letters = s.chars().filter(|c| c.is_alphanumeric()).take(SHOWN);
        letters.flat_map(char::to_lowercase).collect()
    };
    let given = plain(given);
    let mut beginnings = known
        .iter()
        .filter(|name| given.len() >= 3 && plain(name).starts_with(&given));
    if let (Some(name), None) = (beginnings.next(), beginnings.next()) {
        return Some(name);
    }
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &plain(name)), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .map(|(_, name)| name)
}

/// A piece of foreign text, short and without control characters: fit to stand in an error.
pub fn shown(text: &str) -> String {
    shown_up_to(text, SHOWN)
}
fn shown_up_to(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            out.push('…');
            break;
        }
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
