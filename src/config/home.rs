//! The folder of one installation: where its files lie, and that nobody else can read them. Knows the names of the
//! files, not what is in them.

use std::os::unix::fs::MetadataExt as _;
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

    pub fn root(&self) -> &Path {
        &self.root
    }
    /// A path of config.yaml: relative ones start at the home.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.yaml")
    }
    pub fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// Profiles that replace built-in ones of the same name.
    pub fn authorities_dir(&self) -> PathBuf {
        self.root.join("authorities")
    }
    /// Templates that replace built-in ones of the same name.
    pub fn templates_dir(&self) -> PathBuf {
        self.root.join("templates")
    }
    /// The locks that running workers hold.
    pub fn workers_dir(&self) -> PathBuf {
        self.root.join("workers")
    }
    /// The journal's signed checkpoints, one JSON document per line: outside the store, so that a store cut short or
    /// replaced is noticed.
    pub fn checkpoints_path(&self) -> PathBuf {
        self.root.join("journal.checkpoints")
    }
    pub fn store_path(&self, config: &Config) -> PathBuf {
        self.resolve(&config.store.0)
    }

    /// Takes the home's folder from the group and others.
    ///
    /// # Errors
    /// [`ConfigError::Write`].
    pub fn make_private(&self) -> Result<(), ConfigError> {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o700)).map_err(|source| {
            ConfigError::Write {
                path: self.root.clone(),
                source,
            }
        })
    }

    /// Refuses a home, a keys folder or a file in it that the group or others may read or enter.
    ///
    /// # Errors
    /// [`ConfigError::NotPrivate`] with the command that mends it, [`ConfigError::Unreadable`].
    pub fn check_private(&self) -> Result<(), ConfigError> {
        private(&self.root)?;
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
        private(&keys)?;
        for entry in entries {
            private(&entry.map_err(unreadable)?.path())?;
        }
        Ok(())
    }
}

fn private(path: &Path) -> Result<(), ConfigError> {
    let mode = std::fs::metadata(path)
        .map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?
        .mode();
    if mode & 0o077 != 0 {
        return Err(ConfigError::not_private(path, mode));
    }
    Ok(())
}
