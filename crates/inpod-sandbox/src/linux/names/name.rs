//! Names (RFC 1035 §3.1).

/// Of a name, with its lengths and the root (RFC 1035 §2.3.4).
pub(super) const MAX_NAME: usize = 255;

/// A name in its uncompressed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// `None` for a text that is no name in DNS.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let labels = text.strip_suffix('.').unwrap_or(text).split('.');
        let may_be = |label: &str| (1..=63).contains(&label.len());
        let name = labels
            .clone()
            .all(may_be)
            .then(|| Self::new(labels.map(str::as_bytes)))?;
        (name.0.len() <= MAX_NAME).then_some(name)
    }

    /// As it lies in a message that does not compress it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn labels(&self) -> Vec<&[u8]> {
        let mut labels = Vec::new();
        let mut rest = self.0.as_slice();
        while let [length @ 1..=63, behind @ ..] = rest {
            let (label, behind) = behind.split_at((*length).into());
            labels.push(label);
            rest = behind;
        }
        labels
    }

    /// The same name, in whatever case (RFC 4343).
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Of labels that DNS allows: 1 to 63 bytes each, no more than [`MAX_NAME`] together.
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut bytes = Vec::new();
        for label in labels {
            bytes.extend(u8::try_from(label.len()));
            bytes.extend(label);
        }
        bytes.push(0);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_name_with_or_without_the_root() {
        let name = Name::parse("www.Example.com").unwrap();
        assert_eq!(name.bytes(), b"\x03www\x07Example\x03com\0");
        assert_eq!(name.labels(), [b"www".as_slice(), b"Example", b"com"]);
        assert_eq!(Name::parse("www.Example.com."), Some(name.clone()));
        assert!(name.is(&Name::parse("WWW.example.com").unwrap()));
        assert!(!name.is(&Name::parse("example.com").unwrap()));
    }

    #[test]
    fn what_has_no_form_in_a_message_is_none() {
        let label = "a".repeat(63);
        let long = |last: usize| format!("{label}.{label}.{label}.{}", "b".repeat(last));
        assert!(Name::parse(&long(61)).is_some());
        for text in ["", ".", "a..b", ".a", &"a".repeat(64), &long(62)] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
