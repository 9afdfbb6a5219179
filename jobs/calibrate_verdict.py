"""`whatif calibrate` as a job for spark-submit; takes the same arguments."""

import sys

from whatif.cli import job

if __name__ == "__main__":
    sys.exit(job("calibrate"))
