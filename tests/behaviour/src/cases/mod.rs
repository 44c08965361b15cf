//! The cases, by area. A case that a bug taught is added here first.

mod lists;
mod objects;
mod patches;
mod watches;

use crate::Case;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [lists::CASES, objects::CASES, patches::CASES, watches::CASES]
        .into_iter()
        .flatten()
}
