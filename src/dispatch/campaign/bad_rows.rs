//! The rows that cannot be used, as a CSV file to be corrected in a spreadsheet program and added again: the list's own
//! columns behind four of ours, of which `bad_row` says which row the corrected one takes the place of.

use std::io::Write;

use crate::dispatch::office::{Office, OfficeError};
use crate::model::id::CampaignId;
use crate::model::recipient::{BAD_ROW_COLUMNS, formula_safe};
use crate::store::{BadRow, StoredList};

/// Rows read from the store at a time.
const PAGE: u32 = 1_000;

/// The rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BadRowsError {
    #[error("the rows cannot be written")]
    Write(#[from] csv::Error),
    #[error("the rows cannot be written to the end")]
    Flush(#[source] std::io::Error),
    #[error(transparent)]
    Office(#[from] OfficeError),
}

/// Writes all bad rows of a campaign; cells that a spreadsheet program would compute are quoted. Returns how many there were.
///
/// # Errors
/// The store or the writing fails.
pub async fn export(office: &Office, campaign: CampaignId, to: impl Write + Send) -> Result<u64, BadRowsError> {
    let lists = office.store.lists(campaign).await.map_err(OfficeError::from)?;
    let mut names: Vec<String> = Vec::new();
    for name in lists.iter().flat_map(columns) {
        if !names.contains(&name) && !BAD_ROW_COLUMNS.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut writer = csv::Writer::from_writer(to);
    let header = BAD_ROW_COLUMNS.iter().copied().chain(names.iter().map(String::as_str));
    writer.write_record(header.map(|name| formula_safe(name).into_owned()))?;
    let (mut after, mut written) = (None, 0);
    loop {
        let page = office
            .store
            .list_bad_rows(campaign, after, PAGE)
            .await
            .map_err(OfficeError::from)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for row in &page {
            writer.write_record(record(row, &lists, &names))?;
            written += 1;
        }
    }
    writer.flush().map_err(BadRowsError::Flush)?;
    Ok(written)
}

/// The columns of a list, as its file called them.
fn columns(list: &StoredList) -> Vec<String> {
    let columns = list.facts["columns"].as_array();
    let names = columns
        .into_iter()
        .flatten()
        .filter_map(|column| column["name"].as_str());
    names.map(str::to_owned).collect()
}

fn record(row: &BadRow, lists: &[StoredList], names: &[String]) -> Vec<String> {
    let own = lists
        .iter()
        .find(|list| list.id == row.list)
        .map(columns)
        .unwrap_or_default();
    let cell = |name: &String| {
        let place = own.iter().position(|own| own == name)?;
        // What was quoted when the row went out before is quoted once.
        row.cells.get(place).map(|cell| formula_safe(cell).into_owned())
    };
    let ours = [
        row.id.to_string(),
        row.line.unwrap_or(row.row).to_string(),
        formula_safe(row.column.as_deref().unwrap_or_default()).into_owned(),
        row.reason.text().to_owned(),
    ];
    let cells = names.iter().map(|name| cell(name).unwrap_or_default());
    ours.into_iter().chain(cells).collect()
}
