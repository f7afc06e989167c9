//! A namespace of the real API server, a simulated cloud, and controllers as child processes that can be killed.

use super::control_plane::{ADMIN, CONTROLLER, ControlPlane, DEADLINE, api_of, apply, runtime};
use crate::engine::harness::{FACTOR, Lab};
use crate::support::within_reason;
use futures::StreamExt as _;
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use rollwave::api::FINALIZER;
use rollwave::cloud::huawei_iotda::{IotdaClient, Keys};
use rollwave::cloud::transport::{HttpOptions, HttpTransport};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What a test works on.
pub struct Field<'a> {
    pub lab: Lab,
    pub plane: &'a ControlPlane,
    pub namespace: String,
    client: Client,
    runtime: Runtime,
}

impl<'a> Field<'a> {
    /// An account with its keys, and nothing else.
    pub fn new(plane: &'a ControlPlane) -> Self {
        let field = Self::without_account(plane);
        field.apply_keys("the-secret-key");
        field.apply(&field.account());
        field
    }

    pub fn without_account(plane: &'a ControlPlane) -> Self {
        Self::with_lab(plane, Lab::new())
    }

    /// A namespace with nothing in it, beside another cloud than the usual one.
    pub fn with_lab(plane: &'a ControlPlane, lab: Lab) -> Self {
        let (runtime, namespace) = (runtime(), plane.namespace());
        let client = runtime.block_on(plane.client(ADMIN));
        Self { lab, plane, namespace, client, runtime }
    }

    pub fn account(&self) -> String {
        let keys = "{accessKey: env:LAB_AK, secretKey: env:LAB_SK}";
        self.lab.cloud_manifest().replace(keys, "{secretRef: {name: keys}}")
    }

    /// Somebody else who works in the account beside the controller, with the same client.
    pub fn somebody(&self) -> IotdaClient {
        let account: Value = serde_yaml::from_str(&self.account()).unwrap();
        let spec = serde_json::from_value(account["spec"]["huaweiIotda"].clone()).unwrap();
        let (id, secret) = ("THE-ACCESS-KEY".into(), "the-secret-key".into());
        let keys = Keys::AccessKey { id, secret, security_token: None };
        let transport = HttpTransport::new(HttpOptions::default()).unwrap();
        IotdaClient::new(&spec, keys, Arc::new(transport))
    }

    pub fn apply_keys(&self, secret_key: &str) {
        self.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{accessKey: THE-ACCESS-KEY, secretKey: {secret_key}}}\n"
        ));
    }

    /// Applies a manifest in this namespace.
    pub fn apply(&self, text: &str) {
        let manifest = self.in_namespace(serde_yaml::from_str(text).unwrap());
        self.runtime.block_on(apply(&self.client, &manifest)).unwrap();
    }

    /// Applies many manifests, a few of them at a time.
    pub fn apply_all(&self, manifests: impl IntoIterator<Item = Value>) {
        let manifests = manifests.into_iter().map(|manifest| self.in_namespace(manifest));
        let applied = futures::stream::iter(manifests)
            .map(|manifest| async move { apply(&self.client, &manifest).await.unwrap() })
            .buffer_unordered(8);
        self.runtime.block_on(applied.for_each(|_| std::future::ready(())));
    }

    /// Puts objects there that have come a long way elsewhere: with our finalizer and with their status.
    pub fn put_all<T>(&self, all: impl IntoIterator<Item = T>, make: impl AsyncFn(T) -> Value) {
        let put = async |one: T| self.put(self.in_namespace(make(one).await)).await;
        let all = futures::stream::iter(all).map(put).buffer_unordered(16);
        self.runtime.block_on(all.for_each(|()| std::future::ready(())));
    }

    async fn put(&self, object: Value) {
        let (api, name) = (api_of(&self.client, &object), object["metadata"]["name"].as_str().unwrap());
        let metadata = json!({"name": name, "namespace": self.namespace, "finalizers": [FINALIZER]});
        let mut manifest = object.clone();
        manifest["metadata"] = metadata;
        let params = PostParams::default();
        let made = api.create(&params, &serde_json::from_value(manifest).unwrap()).await.unwrap();
        let status = DynamicObject { data: json!({"status": object["status"]}), ..made };
        api.replace_status(name, &params, &status).await.unwrap();
    }

    /// Waits until something is true of so many objects of a kind.
    pub fn until_all(&self, kind: &str, count: usize, is_so: impl Fn(&Value) -> bool) {
        let (mut most, mut since) = (0, Instant::now());
        while most < count {
            let begin = Instant::now();
            let list = self.runtime.block_on(self.api(kind).list(&ListParams::default())).unwrap();
            let is_so = |object: &DynamicObject| is_so(&serde_json::to_value(object).unwrap());
            let found = list.items.iter().filter(|object| is_so(object)).count();
            if found > most {
                (most, since) = (found, Instant::now());
            }
            assert!(since.elapsed() < DEADLINE, "{kind}: {most} of {count}, and no more come");
            // A list of thousands is work for the API server, which is being measured.
            std::thread::sleep(Duration::from_millis(200).max(begin.elapsed() * 4));
        }
    }

    pub fn delete(&self, kind: &str, name: &str) {
        let params = DeleteParams::default();
        self.runtime.block_on(self.api(kind).delete(name, &params)).unwrap();
    }

    pub fn annotate(&self, kind: &str, name: &str, annotation: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
        self.runtime.block_on(self.api(kind).patch(name, &PatchParams::default(), &patch)).unwrap();
    }

    /// Takes every finalizer off, as somebody might who is in a hurry.
    pub fn drop_finalizers(&self, kind: &str, name: &str) {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        self.runtime.block_on(self.api(kind).patch(name, &PatchParams::default(), &patch)).unwrap();
    }

    /// Writes into a status, as somebody might who is not the controller.
    pub fn patch_status(&self, kind: &str, name: &str, status: &Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let params = PatchParams::default();
        self.runtime.block_on(self.api(kind).patch_status(name, &params, &patch)).unwrap();
    }

    /// The object as it is; none when there is none, or the API server does not answer.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let found = self.runtime.block_on(self.api(kind).get_opt(name)).ok()??;
        serde_json::to_value(found).ok()
    }

    /// Every object of a kind.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let found = self.runtime.block_on(self.api(kind).list(&ListParams::default())).unwrap();
        found.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// Waits until something is true of an object.
    pub fn until(&self, kind: &str, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let found = self.get(kind, name).unwrap_or_default();
            if is_so(&found) {
                return found;
            }
            assert!(begin.elapsed() < DEADLINE, "never: {what}: {found:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn until_gone(&self, kind: &str, name: &str) {
        self.until(kind, name, "it is gone", Value::is_null);
    }

    /// Waits until the rollout has come to its end, and everything was made exactly once.
    pub fn assert_converges(&self, case: &str) {
        let rollout =
            self.until("OtaRollout", "meter", case, |object| object["status"]["phase"] == "Completed");
        assert_eq!(condition(&rollout, "Ready")["status"], "True", "{case}: {rollout:#}");
        self.assert_everything_once(case);
    }

    /// One package, and one task each for the verification, the canary and the rest.
    pub fn assert_everything_once(&self, case: &str) {
        assert_eq!(self.lab.packages().len(), 1, "{case}: {:#?}", self.lab.packages());
        let tasks = self.lab.tasks();
        assert_eq!(tasks.len(), 3, "{case}: {tasks:#?}");
        let sent = self.lab.sent();
        assert_eq!(sent.len(), 22, "{case}: {sent:?}");
        assert!(sent.values().all(|times| *times == 1), "{case}: {sent:?}");
    }

    /// `rollwave controller` for this namespace, with time running fast.
    pub fn controller(&self) -> Command {
        let mut command = self.controller_everywhere();
        command.args(["--namespace", &self.namespace]);
        command
    }

    /// The same for all namespaces: on a control plane of the test's own.
    pub fn controller_everywhere(&self) -> Command {
        let args = ["controller", "--lease-namespace", &self.namespace];
        self.controller_with(&args, &self.plane.kubeconfig_file(CONTROLLER))
    }

    /// The same with these arguments, for whom this kubeconfig signs in.
    pub fn controller_with(&self, args: &[impl AsRef<OsStr>], kubeconfig: &Path) -> Command {
        self.controller_with_factor(args, kubeconfig, FACTOR)
    }

    /// For this namespace, with time running so many times as fast as it is.
    pub fn controller_at(&self, factor: u32) -> Command {
        let args = ["controller", "--namespace", &self.namespace, "--lease-namespace", &self.namespace];
        self.controller_with_factor(&args, &self.plane.kubeconfig_file(CONTROLLER), factor)
    }

    fn controller_with_factor(&self, args: &[impl AsRef<OsStr>], kubeconfig: &Path, factor: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollwave"));
        command
            .args(args)
            .args(["--time-factor", &factor.to_string()])
            .current_dir(self.lab.path())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null());
        for variable in
            ["ROLLWAVE_CRASH_AT", "RUST_LOG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// What a controller answers that was started with `--listen 127.0.0.1:0` and logs into this file.
    pub fn ask(&self, log: &Path, path: &str) -> (u16, String) {
        let said = || fs_err::read_to_string(log).unwrap();
        self.lab.until("it serves", || said().contains("serving http://"));
        let said = said();
        let (_, tail) = said.split_once("serving http://").unwrap();
        let (address, _) = tail.split_once('/').unwrap();
        self.runtime.block_on(async {
            let answer = within_reason(reqwest::get(format!("http://{address}{path}"))).await.unwrap();
            (answer.status().as_u16(), within_reason(answer.text()).await.unwrap())
        })
    }

    /// Waits until something is true of its figures.
    pub fn until_figures(&self, log: &Path, what: &str, is_so: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        loop {
            let (_, figures) = self.ask(log, "/metrics");
            if is_so(&figures) {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "never: {what}: {figures}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Who holds the Lease; empty when nobody does.
    pub fn leader(&self) -> String {
        let found = self.get("Lease", "rollwave").unwrap_or_default();
        found["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    /// What the controller has written so far.
    pub fn writes(&self) -> Vec<String> {
        self.plane.writes(CONTROLLER, &self.namespace)
    }

    fn api(&self, kind: &str) -> kube::Api<DynamicObject> {
        let version = match kind {
            "Lease" => "coordination.k8s.io/v1",
            "Secret" => "v1",
            "Event" => "events.k8s.io/v1",
            _ => rollwave::api::API_VERSION,
        };
        api_of(&self.client, &self.in_namespace(json!({"apiVersion": version, "kind": kind})))
    }

    fn in_namespace(&self, mut manifest: Value) -> Value {
        manifest["metadata"]["namespace"] = self.namespace.as_str().into();
        manifest
    }
}

/// A condition of an object; null when it has none of that type.
pub fn condition(object: &Value, of_type: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == of_type).unwrap_or_default()
}

/// Its message says something.
pub fn says(object: &Value, words: &str) -> bool {
    object["status"]["message"].as_str().is_some_and(|message| message.contains(words))
}
