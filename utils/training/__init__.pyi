from .batches import (
    JetDataLoader as JetDataLoader,
    apply_symmetries as apply_symmetries,
    make_dataloaders as make_dataloaders,
)
from .callbacks import Clip as Clip, FollowZigzag as FollowZigzag
from .config import (
    OPTIMIZERS as OPTIMIZERS,
    PROFILES as PROFILES,
    SCHEDULES as SCHEDULES,
    training_config as training_config,
)
from .loop import (
    OPTIMIZER_FUNCTIONS as OPTIMIZER_FUNCTIONS,
    LearningRateScan as LearningRateScan,
    find_learning_rate as find_learning_rate,
    make_checkpoint as make_checkpoint,
    make_learner as make_learner,
    train as train,
)
from .processes import launch as launch
