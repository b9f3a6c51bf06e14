//! Tells Rust code from its comments and strings: enough of a lexer for rules about words.

use std::path::Path;

/// A file, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    text: String,
    code: String,
    comments: String,
    strings: Vec<String>,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(text)
    }

    fn of(text: String) -> Self {
        let mut source =
            Self { text: String::new(), code: String::new(), comments: String::new(), strings: Vec::new() };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            rest = &rest[source.take(rest)..];
        }
        Self { text, ..source }
    }

    /// The code alone; each string is an empty one.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The comments alone.
    pub(crate) fn comments(&self) -> &str {
        &self.comments
    }

    /// What stands between the quotes of each string.
    pub(crate) fn strings(&self) -> &[String] {
        &self.strings
    }

    /// How many lines the file has.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Whether the code has this identifier.
    pub(crate) fn has_word(&self, word: &str) -> bool {
        self.code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|seen| seen == word)
    }

    /// The same without what is compiled for tests alone, which by custom stands at the end.
    pub(crate) fn without_tests(self) -> Self {
        match self.text.find("\n#[cfg(test)]\nmod ") {
            Some(at) if !self.text[at..].lines().nth(2).is_some_and(|line| line.ends_with(';')) => {
                Self::of(self.text[..at].to_owned())
            }
            _ => self,
        }
    }

    /// Takes one comment, string, character or other piece from the front of `rest`, and returns its length.
    fn take(&mut self, rest: &str) -> usize {
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.comments.push_str(&rest[..end]);
            self.comments.push('\n');
            return end;
        }
        if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
            self.comments.push_str(&rest[..end]);
            return end;
        }
        if let Some((content, length)) = raw_string(rest).or_else(|| string(rest)) {
            self.strings.push(content.to_owned());
            self.code.push_str("\"\"");
            return length;
        }
        if let Some(length) = character(rest) {
            self.code.push_str("' '");
            return length;
        }
        // An identifier as a whole, so that its last letter is not taken for the prefix of a string.
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if word > 0 { word } else { rest.chars().next().map_or(1, char::len_utf8) };
        self.code.push_str(&rest[..length]);
        length
    }
}

/// A string such as `"a\"b"` or `b"…"`: its content as written, and its length with the quotes.
fn string(rest: &str) -> Option<(&str, usize)> {
    let prefix = usize::from(rest.starts_with("b\"") || rest.starts_with("c\""));
    let inside = rest[prefix..].strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return Some((&inside[..at], prefix + at + 2)),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// A string such as `r#"…"#`.
fn raw_string(rest: &str) -> Option<(&str, usize)> {
    let start = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(*prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &rest[start.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = &after[hashes + 1..];
    let end = inside.find(&format!("\"{}", "#".repeat(hashes)))?;
    Some((&inside[..end], start.len() + hashes + 1 + end + 1 + hashes))
}

/// A character such as `'"'` or `'\n'`, and not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escaped) = inside.strip_prefix('\\') {
        return escaped.char_indices().skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| at + 3);
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(first + 2)
}

#[test]
fn code_comments_and_strings_are_told_apart() {
    let text = concat!(
        "fn a<'x>(c: char) { let s = \"in // \\\" it\"; } // the \"end\"\n",
        "let r = r#\"raw \"quoted\" // no\"#; let c = ['\"', '\\'', '\\u{7f}']; /* b\"lock\" */ var\"not a prefix\"",
    );
    let source = Source::of(text.to_owned());
    assert_eq!(source.strings(), ["in // \\\" it", "raw \"quoted\" // no", "not a prefix"]);
    assert_eq!(source.comments(), "// the \"end\"\n/* b\"lock\" */");
    assert!(source.has_word("fn") && !source.has_word("raw") && !source.has_word("end"));
}
