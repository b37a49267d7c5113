//! The few words a template may use besides facts: rows, lists, paragraphs and conditions. Each writes marks that
//! `layout` turns into a page; a value that is not known is always said to be so. Knows nothing of what the values mean.

use std::borrow::Cow;

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
fn texts(value: Option<&Value>) -> Vec<Cow<'_, str>> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => vec![text.into()],
        Some(Value::Number(n)) => vec![n.to_string().into()],
        Some(Value::Array(items)) => items.iter().flat_map(|item| texts(Some(item))).collect(),
        _ => Vec::new(),
    }
}

/// Writes a mark of the layout.
fn mark(out: &mut dyn Output, mark: char) -> HelperResult {
    Ok(out.write(mark.encode_utf8(&mut [0; 4]))?)
}

/// Writes a text with something else between its lines.
fn write_lines(out: &mut dyn Output, text: &str, between: &str) -> HelperResult {
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.write(between)?;
        }
        out.write(line)?;
    }
    Ok(())
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
    let values = texts(h.param(1).map(|p| p.value()));
    row(h, out, &values)
}

/// A row of two columns, left out if its value is not known.
fn optional(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let values = texts(h.param(1).map(|p| p.value()));
    match values.is_empty() {
        true => mark(out, NO_LINE),
        false => row(h, out, &values),
    }
}

fn row(h: &Helper<'_>, out: &mut dyn Output, values: &[Cow<'_, str>]) -> HelperResult {
    let label = h.param(0).and_then(|p| p.value().as_str());
    out.write(label.ok_or(RenderErrorReason::ParamNotFoundForIndex("field", 0))?)?;
    mark(out, ROW)?;
    if values.is_empty() {
        mark(out, UNKNOWN)?;
    }
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            mark(out, NEXT_VALUE)?;
        }
        write_lines(out, value, VALUE_BREAK.encode_utf8(&mut [0; 4]))?;
    }
    Ok(())
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
    if texts.is_empty() {
        return mark(out, UNKNOWN);
    }
    Ok(out.write(&texts.join("\n"))?)
}

/// One line with a dash for each value.
fn list(
    h: &Helper<'_>,
    _: &Engine<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let texts = texts(h.param(0).map(|p| p.value()));
    if texts.is_empty() {
        out.write("- ")?;
        return mark(out, UNKNOWN);
    }
    for (i, text) in texts.iter().enumerate() {
        out.write(if i > 0 { "\n- " } else { "- " })?;
        write_lines(out, text, " ")?;
    }
    Ok(())
}
