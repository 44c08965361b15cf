//! The cases, by area. A case that a bug taught is added here first.

mod access;
mod admission;
mod controllers;
mod deletecollection;
mod discovery;
mod errors;
mod forms;
mod json_patches;
mod list_options;
mod lists;
mod objects;
mod patches;
mod reviews;
mod roles;
mod selectors;
mod tables;
mod tokens;
mod watch_options;
mod watches;

use crate::Case;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        access::CASES,
        admission::CASES,
        controllers::CASES,
        deletecollection::CASES,
        errors::CASES,
        forms::CASES,
        json_patches::CASES,
        list_options::CASES,
        lists::CASES,
        objects::CASES,
        patches::CASES,
        reviews::CASES,
        roles::CASES,
        selectors::CASES,
        tables::CASES,
        tokens::CASES,
        watch_options::CASES,
        watches::CASES,
    ]
    .into_iter()
    .flatten()
    .chain(discovery::cases())
}
