//! The cases, by area. A case that a bug taught is added here first.

mod objects;
mod patches;

use crate::Case;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [objects::CASES, patches::CASES].into_iter().flatten()
}
