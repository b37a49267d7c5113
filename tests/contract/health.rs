//! Whether what we depend on can be reached.

use breachpost::store::{Health, HealthNote};

use crate::bed::{Bed, at, intact};

fn note(what: &str, since: i64, at_seconds: i64, fault: Option<&str>) -> HealthNote {
    HealthNote {
        what: what.into(),
        since: at(since),
        at: at(at_seconds),
        fault: fault.map(Into::into),
    }
}

pub async fn a_finding_counts_from_its_first_time(bed: &impl Bed) {
    let store = bed.open();
    let refused = Some("connection refused");
    for (seconds, fault, wanted) in [
        (0, None, note("relay", 0, 0, None)),
        // The same within a minute is not written again.
        (30, None, note("relay", 0, 0, None)),
        (90, None, note("relay", 0, 90, None)),
        (100, refused, note("relay", 100, 100, refused)),
        // Another way of failing is still failing.
        (110, Some("timeout"), note("relay", 100, 110, Some("timeout"))),
        (300, Some("timeout"), note("relay", 100, 300, Some("timeout"))),
        (310, None, note("relay", 310, 310, None)),
        // A clock set back.
        (5, None, note("relay", 5, 5, None)),
    ] {
        store.note_health("relay", fault, at(seconds)).await.unwrap();
        assert_eq!(bed.open().list_health().await.unwrap(), [wanted], "{seconds}");
    }
    store.note_health("mailbox", None, at(400)).await.unwrap();
    let names: Vec<String> = store.list_health().await.unwrap().into_iter().map(|n| n.what).collect();
    assert_eq!(names, ["mailbox", "relay"]);
    intact(&store).await;
}
