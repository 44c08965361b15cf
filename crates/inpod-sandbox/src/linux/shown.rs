//! The files that a process is to see where they are answered for by path, as plain data that travels to who answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::etc::Etc;
use crate::{Files, View};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// With their contents.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    /// Directories and files that are not there.
    pub(super) hidden: Vec<PathBuf>,
    /// By mount path.
    pub(super) volumes: BTreeMap<PathBuf, Files>,
}

impl Shown {
    /// What the view has beside volumes.
    pub(super) fn of(view: &View, etc: &Etc) -> Self {
        let files = etc.files().into_iter();
        Self {
            files: files
                .map(|(path, contents)| (path.to_owned(), contents))
                .collect(),
            hidden: view.out_of_sight().cloned().collect(),
            volumes: BTreeMap::new(),
        }
    }

    /// Each part begins with its length, each list with its number of entries.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        count(&mut bytes, self.files.len());
        for (path, contents) in &self.files {
            part(&mut bytes, path.as_os_str().as_bytes());
            part(&mut bytes, contents);
        }
        count(&mut bytes, self.hidden.len());
        for path in &self.hidden {
            part(&mut bytes, path.as_os_str().as_bytes());
        }
        count(&mut bytes, self.volumes.len());
        for (path, files) in &self.volumes {
            part(&mut bytes, path.as_os_str().as_bytes());
            count(&mut bytes, files.len());
            for (name, contents) in files {
                part(&mut bytes, name.as_bytes());
                part(&mut bytes, contents);
            }
        }
        bytes
    }

    /// `None` for bytes that no [`Shown::encode`] made.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let files = rest.list(|rest| Some((rest.path()?, rest.part()?.to_vec())))?;
        let hidden = rest.list(Rest::path)?;
        let volumes = rest.list(|rest| {
            let path = rest.path()?;
            let file = |rest: &mut Rest<'_>| {
                let name = String::from_utf8(rest.part()?.to_vec()).ok()?;
                Some((name, rest.part()?.to_vec()))
            };
            Some((path, rest.list(file)?.into_iter().collect()))
        })?;
        rest.0.is_empty().then(|| Self {
            files,
            hidden,
            volumes: volumes.into_iter().collect(),
        })
    }
}

fn count(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend((number as u64).to_le_bytes());
}

fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    count(bytes, part.len());
    bytes.extend(part);
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn count(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(u64::from_le_bytes(*number)).ok()
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }

    fn path(&mut self) -> Option<PathBuf> {
        Some(OsString::from_vec(self.part()?.to_vec()).into())
    }

    /// As long as there is something for each entry: a number alone reserves nothing.
    fn list<T>(&mut self, entry: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let number = self.count()?;
        let mut list = Vec::new();
        while list.len() < number {
            list.push(entry(self)?);
        }
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..12)
    }

    fn path() -> impl Strategy<Value = PathBuf> {
        bytes().prop_map(|bytes| OsString::from_vec(bytes).into())
    }

    fn shown() -> impl Strategy<Value = Shown> {
        let files = prop::collection::btree_map(any::<String>(), bytes(), 0..3);
        (
            prop::collection::vec((path(), bytes()), 0..3),
            prop::collection::vec(path(), 0..3),
            prop::collection::btree_map(path(), files, 0..3),
        )
            .prop_map(|(files, hidden, volumes)| Shown {
                files,
                hidden,
                volumes,
            })
    }

    proptest! {
        #[test]
        fn it_arrives_as_it_was_sent(shown in shown()) {
            prop_assert_eq!(Shown::decode(&shown.encode()), Some(shown));
        }

        #[test]
        fn anything_else_is_none_and_no_panic(shown in shown(), at: prop::sample::Index, byte: u8, more in bytes()) {
            let mut bytes = shown.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.extend(&more);
            let _ = Shown::decode(&bytes);
            let cut = shown.encode();
            prop_assert_eq!(Shown::decode(&cut[..at]), None);
        }
    }
}
