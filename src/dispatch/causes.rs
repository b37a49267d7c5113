//! How an error is told on one line, to a log or in a finding, and what may be told of a mistake of our own.

use std::any::Any;

use tokio::task::JoinError;

/// An error with its causes on one line; a cause whose words the line ends with already is not said again.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

/// Of a panic, words that were in the program from the start. Others were put together when it happened and may quote what
/// was being read: a person's mail, an address.
pub fn words_of(panic: &(dyn Any + Send)) -> &'static str {
    let constant = panic.downcast_ref::<&'static str>();
    constant
        .copied()
        .unwrap_or("its words may quote a mail and are not shown")
}

/// As [`words_of`], of a task that has panicked.
pub(super) fn mistake(ended: JoinError) -> &'static str {
    let panic = ended.try_into_panic();
    panic.map_or("the program was ended", |panic| words_of(panic.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_quotes_nobody() {
        let of = |work: fn()| std::panic::catch_unwind(work).unwrap_err();
        let cut = of(|| drop("Straße 1, anna@example.lu"[..std::hint::black_box(5)].to_owned()));
        assert!(!words_of(cut.as_ref()).contains("anna"));
        let constant = of(|| panic!("a lane does not end twice"));
        assert_eq!(words_of(constant.as_ref()), "a lane does not end twice");
    }
}
