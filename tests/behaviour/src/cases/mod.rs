//! The cases, by area. A case that a bug taught is added here first.

mod access;
mod deletecollection;
mod discovery;
mod list_options;
mod lists;
mod objects;
mod patches;
mod selectors;
mod watch_options;
mod watches;

use crate::Case;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        access::CASES,
        deletecollection::CASES,
        list_options::CASES,
        lists::CASES,
        objects::CASES,
        patches::CASES,
        selectors::CASES,
        watch_options::CASES,
        watches::CASES,
    ]
    .into_iter()
    .flatten()
    .chain(discovery::cases())
}
