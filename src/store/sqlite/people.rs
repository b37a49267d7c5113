//! Persons with tokens of their own, and what they agreed to.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::rows::{Micros, Text, all, one, run};
use super::{Sqlite, Tx, decisions, journal, ledger, notices};
use crate::model::Time;
use crate::model::delivery::{DeliveryState, HoldReason};
use crate::model::id::{Actor, DeliveryId, Reference};
use crate::store::{Approval, People, StoreError, User};

#[async_trait]
impl People for Sqlite {
    async fn add_user(&self, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (name, token, by) = (name.to_owned(), token_sha256.to_owned(), by.clone());
        self.write(move |tx| add(tx, &name, &token, &by, now)).await
    }

    async fn renew_token(&self, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (name, token, by) = (name.to_owned(), token_sha256.to_owned(), by.clone());
        self.write(move |tx| renew(tx, &name, &token, &by, now)).await
    }

    async fn disable_user(&self, name: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
        let (name, by) = (name.to_owned(), by.clone());
        self.write(move |tx| disable(tx, &name, &by, now)).await
    }

    async fn find_user_by_token(&self, token_sha256: &str) -> Result<Option<User>, StoreError> {
        let token = token_sha256.to_owned();
        self.read(move |conn| {
            let sql = format!("{USER} WHERE token_sha256 = ?1");
            one(conn, "find the user of a token", &sql, [token], read_user)
        })
        .await
    }

    async fn list_users(&self) -> Result<Vec<User>, StoreError> {
        self.read(|conn| {
            let sql = format!("{USER} ORDER BY name");
            all(conn, "list the users", &sql, [], read_user)
        })
        .await
    }

    async fn approve_notice(&self, reference: &Reference, by: &Actor, now: Time) -> Result<DeliveryId, StoreError> {
        let (reference, by) = (reference.clone(), by.clone());
        self.write(move |tx| approve_notice(tx, &reference, &by, now)).await
    }

    async fn list_agreed(&self, subject: &str, content_sha256: &str) -> Result<Vec<Actor>, StoreError> {
        let (subject, content) = (subject.to_owned(), content_sha256.to_owned());
        self.read(move |conn| agreed(conn, &subject, &content)).await
    }

    async fn list_approvals(&self, subject: &str) -> Result<Vec<Approval>, StoreError> {
        let subject = subject.to_owned();
        self.read(move |conn| {
            let sql = "SELECT content_sha256, by, at FROM approvals WHERE subject = ?1 ORDER BY id";
            all(conn, "list the approvals", sql, [subject], |row| {
                Ok(Approval {
                    content_sha256: row.get(0)?,
                    by: row.get::<_, Text<_>>(1)?.0,
                    at: row.get::<_, Micros>(2)?.0,
                })
            })
        })
        .await
    }
}

const USER: &str = "SELECT name, added_at, added_by, disabled_at FROM users";

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        name: row.get(0)?,
        added_at: row.get::<_, Micros>(1)?.0,
        added_by: row.get::<_, Text<_>>(2)?.0,
        disabled_at: row.get::<_, Option<Micros>>(3)?.map(|at| at.0),
    })
}

fn find(conn: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    let sql = format!("{USER} WHERE name = ?1");
    one(conn, "read the user", &sql, [name], read_user)
}

fn get(conn: &Connection, name: &str) -> Result<User, StoreError> {
    find(conn, name)?.ok_or_else(|| StoreError::NotFound {
        what: "user",
        id: name.to_owned(),
    })
}

fn add(tx: &mut Tx<'_>, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
    if find(tx.conn, name)?.is_some() {
        return Err(StoreError::Conflict {
            what: "user",
            id: name.to_owned(),
            found: "known already".to_owned(),
            wanted: "another of the same name",
        });
    }
    run(
        tx.conn,
        "add the user",
        "INSERT INTO users (name, token_sha256, added_at, added_by) VALUES (?1, ?2, ?3, ?4)",
        params![name, token_sha256, Micros(now), Text(by)],
    )?;
    journal::append(tx, "user.added", &json!({ "user": name }), by, now).map(drop)
}

fn renew(tx: &mut Tx<'_>, name: &str, token_sha256: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
    get(tx.conn, name)?;
    run(
        tx.conn,
        "renew the token",
        "UPDATE users SET token_sha256 = ?2, disabled_at = NULL WHERE name = ?1",
        params![name, token_sha256],
    )?;
    journal::append(tx, "user.token_renewed", &json!({ "user": name }), by, now).map(drop)
}

fn disable(tx: &mut Tx<'_>, name: &str, by: &Actor, now: Time) -> Result<(), StoreError> {
    if get(tx.conn, name)?.disabled_at.is_some() {
        return Ok(());
    }
    run(
        tx.conn,
        "disable the user",
        "UPDATE users SET disabled_at = ?2 WHERE name = ?1",
        params![name, Micros(now)],
    )?;
    journal::append(tx, "user.disabled", &json!({ "user": name }), by, now).map(drop)
}

/// Writes an approval into the transaction of what it allows.
pub(super) fn add_approval(
    tx: &mut Tx<'_>,
    subject: &str,
    content_sha256: &str,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    run(
        tx.conn,
        "keep the approval",
        "INSERT OR IGNORE INTO approvals (subject, content_sha256, by, at) VALUES (?1, ?2, ?3, ?4)",
        params![subject, content_sha256, Text(by), Micros(now)],
    )?;
    let facts = json!({ "subject": subject, "content_sha256": content_sha256 });
    journal::append(tx, "approval.given", &facts, by, now).map(drop)
}

/// Who agreed to this content and may still agree to things, in the order in which they did.
pub(super) fn agreed(conn: &Connection, subject: &str, content_sha256: &str) -> Result<Vec<Actor>, StoreError> {
    let sql = "SELECT by FROM approvals WHERE subject = ?1 AND content_sha256 = ?2 ORDER BY id";
    let mut agreed: Vec<Actor> = all(
        conn,
        "list the approvals",
        sql,
        params![subject, content_sha256],
        |row| Ok(row.get::<_, Text<_>>(0)?.0),
    )?;
    let sql = "SELECT name FROM users WHERE disabled_at IS NOT NULL";
    let disabled: Vec<String> = all(conn, "list the disabled users", sql, [], |row| row.get(0))?;
    agreed.retain(|by| !matches!(by, Actor::User(name) if disabled.contains(name)));
    Ok(agreed)
}

fn approve_notice(tx: &mut Tx<'_>, reference: &Reference, by: &Actor, now: Time) -> Result<DeliveryId, StoreError> {
    let (_, notice) = notices::get(tx.conn, reference)?;
    let conflict = |found: &str, wanted| StoreError::Conflict {
        what: "notice",
        id: reference.to_string(),
        found: found.to_owned(),
        wanted,
    };
    let delivery = match notice.delivery {
        Some(id) => ledger::get(tx.conn, id)?,
        None => return Err(conflict("not in the queue", "an approval")),
    };
    if !matches!(
        &delivery.state,
        DeliveryState::Held {
            why: HoldReason::Approval
        }
    ) {
        return Err(conflict(delivery.state.name(), "an approval"));
    }
    if notice.filed_by == *by {
        return Err(conflict(&format!("filed by {by}"), "an approval by the same person"));
    }
    let content = notice
        .content_sha256
        .as_deref()
        .expect("what was filed by e-mail has a digest");
    add_approval(tx, reference.as_str(), content, by, now)?;
    decisions::release(tx, &delivery, "notice_approved", by, now)?;
    Ok(delivery.id)
}
