//! See `readers::imap_response`.

#![no_main]

#[path = "../readers.rs"]
#[expect(dead_code, reason = "each target runs one of the readers")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::imap_response(bytes));
