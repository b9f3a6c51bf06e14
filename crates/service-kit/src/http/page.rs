//! Lists in pages: `?limit=` and `?cursor=` in, `{items, next_cursor}` out.
//!
//! Pages are by key, not by offset: a cursor holds the sort key of the last item seen, so a page costs the same
//! anywhere in the list, and items that come or go in between shift nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::extract::whole_number;
use super::problem::Problem;

/// The items per page when the caller does not say.
const DEFAULT_LIMIT: u16 = 50;
/// More items than this per page make answers slow for everybody.
const MAX_LIMIT: u16 = 200;
/// No cursor that we make comes near this.
const MAX_CURSOR_BYTES: usize = 1024;

/// The query parameter `limit`: 1 to 200, 50 when absent (use `#[serde(default)]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// How many items a page has at most.
    pub fn get(self) -> usize {
        self.0.into()
    }

    /// How many rows to ask for: one more than a page, which shows whether there is another.
    pub fn probe(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Limit(DEFAULT_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = whole_number(&String::deserialize(deserializer)?);
        let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.map(Limit).ok_or_else(|| D::Error::custom(format!("must be a whole number from 1 to {MAX_LIMIT}")))
    }
}

/// The query parameter `cursor`, as the caller sent it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<K> {
    list: String,
    after: K,
}

impl Cursor {
    /// The cursor that goes on after `key` in `list`, which names the list with its filters, and its reader where that filters it too.
    pub fn seal<K: Serialize>(list: &str, key: &K) -> String {
        let content = Content { list: tag(list), after: key };
        let json = serde_json::to_vec(&content).expect("a sort key is made of plain values");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// The key to go on after. 400 `invalid-cursor` for whatever [`seal`](Self::seal) did not make for this list.
    pub fn open<K: DeserializeOwned>(&self, list: &str) -> Result<K, Problem> {
        self.content()
            .filter(|content: &Content<K>| content.list == tag(list))
            .map(|content| content.after)
            .ok_or_else(Problem::invalid_cursor)
    }

    fn content<K: DeserializeOwned>(&self) -> Option<Content<K>> {
        if self.0.len() > MAX_CURSOR_BYTES {
            return None;
        }
        let json = String::from_utf8(URL_SAFE_NO_PAD.decode(&self.0).ok()?).ok()?;
        // PostgreSQL has no U+0000 in its texts, so a forged one must not reach it.
        let storable = !json.contains("\\u0000");
        serde_json::from_str(&json).ok().filter(|_| storable)
    }
}

/// Names a list in a cursor, short whatever its filters are.
fn tag(list: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(list)[..6])
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// At most `limit` items.
    pub items: Vec<T>,
    /// For the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of up to [`Limit::probe`] rows of `list`: `key` is a row's sort key, `item` what the caller sees of it.
    pub fn new<R, K: Serialize>(
        mut rows: Vec<R>,
        limit: Limit,
        list: &str,
        key: impl FnOnce(&R) -> K,
        item: impl FnMut(R) -> T,
    ) -> Self {
        let more = rows.len() > limit.get();
        rows.truncate(limit.get());
        let next_cursor = rows.last().filter(|_| more).map(|last| Cursor::seal(list, &key(last)));
        Page { items: rows.into_iter().map(item).collect(), next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        Cursor(text.to_owned())
    }

    fn page(rows: std::ops::Range<u32>, limit: u16) -> Page<u32> {
        Page::new(rows.collect(), Limit(limit), "numbers", |row| *row, |row| row)
    }

    #[test]
    fn a_full_page_has_a_cursor_only_if_there_is_more() {
        assert_eq!(page(0..2, 2), Page { items: vec![0, 1], next_cursor: None });
        assert_eq!(page(0..0, 2), Page { items: vec![], next_cursor: None });
        let first = page(0..3, 2);
        assert_eq!(first.items, [0, 1]);
        let after: u32 = cursor(&first.next_cursor.expect("more")).open("numbers").expect("its own cursor");
        assert_eq!(after, 1);
    }

    #[test]
    fn a_cursor_of_another_list_or_none_at_all_is_refused() {
        let sealed = Cursor::seal("orders?status=pending", &("2026-01-01", 7));
        assert!(cursor(&sealed).open::<(String, u32)>("orders?status=pending").is_ok());
        let nul = Cursor::seal("orders", &"\0");
        for (text, list) in [
            (sealed.as_str(), "orders?status=confirmed"),
            ("", "orders"),
            ("%%%", "orders"),
            (&URL_SAFE_NO_PAD.encode("{}"), "orders"),
            (&URL_SAFE_NO_PAD.encode([0xff]), "orders"),
            (&"A".repeat(2000), "orders"),
            (&nul, "orders"),
        ] {
            let problem = cursor(text).open::<(String, u32)>(list).expect_err(text);
            assert_eq!((problem.status().as_u16(), problem.kind()), (400, "invalid-cursor"));
        }
        assert!(cursor(&nul).open::<String>("orders").is_err());
    }
}
