"""`whatif ingest kinesis` as a job for spark-submit; takes the same arguments, such as `--stream bars`."""

import sys

from whatif.cli import job

if __name__ == "__main__":
    code = job("ingest", ["kinesis", *sys.argv[1:]])
    if code:  # a service may take any exit by hand for a failure
        sys.exit(code)
