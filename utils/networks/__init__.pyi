from .autoencoder import (
    ACTIVATION_LAYERS as ACTIVATION_LAYERS,
    PYTORCH_LAYERS as PYTORCH_LAYERS,
    Autoencoder as Autoencoder,
    PCABaseline as PCABaseline,
    parameter_count as parameter_count,
)
from .baseline import pca_checkpoint as pca_checkpoint
from .checkpoint import (
    Checkpoint as Checkpoint,
    CheckpointError as CheckpointError,
    architecture_of as architecture_of,
    build_model as build_model,
    load_checkpoint as load_checkpoint,
    read_header as read_header,
    save_checkpoint as save_checkpoint,
)
from .decoder import (
    decode_in_float64 as decode_in_float64,
    decode_normalized as decode_normalized,
    decoder_weights as decoder_weights,
    load_decoder as load_decoder,
)
from .fastai_weights import (
    PUBLISHED_MODELS as PUBLISHED_MODELS,
    PUBLISHED_NORMALIZATION as PUBLISHED_NORMALIZATION,
    load_model as load_model,
    load_published as load_published,
)
from .folding import (
    decoder_steps as decoder_steps,
    encoder_steps as encoder_steps,
    latent_width as latent_width,
)
from .inference import (
    count_outside as count_outside,
    decode_latents as decode_latents,
    encode_jets as encode_jets,
    reconstruct as reconstruct,
)
from .integer import (
    HIDDEN_SHIFT as HIDDEN_SHIFT,
    HIDDEN_UNIT as HIDDEN_UNIT,
    INPUT_UNIT as INPUT_UNIT,
    LARGEST_HIDDEN as LARGEST_HIDDEN,
    LARGEST_INPUT as LARGEST_INPUT,
    LARGEST_WEIGHT as LARGEST_WEIGHT,
    LOGIT_STEPS as LOGIT_STEPS,
    MOST_HIDDEN as MOST_HIDDEN,
    MOST_INPUTS as MOST_INPUTS,
    MOST_SYMBOLS as MOST_SYMBOLS,
    OUTPUT_SHIFT as OUTPUT_SHIFT,
    TOTAL_BITS as TOTAL_BITS,
    IntegerNetwork as IntegerNetwork,
)
from .losses import LOSSES as LOSSES, ResolutionLoss as ResolutionLoss, make_loss as make_loss, resolution as resolution
from .normalization import (
    NORMALIZATIONS as NORMALIZATIONS,
    CustomNormalization as CustomNormalization,
    NoNormalization as NoNormalization,
    Normalization as Normalization,
    StandardNormalization as StandardNormalization,
    closure as closure,
)
from .onnx_export import (
    autoencoder_onnx as autoencoder_onnx,
    check_export as check_export,
    decoder_onnx as decoder_onnx,
    encoder_onnx as encoder_onnx,
    export_model as export_model,
    export_paths as export_paths,
)
from .prepared import BATCH_SIZE as BATCH_SIZE, prepare as prepare
from .refinement import refine_latents as refine_latents
from .steps import Affine as Affine, Linear as Linear, ShiftedElu as ShiftedElu, run_steps as run_steps
from .variants import (
    ACTIVATIONS as ACTIVATIONS,
    LOSS_KINDS as LOSS_KINDS,
    MAX_FOLDS as MAX_FOLDS,
    NORMALIZATION_KINDS as NORMALIZATION_KINDS,
    VARIANT_LABELS as VARIANT_LABELS,
    VARIANTS as VARIANTS,
    AutoencoderConfig as AutoencoderConfig,
    check_folds as check_folds,
    schedule_label as schedule_label,
)
from .zigzag import Zigzag as Zigzag
