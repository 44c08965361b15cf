//! What a table says about a type, and what Go's encoder makes of its values.

use std::fmt;

use serde_json::{Map, Value};

use super::Json;

/// A Go type that is sent.
pub(crate) struct GoType {
    /// As Go's reflection spells it, which is how its decoder's errors do: `v1.PodSpec`, `[]v1.Container`.
    pub(crate) go: &'static str,
    pub(crate) shape: Shape,
    /// Whether values of this struct have one owner, whatever their fields: `+structType=atomic`.
    pub(crate) atomic: bool,
}

/// How the values of a type are encoded.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Bool,
    Int32,
    Int64,
    String,
    /// Base64 in JSON.
    Bytes,
    List(&'static GoType),
    /// A list in JSON; in protobuf a message whose field 1 repeats.
    Items(&'static GoType),
    /// By strings.
    Map(&'static GoType),
    Struct(&'static [Field]),
    Quantity,
    IntOrString,
    /// RFC 3339, seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// Any JSON; in protobuf a message whose field 1 has its bytes.
    Raw,
}

/// A field of a struct, at its place in Go's order.
pub(crate) struct Field {
    pub(crate) json: &'static str,
    /// Its protobuf number, 0 where it has none.
    pub(crate) number: u16,
    pub(crate) presence: Presence,
    pub(crate) ty: &'static GoType,
    /// The embedded structs that it lies in, outermost first, with their protobuf numbers: JSON knows nothing of them, in
    /// protobuf they are messages.
    pub(crate) within: &'static [(&'static str, u16)],
    pub(crate) merge: Merge,
    pub(crate) patch: PatchStrategy,
}

/// What a strategic merge patch does with a field: Go's tags `patchStrategy` and `patchMergeKey`. `retainKeys` is not among
/// them, because a patch says itself where keys are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchStrategy {
    /// Lists are replaced, structs and maps merged.
    Default,
    /// Whatever it is, it is replaced.
    Replace,
    /// Items of a list are merged by the field with this name; scalars, where it is empty, are added.
    Merge(&'static str),
}

/// What of a field's value has owners of its own in `managedFields`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The members of a map or a struct, unless its type is atomic; no item of a list.
    Default,
    /// Nothing: the value has one owner.
    Atomic,
    /// The members of a map or a struct, even if its type is atomic.
    Granular,
    /// Each item of a list of scalars.
    Set,
    /// Each item of a list, by the fields that tell it from the others, each with what stands for it where it is left out.
    Keyed(&'static [(&'static str, Option<&'static str>)]),
}

/// What is written for a field that is not set or is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The zero value: it has no `omitempty`, or is a struct, which `omitempty` does not know as empty.
    Always,
    /// Nothing where empty: `omitempty`.
    OmitEmpty,
    /// Nothing where not set: a pointer with `omitempty`.
    Optional,
    /// `null` where not set: a pointer without `omitempty`.
    Nullable,
    /// Nothing where it is the zero value, which for every type that has it is `null`: `omitzero`.
    OmitZero,
}

macro_rules! constants {
    ($($name:ident = $go:literal $shape:ident;)*) => {
        $(pub(super) static $name: GoType = GoType { go: $go, shape: Shape::$shape, atomic: false };)*
    };
}

constants! {
    ANY = "interface {}" Raw;
    BOOL = "bool" Bool;
    BYTES = "[]uint8" Bytes;
    FIELDS_V1 = "v1.FieldsV1" Raw;
    INT32 = "int32" Int32;
    INT64 = "int64" Int64;
    INT_OR_STRING = "intstr.IntOrString" IntOrString;
    MICRO_TIME = "v1.MicroTime" MicroTime;
    QUANTITY = "resource.Quantity" Quantity;
    RAW_EXTENSION = "runtime.RawExtension" Raw;
    STRING = "string" String;
    TIME = "v1.Time" Time;
}

/// Of every kind's `TypeMeta`, which protobuf has in the envelope.
pub(super) const KIND: Field = omitempty("kind", 0, &STRING).within(&[("TypeMeta", 0)]);
/// As [`KIND`].
pub(super) const API_VERSION: Field =
    omitempty("apiVersion", 0, &STRING).within(&[("TypeMeta", 0)]);

pub(super) const fn structure(go: &'static str, fields: &'static [Field]) -> GoType {
    GoType::new(go, Shape::Struct(fields))
}

pub(super) const fn string(go: &'static str) -> GoType {
    GoType::new(go, Shape::String)
}

pub(super) const fn list(go: &'static str, element: &'static GoType) -> GoType {
    GoType::new(go, Shape::List(element))
}

pub(super) const fn items(go: &'static str, element: &'static GoType) -> GoType {
    GoType::new(go, Shape::Items(element))
}

pub(super) const fn map(go: &'static str, value: &'static GoType) -> GoType {
    GoType::new(go, Shape::Map(value))
}

pub(super) const fn always(json: &'static str, number: u16, ty: &'static GoType) -> Field {
    Field::new(json, number, Presence::Always, ty)
}

pub(super) const fn omitempty(json: &'static str, number: u16, ty: &'static GoType) -> Field {
    Field::new(json, number, Presence::OmitEmpty, ty)
}

pub(super) const fn optional(json: &'static str, number: u16, ty: &'static GoType) -> Field {
    Field::new(json, number, Presence::Optional, ty)
}

pub(super) const fn nullable(json: &'static str, number: u16, ty: &'static GoType) -> Field {
    Field::new(json, number, Presence::Nullable, ty)
}

pub(super) const fn omitzero(json: &'static str, number: u16, ty: &'static GoType) -> Field {
    Field::new(json, number, Presence::OmitZero, ty)
}

impl Field {
    const fn new(json: &'static str, number: u16, presence: Presence, ty: &'static GoType) -> Self {
        let (within, merge): (&[_], _) = (&[], Merge::Default);
        let patch = PatchStrategy::Default;
        Self {
            json,
            number,
            presence,
            ty,
            within,
            merge,
            patch,
        }
    }

    pub(super) const fn patch_merges(self, key: &'static str) -> Self {
        let patch = PatchStrategy::Merge(key);
        Self { patch, ..self }
    }

    pub(super) const fn patch_replaces(self) -> Self {
        let patch = PatchStrategy::Replace;
        Self { patch, ..self }
    }

    pub(super) const fn within(self, within: &'static [(&'static str, u16)]) -> Self {
        Self { within, ..self }
    }

    pub(super) const fn atomic(self) -> Self {
        let merge = Merge::Atomic;
        Self { merge, ..self }
    }

    pub(super) const fn granular(self) -> Self {
        let merge = Merge::Granular;
        Self { merge, ..self }
    }

    pub(super) const fn set(self) -> Self {
        let merge = Merge::Set;
        Self { merge, ..self }
    }

    pub(super) const fn keyed(self, keys: &'static [(&'static str, Option<&'static str>)]) -> Self {
        let merge = Merge::Keyed(keys);
        Self { merge, ..self }
    }
}

impl GoType {
    const fn new(go: &'static str, shape: Shape) -> Self {
        let atomic = false;
        Self { go, shape, atomic }
    }

    pub(super) const fn atomic(self) -> Self {
        let atomic = true;
        Self { atomic, ..self }
    }

    /// The name without its package: `Pod` of `v1.Pod`.
    pub(crate) fn name(&self) -> &'static str {
        self.go.rsplit('.').next().unwrap_or(self.go)
    }

    /// What Go's encoder writes for a value that was never set.
    pub(crate) fn zero(&self) -> Value {
        match self.shape {
            Shape::Bool => Value::Bool(false),
            Shape::Int32 | Shape::Int64 | Shape::IntOrString => Value::from(0),
            Shape::String => Value::from(""),
            Shape::Quantity => Value::from("0"),
            Shape::Struct(fields) => Fields::new(fields).finish().into(),
            Shape::Bytes
            | Shape::List(_)
            | Shape::Items(_)
            | Shape::Map(_)
            | Shape::Time
            | Shape::MicroTime
            | Shape::Raw => Value::Null,
        }
    }
}

impl fmt::Debug for GoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.go)
    }
}

/// The fields of one struct, collected in any order and written down as Go's encoder does.
pub(super) struct Fields {
    table: &'static [Field],
    /// By index in the table. `null` stands for what is not set.
    set: Vec<(usize, Value)>,
    /// Where the next field is looked for first: most bodies have them in Go's order.
    next: usize,
}

impl Fields {
    pub(super) fn new(table: &'static [Field]) -> Self {
        Self {
            table,
            set: Vec::new(),
            next: 0,
        }
    }

    /// The index of the field with that name in JSON.
    pub(super) fn find(&mut self, json: &str) -> Option<usize> {
        let (before, after) = self.table.split_at(self.next);
        let found = match after.iter().position(|field| field.json == json) {
            Some(index) => self.next + index,
            None => before.iter().position(|field| field.json == json)?,
        };
        self.next = found + 1;
        Some(found)
    }

    pub(super) fn is_set(&self, index: usize) -> bool {
        self.set.iter().any(|(set, _)| *set == index)
    }

    /// Sets a field; the last value stands.
    pub(super) fn set(&mut self, index: usize, value: Value) {
        *self.slot(index) = value;
    }

    /// The value of a field, `null` where it is not set.
    pub(super) fn slot(&mut self, index: usize) -> &mut Value {
        let at = match self.set.last() {
            Some((last, _)) if *last < index => Err(self.set.len()),
            _ => self.set.binary_search_by_key(&index, |(set, _)| *set),
        };
        let at = at.unwrap_or_else(|at| {
            self.set.insert(at, (index, Value::Null));
            at
        });
        &mut self.set[at].1
    }

    /// The struct as Go encodes it.
    pub(super) fn finish(self) -> Json {
        let mut json = Map::with_capacity(self.set.len());
        let mut set = self.set.into_iter().peekable();
        for (index, field) in self.table.iter().enumerate() {
            let value = set
                .next_if(|(set, _)| *set == index)
                .map(|(_, value)| value);
            let value = match (value, field.presence) {
                (Some(value), Presence::OmitEmpty)
                    if is_empty(&value) && !is_reset(field, &value) =>
                {
                    continue;
                }
                (None | Some(Value::Null), presence) => match presence {
                    Presence::Always => field.ty.zero(),
                    Presence::Nullable => Value::Null,
                    Presence::OmitEmpty | Presence::Optional | Presence::OmitZero => continue,
                },
                (Some(Value::Object(map)), _) if matches!(field.ty.shape, Shape::Map(_)) => {
                    sorted(map).into()
                }
                (Some(value), _) => value,
            };
            json.insert(field.json.to_owned(), value);
        }
        json
    }
}

/// A map as Go encodes it: by its sorted keys.
fn sorted(mut map: Json) -> Json {
    if !map.keys().is_sorted() {
        map.sort_keys();
    }
    map
}

/// Whether the field says something by being empty: that the owners of all fields are to be forgotten.
fn is_reset(field: &Field, value: &Value) -> bool {
    field.json == "managedFields" && value.is_array()
}

/// What `omitempty` takes for empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
