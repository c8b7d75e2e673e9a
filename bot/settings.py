"""Everything that can be configured, read once from the environment by the command line.

Names that people already have (`SLACK_*`, `OPENAI_*`, `DATABASE_URL`, `CHROMA_URL`) keep their meaning;
our own begin with `ASK_MARVIN_`. `PREFECT_*` is read by `tools.connection`, because Prefect's URL and
credentials have to come from one place as a pair.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from knowledge.errors import BadInput

DEFAULT_MODEL = "gpt-5.4-mini"

PREFECT_VARIABLES = {
    "PREFECT_API_URL": "Prefect's API, ending in `/api`; default: the active profile of `~/.prefect`.",
    "PREFECT_API_KEY": "Key for Prefect Cloud; used only together with `PREFECT_API_URL`.",
    "PREFECT_API_AUTH_STRING": "`user:password` of a self-hosted server with basic authentication.",
}


class Settings(BaseModel):
    """All settings, frozen. Secrets are `SecretStr`, so that no repr or log shows them."""

    # A pydantic error prints the *other* inputs as well, tokens included, unless told not to.
    model_config = ConfigDict(
        frozen=True, hide_input_in_errors=True, populate_by_name=True, validate_default=True
    )

    slack_bot_token: Annotated[
        SecretStr | None, Field(alias="SLACK_BOT_TOKEN", description="Bot token (`xoxb-…`) of the Slack app.")
    ] = None
    slack_app_token: Annotated[
        SecretStr | None,
        Field(
            alias="SLACK_APP_TOKEN",
            description="App-level token (`xapp-…`): Socket Mode, which needs no public URL.",
        ),
    ] = None
    slack_signing_secret: Annotated[
        SecretStr | None,
        Field(
            alias="SLACK_SIGNING_SECRET",
            description="Checks the signature of events sent over HTTP; needed without `SLACK_APP_TOKEN`.",
        ),
    ] = None
    slack_api_url: Annotated[
        str, Field(alias="SLACK_API_URL", description="Slack's Web API, for GovSlack or a test server.")
    ] = "https://slack.com/api/"
    openai_api_key: Annotated[
        SecretStr | None,
        Field(
            alias="OPENAI_API_KEY",
            description="Key of the model's server. With neither key nor base URL, answers are quotes.",
        ),
    ] = None
    openai_base_url: Annotated[
        str | None,
        Field(
            alias="OPENAI_BASE_URL",
            description="Any server that speaks OpenAI's Chat Completions: vLLM, Ollama, LiteLLM, Azure.",
        ),
    ] = None
    database_url: Annotated[
        SecretStr | None,
        Field(
            alias="DATABASE_URL",
            description="`postgresql://…` for several replicas; default: a SQLite file in the data folder.",
        ),
    ] = None
    chroma_url: Annotated[
        str | None,
        # It may hold a token.
        Field(
            alias="CHROMA_URL",
            description="A Chroma server instead of the folder on this machine.",
            repr=False,
        ),
    ] = None
    github_token: Annotated[
        SecretStr | None,
        Field(
            alias="GITHUB_TOKEN",
            description="For `github` sources: private ones, and 5,000 requests an hour instead of 60.",
        ),
    ] = None
    home: Annotated[
        Path, Field(alias="ASK_MARVIN_HOME", description="Data folder: index, SQLite file, demo.")
    ] = Path("~/.ask-marvin")
    sources: Annotated[
        Path | None,
        Field(
            alias="ASK_MARVIN_SOURCES",
            description="A `sources.toml`; default: the field guide and https://docs.prefect.io.",
        ),
    ] = None
    policy: Annotated[
        Path | None,
        Field(
            alias="ASK_MARVIN_POLICY",
            description="A `policy.toml`: who may do what. Without it only workspace admins and owners act.",
        ),
    ] = None
    workspaces: Annotated[
        Path | None,
        Field(
            alias="ASK_MARVIN_WORKSPACES",
            description="A `workspaces.toml`: several Prefect workspaces by name. Else there is one.",
        ),
    ] = None
    model: Annotated[
        str, Field(alias="ASK_MARVIN_MODEL", min_length=1, description="The model that words the answers.")
    ] = DEFAULT_MODEL
    embedder: Annotated[
        Literal["static", "openai", "minilm"],
        Field(
            alias="ASK_MARVIN_EMBEDDER",
            description="`static` works offline, `openai` asks the model's server, `minilm` downloads 80 MB.",
        ),
    ] = "static"
    embedding_model: Annotated[
        str,
        Field(
            alias="ASK_MARVIN_EMBEDDING_MODEL",
            min_length=1,
            description="The embedding model, when the embedder is `openai`.",
        ),
    ] = "text-embedding-3-small"
    persona: Annotated[
        Literal["marvin", "plain"],
        Field(alias="ASK_MARVIN_PERSONA", description="The voice: the gloomy robot, or none."),
    ] = "marvin"
    host: Annotated[str, Field(alias="ASK_MARVIN_HOST", description="Address that `serve` listens on.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int,
        Field(
            alias="ASK_MARVIN_PORT",
            ge=0,
            le=65535,
            description="Port for `/slack/events`, `/healthz` and `/readyz`; 0 picks a free one.",
        ),
    ] = 3000
    retention_days: Annotated[
        int,
        Field(
            alias="ASK_MARVIN_RETENTION_DAYS",
            ge=1,
            le=3650,
            description="Days that conversations are kept.",
        ),
    ] = 30
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Field(alias="ASK_MARVIN_LOG_LEVEL", description="What is logged, on stderr."),
    ] = "INFO"

    @field_validator("home", "sources", "policy", "workspaces", mode="after")
    @classmethod
    def _expand_user(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else None

    @field_validator("slack_api_url", "openai_base_url", "chroma_url", mode="after")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url and not url.startswith(("http://", "https://")):
            raise PydanticCustomError("url", "It should begin with http:// or https://")
        return url

    @field_validator("slack_api_url", mode="after")
    @classmethod
    def _has_no_login(cls, url: str) -> str:
        if "@" in url:
            raise PydanticCustomError("url", "It should hold no user name and no password")
        return url

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings; an empty value counts as not set. Raises BadInput naming each wrong variable."""
        names = cls.variables()
        # Secrets that are mounted as files often end in a line break, which no HTTP header may hold.
        given = {name: value.strip() for name, value in environ.items() if name in names and value.strip()}
        try:
            return cls(**given)
        except ValidationError as error:
            problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
            raise BadInput(
                f"A setting is not valid: {problems}.", "Correct it in the environment or in .env."
            ) from None

    @classmethod
    def variables(cls) -> frozenset[str]:
        """The names of all variables that are read here."""
        return frozenset(field.alias for field in cls.model_fields.values() if field.alias)

    def environ(self) -> dict[str, str]:
        """The same settings as variables again, secrets in clear: for a child process alone."""
        given = {field.alias: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {
            str(alias): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for alias, value in given.items()
            if value is not None
        }

    @property
    def has_model(self) -> bool:
        """Whether a model is there to word answers: a key, or a server that may need none."""
        return self.openai_api_key is not None or self.openai_base_url is not None

    @property
    def model_name(self) -> str:
        """The model that words answers; empty when there is none."""
        return self.model if self.has_model else ""

    @property
    def api_key(self) -> str | None:
        """The model server's key in clear."""
        return self.openai_api_key.get_secret_value() if self.openai_api_key else None

    @property
    def index_folder(self) -> Path:
        return self.home / "index"


def read_environ(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment with `.env` of `folder` below it; a variable that is set wins."""
    below = {name: value for name, value in dotenv_values(folder / ".env").items() if value is not None}
    return {**below, **environ}


def settings_table() -> str:
    """The README's table, in the order of the fields."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{field.alias}` | {default} | {field.description} |")
    rows += [f"| `{name}` | | {description} |" for name, description in PREFECT_VARIABLES.items()]
    return "\n".join(rows)
