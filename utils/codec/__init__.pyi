from .archive import ContainerError as ContainerError
from .bins import Bins as Bins
from .bounded import BoundedScheme as BoundedScheme
from .bounds import Bounds as Bounds, ErrorBound as ErrorBound
from .column_fitting import train_column_networks as train_column_networks
from .column_networks import ColumnNetworks as ColumnNetworks
from .columns import entry_sizes as entry_sizes
from .compression import (
    FLOAT32_BYTES as FLOAT32_BYTES,
    compress as compress,
    decompress as decompress,
    holds_trees as holds_trees,
    inspect as inspect,
    iter_compressed as iter_compressed,
    read_compressed as read_compressed,
)
from .conditional import stacked as stacked
from .description import shortened as shortened
from .grids import (
    BLOCK as BLOCK,
    CircularGrid as CircularGrid,
    RelativeGrid as RelativeGrid,
    UniformGrid as UniformGrid,
    grid_from_dict as grid_from_dict,
    grid_of as grid_of,
    grid_to_dict as grid_to_dict,
    to_integers as to_integers,
    to_values as to_values,
)
from .jet_fitting import fit_jet_networks as fit_jet_networks, train_jet_networks as train_jet_networks
from .jet_networks import JetNetworks as JetNetworks
from .latents import (
    fit_latent_steps as fit_latent_steps,
    restore_latents as restore_latents,
    round_latents as round_latents,
)
from .models import (
    inspect_model as inspect_model,
    load_networks as load_networks,
    save_networks as save_networks,
)
from .opening import Columns as Columns, Trees as Trees, open as open
from .schemes import check_settings as check_settings
from .settings import (
    CODECS as CODECS,
    SUFFIX as SUFFIX,
    TREE_CODECS as TREE_CODECS,
)
from .slimming import check_slim as check_slim, slim as slim
from .streams import DIFFERENT as DIFFERENT, PLAIN as PLAIN, SEARCHING as SEARCHING
from .symbols import symbol_bits as symbol_bits
