//! What can go wrong in a store: each error says what was asked and what to do.

/// Our side could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot open the store {path}: the disk is full or does not work; make room and try again")]
    Disk {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the store {path} cannot be read with this store key, or is no store; check `store_key` in config.yaml")]
    WrongKey { path: String },
    #[error("the store {path} is cut short or damaged; put a backup in its place")]
    Damaged { path: String },
    /// Its mark shows that it was there: an empty one in its place would say that nothing ever happened.
    #[error(
        "the store {path} is gone, and {mark} shows that there was one: put it back from your backup; to begin with an \
         empty one all the same, move {mark} away first"
    )]
    Missing { path: String, mark: String },
    #[error("the store {path} was written by a newer breachpost (schema {found}, this program knows {known})")]
    TooNew { path: String, found: i64, known: i64 },
    #[error("cannot {step}: a part of the store is damaged; put a backup in its place")]
    DamagedPage {
        step: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot {step}")]
    Sql {
        step: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    /// A row that contradicts the model: the store was changed by another hand, or is damaged.
    #[error("the store holds a {what} that cannot be understood: {why}")]
    Corrupt { what: &'static str, why: String },
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: String },
    /// Somebody else was quicker, or the state does not allow it.
    #[error("{what} {id} is {found}; that does not allow {wanted}")]
    Conflict {
        what: &'static str,
        id: String,
        found: String,
        wanted: &'static str,
    },
    /// The commit that this change shared with others failed; nothing of it is stored.
    #[error("the change was not stored")]
    NotCommitted {
        #[source]
        source: std::sync::Arc<StoreError>,
    },
    /// Without the mark, nobody would know whether the store was put back since; nothing is sent then.
    #[error("cannot use {path}, by which a restored store is known; its owner must be the store's")]
    Mark {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the folder {path}")]
    Folder {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the store's threads")]
    Threads {
        #[source]
        source: std::io::Error,
    },
    #[error("the store's thread has ended")]
    Gone,
}

impl StoreError {
    /// Of JSON that was stored and is not understood. What serde says of it mostly quotes the value, which may be personal,
    /// and errors are logged.
    pub fn not_understood(what: &'static str, id: &str, error: &serde_json::Error) -> Self {
        let said = Some(error.to_string()).filter(|said| said.starts_with("missing field"));
        let why = said.unwrap_or_else(|| "a value is not what is expected".to_owned());
        StoreError::Corrupt {
            what,
            why: format!("{id}: {why}; it was damaged, or another version wrote it"),
        }
    }
}
