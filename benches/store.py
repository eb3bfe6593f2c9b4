"""SeaweedFS on this machine: started for a measurement and stopped after it."""

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

BUCKET = "warehouse"
KEY, SECRET = "benchkey", "benchsecret"
IDENTITIES = {
    "identities": [
        {
            "name": "bench",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
    ]
}
# Seconds a server may take to be there.
START_MAX = 60


@contextlib.contextmanager
def seaweedfs(folder):
    """The environment of who uses the store, which lives in an empty folder."""
    weed = pathlib.Path(sys.executable).parent / "weed"
    (folder / "s3.json").write_text(json.dumps(IDENTITIES), encoding="utf-8")
    s3_port, *ports = free_ports(4)
    command = [
        weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.telemetry=false", "-master.electionTimeout=1s", "-master.volumeSizeLimitMB=1024",
        f"-master.port={ports[0]}", f"-volume.port={ports[1]}", "-volume.max=0",
        "-filer", f"-filer.port={ports[2]}", "-s3", f"-s3.port={s3_port}",
        f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-s3.autoCreateBucket=true",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield ready(
            {
                "AWS_ENDPOINT": f"http://127.0.0.1:{s3_port}",
                "AWS_ALLOW_HTTP": "true",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
            }
        )
    finally:
        # It takes its time to end politely, and keeps nothing worth it.
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def ready(environment):
    """Ready means that it takes something; that it listens says little."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=environment["AWS_ENDPOINT"], region_name="us-east-1",
        aws_access_key_id=KEY, aws_secret_access_key=SECRET,
    )  # fmt: skip
    end = time.monotonic() + START_MAX
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
            return environment
        except Exception as error:  # whatever it is, it may pass while the server starts
            if time.monotonic() > end:
                sys.exit(f"SeaweedFS takes nothing: {error}")
            time.sleep(0.5)


def free_ports(number):
    """Ports nobody uses, low enough that one 10,000 higher exists and is free as well."""
    found = []
    port = 20000
    while len(found) < number:
        port += 1
        if all(is_free(one) for one in (port, port + 10000)):
            found.append(port)
    return found


def is_free(port):
    """Whether nobody listens there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
