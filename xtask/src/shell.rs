//! Text for shells.

/// A word that any POSIX shell reads as this text.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Lines that a shell can source: `export NAME='value'`.
pub(crate) fn exports(variables: &[(&str, String)]) -> String {
    variables.iter().map(|(name, value)| format!("export {name}={}\n", quote(value))).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let value = "it's \"$HOME\" `id`\\ \n two";
        let script = format!("{}printf %s \"$VALUE\"", exports(&[("VALUE", value.to_owned())]));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}
