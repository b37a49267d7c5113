//! Certificates fetched from the web. The same bytes for the same authority are one row, whose state moves.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use super::rows::{Micros, Text, Word, all, one, run};
use super::{Sqlite, Tx, journal, pins};
use crate::model::Time;
use crate::model::id::Actor;
use crate::store::{Look, Pin, Proposal, ProposalState, Proposals, StoreError, chain};

#[async_trait]
impl Proposals for Sqlite {
    async fn propose(&self, fetched: Proposal, by: &Actor, now: Time) -> Result<Proposal, StoreError> {
        let by = by.clone();
        self.write(move |tx| propose(tx, &fetched, &by, now)).await
    }

    async fn find_proposal(&self, authority: &str) -> Result<Option<Proposal>, StoreError> {
        let authority = authority.to_owned();
        self.read(move |conn| {
            let sql = format!("{PROPOSAL} WHERE state = 'waiting' AND authority = ?1");
            one(conn, "read the proposal", &sql, [authority], read_proposal)
        })
        .await
    }

    async fn list_proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        self.read(|conn| {
            let sql = format!("{PROPOSAL} WHERE state = 'waiting' ORDER BY authority");
            all(conn, "list the proposals", &sql, [], read_proposal)
        })
        .await
    }

    async fn decide(
        &self,
        proposal: &Proposal,
        state: ProposalState,
        pin: Option<Pin>,
        reason: Option<String>,
        by: &Actor,
        now: Time,
    ) -> Result<(), StoreError> {
        let (proposal, by) = (proposal.clone(), by.clone());
        self.write(move |tx| {
            end(tx, &proposal, state, reason.as_deref(), &by, now)?;
            match pin {
                None => Ok(()),
                // A person's pin has an entry of its own; what the rule took is told by the proposal's.
                Some(pin) if state == ProposalState::Automatic => pins::replace(tx, &pin).map(drop),
                Some(pin) => pins::add(tx, &pin, now),
            }
        })
        .await
    }

    async fn claim_look(&self, authority: &str, now: Time, next: Time) -> Result<bool, StoreError> {
        let authority = authority.to_owned();
        self.write(move |tx| {
            let sql = "INSERT INTO looks (authority, next) VALUES (?1, ?2)
                 ON CONFLICT (authority) DO UPDATE SET next = ?2 WHERE next <= ?3";
            let changed = run(
                tx.conn,
                "claim a look",
                sql,
                params![authority, Micros(next), Micros(now)],
            )?;
            Ok(changed == 1)
        })
        .await
    }

    async fn looked(&self, authority: &str, look: Look) -> Result<(), StoreError> {
        let authority = authority.to_owned();
        self.write(move |tx| {
            let sql = "INSERT INTO looks (authority, next, at, result) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (authority) DO UPDATE SET next = ?2, at = ?3, result = ?4";
            let values = params![authority, Micros(look.next), Micros(look.at), look.result];
            run(tx.conn, "record a look", sql, values).map(drop)
        })
        .await
    }

    async fn last_look(&self, authority: &str) -> Result<Option<Look>, StoreError> {
        let authority = authority.to_owned();
        self.read(move |conn| {
            let sql = "SELECT at, next, result FROM looks WHERE authority = ?1 AND at IS NOT NULL";
            one(conn, "read the last look", sql, [authority], |row| {
                Ok(Look {
                    at: row.get::<_, Micros>(0)?.0,
                    next: row.get::<_, Micros>(1)?.0,
                    result: row.get(2)?,
                })
            })
        })
        .await
    }
}

const PROPOSAL: &str =
    "SELECT authority, fingerprint, certificate, source, fetched_at, state, decided_by, decided_at, reason
     FROM proposals";

fn read_proposal(row: &Row<'_>) -> rusqlite::Result<Proposal> {
    Ok(Proposal {
        authority: row.get(0)?,
        fingerprint: row.get(1)?,
        certificate: row.get(2)?,
        source: row.get(3)?,
        fetched_at: row.get::<_, Micros>(4)?.0,
        state: row.get::<_, Word<_>>(5)?.0,
        decided_by: row.get::<_, Option<Text<_>>>(6)?.map(|by| by.0),
        decided_at: row.get::<_, Option<Micros>>(7)?.map(|at| at.0),
        reason: row.get(8)?,
    })
}

fn find(conn: &Connection, authority: &str, sha256: &str) -> Result<Option<Proposal>, StoreError> {
    let sql = format!("{PROPOSAL} WHERE authority = ?1 AND sha256 = ?2");
    one(conn, "read the proposal", &sql, [authority, sha256], read_proposal)
}

fn propose(tx: &mut Tx<'_>, fetched: &Proposal, by: &Actor, now: Time) -> Result<Proposal, StoreError> {
    let sha256 = chain::sha256(&fetched.certificate);
    let known = find(tx.conn, &fetched.authority, &sha256)?;
    if let Some(known) = known
        && matches!(known.state, ProposalState::Waiting | ProposalState::Refused)
    {
        return Ok(known);
    }
    run(
        tx.conn,
        "replace the proposal",
        "UPDATE proposals SET state = 'replaced' WHERE authority = ?1 AND state = 'waiting'",
        [&fetched.authority],
    )?;
    run(
        tx.conn,
        "add the proposal",
        "INSERT INTO proposals (authority, fingerprint, certificate, sha256, source, fetched_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting')
         ON CONFLICT (authority, sha256) DO UPDATE
         SET state = 'waiting', source = ?5, fetched_at = ?6, decided_by = NULL, decided_at = NULL",
        params![
            fetched.authority,
            fetched.fingerprint,
            fetched.certificate,
            sha256,
            fetched.source,
            Micros(now)
        ],
    )?;
    let facts = json!({
        "authority": fetched.authority, "fingerprint": fetched.fingerprint, "certificate_sha256": sha256,
        "source": fetched.source,
    });
    journal::append(tx, "certificate.fetched", &facts, by, now)?;
    let kept = find(tx.conn, &fetched.authority, &sha256)?;
    Ok(kept.expect("it was stored in this transaction"))
}

fn end(
    tx: &mut Tx<'_>,
    proposal: &Proposal,
    state: ProposalState,
    reason: Option<&str>,
    by: &Actor,
    now: Time,
) -> Result<(), StoreError> {
    let (word, event) = match state {
        ProposalState::Approved => ("approved", "certificate.approved"),
        ProposalState::Refused => ("refused", "certificate.refused"),
        ProposalState::Automatic => ("automatic", "certificate.updated"),
        ProposalState::Waiting | ProposalState::Replaced => {
            unreachable!("a decision is approved, refused or automatic")
        }
    };
    let sha256 = chain::sha256(&proposal.certificate);
    let changed = run(
        tx.conn,
        "decide about the proposal",
        "UPDATE proposals SET state = ?3, reason = ?4, decided_by = ?5, decided_at = ?6
         WHERE authority = ?1 AND sha256 = ?2 AND state = 'waiting'",
        params![proposal.authority, sha256, word, reason, Text(by), Micros(now)],
    )?;
    if changed == 0 {
        return Err(StoreError::Conflict {
            what: "the certificate fetched for",
            id: proposal.authority.clone(),
            found: "decided about already, or replaced by a newer one".to_owned(),
            wanted: "deciding about it",
        });
    }
    let facts = json!({
        "authority": proposal.authority, "fingerprint": proposal.fingerprint, "certificate_sha256": sha256,
        "source": proposal.source,
    });
    journal::append(tx, event, &facts, by, now).map(drop)
}
