//! Walks a parsed template and finds what would go wrong, or silently be left out, when it is filled in.
//!
//! The template engine's strict mode lets a misspelt word pass inside `#if`, `#unless`, `and`, and the `else` of `#each`
//! and `#with`. So every path is looked up in a complete set of facts before the template may be used. Knows nothing of
//! languages or wording.

use handlebars::Template;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

use super::Finding;
use super::helpers::HELPERS;

/// What is wrong in `template`, whose facts look like `shape`: a complete example, in which nothing is empty.
pub(super) fn walk(file: &str, template: &Template, shape: &Value) -> Vec<Finding> {
    let mut walk = Walk {
        file,
        scopes: vec![shape],
        loops: 0,
        at: (1, 1),
        found: Vec::new(),
    };
    walk.template(template);
    walk.found
}

/// What a template that cannot be parsed lacks, in words for the person who edits it: a brace or a block without its end.
/// `None` if neither is the matter. The place is that of what stays open.
pub(super) fn left_open(source: &str) -> Option<(usize, usize, String)> {
    let mut blocks: Vec<(&str, usize)> = Vec::new();
    let place = |at: usize| {
        let line_start = source[..at].rfind('\n').map_or(0, |i| i + 1);
        (
            source[..at].matches('\n').count() + 1,
            source[line_start..at].chars().count() + 1,
        )
    };
    let found = |at: usize, problem: String| {
        let (line, column) = place(at);
        Some((line, column, problem))
    };
    let mut from = 0;
    while let Some(at) = source[from..].find("{{").map(|i| from + i) {
        let inside = source[at + 2..].trim_start_matches('~');
        // As the parser does: a comment that never ends with `--}}` ends with the first `}}`.
        let long_comment = inside.starts_with("!--") && source[at..].contains("--}}");
        let end = if long_comment { "--}}" } else { "}}" };
        let Some(length) = source[at..].find(end) else {
            return found(at, "`{{` without `}}`".to_owned());
        };
        from = at + length + end.len();
        let name = |text: &'_ str| text.len() - text.trim_start_matches(char::is_alphanumeric).len();
        if let Some(opened) = inside.strip_prefix('#') {
            blocks.push((&opened[..name(opened)], at));
        } else if let Some(closed) = inside.strip_prefix('/') {
            let closed = &closed[..name(closed)];
            match blocks.pop() {
                Some((opened, _)) if opened == closed => {}
                Some((opened, _)) => return found(at, format!("`/{closed}` stands where `/{opened}` is expected")),
                None => return found(at, format!("`/{closed}` closes nothing")),
            }
        }
    }
    let (name, at) = blocks.pop()?;
    found(at, format!("`#{name}` has no `{{{{/{name}}}}}`"))
}

/// Every path of the facts that a template may name, with `[]` for the elements of a list.
pub fn paths(shape: &Value) -> Vec<String> {
    fn collect(at: &str, value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let path = if at.is_empty() {
                        name.clone()
                    } else {
                        format!("{at}.{name}")
                    };
                    collect(&path, field, into);
                }
            }
            Value::Array(items) => match items.first() {
                Some(item) => collect(&format!("{at}[]"), item, into),
                None => into.push(format!("{at}[]")),
            },
            _ => into.push(at.to_owned()),
        }
    }
    let mut into = Vec::new();
    collect("", shape, &mut into);
    into
}

struct Walk<'a> {
    file: &'a str,
    /// The facts a path may start from: the whole, then one for each `#each` and `#with` around.
    scopes: Vec<&'a Value>,
    loops: usize,
    at: (usize, usize),
    found: Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn find(&mut self, problem: String) {
        self.found.push(Finding::at(self.file, self.at.0, self.at.1, problem));
    }

    fn template(&mut self, template: &Template) {
        for (i, element) in template.elements.iter().enumerate() {
            // The engine keeps no place for the `if` of an `else if`: the place of what surrounds it then stands.
            if let Some(place) = template.mapping.get(i) {
                self.at = (place.0, place.1);
            }
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) => self.expression(expression),
                TemplateElement::HelperBlock(block) => self.block(block),
                TemplateElement::HtmlExpression(_) => {
                    self.find("three braces and `&` have no use here; write two braces".to_owned());
                }
                _ => self.find("partials (`>`) and decorators (`*`) are not available".to_owned()),
            }
        }
    }

    fn expression(&mut self, e: &HelperTemplate) {
        let Some(name) = e.name.as_name() else {
            return self.find("this is no fact and no helper".to_owned());
        };
        let is_helper = HELPERS.iter().any(|h| h.name == name);
        if e.params.is_empty() && e.hash.is_empty() && !is_helper {
            return match self.resolve(name) {
                Ok(Value::Array(_)) => self.find(format!("`{name}` is a list; write `{{{{list {name}}}}}` or `#each`")),
                Ok(Value::Object(_)) => self.find(format!("`{name}` is a group; name one of its facts")),
                Ok(Value::Bool(_)) => self.find(format!("`{name}` is yes or no; ask for it with `#if`")),
                Ok(_) => {}
                Err(problem) => self.find(problem),
            };
        }
        let Some(helper) = HELPERS.iter().find(|h| h.name == name) else {
            let known: Vec<&str> = HELPERS.iter().map(|h| h.name).collect();
            return self.find(format!("there is no helper `{name}`; there are {}", known.join(", ")));
        };
        let wanted = if helper.labelled { 2 } else { 1 };
        if e.params.len() != wanted || !e.hash.is_empty() {
            return self.find(format!("write `{}`", helper.usage));
        }
        if helper.labelled && !is_text(&e.params[0]) {
            return self.find(format!("the label stands in quotes: `{}`", helper.usage));
        }
        let value = &e.params[wanted - 1];
        match self.fact(value) {
            Ok(Some(Value::Array(items))) => {
                if !helper.takes_list {
                    self.find(format!("`{name}` takes no list; write `{{{{list …}}}}`"));
                } else if items.first().is_some_and(Value::is_object) {
                    self.find("the elements of this list are groups; write `#each`".to_owned());
                }
            }
            Ok(Some(Value::String(_) | Value::Number(_))) if !helper.only_list => {}
            Ok(Some(_)) => self.find(format!("`{name}` cannot show this; it takes a text or a list of texts")),
            Ok(None) if helper.labelled && is_text(value) => {}
            Ok(None) => self.find(format!("write `{}`", helper.usage)),
            Err(problem) => self.find(problem),
        }
    }

    fn block(&mut self, b: &HelperTemplate) {
        let place = self.at;
        let name = b.name.as_name().unwrap_or_default();
        if b.params.len() != 1 || !b.hash.is_empty() || b.block_param.is_some() {
            self.find(format!("`#{name}` takes one fact and nothing else"));
        }
        let inside = match (name, b.params.first()) {
            ("if" | "unless", Some(asked)) => {
                self.condition(asked);
                None
            }
            ("each" | "with", Some(of)) => self.scope(name, of),
            ("if" | "unless" | "each" | "with", None) => None,
            _ => {
                self.find(format!(
                    "there is no block `#{name}`; there are #if, #unless, #each, #with"
                ));
                None
            }
        };
        match (&b.template, inside) {
            (Some(template), Some(scope)) => {
                self.scopes.push(scope);
                self.loops += usize::from(name == "each");
                self.template(template);
                self.loops -= usize::from(name == "each");
                self.scopes.pop();
            }
            // What stands inside a loop over nothing known cannot be judged; the loop itself was reported.
            (Some(_), None) if matches!(name, "each" | "with") => {}
            (Some(template), None) => self.template(template),
            (None, _) => {}
        }
        self.at = place;
        if let Some(otherwise) = &b.inverse {
            self.template(otherwise);
        }
    }

    /// What a path inside `#each` or `#with` starts from; a complaint and nothing if it cannot be entered.
    fn scope(&mut self, name: &str, of: &Parameter) -> Option<&'a Value> {
        match (name, self.fact(of)) {
            ("each", Ok(Some(Value::Array(items)))) => items.first(),
            ("with", Ok(Some(group @ Value::Object(_)))) => Some(group),
            ("each", Ok(_)) => {
                self.find("`#each` takes a list".to_owned());
                None
            }
            (_, Ok(_)) => {
                self.find("`#with` takes a group of facts".to_owned());
                None
            }
            (_, Err(problem)) => {
                self.find(problem);
                None
            }
        }
    }

    fn condition(&mut self, asked: &Parameter) {
        if let Parameter::Subexpression(sub) = asked {
            let wanted = match sub.name() {
                "and" | "or" => 2,
                "not" => 1,
                other => return self.find(format!("there is no `({other} …)`; there are and, or, not")),
            };
            let none = Vec::new();
            let params = sub.params().unwrap_or(&none);
            if params.len() != wanted {
                return self.find(format!("`({} …)` takes {wanted}", sub.name()));
            }
            params.iter().for_each(|p| self.condition(p));
            return;
        }
        match self.fact(asked) {
            Ok(Some(Value::Object(_))) => self.find("a group is always there; ask for one of its facts".to_owned()),
            Ok(Some(_)) => {}
            Ok(None) => self.find("a condition asks for a fact".to_owned()),
            Err(problem) => self.find(problem),
        }
    }

    /// The fact that a parameter names; `None` if it is no path.
    fn fact(&self, parameter: &Parameter) -> Result<Option<&'a Value>, String> {
        match (parameter, parameter.as_name()) {
            (Parameter::Literal(_) | Parameter::Subexpression(_), _) | (_, None) => Ok(None),
            (_, Some(path)) => self.resolve(path).map(Some),
        }
    }

    fn resolve(&self, path: &str) -> Result<&'a Value, String> {
        const FLAG: &Value = &Value::Bool(true);
        if matches!(path, "@first" | "@last") && self.loops > 0 {
            return Ok(FLAG);
        }
        let (mut level, mut rest) = (self.scopes.len() - 1, path);
        if let Some(tail) = rest.strip_prefix("@root.").or_else(|| rest.strip_prefix("@root/")) {
            (level, rest) = (0, tail);
        }
        while let Some(tail) = rest.strip_prefix("../") {
            level = level
                .checked_sub(1)
                .ok_or_else(|| format!("`{path}` leads outside the facts"))?;
            rest = tail;
        }
        let mut value = self.scopes[level];
        for segment in rest.split(['.', '/']).filter(|s| !matches!(*s, "" | "this")) {
            value = match value.get(segment) {
                Some(field) => field,
                None => return Err(no_such(path, segment, value)),
            };
        }
        Ok(value)
    }
}

fn is_text(parameter: &Parameter) -> bool {
    matches!(parameter, Parameter::Literal(Value::String(_)))
}

fn no_such(path: &str, segment: &str, inside: &Value) -> String {
    let near = inside.as_object().and_then(|fields| {
        let by_distance = fields.keys().map(|k| (strsim::damerau_levenshtein(k, segment), k));
        by_distance.filter(|(distance, _)| *distance <= 3).min()
    });
    match near {
        Some((_, name)) => {
            let from = segment.as_ptr().addr() - path.as_ptr().addr();
            let (before, after) = (&path[..from], &path[from + segment.len()..]);
            format!("there is no fact `{path}`; did you mean `{before}{name}{after}`?")
        }
        None => format!("there is no fact `{path}`"),
    }
}
