"""Rank-3 PCA as a checkpoint: what every network is compared with."""

from utils.jets import Sample, feature_array
from utils.networks.autoencoder import PCABaseline
from utils.networks.checkpoint import Checkpoint
from utils.networks.normalization import Normalization


def pca_checkpoint(normalization: Normalization, sample: Sample, rank: int = 3) -> Checkpoint:
    """Rank-`rank` PCA of the normalized training jets, in the form of a checkpoint."""
    jets = normalization.normalize(feature_array(sample.train))
    metadata = {"model": "pca", "data": sample.training_data}
    return Checkpoint(PCABaseline(rank, jets.shape[1]).fit(jets), normalization, metadata)
