//! Values of the model as columns, and queries as one call. Knows no table.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::Time;
use crate::store::StoreError;

/// An instant, as microseconds since 1970 UTC; what is finer is cut off.
pub(super) struct Micros(pub Time);
impl ToSql for Micros {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.timestamp_micros().into())
    }
}
impl FromSql for Micros {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = i64::column_result(value)?;
        Time::from_timestamp_micros(micros)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(micros))
    }
}

/// A value that has one printed form, such as an id or an actor.
pub(super) struct Text<T>(pub T);
impl<T: std::fmt::Display> ToSql for Text<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}
impl<T: std::str::FromStr> FromSql for Text<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

/// A value kept as JSON text.
pub(super) struct Json<T>(pub T);
impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(json(&self.0).into())
    }
}
impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(|e| FromSqlError::other(NotUnderstood { column: e.column() }))
    }
}

/// A plain word of an enum, spelled as in its JSON.
pub(super) struct Word<T>(pub T);
impl<T: DeserializeOwned> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_value(Value::from(value.as_str()?))
            .map(Self)
            .map_err(|_| FromSqlError::other(NotUnderstood { column: 1 }))
    }
}

/// Says where, but not what: the JSON may hold personal data, and errors are logged.
#[derive(Debug, thiserror::Error)]
#[error("the text is not what was expected at its character {column}")]
struct NotUnderstood {
    column: usize,
}

/// JSON text of a value of the model, all of which have one.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the model's types have string keys and no failing serializer")
}

/// Names the step that failed; a value that contradicts the model becomes [`StoreError::Corrupt`], and a page that was
/// changed on the disk [`StoreError::DamagedPage`].
pub(super) fn failed(step: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    move |source| match source {
        E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) => {
            StoreError::Corrupt {
                what: "row",
                why: format!("trying to {step}: {source}"),
            }
        }
        // SQLCipher finds a page whose seal is broken, and says that it is no database.
        source if is_damage(&source) => StoreError::DamagedPage { step, source },
        source => StoreError::Sql { step, source },
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Runs a statement; returns the number of rows it changed.
pub(super) fn run(conn: &Connection, step: &'static str, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed(step))?;
    statement.execute(params).map_err(failed(step))
}

/// The first row, if there is one.
pub(super) fn one<T>(
    conn: &Connection,
    step: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed(step))?;
    statement.query_row(params, read).optional().map_err(failed(step))
}

/// The row of a query that always has one, such as a count.
pub(super) fn only<T>(
    conn: &Connection,
    step: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed(step))?;
    statement.query_row(params, read).map_err(failed(step))
}

/// All rows.
pub(super) fn all<T>(
    conn: &Connection,
    step: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(failed(step))?;
    let rows = statement.query_map(params, read).map_err(failed(step))?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed(step))
}
