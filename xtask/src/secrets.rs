//! The secrets of a system on a developer's machine: made once, kept with its data.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{files, net};

/// Keys that the services share with those who call them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Signs bearer tokens.
    pub(crate) auth: String,
    /// Signs payment webhooks, in the form of Standard Webhooks.
    pub(crate) webhook: String,
}

impl Secrets {
    /// Those in the folder, or new ones.
    ///
    /// # Errors
    /// When they can be neither read nor written.
    pub(crate) fn load_or_make(dir: &Path) -> Result<Secrets> {
        let file = dir.join("secrets.json");
        if file.exists() {
            let json = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            return serde_json::from_str(&json).with_context(|| format!("{} is damaged", file.display()));
        }
        let webhook = format!("whsec_{}", STANDARD.encode(net::random::<24>()?));
        let secrets = Secrets { auth: net::random_hex::<32>()?, webhook };
        files::write_private(&file, &serde_json::to_string_pretty(&secrets)?)?;
        Ok(secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once() {
        let dir = std::env::temp_dir().join(format!("xtask-secrets-{}", std::process::id()));
        files::make_dir(&dir).unwrap();
        let made = Secrets::load_or_make(&dir).unwrap();
        assert_eq!(Secrets::load_or_make(&dir).unwrap(), made);
        assert_eq!(STANDARD.decode(made.webhook.strip_prefix("whsec_").unwrap()).unwrap().len(), 24);
        fs::remove_dir_all(&dir).unwrap();
    }
}
