//! The relay of a test: the drill's receiver, on threads of its own, so that tests can wait for the program meanwhile.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use breachpost::drill::receiver::{Act, Plan, Receiver, Step, TakenMail, Trouble};
use tokio::runtime::Runtime;

use super::RELAY_PASSWORD;

/// A receiver that runs while this lives.
pub struct Relay {
    // Dropped in this order: the receiver's tasks belong to the runtime.
    receiver: Receiver,
    runtime: Runtime,
}
impl Relay {
    pub fn start(plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let receiver = runtime.block_on(Receiver::start(plan)).unwrap();
        Self { receiver, runtime }
    }
    /// In clear text on loopback, with nothing wrong.
    pub fn sound() -> Self {
        Self::start(Plan::clear())
    }
    /// The way the world should be: STARTTLS and a login.
    pub fn protected() -> Self {
        Self::start(Plan::starttls().with_account("breach", RELAY_PASSWORD))
    }
    /// One that misbehaves at a step, the first so many times.
    pub fn troubled(step: Step, act: Act, times: u32) -> Self {
        Self::start(Plan::clear().with(Trouble::at(step, act).times(times)))
    }
    /// Whether it wants TLS and a login.
    pub fn is_protected(&self) -> bool {
        !self.receiver.url().ends_with("tls=none")
    }
    /// Waits until so many mails have been taken, and returns all.
    pub fn taken(&self, count: usize) -> Vec<Arc<TakenMail>> {
        let wait = async { tokio::time::timeout(Duration::from_secs(30), self.receiver.wait_for(count)).await };
        self.runtime.block_on(wait).expect("the relay takes the mails in time")
    }
    /// Waits a moment until more than so many mails have been taken.
    pub fn wait_beyond(&self, count: usize) {
        let wait = async { tokio::time::timeout(Duration::from_millis(25), self.receiver.wait_for(count + 1)).await };
        // Whether one came is seen by whoever looks next.
        let _ = self.runtime.block_on(wait);
    }
}
impl Deref for Relay {
    type Target = Receiver;
    fn deref(&self) -> &Receiver {
        &self.receiver
    }
}
