//! How SQLite means to run the queries of the ledger: none may walk a table of millions.

use rusqlite::Connection;

use super::{
    MIGRATIONS, addresses, campaigns, erasure, intake, ledger, notices, outbox, pace, reach, unattended, waiting,
};

fn empty_store() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS {
        conn.execute_batch(migration).unwrap();
    }
    conn.execute_batch(pace::INDEX_DOMAINS).unwrap();
    conn
}

fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    explained(conn, &format!("EXPLAIN QUERY PLAN {sql}"), "detail")
}

fn explained(conn: &Connection, sql: &str, column: &str) -> Vec<String> {
    let mut statement = conn.prepare(sql).unwrap();
    for i in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(i, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get(column).unwrap());
    }
    lines
}

#[test]
fn ledger_queries_use_their_indexes() {
    let conn = empty_store();
    let by_reference = format!("{} WHERE n.reference = ?1", notices::NOTICE);
    let by_message_id = format!("{} WHERE n.message_id = ?1", notices::NOTICE);
    let tables: [(&str, &str, &[&str]); 23] = [
        (
            "claim",
            outbox::CLAIM,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=? AND due<?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_in_doubt (campaign=? AND due<?)",
                "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (
            "claim one",
            outbox::CLAIM_ONE,
            &["SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (
            "next domain",
            pace::NEXT_DOMAIN,
            &["SEARCH deliveries USING COVERING INDEX deliveries_ready_by_domain (campaign=? AND domain>?)"],
        ),
        (
            "claim of a domain",
            pace::CLAIM_DOMAIN,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready_by_domain (campaign=? AND domain=? AND due<?)",
                "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (
            "doubtful",
            pace::DOUBTFUL,
            &["SEARCH deliveries USING INDEX deliveries_in_doubt (campaign=? AND due<?)"],
        ),
        (
            "next due",
            outbox::DUE,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_in_doubt (campaign=? AND due>?)",
            ],
        ),
        (
            "end waits",
            outbox::END_WAITS[0],
            &["SEARCH deliveries USING INDEX deliveries_ready (campaign=? AND due>?)"],
        ),
        (
            "end doubtful waits",
            outbox::END_WAITS[1],
            &["SEARCH deliveries USING INDEX deliveries_in_doubt (campaign=? AND due>?)"],
        ),
        (
            "leases",
            outbox::LEASES,
            &["SEARCH deliveries USING INDEX deliveries_leased (lease_by>?)"],
        ),
        (
            "tally",
            campaigns::TALLY,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_in_doubt (campaign=?)",
                "SEARCH deliveries USING INDEX deliveries_leased (lease_by>?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_settled (campaign=? AND state<?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_twice (campaign=?)",
            ],
        ),
        (
            "not final",
            campaigns::NOT_FINAL,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=?)",
                "SEARCH deliveries USING INDEX deliveries_leased (lease_by>?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_settled (campaign=? AND state=?)",
                "SEARCH deliveries USING COVERING INDEX deliveries_in_doubt (campaign=? AND due>?)",
            ],
        ),
        (
            "told before",
            reach::TOLD_BEFORE,
            &[
                "SEARCH p USING COVERING INDEX sqlite_autoindex_persons_1 (campaign=?)",
                "SEARCH e USING COVERING INDEX sqlite_autoindex_persons_1 (campaign=? AND person=?)",
            ],
        ),
        (
            "persons at an address",
            addresses::BY_KEY,
            &["SEARCH persons USING INDEX sqlite_autoindex_persons_1 (campaign=? AND person>? AND person<?)"],
        ),
        (
            "tried before",
            unattended::TRIED_BEFORE,
            &[
                "SEARCH deliveries USING INDEX deliveries_ready (campaign=? AND due>?)",
                "SEARCH deliveries USING INDEX deliveries_in_doubt (campaign=? AND due>?)",
                "SEARCH attempts USING INDEX attempts_of_delivery (delivery=?)",
            ],
        ),
        (
            "hurry",
            waiting::HURRY,
            &[
                "SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=? AND due>?)",
                "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (
            "who waits",
            waiting::WAITING,
            &["SEARCH deliveries USING COVERING INDEX deliveries_ready (campaign=? AND due>?)"],
        ),
        (
            "first in the tray",
            intake::FIRST_IN_TRAY,
            &["SCAN mails USING INDEX mails_in_tray"],
        ),
        (
            "on the wire",
            erasure::ON_WIRE,
            &["SEARCH deliveries USING INDEX deliveries_leased (lease_by>?)"],
        ),
        (
            "mails of a campaign",
            erasure::MAILS_OF,
            &[
                "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)",
                "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        (
            "last outcomes",
            pace::LAST_OUTCOMES,
            &[
                "SEARCH a USING INTEGER PRIMARY KEY (rowid>?)",
                "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        ),
        ("waits", reach::WAITS, &["SEARCH d USING INTEGER PRIMARY KEY (rowid=?)"]),
        (
            "notice by reference",
            &by_reference,
            &["SEARCH d USING COVERING INDEX deliveries_of_notice (notice=?) LEFT-JOIN"],
        ),
        (
            "notice by Message-ID",
            &by_message_id,
            &[
                "SEARCH n USING INDEX notices_by_message_id (message_id=?)",
                "SEARCH d USING COVERING INDEX deliveries_of_notice (notice=?) LEFT-JOIN",
            ],
        ),
    ];
    for (name, sql, wanted) in tables {
        let plan = plan(&conn, sql);
        for line in wanted {
            assert!(plan.iter().any(|l| l == line), "{name}: no `{line}` in {plan:#?}");
        }
        let scans = plan
            .iter()
            .filter(|l| l.starts_with("SCAN deliveries") || l.starts_with("SCAN d"));
        assert_eq!(scans.count(), 0, "{name}: {plan:#?}");
        // A search by campaign alone finds a million rows; where that is meant, it stands above.
        let all_of_it = |line: &String| line.ends_with("(campaign=?)") && !wanted.contains(&line.as_str());
        assert_eq!(plan.iter().find(|line| all_of_it(line)), None, "{name}: {plan:#?}");
    }
}

/// What is asked of a campaign part by part, and in chunks.
#[test]
fn each_part_of_a_campaign_has_its_index() {
    let conn = empty_store();
    let indexes = [
        "deliveries_ready",
        "deliveries_in_doubt",
        "deliveries_leased",
        "deliveries_settled",
    ];
    for (part, index) in reach::PARTS.into_iter().zip(indexes) {
        let plan = plan(&conn, &format!("SELECT d.detail FROM deliveries d WHERE {part}"));
        assert!(
            plan.len() == 1 && plan[0].contains(&format!("INDEX {index} ")),
            "{part}: {plan:#?}"
        );
    }
}

/// What is run for each of a million messages makes no table of its own to look something up in.
#[test]
fn a_message_costs_no_table() {
    let conn = empty_store();
    for sql in [ledger::MOVE, ledger::ADD_ATTEMPT] {
        let steps = explained(&conn, &format!("EXPLAIN {sql}"), "opcode");
        assert!(steps.iter().any(|step| step == "Insert"), "{steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}: {steps:?}");
    }
}

/// Those of earlier versions too: all migrations run one after the other.
#[test]
fn only_known_words_are_states_and_outcomes() {
    let conn = empty_store();
    let refused = |sql: &str| {
        let error = conn.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("CHECK constraint failed"), "{sql}: {error}");
    };
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for state in ["handed", "confirmed", "failed", "cancelled"] {
        let row = format!("INSERT INTO deliveries (campaign, state, since, detail) VALUES (1, '{state}'");
        conn.execute_batch(&format!("{row}, 1, '{{}}')")).unwrap();
        refused(&format!("{row}, 1, NULL)"));
        refused(&format!("{row}, NULL, '{{}}')"));
    }
    refused("INSERT INTO deliveries (campaign, state, since, detail) VALUES (1, 'sent', 1, '{}')");
    for outcome in ["accepted", "deferred", "refused", "in_doubt", "held", "recovered"] {
        let row = format!("INSERT INTO attempts (delivery, at, outcome, journal) VALUES (1, 1, '{outcome}', 1)");
        conn.execute_batch(&row).unwrap();
    }
    refused("INSERT INTO attempts (delivery, at, outcome, journal) VALUES (1, 1, 'sent', 1)");
}
