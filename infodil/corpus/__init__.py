"""Token sequences with splits by document: any text or token source in, disjoint train, calibration and test out."""

from infodil.corpus.adapters import Tokenizer
from infodil.corpus.corpus import Corpus, load_corpus
from infodil.corpus.tokenizers import as_tokenizer, token_bytes, train_bpe
from infodil.corpus.tokens import Batch, Split, Tokens

__all__ = ["Corpus", "load_corpus", "Tokens", "Split", "Batch", "Tokenizer", "as_tokenizer", "token_bytes", "train_bpe"]
