"""The crash campaign: builds and releases that are killed, or meet full disks, vanishing files and failing calls."""
