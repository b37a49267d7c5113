//! What is kept, by noun: the traits that dispatch works with. One implementation, [`sqlite`]; the contract suite in
//! `tests/contract/` says what any implementation must do.
//!
//! Every function that changes something writes its journal entry in the same transaction, and has returned `Ok` only
//! when both are durable. Knows nothing of mail, OpenPGP or templates.

mod alarms;
mod campaigns;
mod certificates;
pub mod chain;
mod custody;
mod erasure;
mod error;
mod intake;
mod journal;
mod lists;
mod outbox;
mod people;
mod reach;
mod register;
pub mod sqlite;

pub use alarms::{Alarms, Changes, Health, HealthNote, StoredAlert, Telling, TellingClaim, TellingState, Told};
pub use campaigns::{Campaigns, Checked, Deferred, HeldChoice, HeldPerson, StoredCampaign, Tally, Unattended};
pub use certificates::{Look, Pin, Pins, Proposal, ProposalState, Proposals};
pub use custody::{Copied, Custody};
pub use erasure::{Erased, Erasure};
pub use error::StoreError;
pub use intake::{
    Consequences, Conversation, DeliveryReport, HowSettled, Intake, Mailboxes, NewInquiry, NewReport, ReadMark,
    Settled, StoredMail, Understanding,
};
pub use journal::{Checkpoint, Journal, JournalEntry, JournalVerdict};
pub use lists::{
    BadRow, FLAGGED_SHOWN, FlaggedPerson, ListTarget, Lists, NewBadRow, NewList, NewPerson, NewRow, OpenList,
    PersonCounts, RowContent, RowCounts, StoredList,
};
pub use outbox::{Attempt, Claim, Claimed, Done, LeaseLost, Outbox, Retries, StoredDelivery, Which, Work};
pub use people::{Approval, People, User};
pub use reach::{
    Account, Breakdown, CameBack, FoundPerson, FoundRow, NotReached, OtherChannel, PersonRow, Reach, Reached,
    ToldOtherwise, WhoTold, Whom,
};
pub use register::{LogEntry, NewMailOut, NewNotice, Notices, Register, StoredBreach, StoredFile};

/// All nouns together: what dispatch is given.
pub trait Store:
    Register
    + Notices
    + Outbox
    + Campaigns
    + Lists
    + Reach
    + Pins
    + Proposals
    + Intake
    + Conversation
    + Mailboxes
    + People
    + Health
    + Alarms
    + Custody
    + Erasure
    + Journal
{
}
impl<T> Store for T where
    T: Register
        + Notices
        + Outbox
        + Campaigns
        + Lists
        + Reach
        + Pins
        + Proposals
        + Intake
        + Conversation
        + Mailboxes
        + People
        + Health
        + Alarms
        + Custody
        + Erasure
        + Journal
{
}
