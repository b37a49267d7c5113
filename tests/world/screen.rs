//! A terminal of a chosen width, somebody who watches it, and what stands on it.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::Winsize;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{Ran, until};

/// A terminal: the end of whoever sits at it, and that of the program. What other tests start meanwhile inherits neither:
/// reading ends when the program does.
pub fn terminal(size: Option<&Winsize>) -> (File, File) {
    let ends = nix::pty::openpty(size, None).unwrap();
    for end in [&ends.master, &ends.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    }
    (File::from(ends.master), File::from(ends.slave))
}

/// A command that runs with its standard error on a terminal; killed when dropped.
pub struct Screen {
    line: String,
    child: Child,
    /// All that was written to the terminal.
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}
impl Screen {
    pub fn of(mut command: Command, columns: u16) -> Self {
        let line = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let (mut master, slave) = terminal(Some(&size));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(slave);
        let child = command.spawn().unwrap();
        // With it goes our copy of the terminal's other end, so that reading ends when the program does.
        drop(command);
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = written.clone();
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            // The end of a terminal is an error (EIO), not an end of file.
            while let Ok(read @ 1..) = master.read(&mut part) {
                kept.lock().unwrap().extend_from_slice(&part[..read]);
            }
        });
        Self {
            line,
            child,
            written,
            reader: Some(reader),
        }
    }
    /// All that was written by now, control sequences included.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }
    pub fn until_written(&self, words: &str) {
        until(&format!("{words:?} is on the screen"), || {
            self.written().contains(words).then_some(())
        });
    }
    /// Ctrl-C.
    pub fn interrupt(&self) {
        signal::kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).unwrap();
    }
    /// Waits for the end: what was printed, and in the place of standard error what then stands on the screen.
    pub fn ends(mut self) -> Ran {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        Ran {
            line: self.line.clone(),
            status: status.code().unwrap_or(-1),
            stdout,
            stderr: stands(&self.written()),
        }
    }
}
impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What somebody sees after all of this was written: the few control sequences of a live line, and no others.
pub fn stands(written: &str) -> String {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(Vec::new());
                }
            }
            '\u{1b}' => {
                assert_eq!(rest.next(), Some('['), "in {written:?}");
                let sequence: String = rest.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
                // The letter that ends it is taken along; find it from what stands before the rest.
                let taken = written.len() - rest.as_str().len();
                let number = sequence.parse().unwrap_or(1);
                match written.as_bytes()[taken - 1] {
                    b'A' => row -= usize::min(row, number),
                    b'B' => row = usize::min(row + number, lines.len() - 1),
                    b'K' if sequence == "2" => lines[row].clear(),
                    b'K' => lines[row].truncate(column),
                    b'J' => lines.truncate(row + 1),
                    b'm' => {}
                    other => panic!("ESC [ {sequence} {} in {written:?}", char::from(other)),
                }
            }
            c => {
                let line = &mut lines[row];
                line.resize(usize::max(line.len(), column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
    }
    let lines = lines.iter().map(|line| line.iter().collect::<String>());
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
