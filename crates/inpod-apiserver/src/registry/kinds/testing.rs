//! A cluster without a wire, for the tests of kinds that need more than an object.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{served, special, strategy};
use crate::registry::json::Fields as _;
use crate::registry::json::tests::object;
use crate::registry::table::{IncludeObject, object_metadata, to_table};
use crate::registry::testing::{Server, value};
use crate::registry::{Answer, Input, serve};
use crate::schema::{self, Json};
use crate::storage::{Lookup as _, Object, Write};
use crate::{Status, UserInfo};

/// A server with the namespace `default`.
pub(crate) struct Cluster {
    server: Server,
    user: UserInfo,
}

impl Cluster {
    /// For requests of an administrator.
    pub(crate) fn new() -> Self {
        Self::of(UserInfo::new("admin", ["system:masters"]))
    }

    /// For requests of `user`.
    pub(crate) fn of(user: UserInfo) -> Self {
        Self {
            server: Server::new(),
            user,
        }
    }

    /// Stores an object as it is.
    pub(crate) fn store(&self, group: &'static str, resource: &'static str, value: Value) {
        let object = Object::new(&object(value), Vec::new());
        let write = Write::Create(object);
        self.server
            .core
            .store
            .apply((group, resource), write)
            .expect("stored");
    }

    /// Replaces a stored object, whatever the rules are for that.
    pub(crate) fn replace(&self, group: &'static str, resource: &'static str, value: &Json) {
        let name = value.text("metadata.name");
        let namespace = value.text("metadata.namespace");
        let store = &self.server.core.store;
        let old = store
            .get(group, resource, namespace, name)
            .expect("an object");
        let row = schema::resource(group, "v1", resource).expect("a resource");
        let object = Object::new(value, strategy(row).fields(value));
        store
            .apply((group, resource), Write::Update(object, old.revision))
            .expect("replaced");
    }

    /// What the verb answers on `name` (or `name/subresource`) of a resource, in `default`.
    pub(crate) fn serve(
        &self,
        verb: &str,
        path: (&str, &str, &str),
        body: Value,
    ) -> Result<Json, Status> {
        let (group, resource, name) = path;
        let resource = schema::resource(group, "v1", resource).expect("a resource");
        let info = Server::info(resource, verb, name);
        let mut cx = self.server.context(&info, resource);
        cx.user = &self.user;
        let input = match body {
            Value::Null => Input::Empty,
            body => Input::Object(object(body)),
        };
        let answer = serve(cx, "", input)?;
        Ok(match answer {
            Answer::Object(_, resource, object) => served(resource, object.value()),
            other => object(value(other)),
        })
    }

    /// The Table of the stored objects of a resource.
    pub(crate) fn table(&self, resource: &str, now: i64) -> Json {
        let objects = self.server.core.store.list("", resource, None);
        let resource = schema::resource("", "v1", resource).expect("a resource");
        let metadata = object_metadata(objects.last().expect("an object"));
        to_table(
            resource,
            &objects,
            IncludeObject::Metadata,
            true,
            metadata,
            now,
        )
    }

    /// What the code behind `resource` (and, with `name/subresource`, its subresource) answers to a create.
    pub(crate) fn special(
        &self,
        group: &str,
        resource: &str,
        name: &str,
        body: Value,
    ) -> Result<Json, Status> {
        let resource = schema::resource(group, "v1", resource).expect("a resource");
        let info = Server::info(resource, "create", name);
        let mut cx = self.server.context(&info, resource);
        cx.user = &self.user;
        let special = special(resource, cx.subresource).expect("code");
        special.create(&cx, object(body))
    }
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}
