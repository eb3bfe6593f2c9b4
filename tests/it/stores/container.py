"""Makes a container in Azurite: ENDPOINT CONTAINER KEY."""

import base64
import datetime
import hashlib
import hmac
import sys
import urllib.request

endpoint, container, key = sys.argv[1:]
account = "devstoreaccount1"
now = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
headers = {"x-ms-date": now, "x-ms-version": "2021-12-02"}
canonical = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
resource = f"/{account}/{account}/{container}\nrestype:container"
text = "PUT" + "\n" * 12 + canonical + resource
signature = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(signature).decode()}"
url = f"{endpoint}/{account}/{container}?restype=container"
request = urllib.request.Request(url, method="PUT", headers=headers, data=b"")
request.add_header("Content-Length", "0")
request.add_header("Content-Type", "")
urllib.request.urlopen(request).read()
