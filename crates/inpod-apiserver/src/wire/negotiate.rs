use http::header::{ACCEPT, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::query;
use crate::{Details, Reason, Status};

/// The form an answer is to have, out of `Accept`, `pretty` and `User-Agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) media: Media,
    /// Two spaces of indentation, for people.
    pub(super) pretty: bool,
    pub(super) transform: Transform,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Yaml,
}

/// What is made of the object first: the `as`, `g` and `v` of a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    /// With its version of `meta.k8s.io`.
    Table(&'static str),
    PartialObjectMetadata(&'static str),
    PartialObjectMetadataList(&'static str),
    /// Discovery in one document, `apidiscovery.k8s.io/v2`.
    Aggregated,
}

/// Which transforms an endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Objects and lists of them.
    Resource,
    /// `/api` and `/apis` in one document: nothing else is accepted.
    Aggregated,
    /// Everything else, and errors.
    Other,
}

/// What the routes of kube-apiserver say that they can answer with.
const REPRESENTATIONS: [&str; 2] = ["application/json", "application/yaml"];
const STREAMS: [&str; 1] = ["application/json;stream=watch"];

impl Form {
    pub(super) const JSON: Self = Self {
        media: Media::Json,
        pretty: false,
        transform: Transform::None,
    };

    /// The first form of those the client accepts that this server has, in the client's order of preference.
    ///
    /// # Errors
    /// 406 where it has none of them.
    pub(super) fn negotiate(parts: &Parts, endpoint: Endpoint) -> Result<Self, Status> {
        if accept(&parts.headers).is_none() {
            return Ok(Self {
                pretty: pretty(parts),
                ..Self::JSON
            });
        }
        Self::asked_for(parts, endpoint).ok_or_else(|| not_acceptable(&REPRESENTATIONS))
    }

    /// The same, where the client must name it.
    pub(super) fn asked_for(parts: &Parts, endpoint: Endpoint) -> Option<Self> {
        let pretty = pretty(parts);
        let accept = accept(&parts.headers)?;
        for clause in clauses(accept) {
            for media in [Media::Json, Media::Yaml] {
                if clause.matches(media)
                    && let Some((transform, asked_pretty)) = clause.parameters(endpoint, media)
                {
                    return Some(Self {
                        media,
                        pretty: pretty || asked_pretty,
                        transform,
                    });
                }
            }
        }
        None
    }
}

/// Refuses an `Accept` header that names nothing of what there is, whatever parameters it asks for: a route's own check, before
/// the negotiation of a form. A route for collections has streams too.
///
/// # Errors
/// 406, with all there is.
pub(super) fn check_accept(headers: &HeaderMap, streams: bool) -> Result<(), Status> {
    let streams = if streams { STREAMS.as_slice() } else { &[] };
    check_accept_of(headers, &[&REPRESENTATIONS, streams].concat())
}

/// The same for a route with representations of its own.
///
/// # Errors
/// 406, with all there is.
pub(super) fn check_accept_of(headers: &HeaderMap, available: &[&str]) -> Result<(), Status> {
    let Some(accept) = accept(headers) else {
        return Ok(());
    };
    let types = accept
        .split(',')
        .map(|clause| clause.split(';').next().unwrap_or_default().trim());
    for media in types {
        if media == "*/*" || available.contains(&media) {
            return Ok(());
        }
    }
    let available = available.join(", ");
    let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
    Err(refused(message).with_details(Details::default()))
}

/// 406 in the negotiation's own words.
pub(super) fn not_acceptable(accepted: &[&str]) -> Status {
    let accepted = accepted.join(", ");
    refused(format!(
        "only the following media types are accepted: {accepted}"
    ))
}

fn refused(message: String) -> Status {
    Status::new(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, message)
}

impl Media {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// One entry of an `Accept` header.
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    fn matches(&self, media: Media) -> bool {
        let subtype = match media {
            Media::Json => "json",
            Media::Yaml => "yaml",
        };
        match (self.kind, self.subtype) {
            ("*" | "application", "*") => true,
            ("application", s) => s == subtype,
            _ => false,
        }
    }

    /// The transform asked for and whether to indent; nothing where the endpoint does not have it.
    fn parameters(&self, endpoint: Endpoint, media: Media) -> Option<(Transform, bool)> {
        let (mut kind, mut group, mut version) = (None, "", "");
        let mut pretty = false;
        for &(key, value) in &self.parameters {
            match key {
                "as" => kind = Some(value),
                "g" => group = value,
                "v" => version = value,
                "stream" if !value.is_empty() && (value != "watch" || media == Media::Yaml) => {
                    return None;
                }
                "sv" if !value.is_empty() && (value != "v1" || endpoint != Endpoint::Resource) => {
                    return None;
                }
                "pretty" => pretty = value == "1",
                _ => {}
            }
        }
        let transform = match (kind, endpoint) {
            (None, Endpoint::Resource | Endpoint::Other)
                if group.is_empty() && version.is_empty() =>
            {
                Transform::None
            }
            (Some("APIGroupDiscoveryList"), Endpoint::Aggregated)
                if group == "apidiscovery.k8s.io" && version == "v2" =>
            {
                Transform::Aggregated
            }
            (Some(kind), Endpoint::Resource) if group == "meta.k8s.io" => {
                let version = match version {
                    "v1" => "meta.k8s.io/v1",
                    "v1beta1" => "meta.k8s.io/v1beta1",
                    _ => return None,
                };
                match kind {
                    "Table" => Transform::Table(version),
                    "PartialObjectMetadata" => Transform::PartialObjectMetadata(version),
                    "PartialObjectMetadataList" => Transform::PartialObjectMetadataList(version),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some((transform, pretty))
    }
}

/// The entries, best first, in the order that goautoneg's comparison and Go's sort of short lists make: at equal quality a
/// wildcard comes after a name.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let before = |a: &Clause<'_>, b: &Clause<'_>| {
        a.quality > b.quality
            || (a.kind != "*" && b.kind == "*")
            || (a.subtype != "*" && b.subtype == "*")
    };
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(clause).collect();
    // An insertion sort: the comparison is no order, and another sort would come to another result.
    for end in 1..clauses.len() {
        let mut at = end;
        while at > 0 && before(&clauses[at], &clauses[at - 1]) {
            clauses.swap(at, at - 1);
            at -= 1;
        }
    }
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next()?;
    let (kind, subtype) = match media {
        // Java's HttpURLConnection sends a bare star.
        "*" => ("*", "*"),
        media => media.split_once('/')?,
    };
    if subtype.contains('/') {
        return None;
    }
    let mut quality = 1.0;
    let mut parameters = Vec::new();
    for parameter in parts {
        // No quotes: goautoneg takes a quoted value with its quotes.
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() || value.contains('=') {
            continue;
        }
        if key == "q" {
            quality = value.parse().unwrap_or(0.0);
        } else {
            parameters.push((key, value));
        }
    }
    Some(Clause {
        kind,
        subtype,
        parameters,
        quality,
    })
}

/// The first `Accept` header, as Go's `Header.Get`; nothing where there is none or it is empty.
fn accept(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(ACCEPT)?.to_str().unwrap_or_default();
    (!value.is_empty()).then_some(value)
}

/// Whether the answer is read by a person: `pretty` says so, or else the `User-Agent` is a browser or a command-line tool.
fn pretty(parts: &Parts) -> bool {
    let query = query(parts);
    let asked = query.text("pretty");
    if !asked.is_empty() {
        // What Go's `strconv.ParseBool` takes for true.
        return matches!(asked, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = parts
        .headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|person| agent.starts_with(person))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(accept: &str, agent: &str, query: &str) -> Parts {
        let mut request = http::Request::get(format!("/api/v1/pods{query}"));
        if !accept.is_empty() {
            request = request.header(ACCEPT, accept);
        }
        request
            .header(USER_AGENT, agent)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    fn form(accept: &str) -> Result<Form, Status> {
        Form::negotiate(&parts(accept, "kubectl/v1.37", ""), Endpoint::Resource)
    }

    #[test]
    fn without_accept_it_is_json() {
        assert_eq!(form("").unwrap(), Form::JSON);
        assert_eq!(form("*/*").unwrap(), Form::JSON);
        assert_eq!(form("text/html, */*; q=0.2").unwrap(), Form::JSON);
    }

    #[test]
    fn protobuf_is_passed_over_for_json() {
        let accept = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(form(accept).unwrap(), Form::JSON);
        let refused = form("application/vnd.kubernetes.protobuf").unwrap_err();
        assert_eq!(refused.code, StatusCode::NOT_ACCEPTABLE);
    }

    #[test]
    fn kubectl_gets_its_table() {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                      application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(
            form(accept).unwrap().transform,
            Transform::Table("meta.k8s.io/v1")
        );
    }

    #[test]
    fn discovery_is_aggregated_only_where_discovery_is() {
        let accept =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        let parts = parts(accept, "kubectl", "");
        let aggregated = Form::negotiate(&parts, Endpoint::Aggregated).unwrap();
        assert_eq!(aggregated.transform, Transform::Aggregated);
        let plain = Form::negotiate(&parts, Endpoint::Other).unwrap();
        assert_eq!(plain.transform, Transform::None);
    }

    #[test]
    fn quality_decides_the_order() {
        let accept = "application/json;q=0.1, application/yaml";
        assert_eq!(form(accept).unwrap().media, Media::Yaml);
    }

    #[test]
    fn people_get_indentation() {
        let pretty = |agent, query| {
            Form::negotiate(&parts("", agent, query), Endpoint::Resource)
                .unwrap()
                .pretty
        };
        assert!(pretty("curl/8.5.0", ""));
        assert!(pretty("kubectl", "?pretty=true"));
        assert!(!pretty("curl/8.5.0", "?pretty=0"));
        assert!(!pretty("kubectl", "?limit=1"));
    }

    proptest::proptest! {
        #[test]
        fn no_accept_header_panics(accept in "[ -~]*") {
            let _ = form(&accept);
        }
    }
}
