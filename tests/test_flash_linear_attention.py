"""Models of flash-linear-attention through the same adapter: read from their cache, where the package and a GPU are."""

import pytest
import torch
from torch import nn

from infodil.encoders import load_encoder
from infodil.encoders.recurrent.cached import FlashStates


class Decay(nn.Module):
    """A causal model whose cache is like that package's: a dictionary a layer, with tensors, tuples and None."""

    class Output:
        def __init__(self, hidden, cache):
            self.last_hidden_state, self.past_key_values = hidden, cache

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(11, 6)
        self.layers = nn.ModuleList([nn.Identity(), nn.Identity()])

    def forward(self, input_ids, past_key_values=None, use_cache=None):
        vectors = self.embeddings(input_ids)
        cache = past_key_values or [dict.fromkeys(("recurrent_state", "conv_state", "attn_state", "ffn_state"))] * 2
        held = cache[0]["recurrent_state"]
        state = torch.zeros(len(input_ids), 2, 3) if held is None else held
        hidden = []
        for t in range(vectors.shape[1]):
            state = 0.5 * state + vectors[:, t].unflatten(1, (2, 3))
            hidden.append(state.flatten(1))
        first = {"recurrent_state": state, "conv_state": (vectors[:, -1], vectors[:, -1] * 2)}
        cache = [{**cache[0], **first}, {**cache[1], "attn_state": (vectors,)}]
        return self.Output(torch.stack(hidden, 1), cache)


def test_states_are_read_from_a_cache_of_dictionaries():
    torch.manual_seed(0)
    model = Decay()
    states = FlashStates(model, model.layers)
    states.self_test(11)
    assert states.sites == ("layer.1.recurrent", "layer.1.conv", "layer.1.conv.1", "layer.1.conv.2")
    found = states.encode(torch.tensor([[1, 2, 3]]), ["layer.1.recurrent"])["layer.1.recurrent"]
    vectors = model.embeddings.weight
    torch.testing.assert_close(found[0, 2], 0.25 * vectors[1] + 0.5 * vectors[2] + vectors[3])


def test_models_of_the_package_alone_are_read_so():
    model = Decay()
    assert not FlashStates.applies(model, model.layers)


@pytest.mark.parametrize("family", ["GLA", "GatedDeltaNet", "RetNet"])
def test_flash_linear_attention(family):
    fla = pytest.importorskip("fla", reason="needs flash-linear-attention: pip install flash-linear-attention")
    if not torch.cuda.is_available():
        pytest.skip("the kernels of flash-linear-attention need a GPU")
    config = getattr(fla.models, f"{family}Config")(vocab_size=50, hidden_size=64, num_hidden_layers=2, num_heads=2)
    torch.manual_seed(0)
    model = getattr(fla.models, f"{family}ForCausalLM")(config).cuda().eval()
    encoder = load_encoder(model, sites=["layer.1.recurrent", "layer.1.recurrent.head.1"])
    states = encoder.encode(torch.randint(50, (2, 9)))
    assert states["layer.1.recurrent"].shape[:2] == (2, 9) and "single steps" in encoder.route
