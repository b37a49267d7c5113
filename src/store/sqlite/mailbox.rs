//! How far each folder of a mailbox has been read.

use async_trait::async_trait;
use rusqlite::params;

use super::Sqlite;
use super::rows::{Micros, one, run};
use crate::model::Time;
use crate::store::{Mailboxes, ReadMark, StoreError};

#[async_trait]
impl Mailboxes for Sqlite {
    async fn find_mark(&self, account: &str, folder: &str) -> Result<Option<ReadMark>, StoreError> {
        let (account, folder) = (account.to_owned(), folder.to_owned());
        self.read(move |conn| {
            let sql = "SELECT uid_validity, last_uid FROM mailbox_marks WHERE account = ?1 AND folder = ?2";
            one(
                conn,
                "look how far the mailbox was read",
                sql,
                [account, folder],
                |row| {
                    Ok(ReadMark {
                        uid_validity: row.get(0)?,
                        last_uid: row.get(1)?,
                    })
                },
            )
        })
        .await
    }

    async fn move_mark(&self, account: &str, folder: &str, mark: ReadMark, now: Time) -> Result<(), StoreError> {
        let (account, folder) = (account.to_owned(), folder.to_owned());
        self.write(move |tx| {
            // Another process may have read further in the meantime: a mark goes back only with another UIDVALIDITY.
            run(
                tx.conn,
                "keep how far the mailbox was read",
                "INSERT INTO mailbox_marks (account, folder, uid_validity, last_uid, moved_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (account, folder) DO UPDATE SET
                     uid_validity = excluded.uid_validity, last_uid = excluded.last_uid, moved_at = excluded.moved_at
                 WHERE excluded.uid_validity <> mailbox_marks.uid_validity
                     OR excluded.last_uid > mailbox_marks.last_uid",
                params![account, folder, mark.uid_validity, mark.last_uid, Micros(now)],
            )?;
            Ok(())
        })
        .await
    }
}
