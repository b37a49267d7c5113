//! The small values of config.yaml: addresses, codes, lines of text, spans of time. Each is checked where it is read, so that the
//! error carries the line of the value itself. Knows nothing of sections, files or the network.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer};

use super::reader::from_text;
use crate::model::breach::is_country;

/// A value that cannot be used, with what it should look like. Never repeats a value that could hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

pub(super) fn bad<T>(why: impl Into<String>) -> Result<T, BadValue> {
    Err(BadValue(why.into()))
}

/// A text that has passed its check: the type, its `FromStr`, and the usual ways back to `&str`.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = BadValue;
            fn from_str(text: &str) -> Result<Self, BadValue> {
                $check(text).map(Self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from_text(from)
            }
        }
    };
}

pub(super) use checked_text;

checked_text!(
    /// A bare e-mail address, `local@domain`: no display name, no brackets, nothing that could start another header.
    Address,
    address
);
checked_text!(
    /// An ISO 3166-1 alpha-2 country code in upper case, such as `LU`.
    Country,
    country
);
checked_text!(
    /// An ISO 639 language code of two or three letters in lower case, such as `fr`.
    Language,
    language
);
checked_text!(
    /// One line of text for people: not empty, no control characters, at most 200 characters.
    Line,
    line
);
impl Address {
    /// What follows the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

fn address(text: &str) -> Result<String, BadValue> {
    let wrong = |why: &str| bad(format!("`{}` is not an e-mail address: {why}", text.escape_debug()));
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("it holds a space or a control character");
    }
    if text.chars().any(|c| "<>()[]\\,;:\"".contains(c)) {
        return wrong("give the bare address, without name, brackets or quotes");
    }
    let Some((local, domain)) = text.split_once('@').filter(|(_, domain)| !domain.contains('@')) else {
        return wrong("it needs exactly one @");
    };
    // RFC 5321 §4.5.3.1: 64 octets before the @, 255 after it.
    if local.is_empty() || local.len() > 64 {
        return wrong("1 to 64 bytes stand before the @");
    }
    let labels_fit = domain
        .split('.')
        .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    if domain.len() > 255 || !labels_fit {
        return wrong("what follows the @ is not a domain");
    }
    Ok(text.to_owned())
}

/// Small letters are taken too; the EU's own EL and UK are not ISO's.
fn country(text: &str) -> Result<String, BadValue> {
    match text.to_ascii_uppercase().as_str() {
        "EL" => bad("`EL` is the EU's code; write GR (ISO 3166-1)"),
        "UK" => bad("`UK` is no code of ISO 3166-1; write GB"),
        code if is_country(code) => Ok(code.to_owned()),
        _ => bad(format!(
            "`{}` is not a country code of two letters (ISO 3166-1), such as LU",
            text.escape_debug()
        )),
    }
}

fn language(text: &str) -> Result<String, BadValue> {
    if (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase()) {
        Ok(text.to_owned())
    } else {
        bad(format!(
            "`{}` is not a language code in lower case (ISO 639), such as fr",
            text.escape_debug()
        ))
    }
}

fn line(text: &str) -> Result<String, BadValue> {
    let text = text.trim();
    if text.is_empty() {
        bad("a text is needed here")
    } else if text.chars().any(|c| c.is_control() || "\u{2028}\u{2029}".contains(c)) {
        bad("a single line without control characters is needed here")
    } else if text.chars().count() > 200 {
        bad("at most 200 characters fit here")
    } else {
        Ok(text.to_owned())
    }
}

/// A span of time given in seconds, fractions allowed: above zero, at most 31 days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds(Duration);

impl Seconds {
    pub(super) const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
    pub fn duration(self) -> Duration {
        self.0
    }
    pub fn delta(self) -> TimeDelta {
        TimeDelta::from_std(self.0).expect("at most 31 days")
    }
}
impl FromStr for Seconds {
    type Err = BadValue;
    fn from_str(text: &str) -> Result<Self, BadValue> {
        const MOST: f64 = 31.0 * 86_400.0;
        match text.parse::<f64>() {
            // A millisecond is the finest step that the store keeps.
            Ok(seconds) if (0.001..=MOST).contains(&seconds) => Ok(Self(Duration::from_secs_f64(seconds))),
            _ => bad(format!(
                "`{}` is not a number of seconds above 0 and of at most 31 days",
                text.escape_debug()
            )),
        }
    }
}
impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from_text(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "breach@example.lu",
            "jürgen@müller.example",
            "a+b@x",
            "o'neil@mail.example.ie",
        ] {
            assert_eq!(good.parse::<Address>().map(|a| a.to_string()), Ok(good.to_owned()));
        }
        for wrong in [
            "",
            "breach",
            "@example.lu",
            "breach@",
            "a@b@c",
            "a b@example.lu",
            "a@exa\r\nBcc: x@y",
            "Anna <a@b.lu>",
            "a@.lu",
            "a@b..lu",
            "a@-b.lu",
            "a@b-.lu",
            "a@b.lu,c@d.lu",
            "a\u{0}@b.lu",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
        assert!(format!("{}@b.lu", "a".repeat(65)).parse::<Address>().is_err());
        assert_eq!("a@b.lu".parse::<Address>().unwrap().domain(), "b.lu");
    }

    #[test]
    fn countries_and_languages() {
        assert_eq!("no".parse::<Country>().unwrap().as_str(), "NO");
        for wrong in ["", "L", "LUX", "L1", "Ł", "XX", "UK", "el"] {
            assert!(wrong.parse::<Country>().is_err(), "{wrong:?}");
        }
        for wrong in ["", "FR", "f", "french", "fr-LU"] {
            assert!(wrong.parse::<Language>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn seconds() {
        assert_eq!(
            "0.25".parse::<Seconds>().unwrap().duration(),
            Duration::from_millis(250)
        );
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "ten", ""] {
            assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
        }
    }
}
