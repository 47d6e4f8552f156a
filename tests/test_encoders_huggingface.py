"""Models of transformers come back as they were, and folders that lack weights are refused."""

import json

import pytest
import torch

from infodil.checks import UserError
from infodil.encoders import load_encoder

transformers = pytest.importorskip("transformers")
TOKENS = torch.randint(20, (3, 7), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("training", [True, False])
def test_rwkv_of_more_than_six_layers_keeps_its_weights(training):
    config = transformers.RwkvConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=8, attention_hidden_size=8, intermediate_size=16,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.RwkvForCausalLM(config).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoder = load_encoder(model, sites=["layer.8"])
    first, again = encoder.encode(TOKENS)["layer.8"], encoder.encode(TOKENS)["layer.8"]
    assert torch.equal(first, again)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        other = transformers.RwkvForCausalLM(config)
        other.load_state_dict(before)
        logits = other.eval()(TOKENS).logits
        torch.testing.assert_close(model.eval()(TOKENS).logits, logits)


def test_a_folder_without_some_of_its_weights_is_refused(tmp_path):
    shape = {"vocab_size": 20, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.LlamaConfig(**shape, num_hidden_layers=2, bos_token_id=0, eos_token_id=0)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 5}))
    with pytest.raises(UserError, match=r"has no weights for 27 of its parameters \('model.layers.2.*would be random"):
        load_encoder(tmp_path)
