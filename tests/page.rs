//! Each way in that the page "Accessing the Kubernetes API from a Pod" describes, as a program in a Pod meets it.

use inpod_tests::Need::{OrdinaryUser, Program, Sandbox};
use inpod_tests::{as_ordinary_user, contains, equal, inpod_command, output, repository, trial};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

fn main() {
    let mut trials: Vec<Trial> = Vec::new();
    for shell in ["sh", "bash"] {
        for ordinary in [false, true] {
            let user = if ordinary {
                "an_ordinary_user"
            } else {
                "the_caller"
            };
            trials.push(trial(
                &format!("the_pages_script_prints_the_api_versions_with_{shell}_as_{user}"),
                &[Sandbox, OrdinaryUser, Program("curl"), Program(shell)],
                move || script(shell, ordinary),
            ));
        }
    }
    trials.extend([
        trial(
            "the_pages_script_needs_no_writable_folder",
            &[Sandbox, OrdinaryUser, Program("curl")],
            unwritable_folder,
        ),
        trial(
            "an_ungranted_account_is_refused_with_the_real_status",
            &[Sandbox, Program("curl")],
            ungranted,
        ),
        trial(
            "the_view_role_lists_pods",
            &[Sandbox, Program("curl")],
            view,
        ),
        trial("the_files_are_the_kubelets", &[Sandbox], files),
        trial("the_variables_are_the_kubelets", &[Sandbox], variables),
        trial(
            "every_name_of_the_service_resolves",
            &[Sandbox, Program("getent")],
            names,
        ),
        trial("inpod_api_needs_no_curl", &[Sandbox], api),
        trial(
            "inpod_api_says_why_it_cannot_outside_a_pod",
            &[],
            api_outside,
        ),
        trial(
            "inpod_api_prints_the_status_of_a_refusal",
            &[Sandbox],
            api_refused,
        ),
        trial(
            "direct_rest_creates_and_watches",
            &[Sandbox, Program("sh")],
            direct_rest,
        ),
        trial(
            "a_sidecar_serves_the_api_on_localhost",
            &[Sandbox, Program("curl"), Program("sh")],
            || sidecar("inpod"),
        ),
        trial(
            "the_real_kubectl_proxy_is_a_sidecar_too",
            &[Sandbox, Program("curl"), Program("kubectl")],
            || sidecar("kubectl"),
        ),
        trial(
            "a_statically_linked_program_reads_the_token",
            &[Sandbox, Program("busybox")],
            static_program,
        ),
    ]);
    inpod_tests::run(trials);
}

/// The page's own output: `APIVersions`, two-space JSON.
fn is_the_pages_output(text: &str) -> Result<(), Failed> {
    let mut value: Value = serde_json::from_str(text)?;
    let address = value["serverAddressByClientCIDRs"][0]["serverAddress"].take();
    contains(address.as_str().unwrap_or_default(), ":")?;
    equal(
        &value,
        &json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": null}],
        }),
    )?;
    contains(
        text,
        "{\n  \"kind\": \"APIVersions\",\n  \"versions\": [\n    \"v1\"\n  ],\n",
    )
}

fn script(shell: &str, ordinary: bool) -> Result<(), Failed> {
    let script = repository().join("examples/4-without-proxy/access-api.sh");
    // An ordinary user may not be able to reach the repository; the script is the same read from standard input.
    let text = std::fs::read_to_string(script)?;
    let mut command = inpod_command(&["run", "--", shell, "-s"]);
    if ordinary {
        command = as_ordinary_user(&command);
        command.current_dir("/");
    }
    is_the_pages_output(&inpod_tests::output_with_input(&mut command, &text)?.success()?)
}

fn unwritable_folder() -> Result<(), Failed> {
    let text =
        std::fs::read_to_string(repository().join("examples/4-without-proxy/access-api.sh"))?;
    let mut command = as_ordinary_user(&inpod_command(&["run", "--", "sh", "-s"]));
    command.current_dir("/proc");
    is_the_pages_output(&inpod_tests::output_with_input(&mut command, &text)?.success()?)
}

/// curl as the page calls it, for another path.
fn curl(path: &str) -> String {
    format!(
        "d=/var/run/secrets/kubernetes.io/serviceaccount; \
         curl -s --cacert $d/ca.crt -H \"Authorization: Bearer $(cat $d/token)\" https://kubernetes.default.svc{path}"
    )
}

fn ungranted() -> Result<(), Failed> {
    let text = output(&mut inpod_command(&[
        "run",
        "--",
        "sh",
        "-c",
        &curl("/api/v1/pods"),
    ]))?
    .success()?;
    equal(
        serde_json::from_str::<Value>(&text)?,
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API group \"\" at the cluster scope",
            "reason": "Forbidden",
            "details": {"kind": "pods"},
            "code": 403,
        }),
    )
}

fn view() -> Result<(), Failed> {
    let arguments = [
        "run",
        "--cluster-role",
        "view",
        "--",
        "sh",
        "-c",
        &curl("/api/v1/pods"),
    ];
    let list: Value = serde_json::from_str(&output(&mut inpod_command(&arguments))?.success()?)?;
    equal(&list["kind"], "PodList")?;
    let pod = &list["items"][0];
    equal(&pod["status"]["phase"], "Running")?;
    equal(&pod["spec"]["serviceAccountName"], "default")?;
    contains(
        &pod["spec"]["containers"][0]["volumeMounts"].to_string(),
        "/var/run/secrets/kubernetes.io/serviceaccount",
    )?;
    equal(&pod["status"]["podIP"], &pod["status"]["hostIP"])?;
    equal(list["items"].as_array().map(Vec::len), Some(1))
}

fn files() -> Result<(), Failed> {
    let script = r#"
cd /var/run/secrets/kubernetes.io/serviceaccount || exit
for f in token ca.crt namespace; do
  [ "$(readlink $f)" = "..data/$f" ] || echo "$f is no link into ..data"
  [ "$(stat -Lc %a $f)" = 644 ] || echo "$f has mode $(stat -Lc %a $f)"
done
case "$(readlink ..data)" in ..2???_??_??_??_??_??.*) ;; *) echo "..data is $(readlink ..data)" ;; esac
[ "$(cat namespace)" = default ] || echo "namespace is $(cat namespace)"
[ "$(tail -c 1 token)" != "" ] || echo "the token ends with a newline"
head -1 ca.crt
touch new 2>/dev/null && echo "the volume can be written to"
exit 0
"#;
    let text = output(&mut inpod_command(&["run", "--", "sh", "-c", script]))?.success()?;
    equal(text.as_str(), "-----BEGIN CERTIFICATE-----\n")
}

fn variables() -> Result<(), Failed> {
    let mut command = inpod_command(&["run", "--", "env"]);
    command
        .env("KUBECONFIG", "/somewhere/else")
        .env("KUBERNETES_MASTER", "http://elsewhere")
        .env("POD_NAMESPACE", "elsewhere")
        .env("HTTPS_PROXY", "http://proxy.invalid:3128")
        .env("NO_PROXY", "corp.invalid");
    let text = output(&mut command)?.success()?;
    let mut kubernetes: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("KUBE"))
        .collect();
    kubernetes.sort_unstable();
    equal(
        kubernetes,
        [
            "KUBERNETES_PORT=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
            "KUBERNETES_PORT_443_TCP_PORT=443",
            "KUBERNETES_PORT_443_TCP_PROTO=tcp",
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "KUBERNETES_SERVICE_PORT=443",
            "KUBERNETES_SERVICE_PORT_HTTPS=443",
        ],
    )?;
    contains(&text, "\nHTTPS_PROXY=http://proxy.invalid:3128\n")?;
    contains(&text, "NO_PROXY=corp.invalid,10.96.0.1,")?;
    equal(text.contains("POD_NAMESPACE"), false)
}

fn names() -> Result<(), Failed> {
    let script = "for n in kubernetes.default.svc.cluster.local kubernetes.default.svc kubernetes.default kubernetes; do \
                  getent hosts $n | cut -d' ' -f1; done; getent hosts localhost >/dev/null && echo localhost";
    let text = output(&mut inpod_command(&["run", "--", "sh", "-c", script]))?.success()?;
    equal(
        text.as_str(),
        "10.96.0.1\n10.96.0.1\n10.96.0.1\n10.96.0.1\nlocalhost\n",
    )
}

fn api() -> Result<(), Failed> {
    let text = output(&mut inpod_command(&["run", "--", "inpod", "api", "/api"]))?.success()?;
    let value: Value = serde_json::from_str(&text)?;
    equal(&value["kind"], "APIVersions")
}

fn api_outside() -> Result<(), Failed> {
    let mut command = inpod_command(&["api", "/api"]);
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("INPOD_SERVICE_ACCOUNT_DIR", "/nonexistent");
    let refused = output(&mut command)?;
    equal(refused.status.code(), Some(1))?;
    for part in ["/nonexistent", "KUBERNETES_SERVICE_HOST", "inpod run"] {
        contains(&refused.stderr, part)?;
    }
    Ok(())
}

fn api_refused() -> Result<(), Failed> {
    let refused = output(&mut inpod_command(&[
        "run",
        "--",
        "inpod",
        "api",
        "/api/v1/secrets",
    ]))?;
    equal(refused.status.code(), Some(1))?;
    equal(refused.stdout.as_str(), "")?;
    contains(
        &refused.stderr,
        "secrets is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"secrets\"",
    )
}

fn direct_rest() -> Result<(), Failed> {
    let script = std::fs::read_to_string(repository().join("examples/2-direct-rest/pods.sh"))?;
    let mut command = inpod_command(&["run", "--role", "edit", "--", "sh", "-s"]);
    let text = inpod_tests::output_with_input(&mut command, &script)?.success()?;
    contains(&text, "PodList")?;
    contains(
        &text,
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"",
    )
}

fn sidecar(proxy: &str) -> Result<(), Failed> {
    let script =
        std::fs::read_to_string(repository().join("examples/3-kubectl-proxy-sidecar/sidecar.sh"))?;
    let mut command = inpod_command(&["run", "--", "sh", "-s", "--", proxy]);
    is_the_pages_output(&inpod_tests::output_with_input(&mut command, &script)?.success()?)
}

fn static_program() -> Result<(), Failed> {
    let arguments = [
        "run",
        "--",
        "busybox",
        "cat",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
    ];
    let token = output(&mut inpod_command(&arguments))?.success()?;
    equal(token.split('.').count(), 3)
}
