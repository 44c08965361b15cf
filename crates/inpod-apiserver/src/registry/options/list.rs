use super::refuse;
use crate::registry::kinds::field::{forbidden, not_supported};
use crate::registry::query::Query;
use crate::registry::selector::{FieldSelector, LabelSelector, Selection};
use crate::registry::{Context, strategy};
use crate::{Cause, Status};

const EXACT: &str = "Exact";
const NOT_OLDER_THAN: &str = "NotOlderThan";

/// `meta/v1` `ListOptions`, for list, watch and deletecollection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListOptions {
    pub(crate) selection: Selection,
    pub(crate) allow_watch_bookmarks: bool,
    /// As it came: empty, `0` and a number each mean something else.
    pub(crate) resource_version: String,
    pub(crate) resource_version_match: Option<Match>,
    pub(crate) timeout_seconds: Option<i64>,
    /// 0 is no limit.
    pub(crate) limit: usize,
    pub(crate) continue_token: String,
    pub(crate) send_initial_events: Option<bool>,
}

/// `meta/v1` `ResourceVersionMatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Exact,
    NotOlderThan,
}

impl ListOptions {
    /// Reads the options of a list or watch of what `cx` names.
    ///
    /// # Errors
    /// 400 where a parameter cannot be read, 422 where they contradict each other.
    pub(crate) fn parse(cx: &Context<'_>, query: &Query) -> Result<Self, Status> {
        let watch = cx.info.verb == "watch";
        let bad = Status::bad_request;
        let labels = LabelSelector::parse(query.text("labelSelector")).map_err(bad)?;
        let fields = FieldSelector::parse(query.text("fieldSelector")).map_err(bad)?;
        let timeout_seconds = query.number("timeoutSeconds").map_err(bad)?;
        let limit = query.number("limit").map_err(bad)?.unwrap_or(0);
        let mut options = Self {
            selection: Selection { labels, fields },
            allow_watch_bookmarks: query.flag("allowWatchBookmarks").unwrap_or(false),
            resource_version: query.text("resourceVersion").to_owned(),
            resource_version_match: None,
            timeout_seconds,
            limit: usize::try_from(limit).unwrap_or(0),
            continue_token: query.text("continue").to_owned(),
            send_initial_events: query.flag("sendInitialEvents"),
        };
        let mut matching = query.text("resourceVersionMatch");
        let legacy = matches!(options.resource_version.as_str(), "" | "0");
        if watch && legacy && options.send_initial_events.is_none() && matching.is_empty() {
            options.send_initial_events = Some(true);
            matching = NOT_OLDER_THAN;
        }
        let causes = if watch {
            options.watch_problems(matching)
        } else {
            options.list_problems(matching)
        };
        refuse("ListOptions", causes)?;
        options.resource_version_match = match matching {
            EXACT => Some(Match::Exact),
            NOT_OLDER_THAN => Some(Match::NotOlderThan),
            _ => None,
        };
        check_field_labels(cx, &options.selection.fields)?;
        options.narrow_to_name(&cx.info.name)?;
        Ok(options)
    }

    fn list_problems(&self, matching: &str) -> Vec<Cause> {
        let mut causes = Vec::new();
        let path = "resourceVersionMatch";
        if !matching.is_empty() {
            if self.resource_version.is_empty() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                causes.push(forbidden(path, why));
            }
            if !self.continue_token.is_empty() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                causes.push(forbidden(path, why));
            }
            if !matches!(matching, EXACT | NOT_OLDER_THAN) {
                causes.push(not_supported(path, matching, &[EXACT, NOT_OLDER_THAN, ""]));
            }
            if matching == EXACT && self.resource_version == "0" {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                causes.push(forbidden(path, why));
            }
        }
        if self.send_initial_events.is_some() {
            let why = "sendInitialEvents is forbidden for list";
            causes.push(forbidden("sendInitialEvents", why));
        }
        causes
    }

    fn watch_problems(&self, matching: &str) -> Vec<Cause> {
        let mut causes = Vec::new();
        let path = "resourceVersionMatch";
        if self.send_initial_events.is_some() && matching != NOT_OLDER_THAN {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(forbidden(path, why));
        }
        if !matching.is_empty() {
            if self.send_initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                causes.push(forbidden(path, why));
            }
            if matching != NOT_OLDER_THAN {
                causes.push(not_supported(path, matching, &[NOT_OLDER_THAN]));
            }
            if !self.continue_token.is_empty() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                causes.push(forbidden(path, why));
            }
        }
        causes
    }

    /// A name in the path selects as `fieldSelector=metadata.name=…` does.
    fn narrow_to_name(&mut self, name: &str) -> Result<(), Status> {
        if name.is_empty() {
            return Ok(());
        }
        let fields = &mut self.selection.fields;
        if fields.is_empty() {
            *fields = FieldSelector::name(name);
        } else if fields.exact("metadata.name") != Some(name) {
            return Err(Status::bad_request(
                "fieldSelector metadata.name doesn't match requested name",
            ));
        }
        Ok(())
    }
}

/// Refuses field selectors on fields that the kind does not index.
fn check_field_labels(cx: &Context<'_>, fields: &FieldSelector) -> Result<(), Status> {
    let known = strategy(cx.resource).field_labels();
    for field in fields.fields() {
        // A kind without a namespace and with a conversion of its own leaves this one out.
        let has_namespace = cx.resource.namespaced || known.is_empty();
        let of_all = match field {
            "metadata.name" => true,
            "metadata.namespace" => has_namespace,
            _ => false,
        };
        if of_all || known.contains(&field) {
            continue;
        }
        // The kinds that index nothing share a conversion with a sentence of its own.
        return Err(Status::bad_request(if known.is_empty() {
            format!(
                "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        } else {
            format!("field label not supported: {field}")
        }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::{Server, THINGS};

    fn list(verb: &str, query: &str) -> Result<ListOptions, String> {
        let server = Server::new();
        let info = Server::info(&THINGS, verb, "");
        ListOptions::parse(&server.context(&info, &THINGS), &Query::parse(query))
            .map_err(|e| e.message)
    }

    #[test]
    fn what_contradicts_itself_is_refused_as_on_the_real_server() {
        let invalid = "ListOptions.meta.k8s.io \"\" is invalid: ";
        for (verb, query, message) in [
            (
                "watch",
                "sendInitialEvents=true",
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (
                "list",
                "sendInitialEvents=true",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            ),
            (
                "list",
                "resourceVersionMatch=Exact",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (
                "list",
                "resourceVersion=1&resourceVersionMatch=x",
                "resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
            ),
            (
                "watch",
                "resourceVersion=5&resourceVersionMatch=NotOlderThan",
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                 provided",
            ),
        ] {
            assert_eq!(
                list(verb, query),
                Err(format!("{invalid}{message}")),
                "{query}"
            );
        }
    }

    #[test]
    fn a_watch_from_nowhere_asks_for_initial_events() {
        let options = list("watch", "allowWatchBookmarks=true").expect("valid");
        assert_eq!(options.send_initial_events, Some(true));
        let options = list("watch", "resourceVersion=7").expect("valid");
        assert_eq!(options.send_initial_events, None);
    }

    #[test]
    fn fields_that_are_not_indexed_are_refused() {
        assert_eq!(
            list("list", "fieldSelector=foo%3Dbar"),
            Err(
                "\"foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    .to_owned()
            )
        );
    }
}
