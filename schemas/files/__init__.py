"""Files that other people read: audit manifest and segments, rows and files of features."""
