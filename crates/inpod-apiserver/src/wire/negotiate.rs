use http::header::{ACCEPT, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::query;
use crate::{Reason, Status};

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
    /// `/api` and `/apis`.
    Discovery,
    /// Everything else, and errors.
    Other,
}

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
        let pretty = pretty(parts);
        let Some(accept) = accept(&parts.headers) else {
            return Ok(Self {
                pretty,
                ..Self::JSON
            });
        };
        for clause in clauses(&accept) {
            for media in [Media::Json, Media::Yaml] {
                if clause.matches(media)
                    && let Some((transform, asked_pretty)) = clause.parameters(endpoint, media)
                {
                    return Ok(Self {
                        media,
                        pretty: pretty || asked_pretty,
                        transform,
                    });
                }
            }
        }
        Err(not_acceptable(endpoint))
    }
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
            (None, _) if group.is_empty() && version.is_empty() => Transform::None,
            (Some("APIGroupDiscoveryList"), Endpoint::Discovery)
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

/// The entries, best first; at equal quality a wildcard comes after a name.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = accept.split(',').filter_map(clause).collect();
    clauses.sort_by(|a, b| {
        let wild = |c: &Clause<'_>| u8::from(c.kind == "*") + u8::from(c.subtype == "*");
        b.quality
            .total_cmp(&a.quality)
            .then_with(|| wild(a).cmp(&wild(b)))
    });
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
    let mut quality = 1.0;
    let mut parameters = Vec::new();
    for parameter in parts {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        if key == "q" {
            quality = value.parse().unwrap_or(1.0);
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

/// All `Accept` headers as one; nothing where there is none.
fn accept(headers: &HeaderMap) -> Option<String> {
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let joined = values.join(",");
    (!joined.trim().is_empty()).then_some(joined)
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

fn not_acceptable(endpoint: Endpoint) -> Status {
    let message = match endpoint {
        Endpoint::Resource => {
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml"
        }
        _ => "only the following media types are accepted: application/json, application/yaml",
    };
    Status::new(StatusCode::NOT_ACCEPTABLE, Reason::NotAcceptable, message)
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
        let aggregated = Form::negotiate(&parts, Endpoint::Discovery).unwrap();
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
