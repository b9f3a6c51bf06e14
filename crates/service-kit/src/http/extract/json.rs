//! JSON in three steps, each with its own complaint: is it JSON at all (400), can its values be represented, and is it a `T` (both 422).
//!
//! The second half is a small serde deserializer of its own, because serde_json alone is too kind for
//! an interface: it takes an array where a struct is asked for, says nothing of doubled fields
//! that the type does not read, and its messages repeat values. Errors carry the JSON pointer of what is wrong.

mod invalid;
mod node;

use std::collections::HashSet;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use crate::http::problem::{FieldError, Problem};
use invalid::Invalid;
use node::Node;

/// Parses a whole body.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::malformed_json(format!("The body is not UTF-8 after byte {}.", error.valid_up_to()))
    })?;
    // The grammar first, to the end: a slip at the end is not hidden by a wrong field before it.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        Problem::malformed_json(format!("Not JSON from line {}, column {}.", error.line(), error.column()))
    })?;
    let node: Node = serde_json::from_str(text).map_err(|_| {
        refused(String::new(), "holds a number that is too large, a broken \\u escape, or too many levels".to_owned())
    })?;
    if !matches!(node, Node::Object(_)) {
        return Err(refused(String::new(), "expected an object".to_owned()));
    }
    T::deserialize(&node).map_err(|error| refused(error.pointer(), error.detail))
}

fn refused(pointer: String, detail: String) -> Problem {
    Problem::invalid_body([FieldError { pointer, detail }])
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, Some(value)) => visitor.visit_f64(value),
                _ => Err(de::Error::custom("is not a number that can be represented")),
            },
            Node::String(value) => visitor.visit_borrowed_str(value),
            Node::Array(items) => visitor.visit_seq(Items { items, index: 0 }),
            Node::Object(fields) => visitor.visit_map(Fields { fields, index: 0, seen: HashSet::new() }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    /// A struct is an object, never an array.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self {
            Node::Object(_) => self.deserialize_any(visitor),
            _ => Err(Invalid::here("expected an object")),
        }
    }

    /// An enum is the name of one of its unit variants; those with data are written with a tag, which serde reads as a map.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self {
            Node::String(name) => visitor.visit_enum(StrDeserializer::<Invalid>::new(name)),
            _ => Err(de::Error::invalid_type(self.unexpected(), &"a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Node],
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Invalid;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Invalid> {
        let Some(item) = self.items.get(self.index) else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.within(&index.to_string()))
    }
}

struct Fields<'de> {
    fields: &'de [(String, Node)],
    index: usize,
    seen: HashSet<&'de str>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Invalid;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Invalid> {
        let Some((name, _)) = self.fields.get(self.index) else { return Ok(None) };
        if !self.seen.insert(name) {
            return Err(Invalid::here("appears more than once").within(name));
        }
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Invalid> {
        let (name, value) = &self.fields[self.index];
        self.index += 1;
        seed.deserialize(value).map_err(|error| error.within(name))
    }
}
