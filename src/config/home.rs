//! The folder of one installation: where its files lie, and that nobody else can read them. Knows the names of the
//! files, not what is in them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// One installation's folder. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// `--home`, else `$BREACHPOST_HOME`, else the current folder if it holds config.yaml.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`] when none of them is given, [`ConfigError::Unreadable`] when the folder is not there or
    /// not ours to read, [`ConfigError::NotAFolder`].
    pub fn find(flag: Option<&Path>) -> Result<Home, ConfigError> {
        let home = match Home::named(flag) {
            Some(root) => Home::at(&root)?,
            None => {
                let here = Home::at(Path::new("."))?;
                if !here.config_path().is_file() {
                    return Err(ConfigError::NoHome);
                }
                here
            }
        };
        let facts = std::fs::metadata(&home.root).map_err(|source| ConfigError::Unreadable {
            path: home.root.clone(),
            source,
        })?;
        if !facts.is_dir() {
            return Err(ConfigError::NotAFolder { path: home.root });
        }
        Ok(home)
    }

    /// The folder that was named, by `--home` or else by `$BREACHPOST_HOME`.
    pub fn named(flag: Option<&Path>) -> Option<PathBuf> {
        flag.map(Path::to_path_buf).or_else(|| {
            std::env::var_os("BREACHPOST_HOME")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        })
    }

    /// The home at this path, whether or not it is there yet: for `init`, drills and tests.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when the current folder, which a relative path is based on, is gone.
    pub fn at(root: &Path) -> Result<Home, ConfigError> {
        let root = match std::path::absolute(root) {
            // `absolute` keeps a trailing `/.`; people read this path in messages.
            Ok(root) => root.components().collect(),
            Err(source) => {
                return Err(ConfigError::Unreadable {
                    path: root.to_owned(),
                    source,
                });
            }
        };
        Ok(Home { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// A path of config.yaml: relative ones start at the home.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
    /// The settings: made by `breachpost init`, last of all, and edited by a person.
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.yaml")
    }
    /// Our OpenPGP key, its passphrase, the key of the store and typed passwords: private, made by `breachpost init`.
    pub fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// Profiles of the operator, which replace built-in ones of the same name; need not be there.
    pub fn authorities_dir(&self) -> PathBuf {
        self.root.join("authorities")
    }
    /// Templates of the operator, which replace built-in ones of the same name; need not be there.
    pub fn templates_dir(&self) -> PathBuf {
        self.root.join("templates")
    }
    /// The locks that running workers hold; made by the first of them.
    pub fn workers_dir(&self) -> PathBuf {
        self.root.join("workers")
    }
    /// The journal's signed checkpoints, one JSON document per line: outside the store, so that a store cut short or
    /// replaced is noticed.
    pub fn checkpoints_path(&self) -> PathBuf {
        self.root.join("journal.checkpoints")
    }
    /// The database; made by the first command that needs it.
    pub fn store_path(&self, config: &Config) -> PathBuf {
        self.resolve(&config.store.0)
    }

    /// Takes the home, its keys folder and the files in it from the group and others, so that nothing in the home can
    /// be read by another account whatever the file modes say.
    ///
    /// # Errors
    /// [`ConfigError::NotPrivate`] with the command that mends it, where the modes are not ours to change;
    /// [`ConfigError::Unreadable`].
    pub fn make_private(&self) -> Result<(), ConfigError> {
        private(&self.root, 0o700)?;
        let keys = self.keys_dir();
        let unreadable = |source| ConfigError::Unreadable {
            path: keys.clone(),
            source,
        };
        let entries = match std::fs::read_dir(&keys) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        private(&keys, 0o700)?;
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.is_file() {
                private(&path, 0o600)?;
            }
        }
        Ok(())
    }
}

/// Leaves what is private alone, whatever its exact mode.
fn private(path: &Path, strict: u32) -> Result<(), ConfigError> {
    let mode = std::fs::metadata(path)
        .map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(strict))
        .map_err(|_| ConfigError::not_private(path, mode))
}
