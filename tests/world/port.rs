//! Ports for servers that must be told theirs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Lower ones may be known to somebody.
const LOWEST: u32 = 10_000;

/// A port of 127.0.0.1 that is free, and stays so until the server has started: the system hands out higher ones to
/// connections and to whoever asks for any port, and no two tests ask for the same one.
pub fn free() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let handed_out = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest_handed_out = handed_out.split_whitespace().next().and_then(|port| port.parse().ok());
    let room = lowest_handed_out.unwrap_or(32_768_u32).saturating_sub(LOWEST);
    for _ in 0..room {
        // Another program's tests may run beside these.
        let number = std::process::id()
            .wrapping_mul(101)
            .wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(LOWEST + number % room).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    // All may be handed out on this machine: then one that is free now must do.
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    any.local_addr().unwrap().port()
}
