//! The counterpart of client-go's in-cluster example: counts the Pods of all namespaces, and looks for one that is not there.
//!
//! ```sh
//! cargo build -p inpod-example
//! inpod run --cluster-role view -- target/debug/inpod-example
//! ```

use std::process::ExitCode;

use inpod::{Client, Config, Error, List};
use serde::Deserialize;

/// What this program needs to know of a Pod.
#[derive(Debug, Deserialize)]
struct Pod {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a person reads it")]
async fn main() -> ExitCode {
    match count_pods().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
async fn count_pods() -> Result<(), Error> {
    let client = Client::new(Config::in_cluster()?)?;

    let pods: List<Pod> = client.list("/api/v1/pods").await?;
    println!("There are {} pods in the cluster", pods.items.len());
    for Pod { metadata } in pods.items {
        println!("{}/{}", metadata.namespace, metadata.name);
    }

    match client
        .get::<Pod>("/api/v1/namespaces/default/pods/example-xxxxx")
        .await
    {
        Ok(_) => println!("Found example-xxxxx pod in default namespace"),
        Err(Error::Api(status)) if status.code == 404 => {
            println!("Pod example-xxxxx not found in default namespace");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
