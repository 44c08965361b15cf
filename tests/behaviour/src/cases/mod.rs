//! The cases, by area. A case that a bug taught is added here first.

mod access;
mod lists;
mod objects;
mod patches;
mod watches;

use crate::Case;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        access::CASES,
        lists::CASES,
        objects::CASES,
        patches::CASES,
        watches::CASES,
    ]
    .into_iter()
    .flatten()
}
