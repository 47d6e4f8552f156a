"""Token sequences with splits by document: any text or token source in, disjoint train, calibration and test out."""

from infodil.corpus.adapters import Tokenizer
from infodil.corpus.corpus import Corpus, load_corpus
from infodil.corpus.pieces import LongDocuments, read_pieces
from infodil.corpus.tokenizers import as_tokenizer, token_bytes, train_bpe
from infodil.corpus.tokens import Batch, Split, Tokens

__all__ = [
    "Batch",
    "Corpus",
    "LongDocuments",
    "Split",
    "Tokenizer",
    "Tokens",
    "as_tokenizer",
    "load_corpus",
    "read_pieces",
    "token_bytes",
    "train_bpe",
]
