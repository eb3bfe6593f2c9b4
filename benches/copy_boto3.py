"""A plain copy of a file into a bucket by boto3: BUCKET KEY FILE. Prints seconds as JSON."""

import json
import os
import sys
import time

import boto3
from boto3.s3.transfer import TransferConfig

bucket, key, path = sys.argv[1:]
client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT"])
# Parts of the same size, and as many in flight, as tenure has.
config = TransferConfig(multipart_chunksize=10 << 20, max_concurrency=4)
begin = time.perf_counter()
client.upload_file(path, bucket, key, Config=config)
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "bytes": os.path.getsize(path)}))
