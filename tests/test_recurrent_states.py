"""Recurrent states of transformers' models: equal to single steps, tested at load, named and sorted by kind."""

import json

import pytest
import torch

from infodil.checks import UserError
from infodil.encoders import load_encoder
from infodil.encoders.rwkv5 import RWKV5
from infodil.measure import recoverability

transformers = pytest.importorskip("transformers")

from tiny_models import RECURRENT, tiny_model  # noqa: E402

DOCUMENTS, TOKENS = 2, 9

CACHE = {"Mamba": "cache_params", "FalconMamba": "cache_params", "Mamba2": "cache_params", "xLSTM": "cache_params"}

CLAMPED = {"Zamba2", "NemotronH"}
"""Families whose one-token path of transformers does not bound the step size as the pass over many tokens does."""


def some_tokens(documents=DOCUMENTS, seed=1):
    return torch.randint(50, (documents, TOKENS), generator=torch.Generator().manual_seed(seed))


def cached(name, module, cache):
    """What a cache holds: number of the layer -> recurrent tensors in order."""
    if name == "xLSTM":
        return {layer: list(state) for layer, state in cache.rnn_state.items()}
    if name == "MiniMax":
        return {layer: [state] for layer, state in enumerate(cache.linear_cache) if len(state)}
    if name == "Rwkv":
        return {layer: [part[:, :, layer] for part in cache[2:]] for layer in range(cache[0].shape[2])}
    if name == "RecurrentGemma":
        parts = [(layer, getattr(block.temporal_block, "rg_lru", None)) for layer, block in enumerate(module.layers)]
        return {layer: [part.recurrent_states] for layer, part in parts if part is not None}
    layers = enumerate(cache.layers)
    held = {layer: getattr(part, "recurrent_states", {}) for layer, part in layers}
    held = {layer: [state for state in states.values() if state is not None] for layer, states in held.items()}
    return {layer: states for layer, states in held.items() if states}


def step_by_step(name, module, tokens):
    """The recurrent states after every token `[documents, tokens, numbers]`, by the model's own single steps."""
    found, cache, argument = {}, None, CACHE.get(name, "state" if name == "Rwkv" else "past_key_values")
    if name == "RecurrentGemma":
        cache = transformers.DynamicCache(config=module.config)
    for position in range(tokens.shape[1]):
        if name in CLAMPED:  # one pass over all tokens so far: the same path as the whole pass takes
            if position == 0:
                continue
            output = module(input_ids=tokens[:, : position + 1], use_cache=True)
        else:
            options = {} if cache is None else {argument: cache}
            if name not in ("Rwkv", "xLSTM"):
                options["position_ids"] = torch.full((len(tokens), 1), position)
            output = module(input_ids=tokens[:, position : position + 1], use_cache=True, **options)
        cache = getattr(output, argument, cache)
        for layer, states in cached(name, module, cache).items():
            flat = torch.cat([state.clone().flatten(1) for state in states], 1)
            found.setdefault(layer, []).append(flat)
    return {layer: torch.stack(states, 1) for layer, states in found.items()}


@pytest.mark.statistical
@pytest.mark.parametrize("name", RECURRENT)
@torch.no_grad()
def test_states_are_those_of_single_steps(name):
    model = tiny_model(name)
    encoder = load_encoder(model, sites="layer.*.recurrent")
    tokens = some_tokens()
    states = encoder.encode(tokens)
    # RWKV-4's single step takes one document at a time.
    each = tokens.split(1) if name == "Rwkv" else [tokens]
    parts = [step_by_step(name, model.base_model, part) for part in each]
    expected = {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
    assert list(states) == [f"layer.{layer + 1}.recurrent" for layer in expected]
    for layer, state in expected.items():
        found = states[f"layer.{layer + 1}.recurrent"][:, -state.shape[1] :]
        scale = max(1.0, float(state.abs().max()))
        assert float((found - state).abs().max()) < 1e-5 * scale and float(state.abs().max()) > 1e-3


@pytest.mark.statistical
@pytest.mark.parametrize("name", RECURRENT)
@torch.no_grad()
def test_default_sites_are_stream_mixer_and_state(name):
    encoder = load_encoder(tiny_model(name))
    kinds = {site: encoder.kind_of_site(site) for site in encoder.sites}
    assert set(kinds.values()) == {"embedding", "residual", "mixer", "recurrent"}
    first = encoder.states.shapes
    first = min(block for block in first if encoder.states.has_memory(block)) + 1
    assert encoder.sites[:4] == ("embedding", f"layer.{first}", f"layer.{first}.mixer", f"layer.{first}.recurrent")
    assert all(state.shape[:2] == (DOCUMENTS, TOKENS) for state in encoder.encode(some_tokens()).values())
    assert encoder.randomised(1).sites == encoder.sites


@pytest.mark.parametrize("name", ["Mamba", "Qwen3Next", "Lfm2", "Inkling", "RecurrentGemma"])
@torch.no_grad()
def test_a_window_slides_by_one_token(name):
    encoder = load_encoder(tiny_model(name), sites="layer.1.conv")
    window = encoder.encode(some_tokens())["layer.1.conv"]
    shape = encoder.states.shapes[0]
    wide = next(part[-1] for name, part in shape.items() if name.split(".")[0] == "conv")
    window = window[..., : window.shape[2] // len([n for n in shape if n.startswith("conv")])]
    window = window.unflatten(2, (-1, wide))
    torch.testing.assert_close(window[:, 1:, :, :-1], window[:, :-1, :, 1:], rtol=1e-5, atol=1e-6)
    assert window[:, 0, :, -1].abs().sum() > 0 and not window[:, 0, :, :-1].any()


@pytest.mark.parametrize("name", ["Mamba2", "Zamba", "Qwen3Next", "KimiLinear", "MiniMax"])
@torch.no_grad()
def test_heads_laid_side_by_side_are_the_whole_state(name):
    encoder = load_encoder(tiny_model(name), sites=["layer.*.recurrent", "layer.*.recurrent.head.*"])
    states = encoder.encode(some_tokens())
    whole = next(site for site in states if site.endswith(".recurrent"))
    heads = [state for site, state in states.items() if site.startswith(f"{whole}.head.")]
    assert len(heads) > 1 and torch.equal(torch.cat(heads, 2), states[whole])
    assert {encoder.kind_of_site(site) for site in states} == {"recurrent"}


@torch.no_grad()
def test_parts_and_heads_are_cut_from_the_whole_state():
    encoder = load_encoder(tiny_model("xLSTM"), sites=["layer.1.recurrent", "layer.1.recurrent.*", "layer.1.*.head.*"])
    states = encoder.encode(some_tokens())
    parts = [states[f"layer.1.recurrent.{part}"] for part in ("memory", "normaliser", "maximum")]
    assert torch.equal(torch.cat(parts, 2), states["layer.1.recurrent"])
    heads = [states[f"layer.1.recurrent.head.{head}"] for head in range(1, 5)]
    assert sum(head.shape[2] for head in heads) == states["layer.1.recurrent"].shape[2]
    memory = parts[0].unflatten(2, (4, -1))
    assert torch.equal(heads[2][:, :, : memory.shape[3]], memory[:, :, 2])


@torch.no_grad()
def test_stars_stand_for_one_part_of_a_name():
    model = tiny_model("Mamba")
    assert load_encoder(model, sites="layer.*").sites == ("layer.1", "layer.2")
    assert load_encoder(model, sites="layer.*.mixer").sites == ("layer.1.mixer", "layer.2.mixer")
    assert load_encoder(model, sites="*").sites == ("embedding", "layer.1", "layer.2")
    assert len(load_encoder(model, sites="**").sites) == 9
    assert load_encoder(model, sites=[0, -1]).sites == ("embedding", "layer.2")
    with pytest.raises(UserError, match=r"'layer.1.recurent'.*did you mean .*'layer.1.recurrent'"):
        load_encoder(model, sites="layer.1.recurent")


@pytest.mark.parametrize("name", ["Llama", "GPT2"])
@torch.no_grad()
def test_models_without_a_state_have_streams_and_mixers(name):
    model = tiny_model(name)
    assert load_encoder(model).sites == ("embedding", "layer.1", "layer.2")
    encoder = load_encoder(model, sites=["layer.1.mixer", "layer.1", "embedding"])
    states = encoder.encode(some_tokens())
    # What an attention block adds to the stream is its mixer's output and its perceptron's, nothing else.
    block = model.base_model.layers[0] if name == "Llama" else model.base_model.h[0]
    norm, perceptron = (block.post_attention_layernorm, block.mlp) if name == "Llama" else (block.ln_2, block.mlp)
    middle = states["embedding"] + states["layer.1.mixer"]
    torch.testing.assert_close(middle + perceptron(norm(middle)), states["layer.1"], rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match=r"layer\.1\.recurrent"):
        load_encoder(model, sites="layer.1.recurrent")


@torch.no_grad()
def test_both_mixers_of_falcon_h1_are_added():
    model = tiny_model("FalconH1")
    block = model.base_model.layers[0]
    states = load_encoder(model, sites=["embedding", "layer.1.mixer", "layer.1"]).encode(some_tokens())
    middle = states["embedding"] + states["layer.1.mixer"]
    after = middle + block.feed_forward(block.pre_ff_layernorm(middle))
    torch.testing.assert_close(after, states["layer.1"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_model_whose_steps_differ_from_its_pass_is_refused():
    model = tiny_model("Qwen3Next")
    mixer = model.base_model.layers[0].linear_attn
    plain = mixer.forward

    def wrong(hidden_states, *rest, **options):
        return plain(hidden_states * (1.01 if hidden_states.shape[1] == 1 else 1.0), *rest, **options)

    mixer.forward = wrong
    with pytest.raises(UserError, match=r"'linear attention', whose .* by single steps differs by"):
        load_encoder(model, sites="layer.1.recurrent")
    assert load_encoder(model, sites="layer.1").sites == ("layer.1",)


@torch.no_grad()
def test_a_scan_that_is_not_what_the_route_computes_is_refused(monkeypatch):
    model = tiny_model("Mamba2")
    place = "transformers.models.mamba2.modeling_mamba2.mamba2_chunk_scan"
    from transformers.models.mamba2 import modeling_mamba2

    plain = modeling_mamba2.mamba2_chunk_scan

    def wrong(hidden_states, dt, *rest, **options):
        return plain(hidden_states, dt + 0.1, *rest, **options)

    monkeypatch.setattr(place, wrong)
    with pytest.raises(UserError, match=r"'selective state space', whose layer.1.recurrent by one pass differs by"):
        load_encoder(model, sites="layer.1.recurrent")


@torch.no_grad()
def test_the_model_is_left_as_it_was():
    model = tiny_model("Mamba2").train()
    from transformers.models.mamba2 import modeling_mamba2

    plain = modeling_mamba2.mamba2_chunk_scan
    load_encoder(model).encode(some_tokens())
    assert model.training and modeling_mamba2.mamba2_chunk_scan is plain
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]
    assert sum(hooks) == sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in tiny_model("Mamba2").modules())


# ------------------------------------------------------------------------------------------------------- RWKV-5


def rwkv5_step(module, token, states):
    """One token through an RWKV-5.2 model, written out; `states` is a list of shifts and matrices by block."""
    stream = module.blocks[0].ln0(module.emb.weight[token])
    for block, state in zip(module.blocks, states, strict=True):
        att, ffn = block.att, block.ffn
        first = block.ln1(stream)
        mixed = {
            name: getattr(att, layer).weight
            @ (first * getattr(att, f"time_mix_{name}") + state["attention"] * (1 - getattr(att, f"time_mix_{name}")))
            for name, layer in (("r", "receptance"), ("k", "key"), ("v", "value"), ("g", "gate"))
        }
        r, k, v = (mixed[name].view(att.heads, -1) for name in "rkv")
        new = torch.einsum("hi,hj->hij", k, v)
        read = torch.einsum("hi,hij->hj", r, state["matrix"] + att.time_faaaa * new).flatten()
        state["matrix"] = state["matrix"] * att.time_decay + new
        state["attention"] = first
        normed = torch.nn.functional.group_norm(read[None], att.heads, att.ln_x.weight, att.ln_x.bias, 1e-5)[0]
        stream = stream + att.output.weight @ (normed * torch.nn.functional.silu(mixed["g"]))
        second = block.ln2(stream)
        k = ffn.key.weight @ (second * ffn.time_mix_k + state["feed_forward"] * (1 - ffn.time_mix_k))
        r = ffn.receptance.weight @ (second * ffn.time_mix_r + state["feed_forward"] * (1 - ffn.time_mix_r))
        state["feed_forward"] = second
        stream = stream + torch.sigmoid(r) * (ffn.value.weight @ torch.relu(k) ** 2)
    return module.head.weight @ module.ln_out(stream)


@pytest.fixture
def rwkv5(tmp_path):
    """A folder with a model of random weights, as its authors' format has it."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    module = RWKV5(50, 16, 2, 4, 24)
    for name, parameter in module.named_parameters():
        if "time_" in name:
            torch.nn.init.uniform_(parameter)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    sizes = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 4, "ffn_size": 24}
    (tmp_path / "config.json").write_text(json.dumps({"kind": "RWKV-5.2", **sizes}), encoding="utf-8")
    return tmp_path


@torch.no_grad()
def test_states_of_an_rwkv5_folder_are_those_of_single_steps(rwkv5):
    encoder = load_encoder(rwkv5, sites="**")
    tokens = some_tokens(documents=1)
    found, module = encoder.encode(tokens), encoder.module
    zero = {"attention": torch.zeros(16), "feed_forward": torch.zeros(16), "matrix": torch.zeros(4, 4, 4)}
    states = [dict(zero) for _ in module.blocks]
    names = {"matrix": "recurrent", "attention": "conv.attention", "feed_forward": "conv.feed_forward"}
    for position, token in enumerate(tokens[0].tolist()):
        logits = rwkv5_step(module, token, states)
        torch.testing.assert_close(module(tokens)[0, position], logits, rtol=1e-4, atol=1e-5)
        for layer, state in enumerate(states, start=1):
            for part, name in names.items():
                mine = found[f"layer.{layer}.{name}"][0, position]
                torch.testing.assert_close(mine, state[part].flatten(), rtol=1e-4, atol=1e-5)
    assert encoder.kind_of_site("layer.1.recurrent.head.2") == "recurrent"
    assert torch.equal(found["layer.2.recurrent"][..., 16:32], found["layer.2.recurrent.head.2"])
    assert load_encoder(rwkv5).sites[:4] == ("embedding", "layer.1", "layer.1.mixer", "layer.1.recurrent")


@torch.no_grad()
def test_the_published_rwkv5_model_gives_the_logits_that_its_authors_expect(shared):
    folder = shared("model-rwkv5-730k")
    from safetensors.torch import load_file

    expected = load_file(folder / "model.safetensors")["expected_logits_after_prompt"]
    logits = load_encoder(folder).module(torch.tensor([list(b'"in')]))[0, -1]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_a_broken_rwkv5_folder_is_refused(rwkv5):
    (rwkv5 / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_encoder(rwkv5)


# ------------------------------------------------------------------------------------------------------- reports


@pytest.mark.statistical
@pytest.mark.parametrize("sites, warned", [(None, False), ("layer.*", True)])
def test_a_report_names_kinds_and_says_when_the_state_was_left_out(sites, warned):
    model = tiny_model("Qwen3Next")
    tokens = list(torch.randint(50, (30, 24), generator=torch.Generator().manual_seed(0)).numpy())
    report = recoverability(model, tokens, lags=[1], probes="gaussian", sites=sites, controls=False, progress=False)
    frame = report.to_frame()
    kinds = dict(zip(frame["site"], frame["kind_of_site"], strict=True))
    assert kinds == {site: load_encoder(model, sites=sites).kind_of_site(site) for site in kinds}
    assert all(row["kind_of_site"] == kinds[row["site"]] for row in report.summary)
    assert report.model["route"] == "single steps"
    assert any("recurrent state that was not measured" in warning for warning in report.warnings) == warned
    assert any("'layer.*.recurrent'" in warning for warning in report.warnings) == warned
