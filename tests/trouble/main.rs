//! What goes wrong, as a user meets it: each trouble ends in a clear error with the right exit status, and nothing that
//! was kept is lost or changed by it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod certificates;
mod input;
mod installation;
mod ladder;
mod relays;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;
