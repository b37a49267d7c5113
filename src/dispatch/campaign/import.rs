//! From a list to the persons of a campaign. A thread reads and judges the rows, the store takes them in chunks; how far
//! the list is in moves with each chunk, so that the same command goes on where a crash or a full disk cut it off, and
//! nobody is in twice. Memory depends on the chunk, never on the list.

use std::path::PathBuf;

use serde_json::json;
use tokio::sync::mpsc;

use crate::dispatch::desk::DeskError;
use crate::dispatch::desk::breach;
use crate::dispatch::office::{Office, OfficeError};
use crate::message::template::Audience;
use crate::message::token::{hex, sha256_hex};
use crate::model::Time;
use crate::model::id::{Actor, BadRowId, BreachId, CampaignId};
use crate::model::plural::{counted, grouped};
use crate::model::recipient::{self, BAD_ROW, Columns, ColumnsError, Fields, Mapping, Meaning, Understood};
use crate::reading::table::{Options, Row, Table, TableError};
use crate::store::{
    ListTarget, NewBadRow, NewList, NewPerson, NewRow, OpenList, RowContent, RowCounts, StoreError, StoredList,
};

use super::{CampaignContent, Wording, keys};

/// Rows of one transaction: enough that committing costs little, few enough that others wait less than a second.
const CHUNK_ROWS: usize = 2_000;
/// A chunk of long rows ends earlier, so that memory stays bounded whatever the cells hold.
const CHUNK_BYTES: usize = 4 << 20;
/// Chunks that wait for the store while the next is read. A chunk has some 3 MiB.
const CHUNKS_WAITING: usize = 1;
/// The most rows of one list; a campaign may have several lists.
pub const MAX_ROWS: u64 = 10_000_000;

/// A list and where it goes.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub file: PathBuf,
    pub reading: Options,
    /// What a person says about columns whose names do not tell.
    pub mappings: Vec<Mapping>,
    pub target: Target,
}
impl ImportRequest {
    /// A list that says itself all that must be known.
    pub fn new(file: PathBuf, target: Target) -> Self {
        Self {
            file,
            reading: Options::default(),
            mappings: Vec::new(),
            target,
        }
    }
}
/// Where a list goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// A campaign of its own.
    Fresh {
        breach: BreachId,
        content: Box<CampaignContent>,
    },
    /// A campaign that has not been started.
    Draft(CampaignId),
}

/// A list that is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub campaign: CampaignId,
    /// Rows that an earlier run of the same command had brought in.
    pub resumed_after: u64,
    pub counts: RowCounts,
}

/// How far an import is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
    pub counts: RowCounts,
}

/// A list was not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing has been stored.
    #[error("the list cannot be used")]
    Table(#[from] TableError),
    /// Nothing has been stored.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// Nothing has been stored.
    #[error("{file} has a header and no rows")]
    NoRows { file: String },
    /// Nothing has been stored.
    #[error(
        "{file} has {}, and one list may have {}; divide it, and add the parts one by one",
        counted(.rows, "row"), grouped(MAX_ROWS)
    )]
    TooManyRows { file: String, rows: u64 },
    /// Nothing has been stored.
    #[error(
        "{file} corrects {}, which {campaign} does not have: corrected already, or a row of another campaign; as they stand, \
         these rows would add persons beside those who are in. Take them out; where the first correction was wrong, call the \
         draft off (breachpost campaign cancel {campaign}) and make it anew",
        some_of(.rows)
    )]
    Astray {
        file: String,
        campaign: CampaignId,
        rows: Vec<BadRowId>,
    },
    /// Nothing has been stored.
    #[error("there is no message to individuals in `{language}`; there is: {}", known.join(", "))]
    Language { language: String, known: Vec<String> },
    /// The campaign is cancelled: it holds rows of two different files.
    #[error(
        "{file} was changed while it was read, so {campaign} was given up; run the command again with a file that stays as it is"
    )]
    Replaced { file: String, campaign: CampaignId },
    /// What is in stays in; the same command goes on.
    #[error(
        "the import of {file} into {campaign} was cut off after {} of {}; run the same command again, and it goes on from there",
        grouped(.done), counted(.total, "row")
    )]
    CutOff {
        file: String,
        campaign: CampaignId,
        done: u64,
        total: u64,
        #[source]
        source: Box<ImportError>,
    },
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("the store cannot do it")]
    Store(#[from] StoreError),
}
impl From<OfficeError> for ImportError {
    fn from(error: OfficeError) -> Self {
        DeskError::from(error).into()
    }
}

/// Bad rows that are named in an error.
const ROWS_NAMED: usize = 10;

fn some_of(rows: &[BadRowId]) -> String {
    let named = rows.iter().take(ROWS_NAMED).map(BadRowId::to_string);
    let more = rows.len().checked_sub(ROWS_NAMED).filter(|more| *more > 0);
    let more = more.map(|more| format!("{more} more"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// What the messages of a new campaign are made from.
///
/// # Errors
/// No such breach, or no message in the language that was asked for.
pub async fn content(
    office: &Office,
    breach: BreachId,
    fallback_language: Option<&str>,
) -> Result<CampaignContent, ImportError> {
    let record = breach::find(office, breach).await?.record;
    let known = office.templates.languages(Audience::Individual);
    let fallback_language = fallback_language.unwrap_or_else(|| office.config.fallback_language().as_str());
    if !known.contains(&fallback_language) {
        return Err(ImportError::Language {
            language: crate::reading::shown(fallback_language),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    let authority = office.own_authority().and_then(|id| office.directory.find(&id).ok());
    Ok(CampaignContent {
        record,
        reference: breach.to_string(),
        authority: authority.map(|profile| {
            // Where it has no name in this language, the one that it calls itself says more than an English one.
            let itself = profile.languages.iter().find_map(|own| profile.names.get(own));
            let named = |language: &str| {
                let name = profile.names.get(language).or(itself);
                let name = name.map_or_else(|| profile.name(language), String::as_str);
                (language.to_owned(), name.to_owned())
            };
            known.into_iter().map(named).collect()
        }),
        fallback_language: fallback_language.to_owned(),
        wording: Wording::default(),
        encrypt: office.config.campaign.encrypt,
    })
}

/// Brings a list in. `progress` is told after each chunk.
///
/// # Errors
/// [`ImportError`] says for each case what has been stored.
pub async fn import(
    office: &Office,
    request: ImportRequest,
    by: &Actor,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Imported, ImportError> {
    let file = request.file.display().to_string();
    let (path, options) = (request.file.clone(), request.reading.clone());
    let table = tokio::task::spawn_blocking(move || Table::open(&path, &options))
        .await
        .expect("looking through a list does not panic")?;
    let mut mappings = request.mappings.clone();
    if let Target::Draft(campaign) = &request.target
        && table.columns().iter().any(|name| name == BAD_ROW)
    {
        as_first_read(&mut mappings, table.columns(), &office.store.lists(*campaign).await?);
    }
    let columns = Columns::of(table.columns(), &mappings)?;
    match table.row_count() {
        0 => return Err(ImportError::NoRows { file }),
        rows if rows > MAX_ROWS => return Err(ImportError::TooManyRows { file, rows }),
        _ => {}
    }
    if let Target::Draft(campaign) = &request.target
        && columns.correct_bad_rows()
    {
        none_astray(office, &table, &columns, *campaign, &file).await?;
    }
    let list = new_list(&table, &columns, request.target);
    let open = office.store.begin_list(list, by, office.now()).await?;
    let mut done = open.done;
    let counts = match bring_in(office, &table, columns, &open, by, &mut done, &mut progress).await {
        Ok(counts) => counts,
        Err(Stopped::Replaced) => {
            office.store.abandon_list(open.list, by, office.now()).await?;
            return Err(ImportError::Replaced {
                file,
                campaign: open.campaign,
            });
        }
        Err(Stopped::Failed(source)) => {
            return Err(ImportError::CutOff {
                file,
                campaign: open.campaign,
                done,
                total: table.row_count(),
                source: Box::new(source),
            });
        }
    };
    Ok(Imported {
        campaign: open.campaign,
        resumed_after: open.done,
        counts,
    })
}

/// Corrected rows come back with the columns of the lists they are from: what was said about those with `--map` is still
/// true. What is said now comes first, then the older list.
fn as_first_read(mappings: &mut Vec<Mapping>, names: &[String], lists: &[StoredList]) {
    for list in lists {
        for column in list.facts["columns"].as_array().into_iter().flatten() {
            let (Some(name), Some(meaning)) = (column["name"].as_str(), column["meaning"].as_str()) else {
                continue;
            };
            let is_ours = meaning.is_empty() || meaning == BAD_ROW || !names.iter().any(|known| known == name);
            let is_said = mappings
                .iter()
                .any(|said| said.meaning == meaning || said.column == name);
            if !is_ours && !is_said {
                mappings.push(Mapping {
                    meaning: meaning.to_owned(),
                    column: name.to_owned(),
                });
            }
        }
    }
}

/// Rows that correct what was corrected before would come in as further persons: then nothing comes in. Going on where an
/// import was cut off is none of this, for its persons are known.
async fn none_astray(
    office: &Office,
    table: &Table,
    columns: &Columns,
    campaign: CampaignId,
    file: &str,
) -> Result<(), ImportError> {
    let (chunks, mut waiting) = mpsc::channel::<Vec<NewRow>>(CHUNKS_WAITING);
    let reader = {
        let (table, columns, now) = (table.clone(), columns.clone(), office.now());
        tokio::task::spawn_blocking(move || read_chunks(&table, &columns, 0, &chunks, now))
    };
    let mut astray = Vec::new();
    while let Some(rows) = waiting.recv().await {
        let key = |row: NewRow| match row.content {
            RowContent::Person(person) => Some(person.key),
            RowContent::Bad(bad) => bad.key,
        };
        let corrections = rows.into_iter().filter_map(|row| Some((row.corrects?, key(row))));
        let corrections: Vec<_> = corrections.collect();
        let ids: Vec<BadRowId> = corrections.iter().map(|(id, _)| *id).collect();
        let found = office.store.find_astray(campaign, corrections).await?;
        astray.extend(found.into_iter().filter_map(|place| ids.get(place).copied()));
    }
    reader.await.expect("reading a list does not panic")?;
    match astray.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Astray {
            file: file.to_owned(),
            campaign,
            rows: astray,
        }),
    }
}

fn new_list(table: &Table, columns: &Columns, target: Target) -> NewList {
    let sha256 = hex(&table.sha256());
    let named = columns.names().iter().zip(columns.meanings());
    let facts = json!({
        "format": table.format(),
        "columns": named.map(|(name, meaning)| json!({ "name": name, "meaning": meaning.name() })).collect::<Vec<_>>(),
    });
    let name = table.path().file_name().unwrap_or_default();
    NewList {
        into: match target {
            Target::Fresh { breach, content } => ListTarget::Fresh {
                breach,
                content: serde_json::to_value(content).expect("a campaign's content is plain data"),
            },
            Target::Draft(campaign) => ListTarget::Draft(campaign),
        },
        fingerprint: sha256_hex(format!("{sha256}\n{facts}").as_bytes()),
        file: crate::reading::shown(&name.to_string_lossy()),
        sha256,
        facts,
        rows: table.row_count(),
    }
}

/// Why rows stopped coming in.
enum Stopped {
    /// What is read now is not what was looked through before.
    Replaced,
    Failed(ImportError),
}
impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Failed(error.into())
    }
}

/// Reads on one thread and stores on another, a chunk at a time, and ends the list.
async fn bring_in(
    office: &Office,
    table: &Table,
    columns: Columns,
    open: &OpenList,
    by: &Actor,
    done: &mut u64,
    progress: &mut (impl FnMut(Progress) + Send),
) -> Result<RowCounts, Stopped> {
    let total = table.row_count();
    let (chunks, mut waiting) = mpsc::channel::<Vec<NewRow>>(CHUNKS_WAITING);
    let reader = {
        let table = table.clone();
        let (begin, now) = (open.done, office.now());
        tokio::task::spawn_blocking(move || read_chunks(&table, &columns, begin, &chunks, now))
    };
    let mut counts = office.store.row_counts(open.campaign).await?;
    while let Some(rows) = waiting.recv().await {
        let added = rows.len() as u64;
        if *done + added > total {
            return Err(Stopped::Replaced);
        }
        counts = office.store.add_rows(open.list, *done, rows, by, office.now()).await?;
        *done += added;
        progress(Progress {
            done: *done,
            total,
            counts,
        });
    }
    match reader.await.expect("reading a list does not panic") {
        Ok(sha256) if sha256 == table.sha256() && *done == total => {}
        Err(error @ TableError::Read { .. }) => return Err(Stopped::Failed(error.into())),
        // It could be read before.
        Ok(_) | Err(_) => return Err(Stopped::Replaced),
    }
    office.store.end_list(open.list, by, office.now()).await?;
    Ok(counts)
}

/// Reads the rows after the first `begin` and sends them on; returns the digest of what was read.
fn read_chunks(
    table: &Table,
    columns: &Columns,
    begin: u64,
    chunks: &mpsc::Sender<Vec<NewRow>>,
    now: Time,
) -> Result<[u8; 32], TableError> {
    let mut rows = table.rows()?;
    let mut passed = 0;
    let mut chunk = Vec::with_capacity(CHUNK_ROWS);
    let mut bytes = 0;
    for row in &mut rows {
        let row = row?;
        if passed < begin {
            passed += 1;
            continue;
        }
        bytes += row.cells.iter().map(String::len).sum::<usize>();
        chunk.push(judge(columns, row, now));
        if chunk.len() == CHUNK_ROWS || bytes > CHUNK_BYTES {
            bytes = 0;
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_ROWS));
            if chunks.blocking_send(full).is_err() {
                // Storing has failed, and says so itself.
                return Ok(rows.sha256());
            }
        }
    }
    if !chunk.is_empty() {
        let _ = chunks.blocking_send(chunk);
    }
    Ok(rows.sha256())
}

/// What one row comes to, as the store takes it.
fn judge(columns: &Columns, row: Row, now: Time) -> NewRow {
    let corrects = columns
        .place(&Meaning::BadRow)
        .and_then(|place| row.cells.get(place)?.trim().parse().ok());
    let bad = |reason, column: Option<usize>, key, fields: Fields, row: Row| {
        RowContent::Bad(Box::new(NewBadRow {
            key,
            row: row.number,
            line: row.line,
            column: column.and_then(|place| columns.names().get(place).cloned()),
            reason,
            cells: row.cells,
            fields,
        }))
    };
    let content = match recipient::understand(columns, &row) {
        Understood::Usable(mut person) => RowContent::Person(Box::new(NewPerson {
            flags: keys::keep_usable(&mut person, now),
            key: person.key,
            address: person.address,
            domain: person.domain,
            language: person.language.unwrap_or_default(),
            country: person.country,
            fields: person.fields,
        })),
        Understood::Unusable { why, key, fields } => bad(why.reason, why.column, key, fields, row),
    };
    NewRow { corrects, content }
}
