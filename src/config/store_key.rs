//! The key that encrypts the store: read from its place, or made once. Never made anew beside a store that exists, for
//! what is in it could not be read any more.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::home::Home;
use super::secret_source::{SecretFault, SecretSource};
use super::{Config, ConfigError};
use crate::secret::Secret;

impl Config {
    /// The store's raw key: 64 hexadecimal digits. With `create`, a key file that is missing is made, unless a store is
    /// there already.
    ///
    /// # Errors
    /// [`ConfigError::StoreKeyMissing`] when there is a store but no key, [`ConfigError::BadStoreKey`],
    /// [`ConfigError::Write`], else see [`SecretSource::read`].
    pub fn store_key(&self, home: &Home, create: bool) -> Result<Secret, ConfigError> {
        let read = || {
            let key = self.store_key.read(home)?;
            if key.expose().len() == 64 && key.expose().bytes().all(|b| b.is_ascii_hexdigit()) {
                Ok(key)
            } else {
                Err(ConfigError::BadStoreKey {
                    place: self.store_key.clone(),
                })
            }
        };
        match (read(), &self.store_key) {
            (Err(ConfigError::Secret { why, .. }), place) if is_absent(&why) => {
                let store = home.store_path(self);
                match place {
                    _ if store.exists() => Err(ConfigError::StoreKeyMissing {
                        store,
                        place: place.clone(),
                    }),
                    SecretSource::File(path) if create => {
                        write_new_private(&home.resolve(path), random_hex().expose())?;
                        // Read back: where two processes started at once, the first one's key holds for both.
                        read()
                    }
                    _ => Err(ConfigError::Secret {
                        place: place.clone(),
                        why,
                    }),
                }
            }
            (result, _) => result,
        }
    }
}

fn is_absent(why: &SecretFault) -> bool {
    match why {
        SecretFault::Unreadable(error) => error.kind() == ErrorKind::NotFound,
        SecretFault::NoVariable | SecretFault::NoCredentials => true,
        _ => false,
    }
}

/// 256 random bits of the operating system as 64 hexadecimal digits.
pub fn random_hex() -> Secret {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut()).expect("the operating system has randomness");
    Secret::new(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// Writes a file that only its owner may read, whole or not at all, durable on return; makes its folder (0700) where
/// missing. A file that is there already is left as it is.
///
/// # Errors
/// [`ConfigError::Write`].
pub fn write_new_private(path: &Path, text: &str) -> Result<(), ConfigError> {
    let failed = |source| ConfigError::Write {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().ok_or_else(|| failed(ErrorKind::InvalidInput.into()))?;
    make_private_folder(folder)?;
    // Made with mode 0600 beside its place, so that the last step is a rename within one file system.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(error.error)),
    }
    let sync_folder = || std::fs::File::open(folder)?.sync_all();
    sync_folder().map_err(failed)
}

/// Makes a folder, and those above it, with mode 0700; one that is there keeps its mode.
///
/// # Errors
/// [`ConfigError::Write`].
pub fn make_private_folder(path: &Path) -> Result<(), ConfigError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| ConfigError::Write {
            path: path.to_owned(),
            source,
        })
}
