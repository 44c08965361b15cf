//! Bodies in Kubernetes' protobuf form: `runtime.Unknown` after four bytes of magic.
//!
//! Beyond the tables, what is known here are the messages with encodings of their own: `Quantity`, `IntOrString`, `Time`,
//! `MicroTime`, `RawExtension` and `FieldsV1`.

#[cfg(test)]
mod tests;
mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use self::wire::{Datum, Problem, Reader};
use super::kind::split;
use super::types::{Field, Fields, GoType, Shape};
use super::{Json, json, lookup, quantity, time};
use crate::Status;
use crate::breaks::{self, Break};

const MAGIC: &[u8] = b"k8s\0";

/// Decodes a body in the protobuf envelope (`k8s\0`, `runtime.Unknown`), whose kind is in the envelope.
///
/// The result has `kind` and `apiVersion` in front and is what Go would encode as JSON: see [`decode_json`](super::decode_json).
/// Unknown fields are skipped. A message that comes in several parts, which no Go encoder writes, is not merged: the last part
/// stands.
///
/// # Errors
/// 400 where the envelope or the message is malformed, or the kind is unknown.
pub fn decode_protobuf(body: &[u8]) -> Result<Json, Status> {
    let envelope = Envelope::read(body).map_err(|Problem(problem)| Status::bad_request(problem))?;
    let Envelope {
        api_version,
        kind,
        raw,
    } = envelope;
    let (group, version) = split(&api_version);
    let ty = lookup::type_of(group, version, &kind).ok_or_else(|| {
        Status::bad_request(format!(
            "no kind {kind:?} is registered for version {api_version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        ))
    })?;
    let Shape::Struct(table) = ty.0.shape else {
        return Err(Status::internal(format!("{ty:?} is no struct")));
    };
    let raw = if breaks::is_on(Break::LostData) {
        &[]
    } else {
        raw
    };
    let mut fields = Fields::new(table);
    for (key, value) in [("kind", &kind), ("apiVersion", &api_version)] {
        if let Some(index) = fields.find(key) {
            fields.set(index, value.as_str().into());
        }
    }
    message(&mut fields, table, raw, &[], 0).map_err(|Problem(problem)| {
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {problem}"
        ))
    })?;
    Ok(fields.finish())
}

/// `runtime.Unknown`.
struct Envelope<'a> {
    api_version: String,
    kind: String,
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Err(Problem("empty data".into()));
        }
        let Some(body) = body.strip_prefix(MAGIC) else {
            return Err(Problem(format!(
                "provided data does not appear to be a protobuf message, expected prefix [{} {} {} {}]",
                MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3]
            )));
        };
        if body.is_empty() {
            return Err(Problem("empty body".into()));
        }
        let mut envelope = Self {
            api_version: String::new(),
            kind: String::new(),
            raw: &[],
        };
        let mut unknown = Reader::new(body);
        while let Some((number, datum)) = unknown.field()? {
            match number {
                1 => {
                    let mut meta = Reader::new(datum.bytes()?);
                    while let Some((number, datum)) = meta.field()? {
                        match number {
                            1 => envelope.api_version = datum.string()?,
                            2 => envelope.kind = datum.string()?,
                            _ => {}
                        }
                    }
                }
                2 => envelope.raw = datum.bytes()?,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// Reads a message into `fields`: the struct of `table`, or what of it lies within the embedded structs of `path`.
fn message(
    fields: &mut Fields,
    table: &'static [Field],
    data: &[u8],
    path: &[(&str, u16)],
    depth: usize,
) -> Result<(), Problem> {
    if depth > json::MAX_DEPTH {
        return Err(Problem("exceeded max depth".into()));
    }
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        let own = |field: &Field| field.within == path && u32::from(field.number) == number;
        let deeper = |field: &&Field| {
            let next = field.within.get(path.len());
            field.within.starts_with(path) && next.is_some_and(|(_, n)| u32::from(*n) == number)
        };
        if let Some(index) = table.iter().position(own) {
            let value = fields.slot(index);
            add(value, table[index].ty, datum, depth)
                .map_err(|Problem(problem)| Problem(format!("{}: {problem}", table[index].json)))?;
        } else if let Some(field) = table.iter().find(deeper) {
            let path = &field.within[..=path.len()];
            message(fields, table, datum.bytes()?, path, depth + 1)?;
        }
    }
    Ok(())
}

/// Adds one occurrence of a field to what there is of it.
fn add(
    value: &mut Value,
    ty: &'static GoType,
    datum: Datum<'_>,
    depth: usize,
) -> Result<(), Problem> {
    match ty.shape {
        Shape::List(element) => {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            if let Value::Array(list) = value {
                match datum {
                    Datum::Bytes(packed) if is_integer(element) => {
                        let mut packed = Reader::new(packed);
                        while let Some(number) = packed.packed()? {
                            list.push(single(element, Datum::Varint(number), depth)?);
                        }
                    }
                    _ => list.push(single(element, datum, depth)?),
                }
            }
        }
        Shape::Map(of) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            let (key, entry) = entry(of, datum.bytes()?, depth)?;
            if let Value::Object(map) = value {
                map.insert(key, entry);
            }
        }
        _ => *value = single(ty, datum, depth)?,
    }
    Ok(())
}

fn entry(ty: &'static GoType, data: &[u8], depth: usize) -> Result<(String, Value), Problem> {
    let mut key = String::new();
    let mut value = None;
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        match number {
            1 => key = datum.string()?,
            2 => value = Some(single(ty, datum, depth)?),
            _ => {}
        }
    }
    Ok((key, value.unwrap_or_else(|| ty.zero())))
}

fn is_integer(ty: &GoType) -> bool {
    matches!(ty.shape, Shape::Bool | Shape::Int32 | Shape::Int64)
}

/// A value that is no list or map.
fn single(ty: &'static GoType, datum: Datum<'_>, depth: usize) -> Result<Value, Problem> {
    Ok(match ty.shape {
        Shape::Bool => Value::Bool(datum.varint()? != 0),
        Shape::Int32 => Value::from(datum.int32()?),
        Shape::Int64 => Value::from(datum.int64()?),
        Shape::String => datum.string()?.into(),
        Shape::Bytes => STANDARD.encode(datum.bytes()?).into(),
        Shape::Struct(table) => {
            let mut fields = Fields::new(table);
            message(&mut fields, table, datum.bytes()?, &[], depth + 1)?;
            fields.finish().into()
        }
        Shape::Items(element) => {
            let mut list = Value::Null;
            let mut reader = Reader::new(datum.bytes()?);
            while let Some((number, item)) = reader.field()? {
                if number == 1 {
                    let item = single(element, item, depth + 1)?;
                    match &mut list {
                        Value::Array(list) => list.push(item),
                        list => *list = vec![item].into(),
                    }
                }
            }
            list
        }
        Shape::Quantity => quantity(datum.bytes()?)?,
        Shape::IntOrString => int_or_string(datum.bytes()?)?,
        Shape::Time => timestamp(datum.bytes()?, false)?,
        Shape::MicroTime => timestamp(datum.bytes()?, true)?,
        Shape::Raw => raw(datum.bytes()?)?,
        Shape::List(_) | Shape::Map(_) => {
            return Err(Problem("a list of lists has no form".into()));
        }
    })
}

fn quantity(data: &[u8]) -> Result<Value, Problem> {
    let mut value = Value::from("0");
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        if number == 1 {
            let canonical = quantity::canonical(&datum.string()?);
            value = canonical.map_err(|problem| Problem(problem.into()))?.into();
        }
    }
    Ok(value)
}

fn int_or_string(data: &[u8]) -> Result<Value, Problem> {
    let (mut is_string, mut int, mut string) = (false, 0, String::new());
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        match number {
            1 => is_string = datum.varint()? != 0,
            2 => int = datum.int32()?,
            3 => string = datum.string()?,
            _ => {}
        }
    }
    Ok(if is_string { string.into() } else { int.into() })
}

fn timestamp(data: &[u8], micros: bool) -> Result<Value, Problem> {
    if data.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        match number {
            1 => seconds = datum.int64()?,
            2 => nanos = datum.int32()?,
            _ => {}
        }
    }
    let nanos = if micros { nanos } else { 0 };
    let time = time::from_unix(seconds, nanos, micros).map_err(Problem)?;
    Ok(time.map_or(Value::Null, Value::from))
}

fn raw(data: &[u8]) -> Result<Value, Problem> {
    let mut value = Value::Null;
    let mut reader = Reader::new(data);
    while let Some((number, datum)) = reader.field()? {
        if number == 1 {
            let text = datum.bytes()?;
            if !text.is_empty() {
                value = json::parse(text).map_err(Problem)?;
            }
        }
    }
    Ok(value)
}
