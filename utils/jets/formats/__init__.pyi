from .arrays import open_npy as open_npy, open_npz as open_npz, open_pickle as open_pickle
from .hdf5 import open_hdf5 as open_hdf5, write_hdf5 as write_hdf5
from .parquet import open_parquet as open_parquet, write_parquet as write_parquet
from .root import open_root as open_root, write_root as write_root
from .text import open_text as open_text, write_csv as write_csv
