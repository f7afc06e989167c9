"""The northbound API of OceanConnect, as its manual describes it, against `rollwave simulate`.

No official SDK of this API is published as a package, so this client is written from the manual alone.

usage: oceanconnect.py PROGRAM   starts PROGRAM simulate with oceanconnect-world.yaml
       oceanconnect.py URL       uses a simulator that runs this world already

Prints one line a check and a last line `N passed, M failed`; the exit code is 1 when a check failed.
"""

import datetime
import json
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import check, equal

METER = dict(manufacturerName="Acme", deviceType="WaterMeter", model="WM1")
IODM = "/iodm/northbound/v1.5.0"


class Answer:
    def __init__(self, status, body):
        self.status = status
        try:
            self.body = json.loads(body) if body else None
        except ValueError:
            self.body = body

    def __getitem__(self, field):
        return self.body[field]

    @property
    def code(self):
        return self.body.get("error_code") if isinstance(self.body, dict) else None


def send(url, method, path, body=None, headers=None, form=False):
    data = None
    headers = dict(headers or {})
    if form:
        data = urllib.parse.urlencode(body).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read())


def admin(url, method, path, body=None):
    return send(url, method, f"/_rollwave/{path}", body).body


class Application:
    """An NA: an application that has signed in."""

    def __init__(self, url, app="main", secret="main-secret"):
        self.url, self.app, self.secret, self.token, self.again = url, app, secret, None, None

    def login(self):
        answer = send(self.url, "POST", "/iocm/app/sec/v1.1.0/login",
                      dict(appId=self.app, secret=self.secret), form=True)
        if answer.status == 200:
            self.token, self.again = answer["accessToken"], answer["refreshToken"]
        return answer

    def refresh(self, **other):
        body = dict(appId=self.app, secret=self.secret, refreshToken=self.again)
        body.update(other)
        answer = send(self.url, "POST", "/iocm/app/sec/v1.1.0/refreshToken", body)
        if answer.status == 200:
            self.token, self.again = answer["accessToken"], answer["refreshToken"]
        return answer

    def call(self, method, path, body=None, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = {"app_key": self.app, "Authorization": f"Bearer {self.token}"}
        return send(self.url, method, path, body, headers)

    def packages(self, **query):
        return self.call("GET", f"{IODM}/category", **query)

    def task(self, file, devices=None, kind="firmware", policy=None, **targets):
        wanted = dict(targets)
        if devices is not None:
            wanted["devices"] = devices
        body = dict(fileId=file, targets=wanted)
        if policy is not None:
            body["policy"] = policy
        return self.call("POST", f"{IODM}/operations/{kind}Upgrade", body)

    def show(self, task):
        return self.call("GET", f"{IODM}/operations/{task}")


def refused(name, answer, status, code):
    fits = answer.status == status and answer.code == code and isinstance(answer.body.get("error_desc"), str)
    check(name, fits, f"{answer.status} {answer.body}")


def signing_in(url):
    na = Application(url)
    answer = na.login()
    equal("an application signs in with a form", answer.status, 200)
    equal("with a bearer token", answer["tokenType"].strip().lower(), "bearer")
    equal("that is good for an hour", answer["expiresIn"], 3600)
    refused("a wrong secret is refused", Application(url, secret="wrong").login(), 401, "100208")
    refused("an unknown application is refused", Application(url, app="nobody").login(), 401, "100208")
    equal("a token is taken", na.packages().status, 200)
    before = na.token
    equal("a token is refreshed", na.refresh().status, 200)
    check("and is another one then", na.token != before)
    equal("which is taken", na.packages().status, 200)
    equal("a wrong refresh token is refused", na.refresh(refreshToken="wrong").status, 401)
    other = Application(url)
    other.login()
    refused("a new login ends the token before", na.packages(), 403, "1010005")
    equal("only the last one is valid", other.packages().status, 200)
    unknown = Application(url)
    unknown.token = "no-token"
    refused("an unknown token is refused", unknown.packages(), 403, "1010005")
    check("a call without app_key is refused",
          send(url, "GET", f"{IODM}/category", headers={"Authorization": f"Bearer {other.token}"}).status >= 400)
    return other


def listing(na):
    everything = na.packages(pageNo=0, pageSize=100)
    equal("all packages are listed", (everything["totalCount"], len(everything["data"])), (4, 4))
    equal("pages begin with 0", everything["pageNo"], 0)
    fields = {"fileId", "name", "version", "fileType", "deviceType", "model", "manufacturerName", "protocolType",
              "description", "date", "uploadTime"}
    check("a package has the documented fields", fields <= set(everything["data"][0]), everything["data"][0])
    one = na.packages(fileType="firmwarePackage", version="V2", **METER)
    equal("filters narrow the list", [row["version"] for row in one["data"]], ["V2"])
    equal("pages have 10 rows unless asked", one["pageSize"], 10)
    seen = [row["fileId"] for page in range(4) for row in na.packages(pageNo=page, pageSize=1)["data"]]
    equal("pages show each row once", len(set(seen)), 4)
    equal("the page after the last is empty", na.packages(pageNo=9, pageSize=100)["data"], [])
    for name, query in [("a page of 0", dict(pageSize=0)), ("a page of 101", dict(pageSize=101)), ("page -1", dict(pageNo=-1))]:
        refused(f"{name} is refused", na.packages(**query), 400, "123029")
    file = one["data"][0]["fileId"]
    equal("a package is shown", na.call("GET", f"{IODM}/category/{file}")["version"], "V2")
    refused("an unknown package is not", na.call("GET", f"{IODM}/category/0123456789abcdef01234567"), 404, "123002")
    # As SDKs without encoding send it.
    equal("an empty pair in a query is passed over", na.call("GET", f"{IODM}/category?&version=V2").status, 200)
    return {row["version"]: row["fileId"] for row in everything["data"]}


def wrong_tasks(na, files):
    good = files["V2"]
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)

    def at(minutes):
        return (start + datetime.timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")

    many = [f"m-{n:04}" for n in range(257)]
    groups = dict(deviceGroups=["field"], **METER)
    custom = dict(executeType="custom", startTime=at(0), endTime=at(10))
    cases = [
        ("no targets", "123022", dict(devices=None)),
        ("devices and groups", "123023", dict(devices=["m-0000"], **groups)),
        ("257 devices", "123024", dict(devices=many)),
        ("groups without manufacturer", "123019", dict(deviceGroups=["field"], deviceType="WaterMeter", model="WM1")),
        ("groups without device type", "123020", dict(deviceGroups=["field"], manufacturerName="Acme", model="WM1")),
        ("groups without model", "123021", dict(deviceGroups=["field"], manufacturerName="Acme", deviceType="WaterMeter")),
        ("an unknown policy", "123025", dict(devices=["m-0000"], policy=dict(executeType="later"))),
        ("a window without times", "123026", dict(devices=["m-0000"], policy=dict(executeType="custom"))),
        ("retries without a number", "123028", dict(devices=["m-0000"], policy=dict(executeType="now", retryType=True))),
        ("6 retries", "123028", dict(devices=["m-0000"], policy=dict(executeType="now", retryType=True, retryTimes=6))),
        ("an end before the start", "123032", dict(devices=["m-0000"], policy=dict(custom, endTime=at(-1)))),
        ("a start in the past", "123033", dict(devices=["m-0000"], policy=dict(custom, startTime=at(-180)))),
        ("a window of 5 minutes", "123034", dict(devices=["m-0000"], policy=dict(custom, endTime=at(5)))),
        ("a device of another product", "123016", dict(devices=["valve"])),
    ]
    for name, code, arguments in cases:
        refused(f"a task with {name} is refused", na.task(good, **arguments), 400, code)
    refused("a task for an unknown package is refused", na.task("0123456789abcdef01234567", ["m-0000"]), 404, "123002")
    refused("an unknown task is not shown", na.show("0123456789abcdef01234567"), 404, "123009")
    equal("what was refused made no task", na.call("GET", f"{IODM}/operations")["totalCount"], 0)


def step(url, seconds):
    admin(url, "POST", "time/step", dict(seconds=seconds))


def tasks(url, na, files):
    devices = [f"m-{n:04}" for n in range(256)]
    made = na.task(files["V2"], devices)
    check("a task for 256 devices is made", made.status in (200, 201) and made["operationId"], made.body)
    task = made["operationId"]
    seen = na.show(task)
    equal("it is a firmware task", seen["operateType"], "firmware_upgrade")
    equal("for these devices", sorted(seen["targets"]["devices"]), devices)
    check("that waits or runs", seen["status"] in ("wait", "processing"), seen.body)
    equal("with a counter for each state", set(seen["staResult"]),
          {"total", "wait", "processing", "success", "fail", "stop", "timeout"})
    equal("that count its devices", seen["staResult"]["total"], 256)
    step(url, 3600)
    seen = na.show(task)
    equal("it succeeds", (seen["status"], seen["staResult"]["success"]), ("success", 256))
    check("and has an end", seen["stopTime"], seen.body)
    subs = na.call("GET", f"{IODM}/operations/{task}/subOperations", pageNo=2, pageSize=100)
    equal("sub tasks come in pages", (subs["totalCount"], len(subs["data"])), (256, 56))
    check("each names its device and state",
          all(row["deviceId"] and row["status"] == "success" for row in subs["data"]), subs.body)
    none = na.call("GET", f"{IODM}/operations/{task}/subOperations", subOperationStatus="fail")
    equal("a filter by state narrows them", none["totalCount"], 0)
    shown = na.call("GET", "/iocm/app/dm/v1.4.0/devices/m-0000", appId="main")
    check("a device reports its version", "V2" in json.dumps(shown.body), shown.body)
    failures(na, url, files)
    listed = na.call("GET", f"{IODM}/operations", operationType="firmware_upgrade", deviceId="m-0000", pageNo=0, pageSize=10)
    check("tasks are found by a device", task in [row["operationId"] for row in listed["data"]], listed.body)
    software = na.task(files["S2"], ["m-0001"], kind="software")
    equal("a software task is one", na.show(software["operationId"])["operateType"], "software_upgrade")


def failures(na, url, files):
    bad = na.task(files["BAD"], ["m-0290", "m-0291"])["operationId"]
    step(url, 3600)
    seen = na.show(bad)
    equal("a task of devices that fail is called failed", (seen["status"], seen["staResult"]["fail"]), ("failed", 2))
    subs = na.call("GET", f"{IODM}/operations/{bad}/subOperations", subOperationStatus="fail")
    equal("its sub tasks are called fail", [row["status"] for row in subs["data"]], ["fail", "fail"])
    check("with a reason", all(row["detailInfo"] for row in subs["data"]), subs.body)
    slow = na.task(files["SLOW"], ["m-0292"])["operationId"]
    step(url, 600)
    other = na.task(files["V2"], ["m-0292"])["operationId"]
    step(url, 60)
    subs = na.call("GET", f"{IODM}/operations/{other}/subOperations")
    check("a device takes one task at a time", "Task Conflict" in subs["data"][0]["detailInfo"], subs.body)
    admin(url, "POST", f"portal/tasks/{slow}/stop")
    equal("a task is stopped in the portal alone", na.show(slow)["status"], "stop")
    waits = na.task(files["V2"], ["cellar"], policy=dict(executeType="device_online"))["operationId"]
    step(url, 600)
    check("a device that is not connected keeps its task open", na.show(waits)["status"] in ("wait", "processing"))
    group = na.task(files["V2"], deviceGroups=["field"], **METER)
    check("a task for a group of that product is made", group.status in (200, 201), group.body)


def deleting(na, files):
    gone = na.call("DELETE", f"{IODM}/category/{files['S2']}")
    check("a package is deleted, without a word, or is still needed", gone.status == 200 and not gone.body or gone.status >= 400,
          gone.body)
    refused("an unknown one is not", na.call("DELETE", f"{IODM}/category/0123456789abcdef01234567"), 404, "123002")


def devices(na):
    page = na.call("GET", "/iocm/app/dm/v1.4.0/devices", appId="main", pageNo=0, pageSize=250)
    equal("devices come 250 a page", (page["totalCount"], len(page["devices"])), (302, 250))
    row = page["devices"][0]
    check("with what they are", row["deviceId"] and row["deviceInfo"]["manufacturerName"] == "Acme", row)
    check("a page of 251 is refused", na.call("GET", "/iocm/app/dm/v1.4.0/devices", appId="main", pageNo=0, pageSize=251).status >= 400)
    groups = na.call("GET", "/iocm/app/devgroup/v1.3.0/devGroups", accessAppId="main", pageNo=0, pageSize=10)
    check("groups are listed by name", "field" in json.dumps(groups.body), groups.body)


def throttling(url):
    narrow = Application(url, "narrow", "narrow-secret")
    equal("another application signs in", narrow.login()["expiresIn"], 60)
    answers = [narrow.packages() for _ in range(101)]
    equal("100 calls a minute are answered", {answer.status for answer in answers[:100]}, {200})
    refused("the next one is throttled", answers[100], 403, "1010009")
    equal("another API is not", narrow.call("GET", f"{IODM}/operations").status, 200)


def run(url):
    na = signing_in(url)
    files = listing(na)
    wrong_tasks(na, files)
    devices(na)
    tasks(url, na, files)
    deleting(na, files)
    throttling(url)


if __name__ == "__main__":
    harness.main(run, __doc__, "oceanconnect-world.yaml", "oceanConnect")
