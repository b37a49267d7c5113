//! What comes back after a notice has left, as a user sees it: reports that are believed and reports that are not,
//! questions of the authority and our answers in its thread, and a tray that nothing leaves by itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod answers;
mod reports;
mod tray;
#[expect(dead_code, reason = "shared by several journeys, each of which needs a part")]
#[path = "../world/mod.rs"]
mod world;

use serde_json::Value;

use world::{AUTHORITY_ADDRESS, Ran, SENDER, World, text};

const PLAIN: &str =
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";

fn ingest(world: &World, mail: &str) -> Ran {
    world.run_with(&["mailbox", "ingest", "-", "--json"], mail.as_bytes())
}
fn tray(world: &World) -> Vec<Value> {
    world
        .run(&["mailbox", "tray", "--json"])
        .json()
        .as_array()
        .unwrap()
        .clone()
}

/// The headers of a notice as a server gives them back.
fn headers_of(notice: &Value) -> String {
    format!(
        "From: <{SENDER}>\r\nTo: <{AUTHORITY_ADDRESS}>\r\nSubject: Encrypted message {}\r\nMessage-ID: {}\r\n",
        text(&notice["reference"]),
        text(&notice["message_id"])
    )
}

fn send(world: &World) -> Value {
    world.send(&[]).exits(0).json()
}

/// A mail from the authority's domain that answers a notice.
fn reply(sent: &Value, from: &str, text_of: &str) -> String {
    format!(
        "From: <{from}>\r\nTo: <{SENDER}>\r\nSubject: Re: {}\r\nIn-Reply-To: {}\r\n{PLAIN}{text_of}\r\n",
        text(&sent["reference"]),
        text(&sent["message_id"])
    )
}
