"""Page of a comparison or a stress, whole in itself: sentences, a drawing and tables."""

from __future__ import annotations

import html
from collections.abc import Iterable

import pandas as pd

from whatif.report import curves_svg

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .75rem;border-bottom:1px solid #ddd;"
    "text-align:right}th:first-child,td:first-child{text-align:left}"
    "svg{width:100%;height:auto;border:1px solid #ddd}"
)


def page_of(
    title: str,
    where: str,
    sentences: Iterable[str],
    equity: pd.DataFrame,
    tables: Iterable[tuple[str, pd.DataFrame, bool]],
) -> str:
    """Return a page that is whole in itself.

    Parameters
    ----------
    title, where : str
        What it is of, and from when to when.
    sentences : iterable of str
        What it comes to.
    equity : DataFrame
        Equity of a unit of cash after each period, a line for each column; none for no drawing.
    tables : iterable of (str, DataFrame, bool)
        Title, rows, and whether the index is shown.
    """
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(where)}</p>"]
    body += [f"<p>{html.escape(sentence)}</p>" for sentence in sentences]
    body += [curves_svg(equity, "Equity of a unit of cash")] if len(equity) else []
    for name, frame, index in tables:
        shown = (
            frame.to_html(index=index, float_format="{:,.4f}".format, na_rep="—") if len(frame) else "none"
        )
        body.append(f"<h2>{html.escape(name)}</h2>{shown}")
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>"
