//! A server without a wire, and a kind of its own, for the tests of the verbs.

use std::sync::{Arc, Mutex};

use inpod::RequestInfo;
use serde_json::Value;

use crate::auth::{Rbac, TokenPolicy, Tokens};
use crate::core::Core;
use crate::registry::json::tests::object;
use crate::registry::{Answer, Context, Input, Warnings, serve};
use crate::schema::{Resource, Subresource};
use crate::storage::{Lookup, Object, Store, Write};
use crate::{Status, SystemSource, UserInfo};

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// A kind that adds nothing to the generic verbs.
pub(crate) static THINGS: Resource = Resource {
    group: "test.example",
    version: "v1",
    name: "things",
    singular: "thing",
    kind: "Thing",
    namespaced: true,
    verbs: VERBS,
    short_names: &[],
    categories: &[],
    storage_version_hash: "",
    subresources: &[Subresource {
        name: "status",
        kind: ("", "", ""),
        verbs: &["get", "patch", "update"],
    }],
    storage: ("test.example", "things"),
};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) core: Core,
    user: UserInfo,
    pub(crate) warnings: Warnings,
}

impl Server {
    /// At revision 2, with the namespace `default`.
    pub(crate) fn new() -> Self {
        // Little history, so that tests can outlast it.
        let store = Arc::new(Store::with_history(20));
        let namespace = object(serde_json::json!({"metadata": {"name": "default"}}));
        store
            .apply(
                ("", "namespaces"),
                Write::Create(Object::new(&namespace, Vec::new())),
            )
            .expect("a new store");
        let source = Arc::new(SystemSource);
        let lookup: Arc<dyn Lookup> = store.clone();
        let policy = TokenPolicy {
            minimum: std::time::Duration::from_secs(600),
            leeway: std::time::Duration::from_secs(60),
        };
        Self {
            core: Core {
                source: source.clone(),
                tokens: Tokens::new("https://test", None, policy, source, lookup.clone()),
                rbac: Rbac::new(lookup),
                store,
                ca_pem: String::new(),
                allocation: Mutex::default(),
            },
            user: UserInfo::new("admin", ["system:masters"]),
            warnings: Warnings::default(),
        }
    }

    /// What a request in the namespace `default` asks.
    pub(crate) fn info(resource: &Resource, verb: &str, name: &str) -> RequestInfo {
        let (resource_name, subresource) = match name.split_once('/') {
            Some((_, subresource)) => (resource.name, subresource),
            None => (resource.name, ""),
        };
        let mut info = RequestInfo::default();
        info.is_resource_request = true;
        info.verb = verb.to_owned();
        info.api_group = resource.group.to_owned();
        info.api_version = resource.version.to_owned();
        info.resource = resource_name.to_owned();
        info.subresource = subresource.to_owned();
        name.split('/')
            .next()
            .unwrap_or_default()
            .clone_into(&mut info.name);
        info.namespace = match resource.name {
            // The path of a namespace names it as its own.
            "namespaces" => info.name.clone(),
            _ if resource.namespaced => "default".to_owned(),
            _ => String::new(),
        };
        info
    }

    pub(crate) fn context<'a>(
        &'a self,
        info: &'a RequestInfo,
        resource: &'static Resource,
    ) -> Context<'a> {
        Context {
            core: &self.core,
            info,
            user: &self.user,
            resource,
            subresource: resource
                .subresources
                .iter()
                .find(|s| s.name == info.subresource),
            manager: "tester",
            dry_run: false,
            warnings: &self.warnings,
        }
    }

    /// Serves `verb` on the thing `name` (`name/subresource`).
    pub(crate) fn serve(
        &self,
        verb: &str,
        name: &str,
        query: &str,
        input: Input,
    ) -> Result<Answer, Status> {
        let info = Self::info(&THINGS, verb, name);
        let mut cx = self.context(&info, &THINGS);
        cx.dry_run = query.contains("dryRun=All");
        serve(cx, query, input)
    }

    /// As [`Self::serve`], with a body that is an object, and an answer that is one.
    pub(crate) fn write(
        &self,
        verb: &str,
        name: &str,
        query: &str,
        body: Value,
    ) -> Result<Value, Status> {
        self.serve(verb, name, query, Input::Object(object(body)))
            .map(value)
    }
}

/// The object of an answer, whatever its form.
pub(crate) fn value(answer: Answer) -> Value {
    match answer {
        Answer::Object(_, _, object) => object.value().into(),
        Answer::Value(_, value) => value.into(),
        other => panic!("no single object: {other:?}"),
    }
}
