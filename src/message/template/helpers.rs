//! The few words a template may use besides facts: rows, lists, paragraphs and conditions. Each writes marks that
//! `layout` turns into a page; a value that is not known is always said to be so. Knows nothing of what the values mean.

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde_json::Value;

use super::layout::{NEXT_VALUE, NO_LINE, ROW, UNKNOWN, VALUE_BREAK};

/// A helper of ours, as the check of templates knows it.
pub(super) struct Known {
    pub name: &'static str,
    pub usage: &'static str,
    /// Its first word is a label in quotes.
    pub labelled: bool,
    pub takes_list: bool,
    pub only_list: bool,
}

/// Every helper that writes something. Besides these a template may use `#if`, `#unless`, `#each`, `#with`, and in
/// conditions `(and a b)`, `(or a b)`, `(not a)`.
pub(super) const HELPERS: [Known; 4] = [
    Known {
        name: "field",
        usage: r#"{{field "Label" fact}}"#,
        labelled: true,
        takes_list: true,
        only_list: false,
    },
    Known {
        name: "optional",
        usage: r#"{{optional "Label" fact}}"#,
        labelled: true,
        takes_list: true,
        only_list: false,
    },
    Known {
        name: "paragraph",
        usage: "{{paragraph fact}}",
        labelled: false,
        takes_list: false,
        only_list: false,
    },
    Known {
        name: "list",
        usage: "{{list facts}}",
        labelled: false,
        takes_list: true,
        only_list: true,
    },
];

/// What the engine brings along and no template needs.
const REMOVED: [&str; 10] = ["lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "len"];

/// A template engine with our helpers only, strict, for plain text.
pub(super) fn engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(inline);
    for name in REMOVED {
        engine.unregister_helper(name);
    }
    engine.register_helper("field", Box::new(field));
    engine.register_helper("optional", Box::new(optional));
    engine.register_helper("paragraph", Box::new(paragraph));
    engine.register_helper("list", Box::new(list));
    engine
}

/// How a bare `{{fact}}` is written: within its line.
fn inline(value: &str) -> String {
    match value {
        "" => UNKNOWN.to_string(),
        text => text.replace('\n', " "),
    }
}

/// The texts of a value; none if it is not known.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => vec![text.clone()],
        Some(Value::Number(n)) => vec![n.to_string()],
        Some(Value::Array(items)) => items.iter().flat_map(|item| texts(Some(item))).collect(),
        _ => Vec::new(),
    }
}

type Engine<'a> = Handlebars<'a>;

/// A row of two columns; a value that is not known is said to be so.
fn field(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    row(h, out, &UNKNOWN.to_string())
}

/// A row of two columns, left out if its value is not known.
fn optional(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    match texts(h.param(1).map(|p| p.value())).is_empty() {
        true => Ok(out.write(&NO_LINE.to_string())?),
        false => row(h, out, ""),
    }
}

fn row(h: &Helper<'_>, out: &mut dyn Output, unknown: &str) -> HelperResult {
    let label = h.param(0).and_then(|p| p.value().as_str());
    let label = label.ok_or(RenderErrorReason::ParamNotFoundForIndex("field", 0))?;
    let mut values = texts(h.param(1).map(|p| p.value()));
    if values.is_empty() {
        values.push(unknown.to_owned());
    }
    let mut line = format!("{label}{ROW}");
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            line.push(NEXT_VALUE);
        }
        line.push_str(&value.replace('\n', VALUE_BREAK.encode_utf8(&mut [0; 4])));
    }
    Ok(out.write(&line)?)
}

/// A text of several lines as it was written.
fn paragraph(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let texts = texts(h.param(0).map(|p| p.value()));
    match texts.is_empty() {
        true => Ok(out.write(&UNKNOWN.to_string())?),
        false => Ok(out.write(&texts.join("\n"))?),
    }
}

/// One line with a dash for each value.
fn list(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let mut texts = texts(h.param(0).map(|p| p.value()));
    if texts.is_empty() {
        texts.push(UNKNOWN.to_string());
    }
    let lines: Vec<String> = texts.iter().map(|t| format!("- {}", t.replace('\n', " "))).collect();
    Ok(out.write(&lines.join("\n"))?)
}
