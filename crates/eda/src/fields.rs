//! Reading what people send: a JSON document, member by member, so that everything wrong is named at once.
//!
//! A derived deserialiser stops at the first member that is wrong. The crates that go on report wrong shapes and wrong values
//! in two rounds, and quote the values; so the members are taken here one at a time, each read by `serde_json`.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// A field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// Where: a path such as `items[0].quantity`, or a header's name.
    pub field: String,
    /// What is wrong, without quoting the value.
    pub problem: String,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It does not follow the syntax of JSON.
    #[error("the document is not JSON")]
    NotJson,
    /// These fields are wrong; no other is.
    #[error("{} fields are wrong", .0.len())]
    Fields(Vec<FieldError>),
}

/// What is wrong with a value, without quoting it.
pub type Wrong = Cow<'static, str>;

/// Name of the document itself in errors.
const DOCUMENT: &str = "body";

/// Reads a document that is one JSON object.
///
/// # Errors
/// [`Unreadable`], with all fields that are wrong.
pub fn read<T>(json: &str, read: impl FnOnce(&mut Object<'_, '_>) -> Option<T>) -> Result<T, Unreadable> {
    let document: &RawValue = serde_json::from_str(json).map_err(|_| Unreadable::NotJson)?;
    let mut errors = Vec::new();
    match Object::open(document, String::new(), &mut errors, read) {
        Some(read) if errors.is_empty() => Ok(read),
        _ => Err(Unreadable::Fields(errors)),
    }
}

/// A JSON object whose members are taken one at a time. What is wrong is noted; what nobody takes is wrong too.
pub struct Object<'json, 'errors> {
    path: String,
    members: Vec<(String, &'json RawValue)>,
    errors: &'errors mut Vec<FieldError>,
}

impl<'json> Object<'json, '_> {
    fn open<T>(
        value: &'json RawValue,
        path: String,
        errors: &mut Vec<FieldError>,
        read: impl FnOnce(&mut Object<'json, '_>) -> Option<T>,
    ) -> Option<T> {
        let Ok(Members(members)) = serde_json::from_str(value.get()) else {
            let field = if path.is_empty() { DOCUMENT.to_owned() } else { path };
            errors.push(FieldError { field, problem: "must be an object".to_owned() });
            return None;
        };
        let mut object = Object { path, members, errors };
        let read = read(&mut object);
        for (name, _) in std::mem::take(&mut object.members) {
            object.note(&name, "is not a known field");
        }
        read
    }

    /// Notes what is wrong with a member.
    pub fn note(&mut self, name: &str, problem: impl Into<String>) {
        let field = self.path_of(name);
        self.errors.push(FieldError { field, problem: problem.into() });
    }

    /// Reads a member that must be there. `None` where it is wrong.
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'json RawValue) -> Result<T, Wrong>,
    ) -> Option<T> {
        let value = self.take_required(name)?;
        read(value).map_err(|problem| self.note(name, problem)).ok()
    }

    /// Reads a member that may be absent or null. `None` where it is wrong.
    pub fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'json RawValue) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Some(value) if value.get() != "null" => {
                read(value).map(Some).map_err(|problem| self.note(name, problem)).ok()
            }
            _ => Some(None),
        }
    }

    /// Reads a member that must be an object. `None` where it, or anything in it, is wrong.
    pub fn object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Object<'json, '_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.take_required(name)?;
        let path = self.path_of(name);
        Object::open(value, path, self.errors, read)
    }

    /// Reads a member that must be a list of objects, of so many elements. `None` where it, or anything in it, is wrong.
    pub fn list<T>(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Object<'json, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.take_required(name)?;
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
            self.note(name, "must be a list");
            return None;
        };
        if !length.contains(&elements.len()) {
            self.note(name, format!("must have {} to {} elements", length.start(), length.end()));
            return None;
        }
        let path = self.path_of(name);
        let elements = elements.into_iter().enumerate();
        let read: Vec<_> = elements
            .map(|(index, element)| Object::open(element, format!("{path}[{index}]"), self.errors, &mut read))
            .collect();
        read.into_iter().collect()
    }

    fn take_required(&mut self, name: &str) -> Option<&'json RawValue> {
        let value = self.take(name)?;
        if value.is_none() {
            self.note(name, "is required");
        }
        value
    }

    /// The member of this name: `Some(None)` where there is none, `None` where there are several.
    fn take(&mut self, name: &str) -> Option<Option<&'json RawValue>> {
        let mut values = self.members.extract_if(.., |(member, _)| member == name).map(|(_, value)| value);
        let value = values.next();
        if values.count() > 0 {
            self.note(name, "is given more than once");
            return None;
        }
        Some(value)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The members of an object as they are written, repeated ones too.
struct Members<'json>(Vec<(String, &'json RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Door {
        name: String,
        colour: Option<String>,
        panes: Vec<u8>,
    }

    fn text(value: &RawValue) -> Result<String, Wrong> {
        serde_json::from_str(value.get()).map_err(|_| "must be text".into())
    }

    fn small(value: &RawValue) -> Result<u8, Wrong> {
        serde_json::from_str(value.get()).map_err(|_| "must be 0 to 255".into())
    }

    fn door(json: &str) -> Result<Door, Vec<(String, String)>> {
        let door = read(json, |door| {
            let name = door.object("label", |label| label.required("name", text));
            let colour = door.optional("colour", text);
            let panes = door.list("panes", 1..=2, |pane| pane.required("width", small));
            Some(Door { name: name?, colour: colour?, panes: panes? })
        });
        door.map_err(|unreadable| match unreadable {
            Unreadable::NotJson => vec![],
            Unreadable::Fields(errors) => {
                errors.into_iter().map(|error| (error.field, error.problem)).collect()
            }
        })
    }

    fn wrong(json: &str, expected: &[(&str, &str)]) {
        let found = door(json).unwrap_err();
        let found: Vec<_> = found.iter().map(|(field, problem)| (field.as_str(), problem.as_str())).collect();
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn a_document_is_read_whatever_the_order_of_its_members() {
        let read = door(r#" {"panes": [{"width": 3}], "label": {"name": "fr\u006fnt"}} "#).unwrap();
        assert_eq!(read, Door { name: "front".into(), colour: None, panes: vec![3] });
        let read = door(r#"{"label":{"name":"a"},"panes":[{"width":3},{"width":4}],"colour":null}"#).unwrap();
        assert_eq!((read.colour, read.panes), (None, vec![3, 4]));
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once_and_nothing_is_quoted() {
        wrong(
            r#"{"label": {"name": 7, "x": 1}, "colour": [], "panes": [{"width": 300}, {}], "size": "big"}"#,
            &[
                ("label.name", "must be text"),
                ("label.x", "is not a known field"),
                ("colour", "must be text"),
                ("panes[0].width", "must be 0 to 255"),
                ("panes[1].width", "is required"),
                ("size", "is not a known field"),
            ],
        );
        wrong("{}", &[("label", "is required"), ("panes", "is required")]);
    }

    #[test]
    fn a_wrong_shape_is_named_where_it_is() {
        wrong("[]", &[("body", "must be an object")]);
        wrong(
            r#"{"label": "a", "panes": {}}"#,
            &[("label", "must be an object"), ("panes", "must be a list")],
        );
        wrong(r#"{"label": {"name": "a"}, "panes": [1]}"#, &[("panes[0]", "must be an object")]);
        for panes in ["[]", "[{},{},{}]"] {
            let json = format!(r#"{{"label": {{"name": "a"}}, "panes": {panes}}}"#);
            wrong(&json, &[("panes", "must have 1 to 2 elements")]);
        }
    }

    #[test]
    fn a_member_that_is_given_twice_means_nothing() {
        wrong(
            r#"{"label": {"name": "a", "name": "b"}, "panes": [{"width": 3}], "colour": "red", "colour": "blue"}"#,
            &[("label.name", "is given more than once"), ("colour", "is given more than once")],
        );
    }

    #[test]
    fn what_is_not_json_is_no_document() {
        for text in ["", "{", "{} {}", "{'a': 1}", "hello", "{\"a\": 01}"] {
            assert_eq!(read(text, |_| Some(())), Err(Unreadable::NotJson), "{text}");
        }
    }
}
