"""`whatif train` as a job for spark-submit; takes the same arguments."""

import sys

from whatif.cli import job

if __name__ == "__main__":
    code = job("train")
    if code:  # a service may take any exit by hand for a failure
        sys.exit(code)
