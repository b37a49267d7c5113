//! How far mailboxes have been read.

use breachpost::store::{Mailboxes, ReadMark};

use crate::bed::{Bed, at, intact};

const ACCOUNT: &str = "breach@mail.example:993";

fn mark(uid_validity: u32, last_uid: u32) -> ReadMark {
    ReadMark { uid_validity, last_uid }
}

pub async fn a_mark_moves_forward(bed: &impl Bed) {
    let store = bed.open();
    assert_eq!(store.find_mark(ACCOUNT, "INBOX").await.unwrap(), None);
    // Another process that is behind does not move it back.
    for (moved, expected) in [(0, 0), (7, 7), (5, 7), (u32::MAX, u32::MAX)] {
        store.move_mark(ACCOUNT, "INBOX", mark(1, moved), at(1)).await.unwrap();
        let found = bed.open().find_mark(ACCOUNT, "INBOX").await.unwrap();
        assert_eq!(found, Some(mark(1, expected)));
    }
    for (account, folder) in [(ACCOUNT, "Junk"), ("other@mail.example:993", "INBOX")] {
        assert_eq!(store.find_mark(account, folder).await.unwrap(), None);
    }
    intact(&store).await;
}

pub async fn a_new_numbering_starts_again(bed: &impl Bed) {
    let store = bed.open();
    store.move_mark(ACCOUNT, "INBOX", mark(1, 700), at(1)).await.unwrap();
    store.move_mark(ACCOUNT, "INBOX", mark(2, 3), at(2)).await.unwrap();
    assert_eq!(store.find_mark(ACCOUNT, "INBOX").await.unwrap(), Some(mark(2, 3)));
    intact(&store).await;
}
