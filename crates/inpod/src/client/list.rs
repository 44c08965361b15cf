use serde::{Deserialize, Deserializer};

/// A collection.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct List<T> {
    /// `resourceVersion`, `continue`, `remainingItemCount`.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects.
    #[serde(
        default = "Vec::new",
        deserialize_with = "null_is_empty",
        bound(deserialize = "T: Deserialize<'de>")
    )]
    pub items: Vec<T>,
}

/// What a collection says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListMeta {
    /// The revision the collection was read at: where a watch goes on from.
    pub resource_version: String,
    /// What to ask the next page with, empty on the last.
    #[serde(rename = "continue")]
    pub continue_: String,
    /// How many objects come after this page, where the server knows.
    pub remaining_item_count: Option<u64>,
}

/// Servers in Go write an empty collection as null where nobody took care.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_null_or_lack_its_metadata() {
        for text in [r#"{"items":null}"#, r#"{"metadata":{},"items":[]}"#, "{}"] {
            let list: List<u8> = serde_json::from_str(text).unwrap();
            assert!(list.items.is_empty(), "{text}");
        }
    }
}
