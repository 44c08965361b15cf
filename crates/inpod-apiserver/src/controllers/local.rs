use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use crate::UserInfo;
use crate::auth::InProcess;
use crate::schema::Resource;
use crate::wire::Door;

/// A client of this server inside its own process: the same door, under an identity that needs no credentials.
#[derive(Debug, Clone)]
pub(super) struct Local {
    door: Arc<Door>,
    user: UserInfo,
    /// The program that this is a part of on the real server.
    user_agent: &'static str,
}

/// An answer that was not 2xx.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path}: {code}: {message}")]
pub(super) struct Refused {
    method: Method,
    path: String,
    pub(super) code: StatusCode,
    message: String,
}

impl Local {
    /// The API server itself, which may do anything.
    pub(super) fn apiserver(door: Arc<Door>) -> Self {
        let user = UserInfo::new(
            "system:apiserver",
            ["system:masters", "system:authenticated"],
        );
        let user_agent = "kube-apiserver";
        Self {
            door,
            user,
            user_agent,
        }
    }

    /// The controller of that name, whose rights are those of the `ClusterRole` `system:controller:{name}`.
    pub(super) fn controller(door: Arc<Door>, name: &str) -> Self {
        let user = UserInfo::new(
            format!("system:serviceaccount:kube-system:{name}"),
            [
                "system:serviceaccounts",
                "system:serviceaccounts:kube-system",
                "system:authenticated",
            ],
        );
        let user_agent = "kube-controller-manager";
        Self {
            door,
            user,
            user_agent,
        }
    }

    /// Creates an object; one that is there already is left as it is.
    pub(super) async fn create(&self, collection: &str, object: &Value) -> Result<(), Refused> {
        match self.send(Method::POST, collection, Some(object)).await {
            Err(refused) if refused.code == StatusCode::CONFLICT => Ok(()),
            done => done,
        }
    }

    /// Replaces an object.
    pub(super) async fn replace(&self, path: &str, object: &Value) -> Result<(), Refused> {
        self.send(Method::PUT, path, Some(object)).await
    }

    /// Changes an object by a merge patch; one that is gone is no failure.
    pub(super) async fn patch(&self, path: &str, changes: &Value) -> Result<(), Refused> {
        match self.send(Method::PATCH, path, Some(changes)).await {
            Err(refused) if refused.code == StatusCode::NOT_FOUND => Ok(()),
            done => done,
        }
    }

    /// Deletes an object or a collection; what is gone already is no failure.
    pub(super) async fn delete(&self, path: &str, options: Option<&Value>) -> Result<(), Refused> {
        match self.send(Method::DELETE, path, options).await {
            Err(refused) if refused.code == StatusCode::NOT_FOUND => Ok(()),
            done => done,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), Refused> {
        let refused = |code, message| Refused {
            method: method.clone(),
            path: path.to_owned(),
            code,
            message,
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let content_type = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(CONTENT_TYPE, content_type)
            .header(USER_AGENT, self.user_agent)
            .extension(InProcess(self.user.clone()))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
        let response = self.door.handle(request).await;
        let code = response.status();
        if code.is_success() {
            return Ok(());
        }
        let body = match response.into_body().collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(never) => match never {},
        };
        let message = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|status| status["message"].as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        Err(refused(code, message))
    }
}

/// The path of a resource's collection in a namespace or, with an empty one, in the cluster.
pub(super) fn collection(resource: &Resource, namespace: &str) -> String {
    let mut path = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    if !namespace.is_empty() {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    path.push('/');
    path.push_str(resource.name);
    path
}
