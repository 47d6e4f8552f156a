"""Tiny models of transformers with random weights, one of each recurrent family and two without a state."""

import torch
import transformers

SIZE = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2}
ATTENTION = {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
ALL_KEYS = ATTENTION | {"num_key_value_heads": 4}
MAMBA2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 2,
    "mamba_d_state": 6,
    "mamba_chunk_size": 8,
}
DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 6,
    "linear_value_head_dim": 8,
}
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
LATENT = {"kv_lora_rank": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "qk_nope_head_dim": 8, "num_local_experts": 4}
NO_SPECIAL = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
MIXED = {"layer_types": ["linear_attention", "full_attention"]}
HYBRID = ["mamba", "hybrid", "mamba", "hybrid"]

CONFIGS = {
    "Mamba": SIZE | {"state_size": 6},
    "FalconMamba": SIZE | {"state_size": 6},
    "Mamba2": SIZE | {"state_size": 6, "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 8},
    "Jamba": SIZE
    | ATTENTION
    | {"num_hidden_layers": 3, "attn_layer_period": 3, "attn_layer_offset": 1, "num_experts": 2, "mamba_d_state": 6},
    "Zamba": SIZE | ALL_KEYS | {"num_hidden_layers": 4, "layers_block_type": HYBRID, "mamba_d_state": 6},
    "Zamba2": SIZE
    | ATTENTION
    | {"num_hidden_layers": 4, "layers_block_type": HYBRID, "mamba_d_state": 6, "n_mamba_heads": 8}
    | {"mamba_ngroups": 2, "chunk_size": 8},
    "Bamba": SIZE | ATTENTION | MAMBA2 | {"attn_layer_indices": [1]},
    "GraniteMoeHybrid": SIZE
    | ATTENTION
    | MAMBA2
    | {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 16, "num_local_experts": 2}
    | {"num_experts_per_tok": 1},
    "FalconH1": SIZE | ATTENTION | MAMBA2 | {"mamba_d_ssm": 64, "head_dim": 8},
    "NemotronH": {"vocab_size": 50, "hidden_size": 32, "layers_block_type": ["mamba", "attention", "mlp", "mamba"]}
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "chunk_size": 8}
    | {"ssm_state_size": 6, "mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 2},
    "Qwen3Next": SIZE | ATTENTION | DELTA | EXPERTS | MIXED | {"head_dim": 8, "shared_expert_intermediate_size": 16},
    "Qwen3_5": SIZE | ATTENTION | DELTA | MIXED | {"head_dim": 8},
    "Qwen3_5Moe": SIZE | ATTENTION | DELTA | EXPERTS | MIXED | {"head_dim": 8, "shared_expert_intermediate_size": 16},
    "OlmoHybrid": SIZE | ATTENTION | DELTA | MIXED | NO_SPECIAL,
    "KimiLinear": SIZE
    | ALL_KEYS
    | LATENT
    | MIXED
    | NO_SPECIAL
    | {"mlp_layer_types": ["dense", "dense"], "linear_head_dim": 8, "linear_num_heads": 4},
    "BailingHybrid": SIZE
    | ALL_KEYS
    | LATENT
    | MIXED
    | NO_SPECIAL
    | {"mlp_layer_types": ["dense", "dense"], "head_dim": 8, "num_mtp_layers": 0, "n_group": 1, "topk_group": 1},
    "MiniMax": SIZE | ATTENTION | MIXED | {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1}
    | {"block_size": 8},
    "Rwkv": SIZE | {"context_length": 64},
    "RecurrentGemma": SIZE
    | {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "lru_width": 32, "pad_token_id": 0},
    "xLSTM": {"vocab_size": 50, "hidden_size": 128, "num_heads": 4, "num_hidden_layers": 2, "num_blocks": 2}
    | {"autocast_kernel_dtype": "float32"},
    "Zaya": SIZE | EXPERTS | NO_SPECIAL | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    | {"max_position_embeddings": 64, "router_hidden_size": 8, "num_experts_per_tok": 1},
    "Lfm2": SIZE | ATTENTION | {"layer_types": ["conv", "full_attention"]},
    "Lfm3": SIZE | ATTENTION | NO_SPECIAL | {"layer_types": ["conv", "full_attention"], "head_dim": 8},
    "Inkling": SIZE
    | NO_SPECIAL
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "swa_num_attention_heads": 4}
    | {"swa_num_key_value_heads": 2, "swa_head_dim": 8, "sliding_window_size": 8, "d_rel": 4, "rel_extent": 16}
    | {"mlp_layer_types": ["dense", "dense"], "intermediate_size": 48, "max_position_embeddings": 64}
    | {"moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "Llama": SIZE | ATTENTION,
    "GPT2": {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}  # fmt: skip
"""Options of each family's configuration, by the beginning of its classes' names."""

RECURRENT = [name for name in CONFIGS if name not in ("Lfm2", "Lfm3", "Inkling", "Llama", "GPT2")]


def tiny_model(name, seed=0):
    """A model with weights large enough that its state matters: at the usual 0.02 differences hide."""
    config = next(
        getattr(transformers, name + kind)
        for kind in ("TextConfig", "Config")
        if hasattr(transformers, name + kind)
    )(**CONFIGS[name])  # fmt: skip
    config.initializer_range = 0.2
    kind = "LMHeadModel" if name == "GPT2" else "ForCausalLM"
    torch.manual_seed(seed)
    model = getattr(transformers, name + kind)(config).eval()
    if name in ("Rwkv", "RecurrentGemma"):  # whose own initialisation does not ask for the range
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model
