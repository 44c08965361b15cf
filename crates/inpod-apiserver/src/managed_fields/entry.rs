use serde_json::{Map, Value};

use super::element::Malformed;
use super::set::Set;
use crate::schema::Json;

/// What one manager owns: an entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    /// `Apply` or `Update`.
    pub(super) operation: String,
    /// The version that the paths are in.
    pub(super) api_version: String,
    /// RFC 3339, seconds.
    pub(super) time: Option<String>,
    pub(super) set: Set,
    pub(super) subresource: String,
}

pub(super) const APPLY: &str = "Apply";
pub(super) const UPDATE: &str = "Update";

/// Reads `metadata.managedFields`; of entries of one manager the last one stands.
///
/// # Errors
/// Where one of them is none.
pub(super) fn read(entries: &Value) -> Result<Vec<Entry>, Malformed> {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut read: Vec<Entry> = entries
        .iter()
        .rev()
        .map(|entry| Entry::read(entry.as_object().ok_or(Malformed)?))
        .collect::<Result<_, _>>()?;
    read.sort_by(|a, b| a.identity().cmp(&b.identity()));
    read.dedup_by(|again, entry| again.is_same(entry));
    Ok(read)
}

/// Writes `metadata.managedFields`, in their order: those of appliers first, the latest last.
pub(super) fn write(mut entries: Vec<Entry>) -> Option<Value> {
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    let entries: Vec<Value> = entries.into_iter().map(Entry::write).collect();
    (!entries.is_empty()).then(|| entries.into())
}

impl Entry {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// What tells a manager from the others: the version of what is applied does not.
    fn identity(&self) -> (&str, &str, &str, &str) {
        let version = match self.operation.as_str() {
            APPLY => "",
            _ => &self.api_version,
        };
        (&self.manager, &self.operation, version, &self.subresource)
    }

    fn order(&self) -> (&str, &str, &str, &str, &str) {
        let time = self.time.as_deref().unwrap_or_default();
        let Self {
            operation,
            manager,
            api_version,
            subresource,
            ..
        } = self;
        (operation, time, manager, api_version, subresource)
    }

    fn read(entry: &Json) -> Result<Self, Malformed> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let known = matches!(text("operation"), APPLY | UPDATE)
            && !text("apiVersion").is_empty()
            && text("fieldsType") == "FieldsV1";
        if !known {
            return Err(Malformed);
        }
        Ok(Self {
            manager: text("manager").to_owned(),
            operation: text("operation").to_owned(),
            api_version: text("apiVersion").to_owned(),
            time: Some(text("time").to_owned()).filter(|time| !time.is_empty()),
            set: Set::from_json(entry.get("fieldsV1").unwrap_or(&Value::Null))?,
            subresource: text("subresource").to_owned(),
        })
    }

    fn write(self) -> Value {
        let mut entry = Map::with_capacity(7);
        let mut put = |key: &str, value: String| {
            if !value.is_empty() {
                entry.insert(key.to_owned(), value.into());
            }
        };
        put("manager", self.manager);
        put("operation", self.operation);
        put("apiVersion", self.api_version);
        put("time", self.time.unwrap_or_default());
        put("fieldsType", "FieldsV1".to_owned());
        entry.insert("fieldsV1".to_owned(), self.set.to_json());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.subresource.into());
        }
        entry.into()
    }
}
