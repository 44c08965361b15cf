//! The real kubectl against the embedded server.

use inpod_tests::Need::Program;
use inpod_tests::{contains, equal, inpod_command, output, trial};
use libtest_mimic::{Failed, Trial};

fn main() {
    let kubectl = &[Program("kubectl"), Program("sh")];
    let case = |name: &str, script: &'static str, expected: &'static [&'static str]| -> Trial {
        trial(name, kubectl, move || run(script, expected))
    };
    inpod_tests::run(vec![
        case(
            "creates_gets_and_deletes",
            "kubectl create configmap c --from-literal=k=v && kubectl get configmap c -o jsonpath='{.data.k}' && echo \
             && kubectl get cm && kubectl delete configmap c && kubectl get configmap c",
            &[
                "configmap/c created",
                "\nv\n",
                "NAME",
                "kube-root-ca.crt",
                "configmap \"c\" deleted",
                "configmaps \"c\" not found",
            ],
        ),
        case(
            "creates_namespaces_secrets_accounts_and_tokens",
            "kubectl create namespace team && kubectl create secret generic s -n team --from-literal=p=q \
             && kubectl create serviceaccount app -n team && kubectl create token app -n team | tr '.' '\\n' | grep -c .",
            &[
                "namespace/team created",
                "secret/s created",
                "serviceaccount/app created",
                "\n3\n",
            ],
        ),
        case(
            "describes",
            "kubectl describe serviceaccount default && kubectl describe service kubernetes && kubectl describe namespace default",
            &["default", "10.96.0.1", "https", "Active"],
        ),
        case(
            "labels_annotates_and_patches",
            "kubectl create configmap c --from-literal=k=v && kubectl label configmap c a=b && kubectl annotate configmap c x=y \
             && kubectl patch configmap c --type merge -p '{\"data\":{\"k\":\"w\"}}' \
             && kubectl patch configmap c --type json -p '[{\"op\":\"add\",\"path\":\"/data/n\",\"value\":\"m\"}]' \
             && kubectl get configmap -l a=b -o jsonpath='{.items[0].data}{.items[0].metadata.annotations.x}'",
            &[
                "configmap/c labeled",
                "configmap/c annotated",
                "configmap/c patched",
                "{\"k\":\"w\",\"n\":\"m\"}y",
            ],
        ),
        case(
            "waits",
            "kubectl wait --for=create configmap/c --timeout=20s & waits=$!; kubectl create configmap c && wait $waits || exit 1; \
             kubectl wait --for=delete configmap/c --timeout=20s & waits=$!; kubectl delete configmap c && wait $waits",
            &["condition met", "configmap \"c\" deleted"],
        ),
        case(
            "asks_who_it_is_and_what_it_may",
            "kubectl auth whoami && kubectl auth can-i create pods && kubectl auth can-i list secrets --as system:serviceaccount:default:default; \
             kubectl auth can-i --list --as system:serviceaccount:default:default",
            &[
                "kubernetes-admin",
                "system:masters",
                "yes",
                "no",
                "selfsubjectaccessreviews.authorization.k8s.io",
                "/version",
            ],
        ),
        case(
            "impersonates",
            "kubectl get pods --as system:serviceaccount:default:default",
            &[
                "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
            ],
        ),
        case(
            "lists_what_is_served",
            "kubectl api-resources && kubectl version && kubectl get --raw /api && kubectl get nodes && kubectl get all,roles,leases,events -A",
            &[
                "serviceaccounts",
                "rolebindings",
                "Server Version: v1.37",
                "\"kind\":\"APIVersions\"",
                "Ready",
            ],
        ),
        case(
            "deletes_namespaces_with_what_is_in_them",
            "kubectl create namespace team && kubectl create configmap c -n team && kubectl delete namespace team --timeout=20s && kubectl get cm -n team",
            &["namespace \"team\" deleted", "No resources found"],
        ),
    ]);
}

/// Runs a script under `inpod cluster`, and looks for what it must print, in any order.
fn run(script: &str, expected: &[&str]) -> Result<(), Failed> {
    let script = format!("exec 2>&1; {script}");
    let printed = output(&mut inpod_command(&["cluster", "--", "sh", "-c", &script]))?;
    equal(printed.stderr.as_str(), "")?;
    for part in expected {
        contains(&printed.stdout, part)?;
    }
    Ok(())
}
