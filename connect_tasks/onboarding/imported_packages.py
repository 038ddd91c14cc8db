"""Which packages an app imports, for one that declares none: requirements.in is proposed, never guessed blindly.

A name is proposed only where it is known what installs it. To ask the index for whatever a file happens to import would
install a stranger's package of that name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

#: Packages that are imported under their own name.
_SAME = """
aiohttp altair anyio arrow bokeh boto3 bottle celery click colorcet cryptography dash dask datashader duckdb
falcon fastapi flask folium gradio great_tables gunicorn h5py holoviews httpx hvplot ibis itsdangerous jinja2
joblib keras lightgbm litestar loguru lxml markdown matplotlib networkx nltk numba numpy openai openpyxl
orjson pandas panel param pins plotly plotnine polars prophet psutil psycopg psycopg2 pyarrow pydantic pydeck
pymongo pyodbc pyproj pytz quart redis requests rich scipy seaborn shapely shiny shinywidgets spacy sqlalchemy
sqlmodel starlette statsmodels streamlit sympy tabulate tenacity textblob toolz torch tornado tqdm
transformers uvicorn vega_datasets vizro websockets werkzeug wordcloud xarray xgboost xlsxwriter
"""
#: Packages that are imported under another name than they are installed by.
_OTHERWISE = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dash_ag_grid": "dash-ag-grid",
    "dash_bootstrap_components": "dash-bootstrap-components",
    "dateutil": "python-dateutil",
    "django": "django",
    "dotenv": "python-dotenv",
    "faicons": "faicons",
    "flask_login": "flask-login",
    "flask_restx": "flask-restx",
    "flask_sqlalchemy": "flask-sqlalchemy",
    "flask_wtf": "flask-wtf",
    "geopandas": "geopandas",
    "google.cloud.bigquery": "google-cloud-bigquery",
    "jwt": "pyjwt",
    "multipart": "python-multipart",
    "posit": "posit-sdk",
    "psycopg2": "psycopg2-binary",
    "pydantic_settings": "pydantic-settings",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "snowflake.connector": "snowflake-connector-python",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """`packages`: what to install, a line of a requirements file each; `unknown`: imports of which nobody knows what
    brings them. `declared_in`: the file of a directory above whose lines they are."""

    packages: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    declared_in: str | None = None


def imported_packages(sources: Mapping[str, str | bytes], installed: Mapping[str, str]) -> Imported:
    """What the Python files of an app's directory (path -> content) import beside the standard library and each other.

    `installed` maps import names to packages, as the app's own virtual environment has them.
    """
    own = {path.partition("/")[0].removesuffix(".py") for path in sources}
    wanted = {name for path, content in sources.items() if path.endswith(".py") for name in _imports(content)}
    packages, unknown = set(), set()
    for name in wanted:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in own or top in {"__future__", "js", "pyodide"}:
            continue
        if found := _OTHERWISE.get(name) or installed.get(top) or _known(top):
            packages.add(found)
        elif not any(_OTHERWISE.get(other) for other in wanted if other.startswith(f"{top}.")):
            unknown.add(top)
    return Imported(packages=tuple(sorted(packages)), unknown=tuple(sorted(unknown)))


def installed_packages(directory: Path) -> dict[str, str]:
    """Import name -> package of a virtual environment in the app's directory, empty where there is none."""
    found: dict[str, str] = {}
    places = [path for name in (".venv", "venv", "env") for path in (directory / name).glob("[Ll]ib/**/site-packages")]
    for distribution in distributions(path=[str(path) for path in places[:1]]) if places else ():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        tops = (distribution.read_text("top_level.txt") or "").split()
        tops = tops or [file.parts[0].removesuffix(".py") for file in distribution.files or () if file.suffix == ".py"]
        found.update(dict.fromkeys((top for top in tops if top.isidentifier()), name))
    return found


def _known(top: str) -> str | None:
    if top in _OTHERWISE:
        return _OTHERWISE[top]
    return top.replace("_", "-") if top in _SAME.split() else None


def _imports(content: str | bytes) -> Iterable[str]:
    """The absolute imports of a file, `a.b` for `from a import b`; none for one that does not parse.

    What stands under `except ImportError` or TYPE_CHECKING counts as well: a line too many is seen and taken out, one
    too few fails.
    """
    try:
        module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
