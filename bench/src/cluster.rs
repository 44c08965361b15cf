use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use inpod::{Body, Client, Config, WatchEvent};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Result;
use crate::process::Process;

/// A running `inpod cluster`.
pub(crate) struct Cluster {
    pub(crate) process: Process,
    /// From exec to the line that says so.
    pub(crate) ready_after: Duration,
    kubeconfig: Kubeconfig,
    _folder: tempfile::TempDir,
}

/// What LISTs cost, medians.
pub(crate) struct List {
    pub(crate) bytes: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
}

/// What watches cost: CPU for one event and one watcher, memory for one watcher.
pub(crate) struct Watch {
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
}

impl Cluster {
    pub(crate) fn start(inpod: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("config");
        let start = Instant::now();
        let mut child = Command::new(inpod)
            .args(["cluster", "--kubeconfig"])
            .arg(&kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("a pipe was asked for")?).read_line(&mut line)?;
        let ready_after = start.elapsed();
        let process = Process(child);
        let kubeconfig = serde_saphyr::from_str(&std::fs::read_to_string(&kubeconfig)?)?;
        Ok(Self {
            process,
            ready_after,
            kubeconfig,
            _folder: folder,
        })
    }

    /// A client with connections of its own.
    pub(crate) fn client(&self) -> Result<Client> {
        let cluster = &self
            .kubeconfig
            .clusters
            .first()
            .ok_or("no cluster")?
            .cluster;
        let user = &self.kubeconfig.users.first().ok_or("no user")?.user;
        let config = Config::builder()
            .server(cluster.server.parse()?)
            .ca_pem(STANDARD.decode(&cluster.certificate_authority_data)?)
            .client_certificate_pem(
                STANDARD.decode(&user.client_certificate_data)?,
                STANDARD.decode(&user.client_key_data)?,
            )
            .build()?;
        Ok(Client::new(config)?)
    }

    /// Creates `ConfigMap`s from so many clients, each with 16 requests under way.
    pub(crate) async fn creates_per_second(&self, clients: usize, time: Duration) -> Result<f64> {
        let start = Instant::now();
        let workers = (0..clients * 16)
            .map(|_| ())
            .zip(self.clients(clients)?.into_iter().cycle());
        let tasks: Vec<_> = workers
            .enumerate()
            .map(|(worker, ((), client))| {
                tokio::spawn(async move {
                    let mut count = 0_u32;
                    while start.elapsed() < time {
                        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c-{worker}-{count}")}, "data": {"k": "v"}});
                        client.create::<_, Value>("/api/v1/namespaces/default/configmaps", &map).await?;
                        count += 1;
                    }
                    Ok::<_, inpod::Error>(count)
                })
            })
            .collect();
        let mut all = 0.0;
        for task in tasks {
            all += f64::from(task.await??);
        }
        Ok(all / start.elapsed().as_secs_f64())
    }

    /// Creates Pods of the size that a Deployment's are.
    pub(crate) async fn fill_with_pods(&self, count: usize, clients: usize) -> Result<()> {
        let clients = self.clients(clients)?;
        let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let tasks: Vec<_> = (0..clients.len() * 16)
            .map(|worker| {
                let (client, next) = (clients[worker % clients.len()].clone(), next.clone());
                tokio::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if number >= count {
                            return Ok::<_, inpod::Error>(());
                        }
                        client
                            .create::<_, Value>("/api/v1/namespaces/default/pods", &pod(number))
                            .await?;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    }

    pub(crate) async fn list(&self, path: &str, times: usize) -> Result<List> {
        let client = self.client()?;
        let (mut walls, mut cpus, mut bytes, mut memory) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..times {
            let idle = self.process.resident()?;
            self.process.forget_peak()?;
            let (start, cpu) = (Instant::now(), self.process.cpu()?);
            bytes = read_all(&client, path).await?;
            walls.push(start.elapsed());
            cpus.push(self.process.cpu()?.saturating_sub(cpu));
            memory = memory.max(self.process.peak()?.saturating_sub(idle));
        }
        Ok(List {
            bytes,
            wall: crate::median(&mut walls),
            cpu: crate::median(&mut cpus),
            memory,
        })
    }

    /// So many watchers of one object, and so many changes of it that each of them sees.
    pub(crate) async fn watchers(&self, watchers: usize, changes: usize) -> Result<Watch> {
        let writer = self.client()?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched", "namespace": "default"}, "data": {"k": "0"}});
        writer
            .create::<_, Value>("/api/v1/namespaces/default/configmaps", &map)
            .await?;
        let idle = self.process.resident()?;
        // A connection takes 250 streams or fewer; 100 leave room.
        let clients = self.clients(watchers.div_ceil(100))?;
        let mut streams = Vec::new();
        for number in 0..watchers {
            let path = "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name=watched";
            let mut stream = clients[number % clients.len()].watch::<Value>(path).await?;
            // The object as it is: the watch is on.
            stream.next().await.ok_or("the watch ended")??;
            streams.push(stream);
        }
        let memory = self.process.resident()?.saturating_sub(idle) / u64::try_from(watchers)?;
        let cpu = self.process.cpu()?;
        let readers: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                tokio::spawn(async move {
                    let mut seen = 0;
                    while seen < changes {
                        match stream.next().await {
                            Some(Ok(WatchEvent::Modified(_))) => seen += 1,
                            Some(Ok(_)) => {}
                            Some(Err(error)) => return Err(error.to_string()),
                            None => return Err("a watch ended".to_owned()),
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for change in 1..=changes {
            let patch = json!({"data": {"k": change.to_string()}});
            writer
                .merge_patch::<_, Value>("/api/v1/namespaces/default/configmaps/watched", &patch)
                .await?;
        }
        for reader in readers {
            reader.await??;
        }
        let spent = self.process.cpu()?.saturating_sub(cpu);
        Ok(Watch {
            cpu: spent / u32::try_from(watchers * changes)?,
            memory,
        })
    }

    fn clients(&self, count: usize) -> Result<Vec<Client>> {
        (0..count).map(|_| self.client()).collect()
    }
}

async fn read_all(client: &Client, path: &str) -> Result<u64> {
    use futures_util::TryStreamExt as _;

    let response = client.request(http_get(path)?).await?;
    let mut bytes = 0;
    let mut frames = std::pin::pin!(http_body_util::BodyStream::new(response.into_body()));
    while let Some(frame) = frames.try_next().await? {
        bytes += u64::try_from(frame.data_ref().map_or(0, bytes::Bytes::len))?;
    }
    Ok(bytes)
}

fn http_get(path: &str) -> Result<http::Request<Body>> {
    Ok(http::Request::get(path).body(Body::empty())?)
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("web-5d4f8c7b9-{number:05}"),
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9", "tier": "frontend"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "checksum/config": "a".repeat(64)},
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{
                "name": "web",
                "image": "registry.example/web:1.2.3",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "A", "value": "b"}, {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
            }],
        },
    })
}

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: ClusterEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority_data: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: UserEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UserEntry {
    client_certificate_data: String,
    client_key_data: String,
}
