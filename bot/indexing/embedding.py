"""The configured embedder; searching and building the index have to use the same."""

from bot.settings import Settings
from knowledge.embed import static_embedder
from knowledge.errors import BadInput
from knowledge.models import Embedder
from knowledge.vectors import minilm_embedder


def embedder(settings: Settings) -> Embedder:
    """Raises BadInput when the configured one lacks something."""
    match settings.embedder:
        case "minilm":
            return minilm_embedder()
        case "openai":
            return _openai(settings)
    return static_embedder()


def _openai(settings: Settings) -> Embedder:
    if not settings.has_model:
        raise BadInput("The openai embedder needs a key.", "Set OPENAI_API_KEY or use static.")
    # Imported here: its 40 MB are not for a build that embeds without it.
    from bot.indexing.openai_embedder import openai_embedder

    return openai_embedder(settings.api_key, settings.openai_base_url, settings.embedding_model)
