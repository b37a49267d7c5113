//! What is SQLite's own: the file, its key, and hands that change it behind our back.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use breachpost::secret::Secret;
use breachpost::store::sqlite::{Sqlite, StoreKey};
use breachpost::store::{
    Campaigns, Checkpoint, Custody, Erased, Erasure, Journal, JournalVerdict, Lists, Notices, Outbox, Register,
    StoreError,
};
use rusqlite::{Connection, ErrorCode};
use serde_json::json;

use crate::bed::{
    Bed, accepted, add_breach, anna, at, claim, conflict, deferred, done, file_notice, intact, notice, put_on_wire,
    run_campaign, worker,
};
use crate::erasure;

/// A folder with one store in it.
pub struct Home {
    folder: tempfile::TempDir,
}
impl Bed for Home {
    type Store = Sqlite;
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }
    fn open(&self) -> Sqlite {
        Sqlite::open(&self.path(), &key()).unwrap()
    }
    async fn copied(&self, store: &Sqlite) -> Sqlite {
        let path = self.folder.path().join("copy.db");
        store.copy_to(&path).await.unwrap();
        Sqlite::open(&path, &key()).unwrap()
    }
    fn put_back(&self) -> Sqlite {
        use std::os::unix::fs::MetadataExt as _;
        let inode = || self.path().metadata().unwrap().ino();
        let was = inode();
        std::fs::copy(self.folder.path().join("copy.db"), self.path()).unwrap();
        assert_eq!(inode(), was, "it is the same file");
        self.open()
    }
}
/// Every value of every table, as text or as bytes.
fn dump(conn: &Connection) -> Vec<u8> {
    let mut tables = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut all = Vec::new();
    for name in names {
        let mut rows = conn.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                if let Ok(bytes) = row.get_ref(column).unwrap().as_bytes() {
                    all.extend_from_slice(bytes);
                    all.push(b'\n');
                }
            }
        }
    }
    all
}
fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}
impl Home {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("breachpost.db")
    }
    /// A connection past all of our code, as an intruder with the key would have.
    fn raw(&self) -> Connection {
        let conn = Connection::open(self.path()).unwrap();
        conn.execute_batch(&format!(
            "PRAGMA cipher_default_hmac_algorithm = HMAC_SHA256; PRAGMA key = \"x'{}'\"",
            key().to_hex().expose()
        ))
        .unwrap();
        conn
    }
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn key() -> StoreKey {
    StoreKey::from_bytes([7; 32])
}

#[test]
fn keys_are_read_and_never_shown() {
    let text = key().to_hex();
    assert_eq!(text.expose().len(), 64);
    let read = StoreKey::from_hex(&Secret::new(format!("  {}\n", text.expose().to_uppercase()))).unwrap();
    assert_eq!(read.to_hex().expose(), text.expose());
    assert!(StoreKey::from_hex(&Secret::new("07")).is_err());
    assert_eq!(format!("{:?}", key()), "StoreKey(…)");
}

#[tokio::test]
async fn the_file_is_private_sealed_and_alone() {
    let home = Home::new();
    let store = home.open();
    let breach = store
        .add_breach(json!({ "title": "lost laptop" }), &anna(), at(0))
        .await
        .unwrap();
    for name in home.files() {
        let mode = std::fs::metadata(home.folder.path().join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
    assert_eq!(
        home.files(),
        ["breachpost.db"],
        "the last one out leaves one clean file"
    );
    let bytes = std::fs::read(home.path()).unwrap();
    for plain in [b"SQLite format".as_slice(), b"laptop", b"breaches"] {
        assert!(!bytes.windows(plain.len()).any(|w| w == plain), "readable on disk");
    }
    assert_eq!(home.open().find_breach(breach).await.unwrap().unwrap().id, breach);
}

/// Its pages are authenticated by SHA-512, as SQLCipher does where nothing else is said.
#[tokio::test]
async fn a_store_of_an_earlier_make_is_opened() {
    let home = Home::new();
    let breach = add_breach(&home.open()).await;
    let earlier = home.folder.path().join("earlier.db");
    let version: i64 = {
        let conn = home.raw();
        let attach = format!(
            "ATTACH '{}' AS earlier KEY \"x'{}'\"; PRAGMA earlier.cipher_hmac_algorithm = HMAC_SHA512",
            earlier.display(),
            key().to_hex().expose()
        );
        conn.execute_batch(&attach).unwrap();
        conn.query_row("SELECT sqlcipher_export('earlier')", [], |_| Ok(()))
            .unwrap();
        let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        conn.execute_batch(&format!("PRAGMA earlier.user_version = {version}"))
            .unwrap();
        version
    };
    assert!(version > 0);
    std::fs::rename(&earlier, home.path()).unwrap();
    let refused = home.raw().query_row("SELECT count(*) FROM breaches", [], |_| Ok(()));
    assert!(refused.is_err(), "it is of another make");

    let store = home.open();
    assert!(store.find_breach(breach).await.unwrap().is_some());
    let later = add_breach(&store).await;
    drop(store);
    assert!(home.open().find_breach(later).await.unwrap().is_some());
}

#[test]
fn a_wrong_key_is_called_by_its_name() {
    let home = Home::new();
    drop(home.open());
    let wrong = StoreKey::from_bytes([8; 32]);
    let error = Sqlite::open(&home.path(), &wrong).unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("0808"), "the key is in the error");
    drop(home.open());
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let home = Home::new();
    for content in [&b"just some text\n"[..], &[0x5a; 8192]] {
        std::fs::write(home.path(), content).unwrap();
        let error = Sqlite::open(&home.path(), &key()).unwrap_err();
        let clear = matches!(error, StoreError::Damaged { .. } | StoreError::WrongKey { .. });
        assert!(clear, "{error:?}");
        assert_eq!(std::fs::read(home.path()).unwrap(), content);
    }
}

#[tokio::test]
async fn a_file_cut_short_is_not_taken_for_a_new_one() {
    let home = Home::new();
    file_notice(&home.open()).await;
    let whole = std::fs::read(home.path()).unwrap();
    assert_eq!(home.files(), ["breachpost.db"]);
    for length in [
        0,
        1,
        100,
        4095,
        4096,
        8192,
        whole.len() / 2,
        whole.len() - 4096,
        whole.len() - 1,
    ] {
        std::fs::write(home.path(), &whole[..length]).unwrap();
        let opened = Sqlite::open(&home.path(), &key());
        let Err(error) = opened else {
            panic!("{length} of {} bytes were taken for a store", whole.len());
        };
        let clear = matches!(error, StoreError::Damaged { .. } | StoreError::WrongKey { .. });
        assert!(clear, "{length} of {}: {error:?}", whole.len());
    }
}

#[test]
fn a_store_of_the_future_is_refused() {
    let home = Home::new();
    drop(home.open());
    home.raw().pragma_update(None, "user_version", 99).unwrap();
    let error = Sqlite::open(&home.path(), &key()).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error:?}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Sqlite::open(&PathBuf::from("/nonexistent/breachpost.db"), &key()).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the folder /nonexistent");
}

#[test]
fn many_may_create_it_at_once() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| home.open());
        }
    });
    // SQLite may leave its log when the last ones close at the same moment; nothing of the making may be left.
    let left = home.files();
    assert!(left.iter().all(|name| name.starts_with("breachpost.db")), "{left:?}");
    drop(home.open());
    assert_eq!(home.files(), ["breachpost.db"]);
}

/// A store with every kind of entry, and two attempts under one of them.
async fn filled() -> Home {
    let home = Home::new();
    let store = home.open();
    file_notice(&store).await;
    let sent = put_on_wire(&store, worker(1), at(1)).await;
    store.step(vec![done(&sent, accepted())], vec![], at(2)).await.unwrap();
    run_campaign(&store, 4).await;
    for outcome in [accepted(), deferred()] {
        let claims = claim(&store, worker(1), 2, at(3)).await;
        store.step(vec![], claims.clone(), at(3)).await.unwrap();
        let outcomes = claims.iter().map(|c| done(c, outcome.clone())).collect();
        store.step(outcomes, vec![], at(4)).await.unwrap();
    }
    let (length, head) = store.journal_head().await.unwrap();
    let signer = "A".repeat(40);
    let checkpoint = Checkpoint {
        length,
        head,
        at: at(5),
        signer,
        signature: "signature".into(),
    };
    store.add_checkpoint(checkpoint).await.unwrap();
    for n in 0..3 {
        store
            .append("test.event", json!({ "n": n }), &anna(), at(6))
            .await
            .unwrap();
    }
    intact(&store).await;
    drop(store);
    home
}

#[tokio::test]
async fn append_only_tables_refuse_changes() {
    let home = filled().await;
    let raw = home.raw();
    for sql in [
        "UPDATE journal SET actor = 'os:mallory'",
        "DELETE FROM journal",
        "UPDATE attempts SET outcome = 'refused'",
        "DELETE FROM attempts",
    ] {
        let refused = raw.execute_batch(sql).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn the_rules_of_the_states_hold_for_every_hand() {
    let home = filled().await;
    let raw = home.raw();
    for sql in [
        "UPDATE deliveries SET state = 'leased', due = NULL, since = NULL, detail = NULL",
        "UPDATE deliveries SET state = 'ready', due = NULL WHERE state = 'ready'",
        "UPDATE deliveries SET state = 'lost'",
        "UPDATE deliveries SET lease_by = 'wrk_1'",
        "UPDATE deliveries SET state = 'in_doubt', since = 1, detail = NULL, possibly_twice = 0",
        "UPDATE deliveries SET detail = NULL WHERE state = 'handed'",
        "UPDATE deliveries SET campaign = NULL WHERE campaign IS NOT NULL",
        "UPDATE notices SET ack_at = 1",
    ] {
        let refused = raw.execute_batch(sql).unwrap_err();
        assert!(
            refused.to_string().contains("CHECK constraint failed"),
            "{sql}: {refused}"
        );
    }
}

#[tokio::test]
async fn tampering_is_found() {
    // What is done; the first entry that no longer fits (0: the one the SQL names first); what is said of it.
    let cases = [
        (
            "UPDATE journal SET details = replace(details, 'lu-cnpd', 'xx-none') WHERE sequence = 2",
            2,
            "made from",
        ),
        (
            "UPDATE journal SET details = details || ' ' WHERE sequence = 2",
            2,
            "made from",
        ),
        (
            "UPDATE journal SET actor = 'os:mallory' WHERE sequence = 1",
            1,
            "made from",
        ),
        ("UPDATE journal SET at = at + 1 WHERE sequence = 3", 3, "made from"),
        ("UPDATE journal SET event = 'x' WHERE sequence = 4", 4, "made from"),
        (
            "UPDATE journal SET hash = zeroblob(32) WHERE sequence = 2",
            2,
            "made from",
        ),
        (
            "UPDATE journal SET previous = zeroblob(32) WHERE sequence = 2",
            2,
            "follow",
        ),
        ("DELETE FROM journal WHERE sequence = 1", 1, "missing"),
        ("DELETE FROM journal WHERE sequence = 4", 4, "missing"),
        (
            "DELETE FROM journal WHERE sequence = 3;
          UPDATE journal SET sequence = -sequence WHERE sequence > 3;
          UPDATE journal SET sequence = -sequence - 1 WHERE sequence < 0",
            3,
            "follow",
        ),
        (
            "UPDATE journal SET sequence = 1000 WHERE sequence = 4; UPDATE journal SET sequence = 4 WHERE sequence = 5;
          UPDATE journal SET sequence = 5 WHERE sequence = 1000",
            4,
            "follow",
        ),
        // The tail was cut behind the last attempt; only the checkpoint knows.
        (
            "DELETE FROM journal; DELETE FROM attempts; DELETE FROM deliveries",
            1,
            "end is missing",
        ),
        ("UPDATE attempts SET outcome = 'refused' WHERE id = 1", 3, "altered"),
        ("UPDATE attempts SET at = at - 1 WHERE id = 3", 12, "altered"),
        ("UPDATE attempts SET delivery = 4 WHERE id = 3", 12, "altered"),
        (
            "UPDATE attempts SET reply = replace(reply, '250', '251') WHERE id = 2",
            12,
            "altered",
        ),
        ("UPDATE attempts SET fault = NULL WHERE id = 4", 13, "altered"),
        ("UPDATE attempts SET tls = NULL WHERE id = 1", 3, "altered"),
        (
            "UPDATE tls_facts SET facts = replace(facts, 'TLSv1.3', 'TLSv1.0')",
            3,
            "altered",
        ),
        (
            "DELETE FROM attempts WHERE id = 1",
            3,
            "covers 1 attempt, and the store has 0",
        ),
        (
            "DELETE FROM attempts WHERE id = 5",
            13,
            "covers 2 attempts, and the store has 1",
        ),
        (
            "UPDATE attempts SET journal = 12 WHERE id = 4",
            12,
            "covers 2 attempts, and the store has 3",
        ),
        (
            "INSERT INTO attempts (delivery, at, outcome, journal) VALUES (1, 1, 'accepted', 1)",
            13,
            "covers 2 attempts, and the store has 3",
        ),
        (
            "INSERT INTO attempts (id, delivery, at, outcome, journal) VALUES (-5, 1, 1, 'accepted', 1)",
            1,
            "covers 0 attempts, and the store has 1",
        ),
        (
            "INSERT INTO attempts (delivery, at, outcome, journal) VALUES (1, 1, 'accepted', 99)",
            17,
            "later attempts",
        ),
    ];
    let drop_guards = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
         DROP TRIGGER journal_is_not_changed; DROP TRIGGER journal_is_not_removed;
         DROP TRIGGER attempts_are_not_changed; DROP TRIGGER attempts_are_not_removed;";
    for (sql, first, said) in cases {
        let home = filled().await;
        let raw = home.raw();
        raw.execute_batch(drop_guards).unwrap();
        raw.execute_batch(sql).unwrap();
        drop(raw);
        let verdict = home.open().verify_journal().await.unwrap();
        let JournalVerdict::Broken { sequence, why } = &verdict else {
            panic!("not found: {sql}")
        };
        assert_eq!(*sequence, first, "{sql}: {why}");
        assert!(why.contains(said), "{sql}: {why}");
    }
}

/// An intruder with the key cuts the end off, or computes all hashes again: the signed checkpoint tells.
#[tokio::test]
async fn a_rebuilt_chain_is_found_by_its_checkpoint() {
    let home = filled().await;
    let store = home.open();
    let checkpoint = store.list_checkpoints().await.unwrap().remove(0);
    let entries = store.list_journal(0, 99).await.unwrap();
    drop(store);
    let raw = home.raw();
    raw.execute_batch("DROP TRIGGER journal_is_not_changed; DROP TRIGGER journal_is_not_removed;")
        .unwrap();
    let mut previous = [0; 32];
    for mut entry in entries {
        if entry.sequence == 1 {
            entry.actor = "os:mallory".into();
        }
        entry.previous = breachpost::store::chain::hex(&previous);
        let hash = entry
            .expected_hash()
            .and_then(|h| breachpost::store::chain::unhex(&h))
            .unwrap();
        let row = (entry.sequence as i64, &entry.actor, previous, hash);
        let sql = "UPDATE journal SET actor = ?2, previous = ?3, hash = ?4 WHERE sequence = ?1";
        assert_eq!(raw.execute(sql, row).unwrap(), 1);
        previous = hash;
    }
    drop(raw);
    let store = home.open();
    assert_ne!(store.head_at(checkpoint.length).await.unwrap(), Some(checkpoint.head));
    let verdict = store.verify_journal().await.unwrap();
    let JournalVerdict::Broken { why, .. } = &verdict else {
        panic!("not found")
    };
    assert!(why.contains("not the one that was signed"), "{why}");
}

#[tokio::test]
async fn a_row_that_contradicts_the_model_is_an_error_of_its_own() {
    let home = Home::new();
    let store = home.open();
    let breach = add_breach(&store).await;
    store.file_notice(notice(breach, 1), &anna(), at(0)).await.unwrap();
    home.raw()
        .execute_batch("UPDATE breach_versions SET record = '{\"name\": Anna}'")
        .unwrap();
    let error = store.find_breach(breach).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!format!("{error}{error:?}").contains("Anna"), "{error:?}");
}

/// A mail server that repeats addresses wherever it can, and a list with a row that is no address.
#[tokio::test]
async fn erased_persons_are_nowhere_in_the_store() {
    let home = Home::new();
    let store = home.open();
    let campaign = erasure::told_and_bounced(&store).await;
    let before = (
        store.tally(campaign).await.unwrap(),
        store.row_counts(campaign).await.unwrap(),
    );
    let personal = ["person0@", "person1@", "person2@", "Person 1", "nowhere", "Dear sir"];
    let dumped = dump(&home.raw());
    for word in personal {
        assert!(holds(&dumped, word), "{word} is not there to be erased");
    }
    let conn = home.raw();
    store.cancel(campaign, &anna(), at(9)).await.unwrap();
    assert_eq!(store.list_erasable(at(9)).await.unwrap(), [], "it has only just ended");
    assert_eq!(store.list_erasable(at(1_000)).await.unwrap(), [campaign]);
    let erased = store.erase_campaign(campaign, &anna(), at(1_000)).await.unwrap();
    let all = Erased {
        persons: 3,
        bad_rows: 1,
        mails: 1,
    };
    assert_eq!(erased, all);
    assert_eq!(store.list_erasable(at(2_000)).await.unwrap(), []);
    let again = store.erase_campaign(campaign, &anna(), at(1_001)).await;
    conflict(again);

    let dumped = dump(&conn);
    for word in personal.into_iter().chain(["example.org"]) {
        assert!(!holds(&dumped, word), "{word} is still there");
    }
    let after = (
        store.tally(campaign).await.unwrap(),
        store.row_counts(campaign).await.unwrap(),
    );
    assert_eq!(after, before, "the report's sums stay");
    intact(&store).await;
    let told = store.find_erased("PERSON1@example.ORG").await.unwrap();
    assert_eq!(told.len(), 1);
    let delivery = store.find_delivery(told[0].1).await.unwrap().unwrap();
    assert_eq!((delivery.recipient.as_str(), delivery.state.name()), ("", "failed"));
    let retried = store.retry_now(delivery.id, &anna(), at(1_002)).await;
    assert!(
        matches!(retried, Err(StoreError::Conflict { .. })),
        "nobody is there any more: {retried:?}"
    );
    assert_eq!(store.find_erased("person9@example.org").await.unwrap(), []);

    assert!(store.forget_hashes(campaign, &anna(), at(1_003)).await.unwrap());
    assert!(!store.forget_hashes(campaign, &anna(), at(1_004)).await.unwrap());
    assert_eq!(store.find_erased("person1@example.org").await.unwrap(), []);
    intact(&store).await;

    // What was erased is still proven: another digest in its place is found, and words cannot be put back.
    let changed = conn.execute("UPDATE attempts SET reply = 'x' WHERE reply_sha256 IS NOT NULL", []);
    let by_rule = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
    assert!(changed.as_ref().is_err_and(by_rule), "{changed:?}");
    conn.execute(
        "UPDATE attempts SET reply_sha256 = zeroblob(32) WHERE reply_sha256 IS NOT NULL",
        [],
    )
    .unwrap();
    let verdict = store.verify_journal().await.unwrap();
    assert!(matches!(verdict, JournalVerdict::Broken { .. }), "{verdict:?}");
}
