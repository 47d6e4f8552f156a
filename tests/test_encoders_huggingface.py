"""Models of transformers come back as they were, and folders that lack weights are refused."""

import json

import pytest
import torch

from infodil.checks import UserError
from infodil.encoders import load_encoder
from infodil.encoders.self_test import self_test
from infodil.encoders.sites import choose_by_depth, choose_sites

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


SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
TEXT = SMALL | {"vocab_size": 20, "num_key_value_heads": 2}


def gemma3(text):
    vision = SMALL | {"image_size": 28, "patch_size": 14}
    ids = {"image_token_index": 19, "boi_token_index": 18, "eoi_token_index": 17, "mm_tokens_per_image": 1}
    config = transformers.Gemma3Config(text_config=text | {"head_dim": 8}, vision_config=vision, **ids)
    return transformers.Gemma3ForConditionalGeneration(config)


def llava(text):
    vision = SMALL | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14, "projection_dim": 32}
    config = transformers.LlavaConfig(
        text_config=text | {"model_type": "llama"}, vision_config=vision, image_token_index=19
    )
    return transformers.LlavaForConditionalGeneration(config)


@pytest.mark.parametrize("make", [gemma3, llava])
@pytest.mark.statistical
def test_of_a_multimodal_model_the_text_model_is_read(tmp_path, make):
    """As many vision blocks as text blocks: the text is read, in memory and from a folder."""
    model = make(TEXT).eval()
    with torch.no_grad():
        expected = model.model.language_model(input_ids=TOKENS % 17, output_hidden_states=True).hidden_states
    for source in (model, tmp_path):
        model.save_pretrained(tmp_path)
        states = load_encoder(source, sites="layer.*").encode(TOKENS % 17)
        assert list(states) == ["layer.1", "layer.2", "layer.3"]
        torch.testing.assert_close(states["layer.2"], expected[2])


def t5():
    config = transformers.T5Config(
        vocab_size=20, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_decoder_layers=4, num_heads=4
    )
    return transformers.T5ForConditionalGeneration(config)


def bart():
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = transformers.BartConfig(
        vocab_size=20, d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, **sizes, **ids
    )
    return transformers.BartForConditionalGeneration(config)


@pytest.mark.parametrize(("make", "depth"), [(t5, 4), (bart, 2)])
def test_of_an_encoder_decoder_the_decoder_is_read(tmp_path, make, depth):
    model = make().eval()
    with torch.no_grad():
        expected = model.get_decoder()(input_ids=TOKENS, output_hidden_states=True).hidden_states
    model.save_pretrained(tmp_path)
    for source in (model, tmp_path):
        encoder = load_encoder(source, sites="*")
        assert encoder.name.endswith("(its decoder, without a source)")
        states = encoder.encode(TOKENS)
        assert list(states) == ["embedding", *(f"layer.{number + 1}" for number in range(depth))]
        torch.testing.assert_close(states["layer.1"], expected[1])
        self_test(encoder, length=10)


@pytest.mark.statistical
def test_a_decoder_is_read_with_a_source():
    model, source = t5().eval(), torch.tensor([[3, 5, 7, 9]])
    options = {"inputs": "decoder_input_ids", "forward_options": {"input_ids": source}}
    encoder = load_encoder(model, sites="decoder.block.1", **options)
    self_test(encoder, length=10)
    with torch.no_grad():
        whole = model(input_ids=source.expand(3, -1), decoder_input_ids=TOKENS, output_hidden_states=True)
    torch.testing.assert_close(encoder.encode(TOKENS)["decoder.block.1"], whole.decoder_hidden_states[2])


def test_a_stream_of_several_copies_is_read_whole():
    config = transformers.Gemma3nTextConfig(
        **TEXT, head_dim=8, vocab_size_per_layer_input=20, hidden_size_per_layer_input=8, altup_num_inputs=3,
        laurel_rank=8, num_kv_shared_layers=0, activation_sparsity_pattern=[0.0] * 3,
    )  # fmt: skip
    encoder = load_encoder(transformers.Gemma3nForCausalLM(config).eval())
    assert self_test(encoder, length=10) == {"embedding": 96, "layer.2": 96, "layer.3": 96}


def gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    )


@pytest.mark.parametrize("sites", [None, "layer.1", "transformer.h.1", "transformer.h.*.attn", "lm_head"])
def test_the_head_is_run_only_where_it_is_asked_for(sites):
    model, calls = gpt2(), []
    model.lm_head.register_forward_hook(lambda *ignored: calls.append(1))
    load_encoder(model, sites=sites).encode(TOKENS)
    assert len(calls) == (3 if sites == "lm_head" else 0)  # two small readings and one of the tokens


def test_weights_that_have_a_shape_only_are_refused():
    with torch.device("meta"):
        model = gpt2()
    with pytest.raises(UserError, match=r"`model` has its weights \('transformer.wte.weight'\) on the meta device"):
        load_encoder(model)


@pytest.mark.parametrize("sites", [slice(0, 2), 1.5, [None], [True], [[1]]])
@pytest.mark.statistical  # the checks of shapes and types would come first
def test_sites_of_another_kind_are_refused(sites):
    with pytest.raises(UserError, match="`sites` must be names, patterns or whole numbers, got"):
        choose_sites(sites, ["embedding", "layer.1"])
    with pytest.raises(UserError, match="`sites` must be names, patterns or whole numbers, got"):
        choose_by_depth(sites, ["embedding", "layer.1"], ["embedding", "layer.1"])


@pytest.mark.statistical
def test_a_compiled_model_is_the_model():
    model = gpt2()
    torch.testing.assert_close(
        load_encoder(torch.compile(model)).encode(TOKENS)["layer.2"], load_encoder(model).encode(TOKENS)["layer.2"]
    )


def test_positions_do_not_decide_the_vocabulary():
    assert load_encoder(bart().get_decoder(), sites="layers.0").vocabulary == 20


def test_a_model_without_a_longest_sequence_has_none():
    config = transformers.XLNetConfig(vocab_size=20, d_model=16, n_layer=2, n_head=2, d_inner=32)
    assert load_encoder(transformers.XLNetLMHeadModel(config)).longest is None


@pytest.mark.statistical
def test_a_model_in_parts_on_several_places_gives_the_states_of_the_whole(tmp_path):
    """One block lies on the disk, as one of a model that no device holds would."""
    config = transformers.GPT2Config(
        vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    places = {"transformer.wte": "cpu", "transformer.wpe": "cpu", "transformer.h.0": "cpu", "transformer.h.1": "disk"}
    places |= {"transformer.ln_f": "cpu", "lm_head": "cpu"}
    whole = load_encoder(tmp_path / "model")
    parts = load_encoder(tmp_path / "model", device_map=places, offload_folder=str(tmp_path / "disk"))
    tokens = torch.arange(20)[None, :12]
    for site, state in whole.encode(tokens).items():
        torch.testing.assert_close(parts.encode(tokens)[site], state)
