"""check_compose.py SCHEMA FILE...: each compose file must fit the schema, and name only volumes and services it has."""
import json
import sys

import jsonschema
import yaml

with open(sys.argv[1]) as f:
    schema = json.load(f)
for path in sys.argv[2:]:
    with open(path) as f:
        compose = yaml.safe_load(f)
    jsonschema.validate(compose, schema)
    services = compose["services"]
    ports = [p.split(":")[0] for s in services.values() for p in s.get("ports", [])]
    assert len(ports) == len(set(ports)), "two services publish one port"
    for name, service in services.items():
        for other in service.get("depends_on", []):
            assert other in services, f"{name} depends on {other}, which is not there"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source[0] in "./" or source in compose["volumes"], f"{name} mounts {source}, which is not there"
    print(path, "fits:", ", ".join(services))
