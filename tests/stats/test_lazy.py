"""The room's names, and that they are loaded when used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from whatif import stats


def test_every_name_is_there() -> None:
    assert set(stats.__all__) <= set(dir(stats))
    assert all(hasattr(stats, name) for name in stats.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        stats.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("code", "light"),
    [
        ("import whatif.stats", {"arch", "scipy", "numba", "pandas", "numpy"}),
        (
            "from whatif.stats import *; probabilistic_sharpe_ratio(0.1, 9)",
            {"arch", "scipy", "numba", "pandas", "pyspark", "mlflow"},
        ),
        # numba brings scipy
        pytest.param(
            "import whatif.stats.benchmark",
            {"arch", "statsmodels", "pyspark", "mlflow"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import whatif.stats.resampling",
            {"matplotlib", "statsmodels", "pyspark", "mlflow"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_libraries_wait_until_they_are_needed(code: str, light: set[str]) -> None:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{n.split('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "whatif" in loaded
    assert not loaded & light


@pytest.mark.slow
def test_the_bootstraps_of_arch_leave_the_rest_of_it_whole() -> None:
    """Whoever takes arch's volatility models or scipy's statistics later gets them."""
    code = (
        "import sys; from whatif.stats.resampling import SPA; "
        "assert 'scipy.stats._stats_py' not in sys.modules; "
        "from arch import arch_model; import arch; from scipy.stats import norm; import scipy; "
        "assert arch.bootstrap.SPA is SPA; assert arch.__version__; assert callable(arch_model); "
        "assert scipy.stats.norm is norm; print(norm.cdf(0.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.5"
