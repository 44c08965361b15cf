//! The example where there is no Pod. That this file is here also makes `cargo test` build the example itself, which the
//! end-to-end tests run as a Pod.

use std::process::Command;

#[test]
fn outside_a_pod_the_example_says_so_and_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_inpod-example"))
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBERNETES_SERVICE_PORT")
        .output()
        .expect("the example starts");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("KUBERNETES_SERVICE_HOST is not set"),
        "{message}"
    );
}
