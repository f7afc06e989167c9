"""The official Poseidon SDK of EnOS, and its documented signature scheme, against `rollwave simulate`.

usage: enos.py PROGRAM   starts PROGRAM simulate with enos-world.yaml
       enos.py URL       uses a simulator that runs this world already

The SDK encrypts its header for a key that Envision alone holds: the simulator takes what has the form of one. For an
account whose test key has been put into the SDK, the header is opened and verified.

Prints one line a check and a last line `N passed, M failed`; the exit code is 1 when a check failed.
"""

import base64
import hashlib
import json
import time
import urllib.parse
import urllib.request

from Crypto.PublicKey import RSA
from poseidon import poseidon

import harness
from harness import check, equal

MAIN = ("o15504722874071", "11112222-0abc-4300-9164-c8b20b638e8b", "99998888-0def-4ab2-8c1f-5e0d7a1b2c3d")
VERIFIED = ("o16000000000001", "33334444-1abc-4300-9164-c8b20b638e8b", "55556666-2def-4ab2-8c1f-5e0d7a1b2c3d")
NARROW = ("o17000000000002", "77778888-3abc-4300-9164-c8b20b638e8b", "11119999-4def-4ab2-8c1f-5e0d7a1b2c3d")
# The public half of the key in enos-world.yaml. Its private exponent is the short one, so that opening is quick.
MODULUS = "aaf6448cd85388e9fe2b13e50bebf1365373dad3cda57f1aeeb9c7ba02f5b18036cd12b7a5d3eeb427504bf4cf527987df21bf1dd3bb382c05fd3dc2d22d08dcc765fe1bae9e9a0b7721eedbc57421cb3f280afce82a899d7632d9ee868550371525323b36eb97e7c32a745d3bb3e8d04c6e2957bdd68dadabe1e26d6a741677d9ad91bf97a591fb2b0221a07e458517bc863b83f11c0c5fad67c07b4164e803fd7e60dbfd49c3e69438edeebda224003598b32e438a36a4dec9dcb3fd1fffeecb96fa98906bf67a977d6d70f5e311b78d2baa7eae7309d46044738ae0cfd8df5814564d14fdbf85698887ae6563728eb60dc65a137d8a238248201c3655ea9d"
EXPONENT = "a760b25e7e90d253dcdf09fc4e7eb24af0cb55abd603b87c82caea8ae7c8e9fe5028d8b16a2e22dec83aaa12c543c6ee4a7bbca4141e90f130efed9ea6ad26a718a577725cb4b4b692ed6af049d1d82027f62943d07d8cfbd7b4137f9ebe3879a53f247daad85f81ada70c0417a69d420a023481cdbf98383736d0bb34e4f0f4cc69271a6a2e3e5d12076f985f5d904f260329e88cea405b5b9132f8fcb974b5d254697efb975f926fe9bf3366627491be43b1a2d20accf80fc363b6d4d917061a16a7d21ffd48ae0bffbbf38c0cc0e7969e584f9d2cc38d0f8d7030a3f0c86ddedfa3bb1c81aacd074eb2a05ceabf1669d7ec7ea8a7e9a6adb65e281ac11915"

FIRMWARES, JOBS = "/connect-service/v2.1/ota-firmwares", "/connect-service/v2.1/ota-jobs"
TOKENS = "/apim-token-service/v2.0/token/"


def refused(name, answer, code):
    """The answer is a refusal with this code, in the documented envelope."""
    fits = answer.get("code", answer.get("status")) == code and answer["data"] is None and answer["msg"]
    check(f"{name} is refused", fits, answer)


def admin(url, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_rollwave/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def step(url, seconds):
    admin(url, "POST", "time/step", {"seconds": seconds})


def sha256(text):
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def send(address, body, headers, method="POST"):
    request = urllib.request.Request(address, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


class Signed:
    """The documented scheme: a token, and a digest of each request."""

    last = 0

    def __init__(self, url, account):
        self.url, (self.org, self.key, self.secret) = url, account
        self.token = None

    def now(self):
        """Milliseconds; never the same twice, because a repeated digest is refused."""
        Signed.last = max(Signed.last + 1, int(time.time() * 1000))
        return Signed.last

    def ask_token(self, action="get", **change):
        at = self.now()
        body = {"appKey": self.key, "encryption": sha256(f"{self.key}{at}{self.secret}"), "timestamp": at}
        body.update(change)
        return send(self.url + TOKENS + action, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def sign_in(self):
        self.token = self.ask_token()["data"]["accessToken"]
        return self

    def request(self, path, action, query, body, at=None):
        """Address, body and headers of a signed request."""
        query = {"action": action, "orgId": self.org, **query}
        text = "" if body is None else json.dumps(body, ensure_ascii=False)
        at = at or self.now()
        signed = "".join(name + query[name] for name in sorted(query)) + text
        headers = {
            "Content-Type": "application/json;charset=UTF-8",
            "apim-accesstoken": self.token,
            "apim-timestamp": str(at),
            "apim-signature": sha256(f"{self.token}{signed}{at}{self.secret}"),
        }
        return f"{self.url}{path}?{urllib.parse.urlencode(query)}", text.encode() or None, headers

    def call(self, path, action, body=None, method="POST", at=None, **query):
        address, body, headers = self.request(path, action, query, body, at)
        return send(address, body, headers, method)

    def upload(self, data=b"image", file_name="meter.bin", parts=("metadata", "file"), product="meter", **metadata):
        """Multipart: the body is not signed."""
        fields = {"name": {"defaultValue": f"Meter {metadata.get('version')}", "i18nValue": {"zh_CN": "电表"}},
                  "signMethod": "sha256", "sign": sha256(data), "enableVerification": False}
        fields.update(metadata)
        fields = {name: value for name, value in fields.items() if value is not None}
        heads = {"metadata": 'name="metadata"\r\nContent-Type: application/json',
                 "file": f'name="file"; filename="{file_name}"\r\nContent-Type: application/octet-stream'}
        bodies = {"metadata": json.dumps(fields).encode(), "file": data}
        form = b"".join(f"--b0und\r\nContent-Disposition: form-data; {heads[part]}\r\n\r\n".encode() + bodies[part]
                        + b"\r\n" for part in parts) + b"--b0und--\r\n"
        query = {"productKey": product} if product else {}
        address, _, headers = self.request(FIRMWARES, "create", query, None)
        headers["Content-Type"] = "multipart/form-data; boundary=b0und"
        return send(address, form, headers)


class Sdk:
    """The official SDK. It gives None for whatever is not 2xx."""

    def __init__(self, url, account):
        self.url, (self.org, self.key, self.secret) = url, account

    def call(self, path, action, body=None, method=None, **query):
        query = urllib.parse.urlencode({"action": action, "orgId": self.org, **query})
        return poseidon.urlopen(self.key, self.secret, f"{self.url}{path}?{query}", body, method=method)


def pages(call, path, action, expression=None, size=50):
    rows, number = [], 1
    while True:
        answer = call(path, action, {"expression": expression, "pagination": {"pageNo": number, "pageSize": size}})
        rows += answer["data"]
        if number * size >= answer["pagination"]["totalSize"]:
            return rows
        number += 1


def tokens(url):
    signed = Signed(url, MAIN)
    given = signed.ask_token()
    equal("the token service has its own envelope", (given["status"], given["msg"], given["business"]),
          (0, "SUCCESS", "apim-token-service"))
    check("a token lives 7200 s", 7190 <= given["data"]["expire"] <= 7200, given)
    again = signed.ask_token(timestamp=str(signed.now()), encryption=sha256(f"{signed.key}{Signed.last}{signed.secret}"))
    equal("while it lives it is given again, to a text as timestamp, too", again["data"]["accessToken"],
          given["data"]["accessToken"])
    at = signed.now()
    twice = dict(timestamp=at, encryption=sha256(f"{signed.key}{at}{signed.secret}"))
    equal("a digest is good once", signed.ask_token(**twice)["status"], 0)
    refused("a digest that was seen", signed.ask_token(**twice), 1001)
    refused("an unknown key", signed.ask_token(appKey="nobody"), 1002)
    refused("a wrong digest", signed.ask_token(encryption="0" * 64), 1003)
    old = at - 16 * 60_000
    refused("a digest of long ago", signed.ask_token(timestamp=old, encryption=sha256(f"{signed.key}{old}{signed.secret}")), 1003)
    refused("a timestamp that is none", signed.ask_token(timestamp="noon"), 1004)
    refused("no digest", signed.ask_token(encryption=None), 1202)
    refused("a refresh of another token", signed.ask_token("refresh", accessToken="x"), 1204)
    fresh = signed.ask_token("refresh", accessToken=given["data"]["accessToken"])
    check("a refresh gives another token", fresh["data"]["accessToken"] != given["data"]["accessToken"], fresh)
    signed.token = given["data"]["accessToken"]
    refused("the token before it", signed.call(JOBS, "search", {}), 1203)
    signatures(url, signed.sign_in())


def signatures(url, signed):
    equal("a signed call is answered", signed.call(JOBS, "search", {"expression": "type = 'upgrade'"})["code"], 0)
    equal("GET is signed without a body", signed.call(FIRMWARES, "listVersion", method="GET", productKey="meter")["data"],
          ["V1.0", "V1.1"])
    equal("a query is signed decoded", signed.call(FIRMWARES, "listVersion", method="GET", productKey="a +%&=表")["code"], 0)
    equal("text beyond ASCII is signed as UTF-8",
          signed.call(JOBS, "search", {"expression": "name.zh_CN like '描述'"})["code"], 0)
    address, body, headers = signed.request(JOBS, "search", {}, {})
    refused("another query than the signed one", send(address + "&x=1", body, headers), 1003)
    refused("another body than the signed one", send(address, b'{"a":1}', headers), 1003)
    equal("a digest of a request is good once", send(address, body, headers)["code"], 0)
    refused("a request that was seen", send(address, body, headers), 1001)
    refused("a request of long ago", signed.call(JOBS, "search", {}, at=signed.now() - 16 * 60_000), 1003)
    headers.pop("apim-timestamp")
    refused("a request without its time", send(address, body, headers), 1003)
    refused("a request without a token", send(address, body, {}), 1203)
    signed.token = "another"
    refused("an unknown token", signed.call(JOBS, "search", {}), 1203)
    signed.sign_in()
    admin(url, "POST", "faults", {"kind": "expireTokens"})
    refused("a token that has ended", signed.call(JOBS, "search", {}), 1203)
    equal("a new one is given", signed.sign_in().call(JOBS, "search", {})["code"], 0)
    admin(url, "POST", "faults", {"kind": "skew", "seconds": 1200})
    refused("a clock that is wrong", signed.call(JOBS, "search", {}), 1003)
    admin(url, "DELETE", "faults")
    refused("another's organisation", signed.call(JOBS, "search", {}, orgId=VERIFIED[0]), 99403)
    refused("no organisation", signed.call(JOBS, "search", {}, orgId=""), 99400)
    answer = signed.call(JOBS, "", {})
    equal("a missing action has the documented words", (answer["code"], answer["msg"]),
          (99400, "Invalid Argument action:action is missing"))
    refused("an unknown action", signed.call(JOBS, "update", {}), 99404)
    check("an answer names its request", answer["requestId"], answer)


def sdk_headers(url):
    opaque = Sdk(url, MAIN)
    equal("the SDK is answered", opaque.call(JOBS, "search", {})["code"], 0)
    equal("the SDK may POST where GET is documented", opaque.call(FIRMWARES, "listVersion", {}, productKey="valve")["data"], ["V1.0"])
    equal("or GET where POST is", opaque.call(JOBS, "search")["code"], 0)
    refused("a header of the SDK's own key, where the key is known", Sdk(url, VERIFIED).call(JOBS, "search", {}), 1203)
    official = poseidon.pubkey
    test_key = RSA.construct((int(MODULUS, 16), int(EXPONENT, 16)))
    poseidon.pubkey = base64.b64encode(test_key.export_key("DER"))
    try:
        verified = Sdk(url, VERIFIED)
        equal("with the test key the header is verified", verified.call(JOBS, "search", {})["code"], 0)
        for name, key, secret in [
            ("a wrong secret", VERIFIED[1], MAIN[2]),
            ("an unknown key", NARROW[1], VERIFIED[2]),
        ]:
            refused(name, Sdk(url, (VERIFIED[0], key, secret)).call(JOBS, "search", {}), 1203)
        refused("another's organisation with the SDK", Sdk(url, (NARROW[0], *VERIFIED[1:])).call(JOBS, "search", {}), 99403)
        refused("the SDK where it is not allowed", Sdk(url, NARROW).call(JOBS, "search", {}), 1203)
        return verified
    finally:
        poseidon.pubkey = official


def firmwares(url, signed, sdk):
    made = signed.upload(b"V2" * 1000, version="V2.0", desc="修复", firmwareTags={"a": "b"},
                         maxAllowedForVerification=3, minSuccessForVerified=2, enableVerification=True)
    check("a firmware is created", made["code"] == 0 and len(made["data"]["firmwareId"]) == 24, made)
    good = made["data"]["firmwareId"]
    found = lambda: [row["firmwareId"] for row in sdk.call(FIRMWARES, "search", {"expression": "productKey = 'meter'"})["data"]]
    equal("a search does not show it yet", found(), [])
    info = sdk.call(FIRMWARES, "get", firmwareId=good)["data"]
    equal("get does", [info[name] for name in ("version", "desc", "sign", "fileSize", "isVerified", "firmwareTags")],
          ["V2.0", "修复", sha256(b"V2" * 1000), 2000, False, {"a": "b"}])
    check("its bytes have an opaque address", info["fileUrl"].startswith("enos-connect://"), info)
    step(url, 2)
    equal("two seconds later a search shows it", found(), [good])
    refused("the same version again", signed.upload(version="V2.0", name={"defaultValue": "Other"}), 24601)
    refused("the same name again", signed.upload(version="V2.1", name={"defaultValue": "Meter V2.0"}), 24602)
    equal("another product may have both", signed.upload(version="V2.0", product="valve")["code"], 0)
    equal("a firmware may belong to no product", signed.upload(version="ANY", product=None)["code"], 0)
    for name, change in [
        ("no version", dict(version=None, name={"defaultValue": "x"})),
        ("no name", dict(version="V", name=None)),
        ("a name without a default", dict(version="V", name={"i18nValue": {}})),
        ("another signMethod", dict(version="V", signMethod="crc")),
        ("no sign", dict(version="V", sign=None)),
        ("no enableVerification", dict(version="V", enableVerification=None)),
        ("more successes than devices", dict(version="V", maxAllowedForVerification=2, minSuccessForVerified=3)),
        ("no device to verify on", dict(version="V", maxAllowedForVerification=0)),
        ("an upload without a file", dict(version="V", parts=["metadata"])),
        ("an upload without metadata", dict(version="V", parts=["file"])),
    ]:
        refused(name, signed.upload(**change), 99400)
    refused("a digest of other bytes (as this world says)", signed.upload(version="V", sign="0" * 64), -24001)
    gone = signed.upload(version="GONE")["data"]["firmwareId"]
    equal("a firmware is deleted, by GET as the sample does", sdk.call(FIRMWARES, "delete", firmwareId=gone)["code"], 0)
    refused("a deleted firmware", sdk.call(FIRMWARES, "get", firmwareId=gone), 24404)
    refused("deleting it again", sdk.call(FIRMWARES, "delete", firmwareId=gone), 24404)
    return good


def searches(url, signed, sdk):
    for n in range(60):
        signed.upload(version=f"P{n:02}", product="pump", name={"defaultValue": f"Pump {n:02}"})
    step(url, 2)
    versions = lambda **page: [row["version"] for row in sdk.call(
        FIRMWARES, "search", {"expression": "productKey = 'pump'", "pagination": page})["data"]]
    newest_first = [f"P{n:02}" for n in reversed(range(60))]
    equal("a page has 10 rows, newest first", versions(), newest_first[:10])
    equal("pages count from 1", versions(pageNo=2, pageSize=25), newest_first[25:50])
    equal("a page behind the end is empty", versions(pageNo=9, pageSize=10), [])
    equal("200 rows are the most", versions(pageSize=200), newest_first)
    for page in [dict(pageNo=0), dict(pageSize=0), dict(pageSize=201), dict(sorters=[{"field": "name", "order": "ASC"}])]:
        refused(f"the page {page}", sdk.call(FIRMWARES, "search", {"pagination": page}), 99400)
    count = lambda expression: sdk.call(FIRMWARES, "search", {"expression": expression})["pagination"]["totalSize"]
    for expression, wanted in [
        ("productKey in ('pump','valve')", 61),
        ("productKey = \"pump\" AND name like 'Pump 0'", 10),
        ("name.zh_CN like '电' and productKey = 'valve'", 1),
        ("isVerified = true", 0),
        ("productKey = 'pump' and isVerified = false", 60),
    ]:
        equal(f"{expression} finds {wanted}", count(expression), wanted)
    for expression in ["version = 'P01'", "productKey = 'it's'", "productKey like 'p'", "productKey =", "isVerified in (true)"]:
        refused(f"the expression {expression}", sdk.call(FIRMWARES, "search", {"expression": expression}), 99400)
    devices = pages(sdk.call, FIRMWARES, "searchDeviceUpgrade", "productKey = 'meter'")
    equal("devices are found with their versions", (len(devices), {row["firmwareVersion"] for row in devices}), (101, {"V1.0", "V1.1"}))
    equal("and filtered", [row["deviceKey"] for row in pages(
        sdk.call, FIRMWARES, "searchDeviceUpgrade", "firmwareVersion = 'V1.0' and isUpgrading = false and productKey != 'meter'")], ["valve-1"])


def scope(*devices, versions=("V1.0",), **other):
    return {"type": "partial", "versionNumbers": list(versions), "deviceKeys": list(devices), **other}


def upgrade(*devices, **other):
    body = {"name": {"defaultValue": "wave", "i18nValue": {}}, "type": "upgrade", "upgradePolicy": "snapshot",
            "enableUpgradeRequest": False, "upgradeScope": scope(*devices)}
    body.update(other)
    return {name: value for name, value in body.items() if value is not None}


def tasks(sdk, job, **only):
    expression = f"jobId = '{job}'" + "".join(f" and {name} = '{value}'" for name, value in only.items())
    return pages(sdk.call, JOBS, "searchTask", expression)


def statuses(sdk, job):
    rows = tasks(sdk, job)
    return {status: sum(row["status"] == status for row in rows) for status in {row["status"] for row in rows}}


def job_of(sdk, firmware, body):
    answer = sdk.call(JOBS, "create", body, firmwareId=firmware)
    return answer["data"]["jobId"] if answer["code"] == 0 else answer


def verification(url, sdk, good):
    verify = lambda *devices, **other: {"type": "verify", "upgradeScope": scope(*devices, **other)}
    refused("an upgrade before the verification", sdk.call(JOBS, "create", upgrade("m-0010"), firmwareId=good), 24610)
    refused("a verification on all devices", sdk.call(JOBS, "create", {"type": "verify", "upgradeScope": {
        "type": "total", "versionNumbers": ["V1.0"]}}, firmwareId=good), 24611)
    many = sdk.call(JOBS, "create", verify("m-0000", "m-0001", "m-0002", "m-0003"), firmwareId=good)
    equal("a verification on too many has the documented words", (many["code"], many["msg"]),
          (24612, "Exceeded max verification deviceKeys, max[3]"))
    refused("a verification by tags", sdk.call(JOBS, "create", {"type": "verify", "upgradeScope": {
        "type": "partial", "versionNumbers": ["V1.0"], "tags": {"site": ["north"]}}}, firmwareId=good), 99400)
    first = job_of(sdk, good, verify("m-0000"))
    step(url, 600)
    equal("one success of two does not verify it", sdk.call(FIRMWARES, "get", firmwareId=good)["data"]["isVerified"], False)
    pending = job_of(sdk, good, verify("cellar"))
    second = job_of(sdk, good, verify("m-0001", "m-0002"))
    step(url, 600)
    equal("a later verification ends the one that waits", (statuses(sdk, first), statuses(sdk, pending), statuses(sdk, second)),
          ({"succeeded": 1}, {"failed": 1}, {"succeeded": 2}))
    equal("two successes verify it", sdk.call(FIRMWARES, "get", firmwareId=good)["data"]["isVerified"], True)


def jobs(url, signed, sdk, good):
    keys = [f"m-{n:04}" for n in range(10, 30)]
    made = sdk.call(JOBS, "create", upgrade(*keys, upgradeTimeout="600"), firmwareId=good)
    check("a job is created", made["code"] == 0 and len(made["data"]["jobId"]) == 24, made)
    job = made["data"]["jobId"]
    info = sdk.call(JOBS, "get", jobId=job)["data"]
    equal("it has started, and shows what it was created with",
          (info["status"], info["name"]["defaultValue"], info["upgradeTimeout"], info["maximumConcurrency"], info["firmwareVersion"]),
          ("started", "wave", "600", 300, "V2.0"))
    search = lambda expression: [row["jobId"] for row in sdk.call(JOBS, "search", {"expression": expression})["data"]]
    equal("a search does not show it yet", search("name like 'wave'"), [])
    refused("a firmware in use", sdk.call(FIRMWARES, "delete", firmwareId=good), 24604)
    refused("starting it again", sdk.call(JOBS, "start", {}, jobId=job), 24615)
    refused("deleting it while it runs", sdk.call(JOBS, "delete", {}, jobId=job), 24618)
    step(url, 2)
    equal("two seconds later a search shows it", search("name like 'wave' and type = 'upgrade' and status = 'started'"), [job])
    step(url, 600)
    rows = tasks(sdk, job)
    equal("all devices have succeeded", ({row["status"] for row in rows}, len(rows)), ({"succeeded"}, 20))
    equal("a task tells what it did", [rows[0][name] for name in ("deviceKey", "fromVersion", "toVersion", "progress")],
          ["m-0010", "V1.0", "V2.0", 100])
    equal("a finished job still says started", sdk.call(JOBS, "get", jobId=job)["data"]["status"], "started")
    refused("cancelling what is done", sdk.call(JOBS, "cancelTask", {"deviceKeys": keys[:1]}, jobId=job), 24620)
    refused("retrying what is done", sdk.call(JOBS, "retryTask", {"deviceKeys": keys[:1]}, jobId=job), 24621)
    equal("it is stopped", sdk.call(JOBS, "stop", {}, jobId=job)["code"], 0)
    refused("stopping it again", sdk.call(JOBS, "stop", {}, jobId=job), 24616)
    refused("cancelling in a stopped job", sdk.call(JOBS, "cancelTask", {"deviceKeys": keys[:1]}, jobId=job), 24617)
    equal("it is deleted", sdk.call(JOBS, "delete", {}, jobId=job)["code"], 0)
    for action in ["get", "start", "stop", "delete"]:
        answer = sdk.call(JOBS, action, {}, jobId=job)
        equal(f"{action} of a deleted job says so", (answer["code"], answer["msg"]), (24404, "Job not found"))
    invalid_jobs(sdk, good)


def invalid_jobs(sdk, good):
    partial = {"type": "partial", "versionNumbers": ["V1.0"]}
    day = 1_900_000_000_000
    for name, body in [
        ("no type", upgrade("m-0040", type=None)),
        ("another type", upgrade("m-0040", type="rollback")),
        ("no scope", upgrade(upgradeScope=None)),
        ("a scope without versions", upgrade(upgradeScope=scope("m-0040", versions=[]))),
        ("the firmware's own version as source", upgrade(upgradeScope=scope("m-0040", versions=["V2.0"]))),
        ("no devices", upgrade(upgradeScope=scope())),
        ("a partial scope of nothing", upgrade(upgradeScope=partial)),
        ("two filters", upgrade(upgradeScope=scope("m-0040", tags={"site": ["north"]}))),
        ("total with a filter", upgrade(upgradeScope=scope("m-0040", type="total"))),
        ("six asset trees", upgrade(upgradeScope={**partial, "assetTrees": [{"treeId": str(n)} for n in range(6)]})),
        ("the policy of one page alone", upgrade("m-0040", upgradePolicy="upgrade")),
        ("no policy", upgrade("m-0040", upgradePolicy=None)),
        ("no enableUpgradeRequest", upgrade("m-0040", enableUpgradeRequest=None)),
        ("299 s", upgrade("m-0040", upgradeTimeout=299)),
        ("172801 s", upgrade("m-0040", upgradeTimeout=172801)),
        ("retries without a count", upgrade("m-0040", retryPolicy={"enableRetry": True, "retryInterval": 1})),
        ("six retries", upgrade("m-0040", retryPolicy={"enableRetry": True, "retryInterval": 1, "retryCount": 6})),
        ("a window of 29 minutes", upgrade("m-0040", schedulePolicy={"startTimestamp": day, "endTimestamp": day + 29 * 60_000})),
        ("a window in seconds", upgrade("m-0040", schedulePolicy={"startTimestamp": day // 1000, "endTimestamp": day // 1000 + 3600})),
        ("a daily window over midnight", upgrade("m-0040", schedulePolicy={
            "isRepeatDaily": True, "startTimestamp": day - day % 86_400_000 - 3_600_000, "endTimestamp": day - day % 86_400_000 + 3_600_000})),
    ]:
        refused(name, sdk.call(JOBS, "create", body, firmwareId=good), 99400)
    refused("a job without a firmware", sdk.call(JOBS, "create", upgrade("m-0040")), 99400)
    refused("a job with an unknown firmware", sdk.call(JOBS, "create", upgrade("m-0040"), firmwareId="0" * 24), 24404)


def scopes(url, signed, sdk):
    partial = {"type": "partial", "versionNumbers": ["V1.1"]}
    for name, wanted, scope_ in [
        ("attributes", 40, {**partial, "attributes": {"model": ["large", "huge"]}}),
        ("tags", 40, {**partial, "tags": {"site": ["south"]}}),
        ("tags of another site", 0, {**partial, "tags": {"site": ["north"]}}),
        ("a whole asset tree", 40, {**partial, "assetTrees": [{"treeId": "yard"}]}),
        ("a node of an asset tree", 40, {**partial, "assetTrees": [{"treeId": "plant", "includedNodes": ["hall-2"]}]}),
        ("a node, spelled as in the sample", 0, {**partial, "assetTrees": [{"treeId": "plant", "includedNotes": ["hall-1"]}]}),
        ("device keys, of which one runs another version", 1, {**partial, "deviceKeys": ["n-0000", "m-0050"]}),
        ("device keys, of which one does not exist", 1, {**partial, "deviceKeys": ["n-0000", "nobody"]}),
        ("total", 40, {"type": "total", "versionNumbers": ["V1.1"]}),
    ]:
        firmware = signed.upload(version=f"SCOPE-{name}", name={"defaultValue": name})["data"]["firmwareId"]
        far = 4_000_000_000_000
        job = job_of(sdk, firmware, upgrade(upgradeScope=scope_, schedulePolicy={"startTimestamp": far, "endTimestamp": far + 7_200_000}))
        step(url, 2)
        equal(f"a job for {name} has its devices", len(tasks(sdk, job)), wanted)


def orders(url, signed, sdk):
    make = lambda version: signed.upload(version=version)["data"]["firmwareId"]
    keys = [f"m-{n:04}" for n in range(40, 45)]
    bad, stuck, slow = make("BAD"), make("STUCK"), make("SLOW")
    job = job_of(sdk, bad, upgrade(*keys))
    step(url, 300)
    rows = tasks(sdk, job, status="failed")
    equal("failed devices say why", ({row["desc"] for row in rows}, {row["progress"] < 0 for row in rows}, len(rows)),
          ({"Firmware update failed"}, {True}, 5))
    equal("they are tried again by order", sdk.call(JOBS, "retryTask", {"deviceKeys": keys[:2]}, jobId=job)["code"], 0)
    step(url, 300)
    equal("and succeed", statuses(sdk, job), {"failed": 3, "succeeded": 2})
    policy = {"enableRetry": "true", "retryInterval": "30", "retryCount": "2"}
    again = job_of(sdk, make("FLAKY"), upgrade("m-0046", retryPolicy=policy))
    step(url, 600)
    equal("a retry policy tries again by itself", statuses(sdk, again), {"succeeded": 1})
    job = job_of(sdk, stuck, upgrade("m-0047", upgradeTimeout=300))
    step(url, 200)
    equal("a device that begins is upgrading", statuses(sdk, job), {"upgrading": 1})
    refused("cancelling what has begun", sdk.call(JOBS, "cancelTask", {"deviceKeys": ["m-0047"]}, jobId=job), 24620)
    step(url, 200)
    equal("it times out", [(row["status"], row["desc"]) for row in tasks(sdk, job)], [("failed", "Upgrade timeout")])
    job = job_of(sdk, slow, upgrade("m-0048", "m-0049", "cellar", maximumConcurrency=1))
    step(url, 60)
    equal("as many at a time as allowed", statuses(sdk, job), {"upgrading": 1, "init": 2})
    clash = job_of(sdk, good_of(sdk), upgrade("m-0048"))
    step(url, 60)
    equal("a device is in one upgrade at a time", statuses(sdk, clash), {"failed": 1})
    equal("what waits is cancelled", sdk.call(JOBS, "cancelTask", {"deviceKeys": ["cellar"]}, jobId=job)["code"], 0)
    equal("and fails with that reason", tasks(sdk, job, status="failed")[0]["desc"], "Canceled")
    sdk.call(JOBS, "stop", {}, jobId=job)
    equal("a search still shows it started", sdk.call(JOBS, "search", {"expression": "name like 'wave'"})["data"][1]["status"], "started")
    step(url, 3600)
    equal("a stopped job sends nothing more", statuses(sdk, job), {"succeeded": 1, "init": 1, "failed": 1})
    sdk.call(JOBS, "start", {}, jobId=job)
    step(url, 3600)
    equal("and goes on when started", statuses(sdk, job), {"succeeded": 2, "failed": 1})


def good_of(sdk):
    return next(row["firmwareId"] for row in sdk.call(FIRMWARES, "search", {"expression": "isVerified = true"})["data"])


def growing(url, signed, sdk):
    firmware = signed.upload(version="GROW", product="lamp")["data"]["firmwareId"]
    everybody = {"type": "total", "versionNumbers": ["L1"]}
    fixed, grows = (job_of(sdk, firmware, upgrade(upgradeScope=everybody, upgradePolicy=policy))
                    for policy in ["snapshot", "incremental"])
    admin(url, "POST", "devices", {"id": "lamp-1", "product": "lamp", "firmware": "L1"})
    step(url, 1800)
    equal("an incremental job takes in what comes later, a snapshot does not", (statuses(sdk, fixed), statuses(sdk, grows)),
          ({}, {"succeeded": 1}))
    at = admin(url, "GET", "time")["fleet"]
    night = int(time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone) * 1000 + 7_200_000
    admin(url, "POST", "devices", {"id": "lamp-2", "product": "lamp", "firmware": "L2", "online": False})
    schedule = {"startTimestamp": night, "endTimestamp": night + 3_600_000}
    job = job_of(sdk, firmware, upgrade(upgradeScope=scope("lamp-2", versions=["L2"]), schedulePolicy=schedule))
    admin(url, "PATCH", "devices/lamp-2", {"online": True})
    step(url, 7000)
    equal("before its window a job waits", statuses(sdk, job), {"init": 1})
    step(url, 1000)
    equal("in its window it goes on", statuses(sdk, job), {"succeeded": 1})


def throttling(url):
    narrow = Signed(url, NARROW).sign_in()
    answers = [narrow.call(JOBS, "search", {})["code"] for _ in range(8)]
    check("an account over its limit is throttled", answers[:5] == [0] * 5 and -429 in answers, answers)
    admin(url, "POST", "faults", {"kind": "throttle", "seconds": 60})
    refused("a storm throttles everybody, who", narrow.call(JOBS, "search", {}), -429)
    equal("the SDK gives None then", Sdk(url, MAIN).call(JOBS, "search", {}), None)
    admin(url, "DELETE", "faults")
    admin(url, "POST", "faults", {"kind": "error", "status": 500, "operation": "SearchJobs", "count": 1})
    refused("an injected error", Signed(url, MAIN).sign_in().call(JOBS, "search", {}), 24500)


def run(url):
    tokens(url)
    sdk_headers(url)
    signed, sdk = Signed(url, MAIN).sign_in(), Sdk(url, MAIN)
    good = firmwares(url, signed, sdk)
    searches(url, signed, sdk)
    verification(url, sdk, good)
    jobs(url, signed, sdk, good)
    scopes(url, signed, sdk)
    orders(url, signed, sdk)
    growing(url, signed, sdk)
    throttling(url)


if __name__ == "__main__":
    harness.main(run, __doc__, "enos-world.yaml", "enos")
