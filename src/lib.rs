//! breachpost.
pub mod cli;
pub mod config;
pub mod directory;
pub mod dispatch;
pub mod drill;
pub mod mail;
pub mod message;
pub mod model;
pub mod reading;
pub mod secret;
pub mod store;
