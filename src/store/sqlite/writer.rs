//! The two threads of an open store: one writes and shares each commit among all who wait, one reads. Knows no table
//! but lets the ledger close its batch before each commit.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::ledger;
use super::ledger::NewAttempt;
use super::mark::Mark;
use super::rows::run;
use crate::failpoint;
use crate::store::StoreError;

/// Requests that may wait for a thread; more make the callers wait, so that memory stays bounded.
const WAITING_MOST: usize = 256;
/// Requests that share one commit at most, so that the first of them is not kept waiting for ever.
const COMMIT_MOST: usize = 128;

/// The transaction that all requests of one commit share.
pub(super) struct Tx<'c> {
    pub conn: &'c Connection,
    /// Attempts of campaign deliveries; stored before the commit with one journal entry for each campaign.
    pub batch: Vec<NewAttempt>,
}

/// What the writing thread is asked to do.
trait Write: Send {
    /// Does the work; false when it failed and its changes must be undone.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller after the commit, or with why there was none.
    fn answer(self: Box<Self>, failure: Option<Arc<StoreError>>);
}

struct Request<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}
impl<T, F> Write for Request<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let work = self.work.take().expect("a request is run once");
        let result = work(tx);
        let good = result.is_ok();
        self.result = Some(result);
        good
    }
    fn answer(self: Box<Self>, failure: Option<Arc<StoreError>>) {
        let answer = match (self.result, failure) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(source)) => Err(StoreError::NotCommitted { source }),
            (Some(done), None) => done,
            (None, None) => Err(StoreError::Gone),
        };
        // A caller that no longer waits has lost nothing: its change is stored.
        let _ = self.caller.send(answer);
    }
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The ends of both threads' queues. Dropping it lets the threads finish what waits, and ends them.
pub(super) struct Threads {
    write: Option<mpsc::Sender<Box<dyn Write>>>,
    read: Option<mpsc::Sender<Read>>,
    running: Mutex<Vec<JoinHandle<()>>>,
}
impl Threads {
    /// Starts both threads on their open connections; `mark` follows what is committed.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(writer: Connection, reader: Connection, mark: Arc<Mark>) -> std::io::Result<Self> {
        let (write, writes) = mpsc::channel(WAITING_MOST);
        let (read, reads) = mpsc::channel(WAITING_MOST);
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        // In the order in which they are ended: see `drop`.
        let running = vec![
            named("store-reader").spawn(move || serve_reads(reader, reads))?,
            named("store-writer").spawn(move || serve_writes(writer, writes, &mark))?,
        ];
        Ok(Self {
            write: Some(write),
            read: Some(read),
            running: Mutex::new(running),
        })
    }

    /// Runs `work` in the next transaction; returns after its commit. The work is done even when the caller stops waiting.
    ///
    /// # Errors
    /// What `work` returned, a commit that failed, or [`StoreError::Gone`].
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let request = Box::new(Request {
            work: Some(work),
            result: None,
            caller,
        });
        let queue = self.write.as_ref().ok_or(StoreError::Gone)?;
        queue.send(request).await.map_err(|_| StoreError::Gone)?;
        answer.await.map_err(|_| StoreError::Gone)?
    }

    /// Runs `work` on the reading connection, which sees all that was committed before.
    ///
    /// # Errors
    /// What `work` returned, or [`StoreError::Gone`].
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let read: Read = Box::new(move |conn| {
            let _ = caller.send(work(conn));
        });
        let queue = self.read.as_ref().ok_or(StoreError::Gone)?;
        queue.send(read).await.map_err(|_| StoreError::Gone)?;
        answer.await.map_err(|_| StoreError::Gone)?
    }
}
impl Drop for Threads {
    fn drop(&mut self) {
        let mut running = self
            .running
            .get_mut()
            .map(std::mem::take)
            .unwrap_or_default()
            .into_iter();
        // A thread that panicked has nothing left to close. The reader must have closed before the writer: the last one
        // to close clears the log away, and a reader may not.
        self.read = None;
        let _ = running.next().map(std::thread::JoinHandle::join);
        self.write = None;
        let _ = running.next().map(std::thread::JoinHandle::join);
    }
}

fn serve_reads(conn: Connection, mut reads: mpsc::Receiver<Read>) {
    while let Some(read) = reads.blocking_recv() {
        read(&conn);
    }
}

fn serve_writes(conn: Connection, mut writes: mpsc::Receiver<Box<dyn Write>>, mark: &Mark) {
    while let Some(first) = writes.blocking_recv() {
        write_together(&conn, first, &mut writes, mark);
    }
    // Leaves one file behind instead of three. Another process may be reading: then it will do so when it closes.
    let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// Runs and commits the first request and those that wait behind it, then answers them all.
fn write_together(conn: &Connection, first: Box<dyn Write>, more: &mut mpsc::Receiver<Box<dyn Write>>, mark: &Mark) {
    let mut requests = vec![first];
    let failure = commit_together(conn, &mut requests, more).err().map(Arc::new);
    mark.follow(conn);
    for request in requests {
        request.answer(failure.clone());
    }
}

/// One transaction: the first request, then those that came while it ran. Each has its savepoint, so that one that
/// fails takes nothing with it.
fn commit_together(
    conn: &Connection,
    requests: &mut Vec<Box<dyn Write>>,
    more: &mut mpsc::Receiver<Box<dyn Write>>,
) -> Result<(), StoreError> {
    // IMMEDIATE: what a request reads must not change under it by another process before it writes.
    run(conn, "begin a transaction", "BEGIN IMMEDIATE", [])?;
    let mut tx = Tx {
        conn,
        batch: Vec::new(),
    };
    let done = run_together(&mut tx, requests, more)
        .and_then(|()| ledger::close_batch(&mut tx))
        .and_then(|()| commit(conn));
    if done.is_err() && !conn.is_autocommit() {
        // The first error is the one to report; if this fails too, the next BEGIN will say so.
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}

fn commit(conn: &Connection) -> Result<(), StoreError> {
    failpoint::pass("before_commit");
    run(conn, "commit", "COMMIT", [])?;
    failpoint::pass("after_commit");
    Ok(())
}

fn run_together(
    tx: &mut Tx<'_>,
    requests: &mut Vec<Box<dyn Write>>,
    more: &mut mpsc::Receiver<Box<dyn Write>>,
) -> Result<(), StoreError> {
    let mut next = 0;
    while let Some(request) = requests.get_mut(next) {
        run(tx.conn, "begin a request", "SAVEPOINT request", [])?;
        let mark = tx.batch.len();
        if !request.run(tx) {
            tx.batch.truncate(mark);
            // A full disk or an I/O error may have ended the whole transaction: then this fails, and all are told.
            run(tx.conn, "undo a request", "ROLLBACK TO request", [])?;
        }
        run(tx.conn, "end a request", "RELEASE request", [])?;
        next += 1;
        if next == requests.len() && next < COMMIT_MOST {
            requests.extend(more.try_recv());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rows::failed;
    use super::*;

    /// A table whose second rule is looked at only when all is committed.
    fn store() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE t (n INTEGER PRIMARY KEY, before INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        conn
    }
    /// Adds `n` and then fails if `n` is 13; `before` must be there at the commit.
    fn request(n: i64, before: Option<i64>) -> (Box<dyn Write>, oneshot::Receiver<Result<i64, StoreError>>) {
        let (caller, answer) = oneshot::channel();
        let work = move |tx: &mut Tx<'_>| {
            let added = tx.conn.execute("INSERT INTO t VALUES (?1, ?2)", (n, before));
            added.map_err(failed("add"))?;
            if n == 13 { Err(StoreError::Gone) } else { Ok(n) }
        };
        let request = Request {
            work: Some(work),
            result: None,
            caller,
        };
        (Box::new(request), answer)
    }
    /// Commits the requests as they would be when all waited; returns the answers and what is stored.
    fn commit(requests: &[(i64, Option<i64>)]) -> (Vec<Result<i64, StoreError>>, Vec<i64>) {
        let conn = store();
        let (queue, mut waiting) = mpsc::channel(9);
        let mut answers = Vec::new();
        for (n, before) in requests {
            let (request, answer) = request(*n, *before);
            queue.try_send(request).map_err(|_| "full").unwrap();
            answers.push(answer);
        }
        let first = waiting.try_recv().unwrap();
        write_together(&conn, first, &mut waiting, &Mark::beside("none".as_ref()));
        assert!(waiting.try_recv().is_err(), "all share one commit");
        assert!(conn.is_autocommit(), "nothing is left open");
        let answers = answers.into_iter().map(|mut a| a.try_recv().unwrap()).collect();
        let mut statement = conn.prepare("SELECT n FROM t ORDER BY n").unwrap();
        let stored = statement.query_map([], |row| row.get(0)).unwrap();
        (answers, stored.map(Result::unwrap).collect())
    }

    #[test]
    fn one_that_fails_takes_nothing_with_it() {
        let (answers, stored) = commit(&[(1, None), (13, None), (2, Some(1))]);
        assert!(
            matches!(answers[..], [Ok(1), Err(StoreError::Gone), Ok(2)]),
            "{answers:?}"
        );
        assert_eq!(stored, [1, 2]);
    }

    #[test]
    fn when_the_commit_fails_all_are_told() {
        let (answers, stored) = commit(&[(1, None), (13, None), (2, Some(99))]);
        let told = |answer: &Result<i64, StoreError>| matches!(answer, Err(StoreError::NotCommitted { .. }));
        assert!(told(&answers[0]) && told(&answers[2]), "{answers:?}");
        assert!(
            matches!(answers[1], Err(StoreError::Gone)),
            "its own reason comes first"
        );
        assert_eq!(stored, [0_i64; 0]);
    }
}
