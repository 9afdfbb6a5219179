"""`whatif maintain` as a job for spark-submit; on a catalog service it calls Iceberg's procedures."""

import sys

from whatif.cli import job

if __name__ == "__main__":
    code = job("maintain")
    if code:  # a service may take any exit by hand for a failure
        sys.exit(code)
