from .identity import (
    ChangedError as ChangedError,
    describe_content as describe_content,
    describe_head as describe_head,
    distinct_files as distinct_files,
    file_key as file_key,
    same_file as same_file,
    sha256_of as sha256_of,
    source_sha256 as source_sha256,
    unchanging as unchanging,
)
from .partial import (
    PARTIAL as PARTIAL,
    OutputError as OutputError,
    atomic_path as atomic_path,
    clear_partial as clear_partial,
    refuse_output as refuse_output,
    remove_partial as remove_partial,
)
from .records import (
    RECORDS as RECORDS,
    Json as Json,
    is_as_recorded as is_as_recorded,
    is_recorded as is_recorded,
    manage_folder as manage_folder,
    read_record as read_record,
    record_of as record_of,
    recorded_path as recorded_path,
    refuse_unrecorded as refuse_unrecorded,
    remove_leftovers as remove_leftovers,
    write_json as write_json,
)
from .repository import REPOSITORY as REPOSITORY, CloneError as CloneError, require_clone as require_clone
