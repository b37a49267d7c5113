//! Where a secret is kept: settings name the place, never the secret. Reads it when it is needed and keeps no copy.

use std::fmt;
use std::io::Read as _;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Visitor};

use super::ConfigError;
use super::home::Home;
use crate::secret::Secret;

/// Far above any password or token: a larger file is the wrong file.
const MOST_BYTES: u64 = 64 * 1024;

/// The place of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, relative to the home, that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A credential of systemd: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl SecretSource {
    /// Reads the secret; one line end at its end is dropped.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when the place is missing, unreadable, empty, above 64 KiB or not UTF-8;
    /// [`ConfigError::NotPrivate`] when a file outside the home could be read by others. No error holds any part of the secret.
    pub fn read(&self, home: &Home) -> Result<Secret, ConfigError> {
        let bad = |why: SecretFault| ConfigError::Secret {
            place: self.clone(),
            why,
        };
        let bytes = match self {
            SecretSource::File(path) => {
                let path = home.resolve(path);
                // The home itself is closed to others; outside it the file's own mode must do that.
                let must_be_private = !path.starts_with(home.root());
                read_file(&path, must_be_private).map_err(|e| e.at(self))?
            }
            SecretSource::Env(name) => {
                use std::os::unix::ffi::OsStringExt as _;
                std::env::var_os(name)
                    .ok_or_else(|| bad(SecretFault::NoVariable))?
                    .into_vec()
            }
            SecretSource::Credential(name) => {
                let folder =
                    std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| bad(SecretFault::NoCredentials))?;
                // systemd keeps this folder private to the service; the mode of a file in it says nothing.
                read_file(&Path::new(&folder).join(name), false).map_err(|e| e.at(self))?
            }
        };
        let bytes = zeroize::Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes).map_err(|_| bad(SecretFault::NotText))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(bad(SecretFault::Empty));
        }
        Ok(Secret::new(text))
    }
}
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File(path) => write!(f, "the file {}", path.display()),
            SecretSource::Env(name) => write!(f, "the environment variable {name}"),
            SecretSource::Credential(name) => write!(f, "the credential {name}"),
        }
    }
}

/// Why a secret could not be read from its place.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    #[error("it is not set")]
    NoVariable,
    #[error("$CREDENTIALS_DIRECTORY is not set: start breachpost by systemd with LoadCredential=, or name a file")]
    NoCredentials,
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is empty")]
    Empty,
    #[error("it is larger than 64 KiB, so it cannot be a secret")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
}

/// A fault of [`read_file`], before it is known which setting named the file.
enum FileFault {
    Plain(SecretFault),
    NotPrivate(ConfigError),
}
impl FileFault {
    fn at(self, place: &SecretSource) -> ConfigError {
        match self {
            FileFault::Plain(why) => ConfigError::Secret {
                place: place.clone(),
                why,
            },
            FileFault::NotPrivate(error) => error,
        }
    }
}

fn read_file(path: &Path, must_be_private: bool) -> Result<Vec<u8>, FileFault> {
    let unreadable = |error| FileFault::Plain(SecretFault::Unreadable(error));
    // Asked before opening: opening a FIFO would wait for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(FileFault::Plain(SecretFault::NotAFile));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if must_be_private && mode & 0o077 != 0 {
        return Err(FileFault::NotPrivate(ConfigError::not_private(path, mode)));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileFault::Plain(SecretFault::TooLarge));
    }
    Ok(bytes)
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OnePlace::<Self>(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum PlaceKey {
    File,
    Env,
    Credential,
}

/// What [`OnePlace`] reads: a map of exactly one of these keys.
pub(super) trait Place: Sized {
    type Key: DeserializeOwned;
    /// How one is written.
    const FORMS: &str;
    fn take<'de, M: MapAccess<'de>>(key: Self::Key, map: &mut M) -> Result<Self, M::Error>;
    fn check(&self) -> Result<(), &'static str>;
}
impl Place for SecretSource {
    type Key = PlaceKey;
    const FORMS: &str = "{ file: PATH }, { env: NAME } or { credential: NAME }";
    fn take<'de, M: MapAccess<'de>>(key: PlaceKey, map: &mut M) -> Result<Self, M::Error> {
        Ok(match key {
            PlaceKey::File => SecretSource::File(map.next_value()?),
            PlaceKey::Env => SecretSource::Env(map.next_value()?),
            PlaceKey::Credential => SecretSource::Credential(map.next_value()?),
        })
    }
    fn check(&self) -> Result<(), &'static str> {
        match self {
            SecretSource::File(path) if path.as_os_str().is_empty() => Err("the file needs a path"),
            SecretSource::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
                Err("that is not the name of an environment variable")
            }
            SecretSource::Credential(name)
                if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') =>
            {
                Err("a credential is named without a folder")
            }
            _ => Ok(()),
        }
    }
}

/// Takes a map of exactly one place; anything else is refused without being repeated, for it may be the secret itself.
pub(super) struct OnePlace<T>(pub(super) PhantomData<T>);
impl<T: Place> OnePlace<T> {
    fn inline<E: de::Error>() -> Result<T, E> {
        Err(E::custom(format!(
            "a secret never stands in config.yaml: put it in a file or another place, and write {}",
            T::FORMS
        )))
    }
}
impl<'de, T: Place> Visitor<'de> for OnePlace<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the place of a secret: {}", T::FORMS)
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<T, E> {
        Self::inline()
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<T, E> {
        Self::inline()
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<T, E> {
        Self::inline()
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<T, E> {
        Self::inline()
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<T, E> {
        Self::inline()
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<T, E> {
        Self::inline()
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<T, E> {
        Self::inline()
    }
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<T, M::Error> {
        let mut found = None;
        while let Some(key) = map.next_key()? {
            if found.replace(T::take(key, &mut map)?).is_some() {
                return Err(de::Error::custom(format!(
                    "two places are given for one secret: keep one of {}",
                    T::FORMS
                )));
            }
        }
        let place =
            found.ok_or_else(|| de::Error::custom(format!("a place is needed for the secret: {}", T::FORMS)))?;
        place.check().map_err(de::Error::custom)?;
        Ok(place)
    }
}
