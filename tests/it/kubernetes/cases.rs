//! One table of manifests, for `rollwave validate` and for the API server: what one of them refuses, the other refuses, for
//! the same field.

mod rollout;

use serde_json::Value;

/// A manifest, and what must be said of it.
pub struct Case {
    pub name: &'static str,
    /// One of the manifests below.
    pub base: &'static str,
    /// What is replaced in it; empty: nothing.
    pub from: &'static str,
    pub to: &'static str,
    /// The field that it is refused for, and words of the rule, if it is one; none when it is accepted.
    pub refused: Option<(&'static str, &'static str)>,
}

impl Case {
    pub fn text(&self) -> String {
        assert!(self.base.contains(self.from), "{}: {}", self.name, self.from);
        self.base.replacen(self.from, self.to, 1)
    }

    /// As `kubectl` sends it.
    pub fn json(&self, namespace: &str) -> Value {
        let mut json: Value = serde_yaml::from_str(&self.text()).unwrap();
        json["metadata"]["namespace"] = namespace.into();
        json
    }
}

const CLOUD: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaCloud
metadata: {name: lab}
spec:
  huaweiIotda: {endpoint: \"https://iotda.example.com\", region: cn-north-4, projectId: p, appId: a}
  credentials: {secretRef: {name: keys}}
  budget: {requestsPerSecond: 5, burst: 10}
";

const PACKAGE: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: meter-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {id: meter}
  version: V2
  sourceVersions: [V1]
  artifact:
    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a
    size: 1000
    obs: {region: cn-north-4, bucket: firmware, key: meter/V2.bin}
  verification: {devices: [v-1, v-2], timeout: 2h}
";

const FILES: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaPackage
metadata: {name: meter-v2}
spec:
  cloudRef: {name: lab}
  type: Firmware
  product: {id: meter}
  version: V2
  artifact:
    files:
    - {name: app, file: app.bin, sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a}
    - {name: modem, file: modem.bin, sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a, size: 5}
";

const ROLLOUT: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaRollout
metadata: {name: meter}
spec:
  packageRef: {name: meter-v2}
  targets: {all: true}
  stages:
  - name: canary
    select: {count: 60}
    soak: 24h
    gates: [{name: proven, outcome: {minSuccess: 95%, minSample: 52}}]
  - name: rest
    select: {rest: true}
  stop:
  - {name: bad, method: Ratio, maxFailure: 10%, minSample: 10}
  - {name: worse, method: Count, maxFailure: 3}
  delivery: {retry: {limit: 1}}
";

const fn accepted(name: &'static str, base: &'static str, from: &'static str, to: &'static str) -> Case {
    Case { name, base, from, to, refused: None }
}

const fn refused(
    base: &'static str,
    from: &'static str,
    to: &'static str,
    path: &'static str,
    words: &'static str,
) -> Case {
    Case { name: to, base, from, to, refused: Some((path, words)) }
}

const NOT_ENCRYPTED: &str = "an http:// address is not encrypted";
const KEYS: &str = "credentials: {secretRef: {name: keys}}";
const IOTDA: &str =
    "huaweiIotda: {endpoint: \"https://iotda.example.com\", region: cn-north-4, projectId: p, appId: a}";
const IOTDA_LINE: &str =
    "  huaweiIotda: {endpoint: \"https://iotda.example.com\", region: cn-north-4, projectId: p, appId: a}\n";
const OCEAN_CONNECT: &str = "oceanConnect: {endpoint: \"https://oc.example.com:8743\", appId: a}";
const OUTCOME: &str = "outcome: {minSuccess: 95%, minSample: 52}";
const OBS: &str = "obs: {region: cn-north-4, bucket: firmware, key: meter/V2.bin}";

/// All of them: a test checks that each rule of each kind is broken by one. The first ones are a cloud, a package and a rollout that are accepted.
pub fn all() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(rollout::CASES)
}

const CASES: &[Case] = &[
    accepted("a cloud", CLOUD, "", ""),
    accepted("a package", PACKAGE, "", ""),
    accepted("a rollout", ROLLOUT, "", ""),
    accepted("keys by name", CLOUD, KEYS, "credentials: {accessKey: \"env:AK\", secretKey: \"file:sk\"}"),
    accepted("a user's token", CLOUD, "appId: a}", "appId: a, auth: Token}"),
    accepted(
        "shared",
        CLOUD,
        KEYS,
        "allowedNamespaces: [team-a, '*']\n  credentials: {secretRef: {name: keys}}",
    ),
    accepted(
        "an account of others",
        PACKAGE,
        "cloudRef: {name: lab}",
        "cloudRef: {name: lab, namespace: platform}",
    ),
    refused(
        CLOUD,
        KEYS,
        "allowedNamespaces: ['team-*']\n  credentials: {secretRef: {name: keys}}",
        "spec.allowedNamespaces[0]",
        "",
    ),
    accepted("OceanConnect", CLOUD, IOTDA, OCEAN_CONNECT),
    accepted("a package by tuple", PACKAGE, "{id: meter}", "{manufacturer: m, deviceType: d, model: x}"),
    accepted("a package of the portal", PACKAGE, OBS, "portal: {}"),
    accepted("devices by name", ROLLOUT, "{all: true}", "{devices: [a, b]}"),
    accepted("devices by tag", ROLLOUT, "{all: true}", "{tags: {site: [north, south]}}"),
    accepted(
        "a network that is trusted",
        ENOS,
        "enos: {endpoint: \"https",
        "allowInsecure: true\n  enos: {endpoint: \"http",
    ),
    accepted("a simulator on this machine", ENOS, "https://apim.example.com", "http://[::1]:7070"),
    // OtaCloud
    refused(CLOUD, IOTDA_LINE, "", "spec", "set exactly one of huaweiIotda, oceanConnect, aliyunIot, enos"),
    refused(
        CLOUD,
        "endpoint: \"https://iotda.example.com\"",
        "endpoint: \"iotda\"",
        "spec.huaweiIotda.endpoint",
        "",
    ),
    refused(CLOUD, "projectId: p", "projectId: \"p q\"", "spec.huaweiIotda.projectId", ""),
    refused(CLOUD, "projectId: p, ", "", "spec.huaweiIotda.projectId", ""),
    refused(CLOUD, "burst: 10", "burst: 0", "spec.budget.burst", ""),
    refused(CLOUD, "burst: 10", "burst: ten", "spec.budget.burst", ""),
    refused(CLOUD, "  budget", "  driftInterval: soon\n  budget", "spec.driftInterval", ""),
    refused(
        CLOUD,
        "  budget",
        "  driftInterval: 29s\n  budget",
        "spec",
        "driftInterval must be at least 30s",
    ),
    refused(CLOUD, "https://iotda", "http://iotda", "spec", NOT_ENCRYPTED),
    refused(CLOUD, "appId: a}", "appId: a, iamEndpoint: \"http://iam.example.com\"}", "spec", NOT_ENCRYPTED),
    refused(CLOUD, IOTDA, "oceanConnect: {endpoint: \"http://10.0.0.7\", appId: a}", "spec", NOT_ENCRYPTED),
    refused(ALIYUN, "https://", "http://", "spec", NOT_ENCRYPTED),
    refused(ENOS, "https://apim", "http://localhost.apim", "spec", NOT_ENCRYPTED),
    refused(ENOS, "https://apim.example.com", "https://127.0.0.1:99999", "spec.enos.endpoint", ""),
    refused(CLOUD, "{name: keys}", "{name: My_Keys}", "spec.credentials.secretRef.name", ""),
    refused(
        CLOUD,
        KEYS,
        "credentials: {username: \"env:U\", password: \"env:P\", domain: \"env:D\"}",
        "spec",
        "signed requests require credentials.accessKey and secretKey",
    ),
    refused(
        CLOUD,
        "appId: a}\n  credentials: {secretRef: {name: keys}}",
        "appId: a, auth: Token}\n  credentials: {accessKey: \"env:A\", secretKey: \"env:S\"}",
        "spec",
        "auth: Token requires credentials.username",
    ),
    refused(
        ALIYUN,
        KEYS,
        "credentials: {username: \"env:U\", password: \"env:P\", domain: \"env:D\"}",
        "spec",
        "aliyunIot requires credentials.accessKey",
    ),
    refused(
        ENOS,
        KEYS,
        "credentials: {username: \"env:U\", password: \"env:P\", domain: \"env:D\"}",
        "spec",
        "enos requires credentials.accessKey",
    ),
    refused(
        ENOS,
        KEYS,
        "credentials: {accessKey: \"env:A\", secretKey: \"env:S\", securityToken: \"env:T\"}",
        "spec",
        "enos does not support credentials.securityToken",
    ),
    refused(
        CLOUD,
        KEYS,
        "credentials: {appSecret: \"env:S\"}",
        "spec",
        "credentials.appSecret is required for oceanConnect, and not supported by other clouds",
    ),
    refused(
        CLOUD,
        KEYS,
        "credentials: {accessKey: \"env:A\"}",
        "spec.credentials",
        "set accessKey and secretKey together",
    ),
    refused(
        CLOUD,
        KEYS,
        "credentials: {username: \"env:U\", password: \"env:P\"}",
        "spec.credentials",
        "set username, password and domain together",
    ),
    refused(CLOUD, KEYS, "credentials: {}", "spec.credentials", "set exactly one of secretRef, accessKey"),
    refused(
        CLOUD,
        KEYS,
        "credentials: {secretRef: {name: keys}, securityToken: \"env:T\"}",
        "spec.credentials",
        "securityToken requires accessKey",
    ),
    refused(
        CLOUD,
        KEYS,
        "credentials: {accessKey: \"env:A\", secretKey: \"not a source\"}",
        "spec.credentials.secretKey",
        "",
    ),
    // OtaPackage
    refused(PACKAGE, "type: Firmware", "type: Bootloader", "spec.type", ""),
    refused(PACKAGE, "version: V2", "version: V2/0", "spec.version", ""),
    refused(PACKAGE, "version: V2", "version: 2.0", "spec.version", ""),
    refused(PACKAGE, "version: V2", "versoin: V2", "spec.versoin", ""),
    refused(PACKAGE, "size: 1000", "size: 2000000000", "spec.artifact.size", ""),
    refused(PACKAGE, "size: 1000", "size: 1.5", "spec.artifact.size", ""),
    refused(PACKAGE, "sha256: 4bf5", "sha256: xyz", "spec.artifact.sha256", ""),
    refused(PACKAGE, "V2.bin", "V2.txt", "spec.artifact.obs.key", ""),
    refused(PACKAGE, "[v-1, v-2]", "[]", "spec.verification.devices", ""),
    refused(PACKAGE, "timeout: 2h", "timeout: 90", "spec.verification.timeout", ""),
    refused(PACKAGE, "timeout: 2h", "minSuccess: ninety", "spec.verification.minSuccess", ""),
    refused(PACKAGE, "{id: meter}", "{}", "spec.product", "set either id, or manufacturer"),
    refused(
        PACKAGE,
        "{id: meter}",
        "{manufacturer: m, model: x}",
        "spec.product",
        "set manufacturer, deviceType and model together",
    ),
    refused(PACKAGE, "sourceVersions: [V1]", "module: a/b", "spec.module", ""),
    refused(
        PACKAGE,
        "[V1]\n  artifact:\n",
        "[V1, V0]\n  artifact:\n    delta: true\n",
        "spec",
        "a delta applies to exactly one version",
    ),
    refused(PACKAGE, OBS, "description: x", "spec.artifact.description", ""),
    refused(
        PACKAGE,
        "    obs: {region: cn-north-4, bucket: firmware, key: meter/V2.bin}\n",
        "",
        "spec.artifact",
        "set exactly one of obs, file, files, portal",
    ),
    refused(
        PACKAGE,
        "    sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\n",
        "",
        "spec.artifact",
        "sha256 is required: it identifies the artifact",
    ),
    // Several files
    accepted("several files", FILES, "", ""),
    accepted("a name of a file in other letters", FILES, "name: modem", "name: 调制解调器 2"),
    refused(
        FILES,
        "files:\n",
        "file: a.bin\n    files:\n",
        "spec.artifact",
        "set exactly one of obs, file, files",
    ),
    refused(
        FILES,
        "files:\n",
        "md5: 0800fc577294c34e0b28ad2839435945\n    files:\n",
        "spec.artifact",
        "set sha256, md5 and size on each item of files",
    ),
    refused(
        FILES,
        "files:\n",
        "size: 5\n    files:\n",
        "spec.artifact",
        "set sha256, md5 and size on each item of files",
    ),
    refused(FILES, "name: modem", "name: app", "spec.artifact.files", "names of files must differ"),
    refused(FILES, "name: modem", "name: a/b", "spec.artifact.files[1].name", ""),
    refused(
        FILES,
        "name: modem",
        "name: a-name-of-more-than-32-characters-",
        "spec.artifact.files[1].name",
        "",
    ),
    refused(FILES, "name: modem, ", "", "spec.artifact.files[1].name", ""),
    refused(FILES, "file: modem.bin", "file: modem.exe", "spec.artifact.files[1].file", ""),
    refused(FILES, "size: 5", "size: 0", "spec.artifact.files[1].size", ""),
    refused(FILES, "size: 5", "url: x", "spec.artifact.files[1].url", ""),
    refused(
        FILES,
        "    - {name: modem, file: modem.bin, sha256: 4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a, size: 5}\n",
        "",
        "spec.artifact.files",
        "",
    ),
];

const ALIYUN: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaCloud
metadata: {name: lab}
spec:
  aliyunIot: {endpoint: \"https://iot.cn-shanghai.aliyuncs.com\", regionId: cn-shanghai}
  credentials: {secretRef: {name: keys}}
";

const ENOS: &str = "
apiVersion: ota.rollwave.dev/v1alpha1
kind: OtaCloud
metadata: {name: lab}
spec:
  enos: {endpoint: \"https://apim.example.com\", orgId: o1}
  credentials: {secretRef: {name: keys}}
";

/// A package, and what may not be changed of it.
pub const UPDATES: &[(&str, &str, &str)] = &[
    ("cloudRef: {name: lab}", "cloudRef: {name: other}", "spec.cloudRef"),
    ("type: Firmware", "type: Software", "spec.type"),
    ("{id: meter}", "{id: meter2}", "spec.product"),
    ("version: V2", "version: V3", "spec.version"),
    ("version: V2", "version: V2\n  module: modem", "spec"),
    ("sourceVersions: [V1]", "sourceVersions: [V1, V0]", ""),
];

/// The package of [`UPDATES`].
pub const UPDATED: &str = PACKAGE;
