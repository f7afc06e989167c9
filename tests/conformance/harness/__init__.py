"""What every conformance program does: count its checks, and start the simulator with its world."""

import json
import os
import subprocess
import sys
import tempfile
import time

passed, failed = 0, 0


def check(name, condition, seen=""):
    global passed, failed
    passed, failed = passed + bool(condition), failed + (not condition)
    print(f"{'ok  ' if condition else 'FAIL'} {name}" + ("" if condition else f": {seen}"))


def equal(name, seen, wanted):
    check(name, seen == wanted, f"{seen!r}, not {wanted!r}")


def main(run, usage, world, cloud):
    """Ends the program with what came of `run`, given the address of the cloud: that of a simulator of `world`, or the one
    that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(usage)
    if sys.argv[1].startswith("http"):
        run(sys.argv[1].rstrip("/"))
    else:
        simulated(run, world, cloud)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def simulated(run, world, cloud):
    world = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), world)
    with tempfile.TemporaryDirectory() as folder:
        endpoints = os.path.join(folder, "endpoints.json")
        command = [sys.argv[1], "simulate", "--world", world, "--listen", "127.0.0.1:0", "--endpoints", endpoints]
        with subprocess.Popen(command) as simulator:
            try:
                while not os.path.exists(endpoints):
                    if simulator.poll() is not None:
                        sys.exit("the simulator did not start")
                    time.sleep(0.05)
                with open(endpoints) as file:
                    address = json.load(file)[cloud]
                run(address)
            finally:
                simulator.terminate()
