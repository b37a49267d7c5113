//! How a section and a value are read so that their errors carry a line: checks run inside serde's visitors, where the
//! position is still known. Knows no setting by name.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Visitor};

use super::values::BadValue;

/// Reads a scalar through [`FromStr`]; the error is raised inside the visitor, where YAML still knows the line.
pub(super) fn from_text<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err = BadValue>,
    D: Deserializer<'de>,
{
    struct Text<T>(PhantomData<T>);
    impl<T: FromStr<Err = BadValue>> Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    from.deserialize_str(Text(PhantomData))
}

/// A section that can contradict itself.
pub(super) trait Section: DeserializeOwned {
    /// `Err` says which settings do not go together, or which is out of bounds.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads a section and checks it while YAML still knows its line. An empty section (all lines commented out) is one of
/// defaults. What is no section is refused without being repeated: it could be a url with a password.
pub(super) fn section<'de, T: Section, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Whole<T>(PhantomData<T>);
    impl<T: Section> Whole<T> {
        fn checked<E: de::Error>(section: T) -> Result<T, E> {
            section.check().map_err(E::custom).map(|()| section)
        }
        fn no_section<E: de::Error>() -> Result<T, E> {
            Err(E::custom("a section with `name: value` settings is needed here"))
        }
    }
    impl<'de, T: Section> Visitor<'de> for Whole<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a section with `name: value` settings")
        }
        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
            Self::checked(T::deserialize(MapAccessDeserializer::new(map))?)
        }
        fn visit_unit<E: de::Error>(self) -> Result<T, E> {
            let nothing = std::iter::empty::<(&str, &str)>();
            Self::checked(T::deserialize(MapDeserializer::new(nothing))?)
        }
        fn visit_str<E: de::Error>(self, _: &str) -> Result<T, E> {
            Self::no_section()
        }
        fn visit_bool<E: de::Error>(self, _: bool) -> Result<T, E> {
            Self::no_section()
        }
        fn visit_u64<E: de::Error>(self, _: u64) -> Result<T, E> {
            Self::no_section()
        }
        fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
            Self::no_section()
        }
        fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
            Self::no_section()
        }
    }
    from.deserialize_any(Whole(PhantomData))
}

/// A section that may be missing; an empty one (`mailbox:`) counts as missing.
pub(super) fn section_if_any<'de, T: Section, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    struct Maybe<T>(PhantomData<T>);
    impl<'de, T: Section> Visitor<'de> for Maybe<T> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a section with `name: value` settings")
        }
        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
            section(from).map(Some)
        }
        fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
    }
    from.deserialize_option(Maybe(PhantomData))
}
