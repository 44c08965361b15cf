/// `json`, which is compact and valid, with two spaces of indentation, as Go's `json.MarshalIndent` lays it out.
///
/// Works on the bytes: parsing a large list into a tree to print it again would cost many times its size.
pub(super) fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + json.len() / 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if in_string {
            out.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            b'{' | b'[' => {
                out.push(byte);
                if let Some(close) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => out.push(byte),
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn indents_as_go_does() {
        let pretty = indent(br#"{"a":[1,{"b":"x, {y}: \"z\\"}],"c":{},"d":[],"e":null}"#);
        let expected = r#"{
  "a": [
    1,
    {
      "b": "x, {y}: \"z\\"
    }
  ],
  "c": {},
  "d": [],
  "e": null
}"#;
        assert_eq!(String::from_utf8(pretty).unwrap(), expected);
    }

    proptest::proptest! {
        #[test]
        fn indenting_changes_no_value(text in ".*", n in proptest::prelude::any::<i64>()) {
            let value = serde_json::json!({"t": text, "l": [n, {}, [], {"deep": [text]}], text.as_str(): n});
            let compact = serde_json::to_vec(&value).unwrap();
            let back: serde_json::Value = serde_json::from_slice(&indent(&compact)).unwrap();
            proptest::prop_assert_eq!(back, value);
        }
    }
}
