//! Whether the permissions a user holds cover those of a role: nobody may grant what they do not have.

use std::collections::BTreeSet;

use super::rule::{Rule, has_or_star, url_covers};

/// The most permissions that are compared one by one. The longest default role has some two thousand; the product of a rule's
/// lists, which a client may make as long as a body, has no bound.
const MAX_ATOMS: usize = 10_000;

/// Whether rules have more permissions than can be compared.
pub(super) fn too_many(asked: &[Rule]) -> bool {
    let atoms = asked.iter().map(|rule| {
        let names = rule.resource_names.len().max(1);
        let places = rule.api_groups.len().saturating_mul(rule.resources.len());
        let places = places.saturating_mul(names);
        let places = places.saturating_add(rule.non_resource_urls.len());
        places.saturating_mul(rule.verbs.len())
    });
    atoms.fold(0, usize::saturating_add) > MAX_ATOMS
}

/// The permissions of `asked` that no rule of `held` covers, one line each, sorted; verbs on one resource share a line.
pub(super) fn missing(held: &[Rule], asked: &[Rule]) -> Vec<String> {
    let mut lines: Vec<Rule> = Vec::new();
    let uncovered = asked
        .iter()
        .flat_map(atoms)
        .filter(|atom| !held.iter().any(|rule| covers(rule, atom)));
    for atom in uncovered {
        let line = lines.iter_mut().find(|line| {
            atom.non_resource_urls.is_empty()
                && line.api_groups == atom.api_groups
                && line.resources == atom.resources
                && line.resource_names == atom.resource_names
        });
        match line {
            Some(line) => line.verbs.extend(atom.verbs),
            None => lines.push(atom),
        }
    }
    let sorted: BTreeSet<String> = lines.iter().map(Rule::compact).collect();
    sorted.into_iter().collect()
}

/// The rule as rules of one verb on one resource (or one name of it), or on one URL: such a rule is covered by a single other
/// rule or not at all.
fn atoms(rule: &Rule) -> Vec<Rule> {
    let mut atoms = Vec::new();
    let one = |item: &String| vec![item.clone()];
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let atom = Rule {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    ..Rule::default()
                };
                if rule.resource_names.is_empty() {
                    atoms.push(atom);
                    continue;
                }
                atoms.extend(rule.resource_names.iter().map(|name| Rule {
                    resource_names: one(name),
                    ..atom.clone()
                }));
            }
        }
    }
    for url in &rule.non_resource_urls {
        atoms.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: one(verb),
            non_resource_urls: one(url),
            ..Rule::default()
        }));
    }
    atoms
}

fn covers(held: &Rule, atom: &Rule) -> bool {
    let all = |set: &[String], items: &[String]| items.iter().all(|item| has_or_star(set, item));
    all(&held.verbs, &atom.verbs)
        && all(&held.api_groups, &atom.api_groups)
        && atom.resources.iter().all(|r| holds_resource(held, r))
        && atom
            .non_resource_urls
            .iter()
            .all(|url| held.non_resource_urls.iter().any(|h| url_covers(h, url)))
        && (held.resource_names.is_empty()
            || (!atom.resource_names.is_empty()
                && atom
                    .resource_names
                    .iter()
                    .all(|name| held.resource_names.contains(name))))
}

fn holds_resource(held: &Rule, resource: &str) -> bool {
    has_or_star(&held.resources, resource)
        || resource.split_once('/').is_some_and(|(_, subresource)| {
            held.resources
                .iter()
                .any(|r| r.strip_prefix("*/") == Some(subresource))
        })
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap_objects;
    use super::super::index::rules_of;
    use super::*;

    fn rule(groups: &[&str], resources: &[&str], names: &[&str], verbs: &[&str]) -> Rule {
        let owned = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect();
        Rule {
            verbs: owned(verbs),
            api_groups: owned(groups),
            resources: owned(resources),
            resource_names: owned(names),
            ..Rule::default()
        }
    }

    #[test]
    fn what_is_missing_is_named_a_line_a_resource() {
        let held = [rule(&[""], &["pods"], &[], &["get"])];
        let asked = [rule(
            &["", "apps"],
            &["pods"],
            &[],
            &["get", "list", "watch"],
        )];
        assert_eq!(
            missing(&held, &asked),
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#,
                r#"{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list" "watch"]}"#,
            ]
        );
    }

    #[test]
    fn a_rule_is_not_taken_apart_where_it_has_no_bound() {
        let names: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(too_many(&[rule(&names, &names, &names, &names)]));
        assert!(too_many(&[rule(&[""], &names, &[], &["get"])]));
        assert!(!too_many(&[rule(&names, &[], &[], &[])]));
        for role in bootstrap_objects() {
            assert!(!too_many(&rules_of(&role)), "{role:?}");
        }
    }

    #[test]
    fn stars_and_parts_of_several_rules_cover_together() {
        let held = [
            rule(&[""], &["*/log", "pods"], &[], &["*"]),
            rule(&["*"], &["secrets"], &["a"], &["get"]),
        ];
        assert!(
            missing(
                &held,
                &[rule(&[""], &["pods", "pods/log"], &[], &["get", "x"])]
            )
            .is_empty()
        );
        assert!(missing(&held, &[rule(&["x"], &["secrets"], &["a"], &["get"])]).is_empty());
        assert_eq!(
            missing(&held, &[rule(&["x"], &["secrets"], &["b"], &["get"])]).len(),
            1
        );
        assert_eq!(
            missing(&held, &[rule(&["x"], &["secrets"], &[], &["get"])]).len(),
            1
        );
        assert_eq!(
            missing(&held, &[rule(&[""], &["*"], &[], &["get"])]).len(),
            1
        );
    }

    #[test]
    fn paths_are_covered_by_a_prefix_and_stand_a_line_each() {
        let urls = |urls: &[&str]| Rule {
            verbs: vec!["get".into()],
            non_resource_urls: urls.iter().map(|s| (*s).to_owned()).collect(),
            ..Rule::default()
        };
        assert!(missing(&[urls(&["/api/*"])], &[urls(&["/api/v1", "/api/*"])]).is_empty());
        assert_eq!(
            missing(&[urls(&["/api/*"])], &[urls(&["/b", "/a"])]),
            [
                r#"{NonResourceURLs:["/a"], Verbs:["get"]}"#,
                r#"{NonResourceURLs:["/b"], Verbs:["get"]}"#,
            ]
        );
    }
}
