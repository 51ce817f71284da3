from .campaign import RECORDS as RECORDS, is_folder as is_folder, run_campaign as run_campaign
from .main import main as main
from .models import train_main as train_main
