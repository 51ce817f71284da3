from .main import main as main
from .outputs import FORMATS as FORMATS, is_folder as is_folder
