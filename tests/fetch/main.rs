//! Certificates from the web: what is fetched and what never is, what waits for a person, what is taken by the rule.
//! A web server on loopback plays the world; only a test can lead the program to it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod desk;
mod web;
mod wire;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;
