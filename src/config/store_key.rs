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
                        let key = Secret::new(format!("{}\n", random_hex().expose()));
                        write_new_private(&home.resolve(path), key.expose())?;
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

/// How the name of a file begins while it is written; one that is left over may be deleted.
pub const UNFINISHED: &str = ".breachpost-";

/// Writes a file that only its owner may read, whole or not at all, durable on return; makes its folder (0700) where
/// missing. A file that is there already is left as it is.
///
/// # Errors
/// [`ConfigError::Write`].
pub fn write_new_private(path: &Path, text: &str) -> Result<(), ConfigError> {
    write_private(path, text, |file| match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result.map(drop).map_err(|e| e.error),
    })
}

/// The same, but a file that is there already is replaced.
///
/// # Errors
/// [`ConfigError::Write`].
pub fn replace_private(path: &Path, text: &str) -> Result<(), ConfigError> {
    write_private(path, text, |file| file.persist(path).map(drop).map_err(|e| e.error))
}

fn write_private(
    path: &Path,
    text: &str,
    put_in_place: impl FnOnce(tempfile::NamedTempFile) -> std::io::Result<()>,
) -> Result<(), ConfigError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_private_folder(folder)?;
    let write = || {
        // Made with mode 0600 beside its place, so that the last step is a rename within one file system.
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        put_in_place(file)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| ConfigError::Write {
        path: path.to_owned(),
        source,
    })
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
