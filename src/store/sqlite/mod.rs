//! The embedded store: one SQLite file, encrypted at rest (SQLCipher with a raw key), in WAL mode with
//! `synchronous=FULL`. One thread writes and shares each commit among all who wait for one; another reads. Several
//! processes may work on the same file. Holds the opening and the migrations; each noun's SQL lies in its own file.

mod addresses;
mod alarms;
mod campaigns;
mod conversation;
mod custody;
mod decisions;
mod erasure;
mod health;
mod held;
mod intake;
mod journal;
mod ledger;
mod lists;
mod mailbox;
mod mark;
mod notices;
mod otherwise;
mod outbox;
mod pace;
mod people;
mod pins;
#[cfg(test)]
mod plans;
mod proposals;
mod reach;
mod register;
mod rows;
mod steps;
mod tellings;
mod unattended;
mod waiting;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::store::{StoreError, chain};
use mark::{Mark, Seen};
use writer::{Threads, Tx};

/// Each brings the schema's version (`user_version`) from its index in this list to the next number; those that are missing
/// run in one transaction. A published one is never changed. The numbers of the files are their order only: there never was
/// a 0008, so later ones bring the version one below theirs.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_mailbox.sql"),
    include_str!("migrations/0003_conversation.sql"),
    include_str!("migrations/0004_alarms.sql"),
    include_str!("migrations/0005_fetched.sql"),
    include_str!("migrations/0006_lists.sql"),
    include_str!("migrations/0007_people.sql"),
    include_str!("migrations/0009_identity.sql"),
    include_str!("migrations/0010_campaign_runs.sql"),
    include_str!("migrations/0011_pace.sql"),
    include_str!("migrations/0012_erasure.sql"),
    include_str!("migrations/0013_came_back.sql"),
    include_str!("migrations/0014_domains.sql"),
    include_str!("migrations/0015_restored.sql"),
    include_str!("migrations/0016_pace_again.sql"),
    include_str!("migrations/0017_leases.sql"),
    include_str!("migrations/0018_settled.sql"),
    include_str!("migrations/0019_words.sql"),
];
/// How long a change waits for another process to end its own; those take milliseconds, an import's chunk a second.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// SQLCipher's page; each is encrypted and authenticated on its own.
const PAGE_BYTES: u64 = 4096;
/// Statements kept compiled for each connection; there are some 70.
const STATEMENTS_KEPT: usize = 128;

/// The key that encrypts the store: 32 random bytes, used as they are, so that opening needs no key derivation.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; 32]>);

/// A store key is 64 hex digits. The text itself is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store key is not 64 hex digits")]
pub struct BadStoreKey;

impl StoreKey {
    /// A key of random bytes that the caller drew.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
    /// Reads a key as [`StoreKey::to_hex`] wrote it; white space around it is allowed.
    ///
    /// # Errors
    /// [`BadStoreKey`] when it is anything but 64 hex digits.
    pub fn from_hex(text: &Secret) -> Result<Self, BadStoreKey> {
        chain::unhex(text.expose().trim())
            .map(Self::from_bytes)
            .ok_or(BadStoreKey)
    }
    /// A key for another purpose: HMAC-SHA-256 of the purpose under this key. Whoever knows it learns nothing of this key
    /// or of one for another purpose, and it lasts as long as the store does.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
    /// 64 lower-case hex digits: the content of the key file.
    pub fn to_hex(&self) -> Secret {
        Secret::new(chain::hex(&*self.0))
    }
}
impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// An open store. Clones share its threads; the last one dropped waits for them to finish and leaves one clean file.
#[derive(Clone)]
pub struct Sqlite {
    threads: Arc<Threads>,
    place: Arc<Place>,
}
/// Where the store lies and what opens it.
struct Place {
    path: PathBuf,
    key: StoreKey,
    mark: Arc<Mark>,
}
impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sqlite")
    }
}

impl Sqlite {
    /// Opens the store, brings its schema up to date, and creates it (mode 0600) where there is no file.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] when the key does not fit or the file is no store, [`StoreError::Damaged`] when it is cut
    /// short, [`StoreError::Missing`] when only its mark is left, [`StoreError::TooNew`] when a newer program wrote it, [`StoreError::Folder`] and [`StoreError::Open`] when
    /// the system does not let us.
    pub fn open(path: &Path, key: &StoreKey) -> Result<Self, StoreError> {
        let mark = Arc::new(Mark::beside(path));
        // Looked at before the store is: another process that makes both makes the mark last.
        let seen = mark.read().map_err(|source| custody::mark_error(mark.path(), source))?;
        let exists = path.try_exists().map_err(|source| folder_error(path, source))?;
        if !exists {
            if matches!(seen, Seen::UpTo(place) if place.length > 0) {
                return Err(StoreError::Missing {
                    path: path.display().to_string(),
                    mark: mark.path().display().to_string(),
                });
            }
            create(path, key)?;
        }
        if ends_in_a_part_page(path) {
            return Err(StoreError::Damaged {
                path: path.display().to_string(),
            });
        }
        let writer = connect(path, key)?;
        migrate(&writer, path, false)?;
        let reader = connect(path, key)?;
        reader
            // It looks single rows up or walks a table once: neither gains from a large cache.
            .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048")
            .map_err(|e| not_opened(path, e))?;
        custody::follow_mark(&writer, &mark)?;
        let threads =
            Threads::start(writer, reader, Arc::clone(&mark)).map_err(|source| StoreError::Threads { source })?;
        Ok(Self {
            threads: Arc::new(threads),
            place: Arc::new(Place {
                path: path.to_owned(),
                key: key.clone(),
                mark,
            }),
        })
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.threads.write(work).await
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.threads.read(work).await
    }
}

/// Makes the whole store beside its place and then gives it its name, so that a file of that name is always complete,
/// and one that is empty can be called damaged.
fn create(path: &Path, key: &StoreKey) -> Result<(), StoreError> {
    let parent = folder_of(path);
    let folder = |source| folder_error(path, source);
    // A folder of its own (0700), because SQLite puts its log beside the file, and both must go if this fails.
    let beside = tempfile::Builder::new()
        .prefix(".new-store-")
        .tempdir_in(parent)
        .map_err(folder)?;
    // Mode 0600: tempfile's promise.
    let file = tempfile::NamedTempFile::new_in(beside.path()).map_err(folder)?;
    let conn = connect(file.path(), key)?;
    migrate(&conn, path, true)?;
    conn.close().map_err(|(_, e)| not_opened(path, e))?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        // Another process made it in the meantime: use that one.
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(folder(e.error)),
    }
    // The name itself must survive a power cut.
    std::fs::File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(folder)
}

/// The folder a file lies in; the current one for a bare name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn folder_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Folder {
        path: folder_of(path).display().to_string(),
        source,
    }
}

/// By what each page is authenticated: processors compute SHA-256 several times as fast as SQLCipher's own choice, SHA-512.
/// For all connections of the process, and so for the copies that SQLite makes by itself.
const SEAL: &str = "PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256";
/// As stores were made before.
const EARLIER_SEAL: &str = "PRAGMA cipher_hmac_algorithm = HMAC_SHA512";

/// A connection with the key given and proven, and all settings made.
fn connect(path: &Path, key: &StoreKey) -> Result<Connection, StoreError> {
    match connect_to(path, key, "") {
        Err(StoreError::WrongKey { .. }) => connect_to(path, key, EARLIER_SEAL),
        connected => connected,
    }
}

fn connect_to(path: &Path, key: &StoreKey, seal: &str) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| not_opened(path, e))?;
    conn.busy_timeout(BUSY_WAIT).map_err(|e| not_opened(path, e))?;
    // SQLCipher writes to stderr by itself otherwise; what it has to say comes back as an error too.
    conn.execute_batch("PRAGMA cipher_log_level = NONE")
        .map_err(|e| not_opened(path, e))?;
    conn.execute_batch(SEAL).map_err(|e| not_opened(path, e))?;
    let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", key.to_hex().expose()));
    // An error of this statement would quote it, and with it the key.
    conn.execute_batch(&pragma).map_err(|_| StoreError::WrongKey {
        path: path.display().to_string(),
    })?;
    conn.execute_batch(seal).map_err(|e| not_opened(path, e))?;
    // The first page is decrypted here: a wrong key shows now and not later.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|e| not_opened(path, e))?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .map_err(|e| not_opened(path, e))?;
    conn.execute_batch(
        // 6 MiB of cache hold the inner pages of every index of a ledger of millions, and are full with ten thousand
        // persons: memory does not grow with the list. What is deleted is overwritten: persons are erased, not merely
        // forgotten.
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -6144; PRAGMA secure_delete = ON;",
    )
    .map_err(|e| not_opened(path, e))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(conn)
}

/// SQLite itself notices missing pages, but rounds a part page up and would fail only when it is read. With a log beside
/// the file it may be legitimate: that page is copied again from there.
fn ends_in_a_part_page(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    length(Path::new(&log)) == 0 && !length(path).is_multiple_of(PAGE_BYTES)
}

fn not_opened(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.display().to_string();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::WrongKey { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path },
        // SQLite needs some room to open a file, and says `disk I/O error` when there is none.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => StoreError::Disk { path, source },
        _ => StoreError::Open { path, source },
    }
}

/// Brings the schema up to date, in one transaction.
fn migrate(conn: &Connection, path: &Path, fresh: bool) -> Result<(), StoreError> {
    let shown = || path.display().to_string();
    let version = || -> Result<usize, StoreError> {
        let found: i64 = conn
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|e| not_opened(path, e))?;
        let known = MIGRATIONS.len();
        match usize::try_from(found) {
            Ok(0) if !fresh => Err(StoreError::Damaged { path: shown() }),
            Ok(version) if version <= known => Ok(version),
            _ => Err(StoreError::TooNew {
                path: shown(),
                found,
                known: known as i64,
            }),
        }
    };
    if version()? == MIGRATIONS.len() {
        return Ok(());
    }
    let step = |sql: &str| conn.execute_batch(sql).map_err(|e| not_opened(path, e));
    step("BEGIN IMMEDIATE")?;
    // Read again under the lock: another process may have done it.
    for migration in &MIGRATIONS[version()?..] {
        step(migration)?;
    }
    step(&format!("PRAGMA user_version = {}", MIGRATIONS.len()))?;
    step("COMMIT")
}
