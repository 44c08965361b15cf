use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use inpod::RequestInfo;
use serde_json::Value;

use super::negotiate::{Endpoint, Form};
use super::reply::{self, Response};
use super::{Drain, encode, input, negotiate, paths, query, watch};
use crate::core::Core;
use crate::managed_fields;
use crate::registry::query::Query;
use crate::registry::{self, Answer, Context, Input, Warnings};
use crate::schema::{self, Resource, Subresource};
use crate::source::unix_seconds;
use crate::storage::Lookup as _;
use crate::{Status, UserInfo, auth};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// How often a Pod's creation looks again for the account `default` of a namespace that is being set up, and how long it waits
/// in between: a second in all, as kube-apiserver's `ServiceAccount` admission does, in smaller steps.
const ACCOUNT_TRIES: u32 = 100;
const ACCOUNT_PAUSE: Duration = Duration::from_millis(10);

/// The one way in: every request, from the network or from inside this process, is authenticated, authorized, admitted and
/// carried out here.
#[derive(Debug)]
pub(crate) struct Door {
    pub(super) core: Arc<Core>,
    /// Where the server is reached.
    pub(super) address: SocketAddr,
    drain: Drain,
}

/// What of a request names the stored thing.
struct Target {
    resource: &'static Resource,
    subresource: Option<&'static Subresource>,
}

impl Door {
    pub(crate) fn new(core: Arc<Core>, address: SocketAddr, drain: Drain) -> Self {
        Self {
            core,
            address,
            drain,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Answers a request; what goes wrong is a Status in the answer.
    pub(crate) async fn handle<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data: Buf, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let (mut parts, body) = request.into_parts();
        let answered = AssertUnwindSafe(self.answer(&mut parts, body))
            .catch_unwind()
            .await
            .unwrap_or_else(|_panic| {
                tracing::error!(method = %parts.method, path = parts.uri.path(), "a request made the server panic");
                Err(Status::internal(
                    "This request caused apiserver to panic. Look in the logs for details.",
                ))
            });
        let mut response = answered.unwrap_or_else(|status| reply::error(&parts, &status));
        let headers = response.headers_mut();
        headers.insert(AUDIT_ID, self.audit_id(&parts));
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache, private"));
        if parts.method == Method::HEAD {
            reply::drop_body(&mut response);
        }
        response
    }

    async fn answer<B>(&self, parts: &mut Parts, body: B) -> Result<Response, Status>
    where
        B: http_body::Body<Data: Buf, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let info = RequestInfo::parse(&parts.method, &parts.uri)
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let user = match auth::authenticate(parts, &info, &self.core.tokens, &self.core.rbac) {
            Err(status) if status.code != StatusCode::UNAUTHORIZED => {
                return Ok(reply::forbidden(parts, &status));
            }
            authenticated => authenticated?,
        };
        auth::remove_credentials(&mut parts.headers);
        if let Err(status) = self.core.rbac.authorize(&user, &info) {
            return Ok(reply::forbidden(parts, &status));
        }
        if !info.is_resource_request {
            return paths::serve(self, parts, &info.path);
        }
        if !paths::is_group(&info.api_prefix, &info.api_group) {
            return Ok(reply::page_not_found());
        }
        let target = Target::of(&info)?;
        // Authorization takes a HEAD for a get; no resource has it.
        if parts.method == Method::HEAD {
            return Err(Status::method_not_allowed());
        }
        let reads_many = matches!(info.verb.as_str(), "list" | "watch");
        negotiate::check_accept(&parts.headers, reads_many && info.name.is_empty())?;
        let warnings = Warnings::default();
        let answered = self
            .resource(parts, body, &info, &user, &target, &warnings)
            .await;
        let mut response = answered.unwrap_or_else(|status| reply::error(parts, &status));
        reply::warn(&mut response, warnings.into_inner());
        Ok(response)
    }

    /// A request for a resource that there is, by a user who may.
    async fn resource<B>(
        &self,
        parts: &Parts,
        body: B,
        info: &RequestInfo,
        user: &UserInfo,
        target: &Target,
        warnings: &Warnings,
    ) -> Result<Response, Status>
    where
        B: http_body::Body<Data: Buf, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        if let Some(deprecation) = registry::strategy(target.resource).deprecation() {
            warnings.add(deprecation.to_owned());
        }
        // The old paths say watch, whatever the method.
        if info.verb == "watch" && !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Status::method_not_allowed());
        }
        let form = Form::negotiate(parts, Endpoint::Resource)?;
        let body = match info.verb.as_str() {
            "get" | "list" | "watch" => bytes::Bytes::new(),
            _ => input::read(body).await?,
        };
        let (input, in_body) = input::decode(
            parts,
            &info.verb,
            target.resource,
            target.subresource,
            &body,
        )?;
        let parameters = query(parts);
        let dry_run = is_dry_run(&parameters, &input);
        let manager = manager(parameters.text("fieldManager"), &parts.headers);
        if info.verb == "create" && target.is_pods() {
            self.wait_for_account(&info.namespace, &input).await;
        }
        for warning in in_body {
            warnings.add(warning);
        }
        let context = Context {
            core: &self.core,
            info,
            user,
            resource: target.resource,
            subresource: target.subresource,
            manager: &manager,
            dry_run,
            warnings,
        };
        let answer = registry::serve(context, parts.uri.query().unwrap_or_default(), input)?;
        let now = unix_seconds(self.core.source.now());
        match answer {
            Answer::Object(code, resource, object) => {
                encode::object(parts, form, code, resource, &object, now)
            }
            Answer::Value(code, value) => Ok(encode::value(form, code, value)),
            Answer::List(list) => encode::list(parts, form, list, now),
            Answer::Watch(watch) => {
                watch::stream(parts, form, watch, &self.core, self.drain.clone())
            }
        }
    }

    /// Waits while a Pod's namespace has no account `default` yet: it is made just after the namespace, and who creates both in
    /// one go is not to see that.
    async fn wait_for_account(&self, namespace: &str, input: &Input) {
        let Input::Object(pod) = input else { return };
        let account = pod
            .get("spec")
            .and_then(|spec| spec.get("serviceAccountName"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !matches!(account, "" | "default") {
            return;
        }
        let store = &self.core.store;
        for _ in 0..ACCOUNT_TRIES {
            if store
                .get("", "serviceaccounts", namespace, "default")
                .is_some()
                || store.get("", "namespaces", "", namespace).is_none()
            {
                return;
            }
            tokio::time::sleep(ACCOUNT_PAUSE).await;
        }
    }

    /// The caller's own `Audit-ID`, within reason, or a new one.
    fn audit_id(&self, parts: &Parts) -> HeaderValue {
        match parts.headers.get(AUDIT_ID) {
            Some(id) if !id.is_empty() && id.len() <= 64 => id.clone(),
            _ => HeaderValue::from_str(&self.core.source.uid())
                .unwrap_or(HeaderValue::from_static("")),
        }
    }
}

impl Target {
    fn of(info: &RequestInfo) -> Result<Self, Status> {
        let resource = schema::resource(&info.api_group, &info.api_version, &info.resource)
            .ok_or_else(Status::no_such_resource)?;
        let subresource = match info.subresource.as_str() {
            "" => None,
            name => Some(
                resource
                    .subresource(name)
                    .ok_or_else(Status::no_such_resource)?,
            ),
        };
        // A namespace is in a namespace of its own name, as far as its path goes.
        // A field selector names an object too, but not its place.
        let named = info.parts.len() > 1;
        let in_namespace = !info.namespace.is_empty() && info.resource != "namespaces";
        let across_namespaces = resource.namespaced && !in_namespace;
        if (!resource.namespaced && in_namespace) || (across_namespaces && named) {
            return Err(Status::no_such_resource());
        }
        let verbs = subresource.map_or(resource.verbs, |s| s.verbs);
        let readable = matches!(info.verb.as_str(), "list" | "watch");
        let about_one = match info.verb.as_str() {
            "create" => subresource.is_some(),
            "update" | "patch" => true,
            _ => named,
        };
        if about_one != named {
            return Err(Status::method_not_allowed());
        }
        if !verbs.contains(&info.verb.as_str()) || (across_namespaces && !readable) {
            return Err(Status::method_not_allowed());
        }
        Ok(Self {
            resource,
            subresource,
        })
    }

    fn is_pods(&self) -> bool {
        self.subresource.is_none() && self.resource.group.is_empty() && self.resource.name == "pods"
    }
}

/// Who writes, by the parameter `fieldManager` or else the User-Agent.
fn manager(field_manager: &str, headers: &HeaderMap) -> String {
    let user_agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    let user_agent = String::from_utf8_lossy(user_agent.unwrap_or_default());
    managed_fields::manager(field_manager, &user_agent)
}

/// Whether everything is to happen but the write: `dryRun=All` in the query or, for a delete, in its body. Other values than `All`
/// are the registry's to refuse.
fn is_dry_run(query: &Query, input: &Input) -> bool {
    let in_body = match input {
        Input::Object(options) => options.get("dryRun").and_then(Value::as_array),
        _ => None,
    };
    query.all("dryRun").any(|value| !value.is_empty()) || in_body.is_some_and(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::task::{Context as TaskContext, Poll};

    use http_body_util::{BodyExt as _, Empty};

    use super::*;
    use crate::auth::InProcess;
    use crate::registry::testing::Server;
    use crate::wire::Drainer;

    fn door() -> (Drainer, Door) {
        let (drainer, drain) = Drainer::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 6443));
        (
            drainer,
            Door::new(Arc::new(Server::new().core), address, drain),
        )
    }

    fn admin() -> InProcess {
        InProcess(UserInfo::new("admin", ["system:masters"]))
    }

    async fn get(path: &str) -> (StatusCode, Value) {
        let (_drainer, door) = door();
        let request = Request::get(path)
            .extension(admin())
            .body(Empty::<bytes::Bytes>::new());
        let response = door.handle(request.expect("a request")).await;
        let code = response.status();
        let body = response.into_body().collect().await.expect("a body");
        let value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        (code, value)
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_in_the_words_of_its_place() {
        for (path, code, reason) in [
            ("/apis/none/v1/things", StatusCode::NOT_FOUND, Value::Null),
            ("/api/v1/nothings", StatusCode::NOT_FOUND, "NotFound".into()),
            (
                "/api/v1/namespaces/default/nodes",
                StatusCode::NOT_FOUND,
                "NotFound".into(),
            ),
            (
                "/api/v1/configmaps/a",
                StatusCode::NOT_FOUND,
                "NotFound".into(),
            ),
            (
                "/api/v1/namespaces/default/configmaps/a",
                StatusCode::NOT_FOUND,
                "NotFound".into(),
            ),
            (
                "/apis/authentication.k8s.io/v1/tokenreviews",
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed".into(),
            ),
        ] {
            let (got, status) = get(path).await;
            assert_eq!((got, &status["reason"]), (code, &reason), "{path}");
        }
    }

    /// A body that panics when it is read.
    struct Broken;

    impl http_body::Body for Broken {
        type Data = bytes::Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut TaskContext<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
            panic!("a fault")
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let (_drainer, door) = door();
        let request = Request::post("/api/v1/namespaces/default/configmaps")
            .extension(admin())
            .body(Broken);
        let response = door.handle(request.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
