from .batches import JetDataLoader as JetDataLoader, make_dataloaders as make_dataloaders
from .callbacks import Activations as Activations, FollowZigzag as FollowZigzag
from .conditional import (
    ConditionalTraining as ConditionalTraining,
    fit_networks as fit_networks,
)
from .config import (
    INITIAL_WEIGHTS as INITIAL_WEIGHTS,
    OPTIMIZERS as OPTIMIZERS,
    PROFILES as PROFILES,
    SCHEDULES as SCHEDULES,
    TrainingConfig as TrainingConfig,
    training_config as training_config,
)
from .kept import TRAINING_CODE as TRAINING_CODE, training_digest as training_digest
from .loop import (
    OPTIMIZER_FUNCTIONS as OPTIMIZER_FUNCTIONS,
    RECORDED_STEPS as RECORDED_STEPS,
    LearningRateScan as LearningRateScan,
    TrainingResult as TrainingResult,
    find_learning_rate as find_learning_rate,
    make_checkpoint as make_checkpoint,
    make_learner as make_learner,
    train as train,
)
from .processes import launch as launch
