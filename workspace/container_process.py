"""The process in which containers are opened: `python -m workspace.container_process`, started by `containers.py`.

    {"tar": true} and the file                   -> {}
    {"zip": true} and the file                   -> {}
    {"members": true}                            -> {"members": [[name, offset, size, what], ...]}, until it is empty
    {"member": NUMBER, "size": BYTES}            -> {} and that many bytes of a member of a zip
    {"parquet": true} and the file               -> {"rows": 9, "columns": [...], "images": [...], "texts": [...]}
    {"image": ROW, "column": "photo" or null}    -> {} and its bytes, {"path": "..."}, or {"none": true}
    {"values": ROW, "columns": [...]}            -> {"values": {...}}
    any error                                    -> {"damaged": "..."} or {"row": "..."}

The file is open already, or, on the Hub, of "size" bytes that are read through the process that asks.
"""

import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from workspace.errors import in_one_line
from workspace.limited.serving import Handler, Server, serve

if TYPE_CHECKING:
    from workspace.container_files import ParquetTable, ZipArchive

#: Members in one answer.
_MEMBERS = 20_000


def handler(server: Server) -> Handler:
    """Answers about one container at a time, the one opened last."""
    # Imported in the sandbox, because Arrow starts a thread, for which walls that are entered later would not hold.
    import pyarrow as pa

    from workspace.container_files import DamagedError, RowError

    reader = _Reader(server)

    def answer(message: dict[str, Any], body: bytes, files: list[int]) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
        try:
            return reader.answer(message, files)
        except RowError as error:
            return {"row": str(error)}, b""
        except MemoryError:
            return {"damaged": "reading it takes too much memory"}, b""
        except DamagedError as error:
            return {"damaged": in_one_line(error, 200, named=False)}, b""
        except StopIteration:
            return {"damaged": "it has fewer rows than it says"}, b""
        # On damaged files parsers fail with any kind of error.
        except Exception as error:
            return {
                "damaged": in_one_line(error, 200, named=not isinstance(error, pa.ArrowException | ValueError))
            }, b""

    return answer


class _Reader:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._file: BinaryIO | None = None
        self._members: Iterator[tuple[str, int, int, str]] = iter(())
        self._table: ParquetTable | None = None
        self._zip: ZipArchive | None = None

    def answer(self, message: dict[str, Any], files: list[int]) -> tuple[dict[str, Any], bytes]:
        from workspace.container_files import ParquetTable, ZipArchive, tar_members

        if "tar" in message:
            self._members = tar_members(self._open(files, message))
            return {}, b""
        if "zip" in message:
            self._zip = ZipArchive(self._open(files, message))
            self._members = self._zip.members()
            return {}, b""
        if "member" in message:
            assert self._zip is not None
            return {}, self._zip.read(message["member"], message["size"])
        if "members" in message:
            return {"members": list(islice(self._members, _MEMBERS))}, b""
        if "parquet" in message:
            self._table = ParquetTable(self._open(files, message))
            return self._table.described(), b""
        assert self._table is not None
        if "image" in message:
            image = self._table.image(message["image"], message["column"])
            if isinstance(image, str):
                return {"path": image}, b""
            return ({"none": True}, b"") if image is None else ({}, image)
        return {"values": self._table.values(message["values"], message["columns"])}, b""

    def _open(self, files: list[int], message: dict[str, Any]) -> BinaryIO:
        if self._file is not None:
            self._file.close()
        if files:
            self._file = os.fdopen(files[0], "rb")
        else:
            self._file = cast(BinaryIO, self._server.remote_file(message["size"]))
        self._file.seek(0)  # a file that was passed on has the position of its last reader
        self._table, self._zip, self._members = None, None, iter(())
        return self._file


if __name__ == "__main__":
    serve(handler)
