//! JSON: what is refused before a value is built, and the builder's errors in our words.

use std::collections::HashMap;

use super::{Flaw, MAX_DEPTH, Place, Places, reword, shown, shown_up_to};

/// An open array or object.
enum Open {
    Array {
        node: Option<usize>,
        next: usize,
    },
    Object {
        node: Option<usize>,
        keys: HashMap<String, Place>,
        key: Option<usize>,
    },
}

/// Walks the tokens of a text: strings, brackets, and where values begin. Whether it is JSON at all is left to the
/// builder, which runs next; a text that is not may end the walk early.
pub(super) fn scan(text: &str) -> Result<Places, Flaw> {
    let bytes = text.as_bytes();
    let mut places = Places::default();
    let mut open: Vec<Open> = Vec::new();
    let mut position = Position::default();
    let mut at = 0;
    while at < bytes.len() {
        let here = position.of(text, at);
        match bytes[at] {
            b'"' => {
                let Some(end) = end_of_string(bytes, at) else { break };
                match open.last_mut() {
                    Some(Open::Object {
                        node,
                        keys,
                        key: key @ None,
                    }) => {
                        let Ok(name) = serde_json::from_str::<String>(&text[at..end]) else {
                            break;
                        };
                        *key = Some(places.add_key(*node, &name, here));
                        let shown = shown(&name);
                        if let Some(first) = keys.insert(name, here) {
                            let message =
                                format!("the key `{shown}` is given twice, first at {first}; keep one of them");
                            return Err(Flaw { place: here, message });
                        }
                    }
                    _ => {
                        enter(&mut open, &mut places, here);
                    }
                }
                at = end;
                continue;
            }
            bracket @ (b'[' | b'{') => {
                if open.len() == MAX_DEPTH {
                    let message = format!("nested deeper than {MAX_DEPTH} levels");
                    return Err(Flaw { place: here, message });
                }
                let node = enter(&mut open, &mut places, here);
                open.push(match bracket {
                    b'[' => Open::Array { node, next: 0 },
                    _ => Open::Object {
                        node,
                        keys: HashMap::new(),
                        key: None,
                    },
                });
            }
            b']' | b'}' => {
                open.pop();
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => {}
            _ => {
                enter(&mut open, &mut places, here);
                let word = bytes[at..]
                    .iter()
                    .take_while(|b| !b" \t\r\n,:]}[{\"".contains(b))
                    .count();
                at += word;
                continue;
            }
        }
        at += 1;
    }
    Ok(places)
}

/// Notes that a value begins here and says which node it is; the document itself is none.
fn enter(open: &mut [Open], places: &mut Places, here: Place) -> Option<usize> {
    match open.last_mut()? {
        Open::Array { node, next } => {
            *next += 1;
            Some(places.add_item(*node, *next - 1, here))
        }
        Open::Object { key, .. } => {
            let node = key.take()?;
            places.value_at(node, here);
            Some(node)
        }
    }
}

/// The offset after the closing quote of the string that opens at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Line and column of a walk that only goes forward.
#[derive(Default)]
struct Position {
    offset: usize,
    newlines: usize,
    column: usize,
}
impl Position {
    /// `offset` lies on a character's border and not before the last one asked for.
    fn of(&mut self, text: &str, offset: usize) -> Place {
        for c in text[self.offset..offset].chars() {
            match c {
                '\n' => (self.newlines, self.column) = (self.newlines + 1, 0),
                _ => self.column += 1,
            }
        }
        self.offset = offset;
        Place {
            line: self.newlines + 1,
            column: self.column + 1,
        }
    }
}

/// The builder's error in our words, at the value it is about.
pub(super) fn explain(e: &serde_json::Error, text: &str, places: &Places) -> Flaw {
    let line = text.lines().nth(e.line().saturating_sub(1)).unwrap_or_default();
    // serde_json counts bytes and points behind what it has read.
    let read = line.as_bytes().get(..e.column()).unwrap_or(line.as_bytes());
    let behind = Place {
        line: e.line(),
        column: String::from_utf8_lossy(read).chars().count() + 1,
    };
    let said = e.to_string();
    let said = said.rfind(" at line ").map_or(said.as_str(), |end| &said[..end]);
    if !e.is_data() {
        let place = Place {
            line: behind.line,
            column: (behind.column - 1).max(1),
        };
        return Flaw {
            place,
            message: format!("not valid JSON: {}", shown_up_to(said, 200)),
        };
    }
    let found = match places.last_before(behind) {
        // What is missing has no place: the error stands where its holder ends.
        Some(found) if !said.starts_with("missing field") => found,
        _ => {
            return Flaw {
                place: behind,
                message: reword(said),
            };
        }
    };
    // An unknown field is named by the message itself, so the path is that of what holds it.
    let (place, path) = match said.starts_with("unknown field") {
        true => (found.begins, found.around),
        false => (found.value, found.path),
    };
    let message = match path.as_str() {
        "" => reword(said),
        path => format!("{path}: {}", reword(said)),
    };
    Flaw { place, message }
}
