"""Whether a text is written in English, as the docs are: by its script and its commonest words."""

import re
import unicodedata

# Of the letters: a Japanese question about a `work pool` is half English by its letters, an English one
# about a table named 売上 is not half Japanese.
OTHER_SCRIPT = 0.1
# A long text says in its first lines what language it is in.
READ_CHARS = 1_000

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|[!-~]*[_/\\=<>{}()@:][!-~]*|[!-~]+\.[!-~]+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")

# Words that hardly any sentence of the language does without. What is a common English word as well ("die",
# "was", "on", "no", "pour", "come") tells nothing, and is in no list.
ENGLISH_WORDS = """
a about after all an and any are as at be because been but by can cannot did do does doesn don for from
get gets had has have how i if in into is isn it its just keep like make me my need new no not of off on
only or our out over run should so than that the their them then there these they this to too up use using
was we were what when where which while who why will with without would yes you your
"""
GERMAN = """
aber alle auf aus bei beim bin bitte das dass dem den denn der des doch ein eine einem einen einer eines
es für gibt hat habe haben ich ihr im ist kann kein keine können macht mehr mein meine mit muss nach nicht
nur oder ohne sich sie sind über und unsere vom von vor wann warum welche welcher welches wenn werden wie
wieder wieso wird wo wozu zum zur zwischen
"""
FRENCH = """
au aux avec ce ces cette ceux comment dans de des deux du elle elles en entre est et fait faut il ils je
la le les leur mais mes mon ne nos notre nous où ou par pas peut peux plus pourquoi quand que quel quelle
quelles quels qu qui quoi sans sont sur une un vous
"""
SPANISH = """
al algo como con cómo cuál cuáles cuando cuándo cuánto de del desde donde dónde el ella ellos en entre es
esta está estos este hace hacer hay la las los mi mis muy para pero por porque puede puedo qué que se ser
sin sobre son su sus también tengo un una y ya
"""
PORTUGUESE = """
ao aos as como da das de dele do dos e ela ele em entre então essa esse esta está este eu faço fazer foi
há isso isto mais mas meu minha na não nas nos no num numa o os ou para pela pelo pode por porque posso
qual quais quando que quero são se sem ser seu sua também tem tenho um uma você
"""
ITALIAN = """
alla anche che chi ci come con cosa da dal dei del della delle di dove e è gli ho il io la le lo ma mi nel
nella non per perché più posso quale quali quando questo se sono sul tra un una uno
"""
DUTCH = """
aan als bij dan dat de deze dit een en er geen heb heeft het hij hoe ik is je kan maar met mijn naar niet
nog of om onze ook op te tussen uit van voor waar waarom wanneer wat welke wel worden wordt zijn zonder
"""
ENGLISH = frozenset(ENGLISH_WORDS.split())
OTHERS = tuple(
    frozenset(words.split()) - ENGLISH for words in (GERMAN, FRENCH, SPANISH, PORTUGUESE, ITALIAN, DUTCH)
)


def is_english(text: str) -> bool:
    """True unless the text clearly is in another language; names, code and addresses are no language."""
    prose = _CODE.sub(" ", text[:READ_CHARS])
    letters = [character for character in prose if character.isalpha()]
    foreign = sum(not _is_latin(letter) for letter in letters)
    if foreign > OTHER_SCRIPT * len(letters):
        return False
    words = [word.lower() for word in _WORD.findall(prose)]
    english = sum(word in ENGLISH for word in words)
    other = max(sum(word in language or not word.isascii() for word in words) for language in OTHERS)
    # One foreign word alone may be a name; a sentence in another language has several, or no English ones.
    return other <= english or other < 2


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")
