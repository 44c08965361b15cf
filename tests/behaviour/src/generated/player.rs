use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::operation::{Change, Deletion, Form, Name, Operation, Place, Version};
use crate::{Answer, Outcome, Request, Session, delete, get, patch, post, put};

/// Sends the operations of a sequence, and knows what the server has shown of its objects.
pub(super) struct Player<'a> {
    session: &'a mut Session,
    namespace: String,
    /// For the names of what lives in no namespace.
    unique: String,
    /// By path, in the order in which they were first seen.
    seen: Vec<(String, Seen)>,
    generated: Vec<(Kind, String)>,
    sentinels: usize,
}

struct Seen {
    kind: Kind,
    first_version: String,
    object: Value,
}

impl<'a> Player<'a> {
    /// All of them, and then what there is.
    pub(super) async fn play(session: &'a mut Session, operations: &[Operation]) -> Outcome {
        let namespace = session.namespace().await?;
        let unique = session.name("generated");
        let mut player = Self {
            session,
            namespace,
            unique,
            seen: Vec::new(),
            generated: Vec::new(),
            sentinels: 0,
        };
        for operation in operations {
            player.operate(operation).await?;
        }
        player.end().await
    }

    async fn operate(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Get(place) => self.send(place.kind, get(self.path(*place))).await?,
            Operation::Create {
                place,
                variant,
                changes,
                dry_run,
            } => {
                let object = self.new_object(*place, *variant, changes);
                let path = query(place.kind.collection(&self.namespace), *dry_run);
                self.send(place.kind, post(path, &object)).await?;
            }
            Operation::Update {
                place,
                version,
                changes,
                dry_run,
            } => {
                let object = self.updated(*place, *version, changes);
                let path = query(self.path(*place), *dry_run);
                self.send(place.kind, put(path, &object)).await?;
            }
            Operation::Patch {
                place,
                form,
                version,
                changes,
                dry_run,
            } => {
                let path = query(self.path(*place), *dry_run);
                let changes = self.changes(*place, *version, changes);
                let request = match form {
                    Form::Merge => patch(path, "merge", &merge_patch(&changes)),
                    Form::Strategic => patch(path, "strategic-merge", &merge_patch(&changes)),
                    Form::Json => patch(path, "json", &json_patch(&changes, false)),
                    Form::JsonTest => patch(path, "json", &json_patch(&changes, true)),
                };
                self.send(place.kind, request).await?;
            }
            Operation::Delete { place, options } => self.delete(*place, *options).await?,
            Operation::DeleteCollection { kind, selector } => {
                let collection = kind.collection(&self.namespace);
                let path = format!("{collection}?labelSelector={}", encode(selector));
                self.session.send(delete(path)).await?;
            }
            Operation::List {
                kind,
                query,
                limit,
                version,
                matching,
            } => self.list(*kind, query, *limit, *version, matching).await?,
            Operation::Watch {
                kind,
                selector,
                version,
            } => self.watch(*kind, selector, *version).await?,
        }
        Ok(())
    }

    async fn delete(&mut self, place: Place, options: Deletion) -> Outcome {
        let place = Place {
            subresource: None,
            ..place
        };
        let path = self.path(place);
        let uid = options.other_uid.then(|| "other".to_owned());
        let version = options
            .version
            .and_then(|version| self.version(&path, version));
        let request = if options.query {
            let mut pairs = Vec::new();
            pairs.extend(uid.map(|uid| format!("uid={uid}")));
            pairs.extend(version.map(|version| format!("resourceVersion={version}")));
            pairs.extend(
                options
                    .propagation
                    .map(|p| format!("propagationPolicy={p}")),
            );
            pairs.extend(options.grace.map(|g| format!("gracePeriodSeconds={g}")));
            pairs.extend(options.dry_run.then(|| "dryRun=All".to_owned()));
            delete(format!("{path}?{}", pairs.join("&")))
        } else {
            let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
            let values = [
                ("/preconditions/uid", uid.map(Value::from)),
                ("/preconditions/resourceVersion", version.map(Value::from)),
                ("/propagationPolicy", options.propagation.map(Value::from)),
                ("/gracePeriodSeconds", options.grace.map(Value::from)),
                ("/dryRun", options.dry_run.then(|| json!(["All"]))),
            ];
            for (pointer, value) in values {
                if value.is_some() {
                    set(&mut body, pointer, value);
                }
            }
            delete(&path).json(&body)
        };
        let answer = self.session.send(request).await?;
        // The garbage collector goes on at a time of its own.
        if answer.status == 200 && matches!(options.propagation, Some("Foreground" | "Orphan")) {
            self.session
                .eventually(get(&path), |answer| !is_collected(&answer.body))
                .await?;
        }
        Ok(())
    }

    async fn list(
        &mut self,
        kind: Kind,
        selector: &str,
        limit: Option<u8>,
        version: Version,
        matching: &str,
    ) -> Outcome {
        let collection = kind.collection(&self.namespace);
        let version = self.version_of_any(kind, version);
        if version.is_some() && matching != "Exact" {
            // A list that may be of an older version is served from a cache, which may lag behind. One that must be of the
            // newest lets it catch up.
            self.session
                .set_up(get(format!("{collection}?labelSelector=none")))
                .await?;
        }
        let limit = limit
            .map(|limit| format!("&limit={limit}"))
            .unwrap_or_default();
        let mut path = format!("{collection}?{selector}{limit}");
        if let Some(version) = version {
            path.push_str("&resourceVersion=");
            path.push_str(&version);
        }
        if !matching.is_empty() {
            path.push_str("&resourceVersionMatch=");
            path.push_str(matching);
        }
        loop {
            let page = self.session.send(get(path)).await?;
            match page.text("/metadata/continue") {
                Ok(token) => path = format!("{collection}?{selector}{limit}&continue={token}"),
                Err(_) => return Ok(()),
            }
        }
    }

    async fn watch(&mut self, kind: Kind, selector: &str, version: Version) -> Outcome {
        let Some(version) = self.version_of_any(kind, version) else {
            return Ok(());
        };
        let collection = kind.collection(&self.namespace);
        self.sentinels += 1;
        let name = format!("sentinel-{}", self.sentinels);
        let mut sentinel = kind.object(0);
        sentinel["metadata"] = json!({"name": name, "labels": {"app": "a"}});
        self.session.set_up(post(&collection, &sentinel)).await?;
        let selector = encode(selector);
        let path =
            format!("{collection}?watch=true&resourceVersion={version}&labelSelector={selector}");
        let mut watch = self.session.watch(get(path)).await?;
        self.session
            .events_until(&mut watch, |event| {
                event["object"]["metadata"]["name"] == *name
            })
            .await?;
        self.session
            .set_up(delete(format!("{collection}/{name}")))
            .await?;
        Ok(())
    }

    /// Reads what there is, and lets it go.
    async fn end(&mut self) -> Outcome {
        for (path, seen) in std::mem::take(&mut self.seen) {
            self.session.send(get(&path)).await?;
            let free = json!({"metadata": {"finalizers": null}});
            self.session.send(patch(&path, "merge", &free)).await?;
            // With its namespace, it goes by itself.
            if seen.kind == Kind::ClusterRole {
                self.session.clean_up_later(path);
            }
        }
        Ok(())
    }

    async fn send(&mut self, kind: Kind, request: Request) -> Outcome {
        let answer = self.session.send(request).await?;
        self.learn(kind, &answer);
        Ok(())
    }

    fn learn(&mut self, kind: Kind, answer: &Answer) {
        let (Ok(name), Ok(version)) = (answer.text("/metadata/name"), answer.version()) else {
            return;
        };
        let path = format!("{}/{name}", kind.collection(&self.namespace));
        if answer.text("/metadata/generateName").is_ok() && name.contains("-made") {
            self.generated.push((kind, name));
        }
        match self.seen.iter_mut().find(|(other, _)| *other == path) {
            Some((_, seen)) => seen.object = answer.body.clone(),
            None => self.seen.push((
                path,
                Seen {
                    kind,
                    first_version: version,
                    object: answer.body.clone(),
                },
            )),
        }
    }

    fn name(&self, place: Place) -> String {
        let name = match place.name {
            Name::First => "first",
            Name::Second => "second",
            Name::Generated => {
                let mut of_kind = self.generated.iter().rev();
                let found = of_kind.find(|(kind, _)| *kind == place.kind);
                match found {
                    Some((_, name)) => return name.clone(),
                    None => "none",
                }
            }
        };
        match place.kind {
            Kind::ClusterRole => format!("{}-{name}", self.unique),
            _ => name.to_owned(),
        }
    }

    fn path(&self, place: Place) -> String {
        let collection = place.kind.collection(&self.namespace);
        let mut path = format!("{collection}/{}", self.name(place));
        if let Some(subresource) = place.subresource {
            path.push('/');
            path.push_str(subresource);
        }
        path
    }

    fn seen(&self, path: &str) -> Option<&Seen> {
        let path = path.trim_end_matches("/status");
        let (_, seen) = self.seen.iter().find(|(other, _)| other == path)?;
        Some(seen)
    }

    fn version(&self, path: &str, version: Version) -> Option<String> {
        let seen = || self.seen(path);
        match version {
            Version::None => None,
            Version::Fresh => version_in(&seen()?.object),
            Version::Stale => Some(seen()?.first_version.clone()),
            Version::Zero => Some("0".to_owned()),
            Version::Nonsense => Some("nonsense".to_owned()),
        }
    }

    /// The version of whichever object of the kind was first or last seen.
    fn version_of_any(&self, kind: Kind, version: Version) -> Option<String> {
        let mut of_kind = self.seen.iter().filter(|(_, seen)| seen.kind == kind);
        match version {
            Version::Fresh => of_kind
                .filter_map(|(_, seen)| version_in(&seen.object)?.parse::<u64>().ok())
                .max()
                .map(|version| version.to_string()),
            Version::Stale => Some(of_kind.next()?.1.first_version.clone()),
            other => self.version("", other),
        }
    }

    fn new_object(&self, place: Place, variant: u8, changes: &[Change]) -> Value {
        let mut object = place.kind.object(variant);
        if place.name == Name::Generated {
            // Each with a number, so that they sort as they were made, whatever follows it.
            let made = self.generated.len();
            let prefix = match place.kind {
                Kind::ClusterRole => format!("{}-made{made}-", self.unique),
                _ => format!("a-made{made}-"),
            };
            object["metadata"] = json!({"generateName": prefix});
        } else {
            object["metadata"] = json!({"name": self.name(place)});
        }
        apply(&mut object, &plain(place.kind, changes));
        // What lives in no namespace is everybody's; its names are not.
        if place.kind == Kind::ClusterRole && object["metadata"]["name"] == "other" {
            object["metadata"]["name"] = format!("{}-other", self.unique).into();
        }
        object
    }

    fn updated(&self, place: Place, version: Version, changes: &[Change]) -> Value {
        let path = self.path(place);
        let mut object = self.seen(&path).map_or_else(
            || {
                let mut object = place.kind.object(0);
                object["metadata"] = json!({"name": self.name(place)});
                object
            },
            |seen| seen.object.clone(),
        );
        set(
            &mut object,
            "/metadata/resourceVersion",
            self.version(&path, version).map(Value::from),
        );
        apply(&mut object, &plain(place.kind, changes));
        object
    }

    /// Those of a patch; a version is one of them.
    fn changes(&self, place: Place, version: Version, changes: &[Change]) -> Vec<Plain> {
        let mut plain = plain(place.kind, changes);
        if let Some(version) = self.version(&self.path(place), version) {
            plain.push(("/metadata/resourceVersion", Some(version.into())));
        }
        plain
    }
}

type Plain = (&'static str, Option<Value>);

fn plain(kind: Kind, changes: &[Change]) -> Vec<Plain> {
    changes
        .iter()
        .map(|change| match change {
            Change::Own(number) => {
                let (pointer, value) = kind.own(*number);
                (pointer, Some(value))
            }
            Change::At(pointer, value) => (*pointer, value.clone()),
        })
        .collect()
}

fn apply(object: &mut Value, changes: &[Plain]) {
    for (pointer, value) in changes {
        set(object, pointer, value.clone());
    }
}

/// Sets or removes what a JSON pointer points at. Where its way leads through what is no object, that stays as it is.
fn set(object: &mut Value, pointer: &str, value: Option<Value>) {
    let mut at = object;
    let (way, last) = pointer.rsplit_once('/').unwrap_or_default();
    for segment in way.split('/').skip(1) {
        at = match at {
            Value::Object(map) => map.entry(segment).or_insert_with(|| Map::new().into()),
            Value::Array(values) => {
                match segment.parse().ok().and_then(|i: usize| values.get_mut(i)) {
                    Some(value) => value,
                    None => return,
                }
            }
            _ => return,
        };
    }
    if let Value::Object(map) = at {
        let key = last.replace("~1", "/");
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.shift_remove(&key)),
        }
    }
}

fn merge_patch(changes: &[Plain]) -> Value {
    let mut patch = json!({});
    for (pointer, value) in changes {
        set(&mut patch, pointer, Some(value.clone().unwrap_or_default()));
    }
    patch
}

fn json_patch(changes: &[Plain], test: bool) -> Value {
    let mut operations = Vec::new();
    for (path, value) in changes {
        match value {
            // Go compares the bytes of a tested value, and has `<` escaped in those of the document alone.
            Some(value) if test && !value.to_string().contains('<') => {
                operations.push(json!({"op": "test", "path": path, "value": value}));
                operations.push(json!({"op": "replace", "path": path, "value": value}));
            }
            Some(value) => operations.push(json!({"op": "add", "path": path, "value": value})),
            None => operations.push(json!({"op": "remove", "path": path})),
        }
    }
    operations.into()
}

fn query(path: String, dry_run: bool) -> String {
    if dry_run { path + "?dryRun=All" } else { path }
}

fn encode(selector: &str) -> String {
    selector
        .replace('!', "%21")
        .replace('=', "%3D")
        .replace(' ', "+")
}

fn version_in(object: &Value) -> Option<String> {
    let version = object.pointer("/metadata/resourceVersion")?;
    Some(version.as_str()?.to_owned())
}

fn is_collected(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers");
    let is_own = |finalizer: &Value| finalizer == "orphan" || finalizer == "foregroundDeletion";
    finalizers.is_some_and(|list| list.as_array().is_some_and(|list| list.iter().any(is_own)))
}
