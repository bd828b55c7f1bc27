"""Runs checkov over the Bicep files, and fails when it found something, or could not read a file.

checkov 3.3.30 asks for pycep-parser 0.5.1, which cannot read imports and typed arrays, and then skips the whole file
without failing. Release 0.7.1 reads them; it describes some types as objects where checkov expects names.
"""

import json
import subprocess
import sys
from pathlib import Path

# Types alone: there is no resource in it, and the grammar of pycep does not know decorators within a type.
NOT_READ = {"types.bicep"}


def scan(folder: str) -> int:
    """Runs checkov in this process. Its report goes to standard output."""
    from checkov.main import Checkov
    from pycep import BicepParser

    parse = BicepParser.parse

    def with_names_of_types(self, *args, **kwargs):
        result = parse(self, *args, **kwargs)
        for kind in ("parameters", "variables", "outputs"):
            for item in result.get(kind, {}).values():
                if not isinstance(item.get("type"), (str, type(None))):
                    item["type"] = "object"
        return result

    BicepParser.parse = with_names_of_types
    return Checkov(["--directory", folder, "--framework", "bicep", "--output", "json"]).run() or 0


def main(folder: str) -> int:
    run = subprocess.run([sys.executable, __file__, "--scan", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        results = json.loads(run.stdout)["results"]
    except (json.JSONDecodeError, KeyError):
        print(run.stdout, run.stderr, file=sys.stderr)
        return 1
    unread = [file for file in results["parsing_errors"] if Path(file).name not in NOT_READ]
    for file in unread:
        print(f"{file} could not be read")
    for check in results["failed_checks"]:
        print(f"{check['file_path']}:{check['file_line_range'][0]}: {check['check_id']} {check['check_name']} ({check['resource']})")
    if not unread and not results["failed_checks"]:
        print("checkov found nothing that is not explained beside the resource.")
        return 0
    return 1


if __name__ == "__main__":
    if sys.argv[1] == "--scan":
        sys.exit(scan(sys.argv[2]))
    sys.exit(main(sys.argv[1]))
