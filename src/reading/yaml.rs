//! YAML: what is refused before a document is built, and the builder's errors in our words.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, StrInput};

use super::{Flaw, MAX_DEPTH, Place, Places, reword, shown, shown_up_to};

/// An open list or mapping.
enum Open {
    List {
        node: Option<usize>,
        next: usize,
    },
    Map {
        node: Option<usize>,
        keys: HashMap<String, Place>,
        key: Option<usize>,
    },
}

fn place(mark: &Marker) -> Place {
    Place {
        line: mark.line(),
        column: mark.col() + 1,
    }
}

/// Walks the events of a text, builds nothing but the places, and stops at the first thing that is refused.
pub(super) fn scan(text: &str) -> Result<Places, Flaw> {
    let mut places = Places::default();
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| Flaw {
            place: place(e.marker()),
            message: broken(e.info()),
        })?;
        let here = place(&span.start);
        let refuse = |message: String| Err(Flaw { place: here, message });
        let mark = match &event {
            Event::Scalar(_, _, anchor, tag) => marked(*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => marked(*anchor, tag.is_some()),
            _ => None,
        };
        if let Some(what) = mark {
            return refuse(what.to_owned());
        }
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return refuse("a second document begins here; give one document per file".to_owned());
                }
            }
            Event::Alias(_) => {
                return refuse(ALIAS.to_owned());
            }
            Event::Scalar(value, ..) => match open.last_mut() {
                Some(Open::Map {
                    node,
                    keys,
                    key: key @ None,
                }) => {
                    if let Some(first) = keys.insert(value.to_string(), here) {
                        let key = shown(&value);
                        return refuse(format!(
                            "the key `{key}` is given twice, first at {first}; keep one of them"
                        ));
                    }
                    *key = Some(places.add_key(*node, &value, here));
                }
                _ => {
                    enter(&mut open, &mut places, here);
                }
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if matches!(open.last(), Some(Open::Map { key: None, .. })) {
                    return refuse("a list or mapping cannot be a key; a key is a plain word".to_owned());
                }
                if open.len() == MAX_DEPTH {
                    return refuse(too_deep());
                }
                let node = enter(&mut open, &mut places, here);
                open.push(match event {
                    Event::SequenceStart(..) => Open::List { node, next: 0 },
                    _ => Open::Map {
                        node,
                        keys: HashMap::new(),
                        key: None,
                    },
                });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
            }
        }
    }
    Ok(places)
}

const ALIAS: &str = "aliases (`*name`) are not taken; write the value out";

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

/// The scanner's words where they help a person; for what is refused anyway, ours.
fn broken(info: &str) -> String {
    match info {
        info if info.contains("unknown anchor") => ALIAS.to_owned(),
        info if info.contains("recursion limit") => too_deep(),
        info => format!("not valid YAML: {}", shown_up_to(info, 200)),
    }
}

/// Notes that a value begins here and says which node it is; the document itself is none.
fn enter(open: &mut [Open], places: &mut Places, here: Place) -> Option<usize> {
    match open.last_mut()? {
        Open::List { node, next } => {
            *next += 1;
            Some(places.add_item(*node, *next - 1, here))
        }
        Open::Map { key, .. } => {
            let node = key.take()?;
            places.value_at(node, here);
            Some(node)
        }
    }
}

/// What is wrong with a value that carries an anchor (0: none) or a tag.
fn marked(anchor: usize, tagged: bool) -> Option<&'static str> {
    match (anchor, tagged) {
        (0, false) => None,
        (0, true) => Some("tags (`!name`) are not taken; write the plain value"),
        _ => Some("anchors (`&name`) are not taken; write the value out where it is needed"),
    }
}

/// The builder's error in our words.
pub(super) fn explain(e: &serde_yaml::Error) -> Flaw {
    let place = e.location().map_or(Place::default(), |at| Place {
        line: at.line(),
        column: at.column(),
    });
    let text = e.to_string();
    let text = match text.rfind(" at line ") {
        Some(end) if place.line != 0 => &text[..end],
        _ => &text,
    };
    // The path stands before serde's own words.
    let words = [
        "unknown field `",
        "unknown variant `",
        "invalid type: ",
        "invalid value: ",
    ];
    let message = match words.iter().filter_map(|w| text.find(w)).min() {
        Some(at) => format!("{}{}", &text[..at], reword(&text[at..])),
        None => reword(text),
    };
    Flaw { place, message }
}
