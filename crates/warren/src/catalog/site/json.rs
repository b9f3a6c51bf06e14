//! JSON as it stands in a page: escaped, and with its names, texts and numbers marked.

use std::fmt::Write as _;

use super::escaped;

/// The text with `<i class="k">` around names, `s` around texts, `n` around numbers and the words of JSON.
pub(super) fn coloured(json: &str) -> String {
    let mut html = String::with_capacity(json.len() * 2);
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (class, length) = match first {
            '"' => {
                let length = text(rest);
                (if rest[length..].trim_start().starts_with(':') { "k" } else { "s" }, length)
            }
            '-' | '0'..='9' | 'a'..='z' => {
                ("n", rest.find(|char: char| !char.is_alphanumeric() && !"+-.".contains(char)).unwrap_or(rest.len()))
            }
            other => ("", other.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        let token = escaped(token);
        if class.is_empty() {
            html.push_str(&token);
        } else {
            // writing to a text cannot fail
            let _ = write!(html, "<i class=\"{class}\">{token}</i>");
        }
        rest = after;
    }
    html
}

/// How long the text is that begins here, with its quotes.
fn text(json: &str) -> usize {
    let mut escape = false;
    for (at, char) in json.char_indices().skip(1) {
        match char {
            _ if escape => escape = false,
            '\\' => escape = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_texts_and_numbers_are_told_apart() {
        let html = coloured(r#"{"a": "b \" <:", "c": [-1.5, true]}"#);
        assert_eq!(
            html,
            "{<i class=\"k\">&quot;a&quot;</i>: <i class=\"s\">&quot;b \\&quot; &lt;:&quot;</i>, \
             <i class=\"k\">&quot;c&quot;</i>: [<i class=\"n\">-1.5</i>, <i class=\"n\">true</i>]}"
        );
    }
}
