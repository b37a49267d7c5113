//! The same text as an HTML page, for those who read mail that way: headings, paragraphs, lists and rows, and nothing that
//! is loaded from elsewhere or leads elsewhere. Every text is escaped where it is written, so that no value can become
//! markup. Knows nothing of templates or facts.

use super::layout::{HEADING, LANGUAGE, NEXT_VALUE, NO_LINE, ROW, VALUE_BREAK};

/// All the style there is: a readable width, rows with their label at the left, or above on a telephone, and the reader's
/// choice of light or dark. Long words break, so that nothing has to be scrolled sideways.
const STYLE: &str = ":root{color-scheme:light dark}\
                     body{font:16px/1.5 sans-serif;color:#111;background:#fff;max-width:42em;margin:1em auto;padding:0 1em;\
                     overflow-wrap:anywhere}\
                     h1{font-size:1.3em;margin-top:2em}h2{font-size:1.1em;margin-top:1.5em}h3{font-size:1em}\
                     ul{margin:.75em 0;padding-left:1.4em}li{margin:.25em 0}\
                     table{border-spacing:0;margin:.75em 0}th{text-align:left;vertical-align:top;font-weight:normal;color:#444;padding:0 1em 0 0;\
                     overflow-wrap:normal}td{padding:0}\
                     @media(max-width:30em){th,td{display:block;padding:0}td{margin-bottom:.5em}}\
                     @media(prefers-color-scheme:dark){body{color:#eee;background:#111}th{color:#bbb}}";

/// What is open at a place of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Paragraph,
    List,
    Rows,
}
impl Open {
    fn ends_with(self) -> &'static str {
        match self {
            Open::Nothing => "",
            Open::Paragraph => "</p>\n",
            Open::List => "</li>\n</ul>\n",
            Open::Rows => "</table>\n",
        }
    }
}

/// The page for a text with the layout's marks.
pub(super) fn page(subject: &str, language: &str, marked: &str) -> String {
    let mut page = String::with_capacity(2 * marked.len() + 1024);
    page.push_str("<!DOCTYPE html>\n<html lang=\"");
    escape(&mut page, language);
    page.push_str("\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    escape(&mut page, subject);
    page.push_str(&format!("</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"));
    let mut open = Open::Nothing;
    let mut in_language = false;
    for line in marked.lines().filter(|line| !line.contains(NO_LINE)) {
        let Some(language) = line.strip_prefix(LANGUAGE) else {
            open = put(&mut page, line.trim_end(), open);
            continue;
        };
        // A screen reader speaks each part as its language is spoken.
        page.push_str(std::mem::replace(&mut open, Open::Nothing).ends_with());
        page.push_str(if in_language {
            "</div>\n<div lang=\""
        } else {
            "<div lang=\""
        });
        escape(&mut page, language);
        page.push_str("\">\n");
        in_language = true;
    }
    page.push_str(open.ends_with());
    page.push_str(if in_language { "</div>\n" } else { "" });
    page.push_str("</body>\n</html>\n");
    page
}

/// Writes one line; gives what is open after it.
fn put(page: &mut String, line: &str, open: Open) -> Open {
    let text = line.trim_start();
    let next = if text.is_empty() || line.starts_with(HEADING) {
        Open::Nothing
    } else if line.contains(ROW) {
        Open::Rows
    } else if text.starts_with("- ") || (open == Open::List && text.len() < line.len()) {
        Open::List
    } else {
        Open::Paragraph
    };
    if open != next {
        page.push_str(open.ends_with());
    }
    match next {
        Open::Nothing if !text.is_empty() => heading(page, line),
        Open::Nothing => {}
        Open::Rows => {
            page.push_str(if open == next { "" } else { "<table>\n" });
            row(page, line);
        }
        Open::List => {
            page.push_str(match (open == next, text.strip_prefix("- ")) {
                (false, _) => "<ul>\n<li>",
                (true, Some(_)) => "</li>\n<li>",
                (true, None) => "<br>\n",
            });
            escape(page, text.strip_prefix("- ").unwrap_or(text));
        }
        Open::Paragraph => {
            page.push_str(if open == next { "<br>\n" } else { "<p>" });
            escape(page, text);
        }
    }
    next
}

fn heading(page: &mut String, line: &str) {
    let level = line.chars().take_while(|c| *c == HEADING).count().min(3);
    page.push_str(&format!("<h{level}>"));
    escape(page, line.trim_start_matches(HEADING).trim());
    page.push_str(&format!("</h{level}>\n"));
}

fn row(page: &mut String, line: &str) {
    let (label, values) = line.split_once(ROW).unwrap_or((line, ""));
    page.push_str("<tr><th scope=\"row\">");
    escape(page, label);
    page.push_str("</th><td>");
    for (i, part) in values.split([NEXT_VALUE, VALUE_BREAK]).enumerate() {
        page.push_str(if i > 0 { "<br>\n" } else { "" });
        escape(page, part);
    }
    page.push_str("</td></tr>\n");
}

/// Also keeps French punctuation with its word (`délai :`, `« mot »`), as the layout of the text does.
fn escape(page: &mut String, text: &str) {
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        let next = text[i + c.len_utf8()..].chars().next();
        match c {
            ' ' if before == '«' || matches!(next, Some(':' | ';' | '?' | '!' | '»')) => page.push_str("&nbsp;"),
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
        before = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(marked: &str) -> String {
        let page = page("s", "en", marked);
        let (_, body) = page.split_once("<body>\n").unwrap();
        body.strip_suffix("</body>\n</html>\n").unwrap().to_owned()
    }

    #[test]
    fn every_kind_of_line() {
        for (marked, wanted) in [
            ("a\nb\n\nc", "<p>a<br>\nb</p>\n<p>c</p>\n"),
            ("\u{2}\u{2} T\nx", "<h2>T</h2>\n<p>x</p>\n"),
            (
                "- a\n- b\n  c\nd",
                "<ul>\n<li>a</li>\n<li>b<br>\nc</li>\n</ul>\n<p>d</p>\n",
            ),
            (
                "A\u{1f}1\u{1e}2\nB\u{1f}3",
                "<table>\n<tr><th scope=\"row\">A</th><td>1<br>\n2</td></tr>\n\
                 <tr><th scope=\"row\">B</th><td>3</td></tr>\n</table>\n",
            ),
            ("a\n\u{18}\nb", "<p>a<br>\nb</p>\n"),
            (
                "\u{1c}fr\n- a : « b »\n\u{1c}de\n\u{2} T\nx",
                "<div lang=\"fr\">\n<ul>\n<li>a&nbsp;: «&nbsp;b&nbsp;»</li>\n</ul>\n</div>\n\
                 <div lang=\"de\">\n<h1>T</h1>\n<p>x</p>\n</div>\n",
            ),
            ("", ""),
        ] {
            assert_eq!(body(marked), wanted, "{marked:?}");
        }
    }

    #[test]
    fn no_value_becomes_markup() {
        let evil = "<script src='//x'>&\"</script>";
        for marked in [
            evil.to_owned(),
            format!("- {evil}"),
            format!("{evil}\u{1f}{evil}"),
            format!("\u{2} {evil}"),
        ] {
            let page = page(evil, "\"><b>", &marked);
            assert!(
                !page.contains("<script") && !page.contains("<b>") && !page.contains("'//x'"),
                "{page}"
            );
        }
    }
}
