//! The shapes of `meta.k8s.io/v1` that an answer can be asked for: Table and `PartialObjectMetadata`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::breaks::{self, Break};
use crate::quote::quoted;
use crate::registry::json::Fields as _;
use crate::registry::{Column, List, kinds};
use crate::schema::{Json, Resource};
use crate::storage::Object;

/// How much of the object each row of a Table carries: the `includeObject` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object, in the version of the request.
    Object,
}

impl IncludeObject {
    /// Reads the parameter; absent and empty mean `Metadata`.
    ///
    /// # Errors
    /// The message of the 400 where it is none of the three.
    pub(crate) fn parse(parameter: &str) -> Result<Self, String> {
        match parameter {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', \
                 'None', or empty",
                quoted(other)
            )),
        }
    }
}

/// A Table of `objects`, whose list metadata is `metadata` ([`list_metadata`], [`object_metadata`]).
///
/// `now` (seconds since 1970) is what ages are counted to. The column definitions are left out (`with_columns` false) from the
/// second event of a watch on.
pub(crate) fn to_table(
    resource: &Resource,
    objects: &[Arc<Object>],
    include: IncludeObject,
    with_columns: bool,
    metadata: Json,
    now: i64,
) -> Json {
    let strategy = kinds::strategy(resource);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let stored = object.value();
            let mut cells = strategy.cells(&stored, now);
            if breaks::is_on(Break::ShortTable) {
                cells.pop();
            }
            let object = match include {
                IncludeObject::None => Value::Null,
                IncludeObject::Metadata => partial(&stored).into(),
                IncludeObject::Object => kinds::served(resource, stored).into(),
            };
            json!({"cells": cells, "object": object})
        })
        .collect();
    let columns = if with_columns {
        strategy.columns().iter().map(definition).collect()
    } else {
        Value::Null
    };
    let mut table = head("Table");
    table.insert("metadata".to_owned(), metadata.into());
    table.insert("columnDefinitions".to_owned(), columns);
    // The printers make a list; what prints the other kinds appends to one that is nil at first.
    let nil = rows.is_empty() && strategy.columns().contains(&Column::CREATED_AT);
    table.insert("rows".to_owned(), (!nil).then_some(rows).into());
    table
}

/// The `PartialObjectMetadata` of an object.
pub(crate) fn to_partial_metadata(object: &Object) -> Json {
    partial(&object.value())
}

/// The `PartialObjectMetadataList` of a collection.
pub(crate) fn to_partial_metadata_list(objects: &[Arc<Object>], metadata: Json) -> Json {
    let items: Vec<Value> = objects
        .iter()
        .map(|object| to_partial_metadata(object).into())
        .collect();
    let mut list = head("PartialObjectMetadataList");
    list.insert("metadata".to_owned(), metadata.into());
    // The real server appends to a list that is nil at first.
    let items = (!items.is_empty()).then_some(items);
    list.insert("items".to_owned(), items.into());
    list
}

/// The `ListMeta` of a collection: where it was read, and how to read on.
pub(crate) fn list_metadata(list: &List) -> Json {
    let mut metadata = Json::new();
    metadata.put("resourceVersion", list.revision.to_string());
    if let Some(token) = &list.continue_token {
        metadata.put("continue", token.as_str());
    }
    if let Some(remaining) = list.remaining {
        metadata.put("remainingItemCount", remaining);
    }
    metadata
}

/// The `ListMeta` of a Table that stands for one object.
pub(crate) fn object_metadata(object: &Object) -> Json {
    let mut metadata = Json::new();
    metadata.put("resourceVersion", object.revision.to_string());
    metadata
}

fn partial(stored: &Json) -> Json {
    let mut partial = head("PartialObjectMetadata");
    let metadata = stored.map("metadata").cloned().unwrap_or_default();
    partial.insert("metadata".to_owned(), metadata.into());
    partial
}

fn head(kind: &str) -> Json {
    let mut head = Json::new();
    head.put("kind", kind);
    head.put("apiVersion", "meta.k8s.io/v1");
    head
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": "",
        "priority": column.priority,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::json::tests::object;

    #[test]
    fn include_object_is_metadata_unless_said_otherwise() {
        assert_eq!(IncludeObject::parse(""), Ok(IncludeObject::Metadata));
        assert_eq!(
            IncludeObject::parse("All"),
            Err(
                "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', \
                 'Object', 'None', or empty"
                    .to_owned()
            )
        );
    }

    #[test]
    fn partial_metadata_has_a_kind_of_its_own_and_nothing_else() {
        let stored = object(json!({"metadata": {"name": "a"}, "spec": {"x": 1}}));
        assert_eq!(
            Value::Object(partial(&stored)).to_string(),
            r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}"#
        );
    }
}
