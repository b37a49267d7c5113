//! Messages to individuals (GDPR Art. 34): how a list becomes the persons of a campaign, what is known about them, and
//! the letter that each of them gets. Sending is the courier's.

pub mod bad_rows;
pub mod check;
pub mod import;
mod keys;
mod letters;
<<<<<<< HEAD
pub mod post;
=======
pub mod settle;
>>>>>>> 9815632d38b60398b834670e51a0a8cbad607f91
pub mod wording;

pub use letters::{CampaignContent, Letter, LetterError, why};
pub use wording::Wording;
